//go:build linux

package main

import (
	"fmt"
	"io"
	"os"

	"github.com/whence-project/whence/bench/internal/child"
	"github.com/whence-project/whence/bench/internal/contest"
)

var ofUnknown = contest.Table{Rate: "names/s", Unit: "name", Columns: []string{farmCPU, clientCPU}}

// seed is what the program that this source takes the place of says of itself.
const seed = "For comparison, of the seed's README, not measured here: 34.7 names/s (three million a day, on one core), 16.7 in a test of " +
	"100,000 names (0.06 s a name, four nodes)."

// runLists looks up unknown names in lists.
func (b *bench) runLists(whence *child.Server, names []string, w io.Writer) error {
	rdap, err := b.list("a list over RDAP", whence, names, "rdap")
	if err != nil {
		return err
	}
	whois, err := b.list("a list over WHOIS", whence, synthesise("w", b.whois, b.registries), "whois")
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nUnknown names in a list on one connection: %d over RDAP (TLS, HTTP/2), %d over WHOIS\n\n", rdap.names, whois.names)
	ofUnknown.Write(w, []*contest.Contender{rdap.Contender, whois.Contender})
	fmt.Fprintf(w, "\n%s\n\n", seed)
	b.report(w, rdap)
	b.report(w, whois)
	return nil
}

// runPreload looks up the same names before anybody asks.
func (b *bench) runPreload(names []string, w io.Writer) error {
	r, err := b.preload("preloading over RDAP", names)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nPreloading %d names\n\n", r.names)
	ofUnknown.Write(w, []*contest.Contender{r.Contender})
	fmt.Fprintln(w)
	b.report(w, r)
	return nil
}

// report writes whether a run over unknown names keeps the budgets.
func (b *bench) report(w io.Writer, r *result) {
	contest.AtLeast(w, r.Name+", names a second, registries and client on the same cores", r.Median(contest.Rate), budgetRate)
	fmt.Fprintf(w, "- %s, answers, each of them checked: %d right, %d wrong, %d names without one\n", r.Name, r.names-r.wrong-r.none, r.wrong, r.none)
	if r.example != nil {
		fmt.Fprintf(w, "  MISSED, the first of them: %v\n", r.example)
		b.failed = true
	}
	fmt.Fprintf(w, "- %s, queries to registries: %d about %d names, at most %d about one of them, over %d connections\n",
		r.Name, r.asked.Queries, r.asked.Names, r.asked.Most, r.asked.Connections)
	if r.asked.Queries != int64(r.names) || r.asked.Names != r.names || r.asked.Most != 1 {
		fmt.Fprintln(w, "  MISSED: one query a name was wanted.")
		b.failed = true
	}
	mb := func(n int) float64 { return float64(n) / 1e6 }
	fmt.Fprintf(w, "- %s, MB of anonymous memory (memory %s): %.1f before, at most %.1f during the first half of the names, "+
		"%.1f during the second, %.1f at the end; resident at most %.1f, with the files it maps\n",
		r.Name, b.memory, mb(r.before), mb(r.first), mb(r.second), mb(r.after), mb(r.resident))
	contest.AtMost(w, r.Name+", memory during the second half, × that during the first", float64(r.second)/float64(r.first), budgetGrowth)
}

// runKnown makes some names known, and measures requests about them.
func (b *bench) runKnown(whence *child.Server, w io.Writer) error {
	known := make([]string, hot)
	for i := range known {
		known[i] = label(i) + "." + real
	}
	r, err := b.list("making names known", whence, known, "rdap")
	if err == nil {
		err = r.example
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%d names of one registry over %d connections\n", r.names, r.asked.Connections)
	return b.contestKnown(whence, known, w)
}
