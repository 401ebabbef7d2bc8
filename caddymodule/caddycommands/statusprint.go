package caddycommands

import (
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration"
)

// statusJSON writes the server's answer as it is.
func statusJSON(w io.Writer, s *serverStatus) error {
	_, err := w.Write(append(s.all, '\n'))
	return err
}

// statusText writes tables for people.
func statusText(w io.Writer, s *serverStatus) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if s.Healthy {
		fmt.Fprintln(t, "healthy")
	} else {
		fmt.Fprintln(t, "NOT HEALTHY")
	}
	for _, p := range s.Problems {
		fmt.Fprintf(t, "%s\t%s\t%s\n", p.Level, p.Where, enrich.Clean(p.Text))
	}
	fmt.Fprintln(t, "\nCHAIN\tSOURCE\tRECORDS\tMADE\tLOADED\tDATA")
	for _, d := range s.data() {
		records := humanize.Comma(int64(d.Records))
		switch {
		case d.Missing:
			records = "missing"
		case d.Error != "":
			records += " (refused)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", d.chain, d.source, records, ago(d.Built), ago(d.Loaded), enrich.Clean(d.Path))
	}
	if licences := s.licences(); len(licences) > 0 {
		fmt.Fprintln(t, "\nATTRIBUTION")
		for _, l := range licences {
			fmt.Fprintln(t, l)
		}
	}
	s.storeText(t)
	s.forwarderText(t)
	s.workersText(t)
	preloadsText(t, s.preloads())
	for _, name := range slices.Sorted(maps.Keys(s.others)) {
		fmt.Fprintf(t, "\n%s\n%s\n", strings.ToUpper(name), s.others[name])
	}
	return t.Flush()
}

// licences are what the data's licences ask to be shown, each once.
func (s *serverStatus) licences() (all []string) {
	for _, d := range s.data() {
		if text := enrich.Clean(d.Attribution); text != "" && !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return all
}

func (s *serverStatus) storeText(w io.Writer) {
	if s.Store == nil {
		return
	}
	c, l := s.Store.Cache, s.Store.Ledger
	fmt.Fprintf(w, "\nSTORE\ncache\t%s entries, %s of %s\t%s\n", humanize.Comma(int64(c.Entries)), size(c.Size), size(c.MaxSize), hits(c.Hits, c.Misses))
	fmt.Fprintf(w, "ledger\t%s names, %s\t%s first contacts not told yet\n", humanize.Comma(int64(l.Names)), size(l.Bytes), humanize.Comma(int64(l.Events)))
}

func (s *serverStatus) forwarderText(w io.Writer) {
	f := s.Dotforward
	if f == nil {
		return
	}
	fmt.Fprintf(w, "\nDNS\ncache\t%s answers, %s of %s\t%s\n\nUPSTREAM\tSTATE\tLATENCY\tQUERIES\tFAILURES\n", humanize.Comma(int64(f.Cache.Entries)),
		size(f.Cache.Size), size(f.Cache.MaxSize), hits(f.Cache.Hits+f.Cache.Stale, f.Cache.Misses))
	for _, u := range f.Upstreams {
		state := "down"
		if u.Up {
			state = "up"
		}
		fmt.Fprintf(w, "%s\t%s\t%.1f ms\t%s\t%s\n", u.Server, state, u.AverageMS, humanize.Comma(int64(u.Queries)), failuresOf(u.Failures))
	}
}

func (s *serverStatus) workersText(w io.Writer) {
	if n := s.NATS; n != nil {
		fmt.Fprintf(w, "\nNATS\n%s\t%s\tsince %s\n", enrich.Clean(n.Node), enrich.Clean(n.state()), ago(n.Since))
	}
	if s.Workers == nil || len(s.Workers.Workers) == 0 {
		return
	}
	fmt.Fprintln(w, "\nWORKER\tSTATE\tSINCE\tRATE\tSUCCESS\tANSWERED\tFAILED\tDECLINED\tEGRESS")
	for _, k := range s.Workers.Workers {
		fmt.Fprintf(w, "%s\t%s\t%s\t%.1f/s\t%.0f %%\t%s\t%s\t%s\t%s\n", enrich.Clean(k.Name), upOrDown(k.Up), ago(k.Since), k.Rate, 100*k.Success,
			humanize.Comma(int64(k.Done)), humanize.Comma(int64(k.Failed)), humanize.Comma(int64(k.Declined)), enrich.Clean(strings.Join(k.Egress, " ")))
	}
}

func upOrDown(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

func preloadsText(w io.Writer, preloads map[string]*registration.Progress) {
	if len(preloads) == 0 {
		return
	}
	fmt.Fprintln(w, "\nPRELOAD\tSTATE\tDONE\tFAILED\tRATE\tLEFT")
	for _, chain := range slices.Sorted(maps.Keys(preloads)) {
		p := preloads[chain]
		rate, left := "", ""
		if p.State == registration.PreloadRunning {
			rate, left = fmt.Sprintf("%.1f/s", p.Rate), (time.Duration(p.Left) * time.Second).String()
		}
		fmt.Fprintf(w, "%s\t%s\t%d of %d\t%d\t%s\t%s\n", chain, p.State, p.Done, p.Names, p.Failed, rate, left)
	}
}

// size is a number of bytes with its unit.
func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// hits is which part of the questions had an answer.
func hits(yes, no uint64) string {
	if yes+no == 0 {
		return "not asked yet"
	}
	return fmt.Sprintf("%.0f %% hits", 100*float64(yes)/float64(yes+no))
}

// ago is how long ago t was, a dash for no time.
func ago(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return humanize.Time(t)
}

// statusCSV writes a row for each data set, list, upstream server, preload, cache, ledger and problem.
func statusCSV(w io.Writer, s *serverStatus) error {
	c := csv.NewWriter(w)
	row := func(cells ...string) { _ = c.Write(cells) } // Error tells
	row("what", "where", "name", "state", "records", "made", "loaded", "text")
	state := func(d *enrich.DataStatus) string {
		switch {
		case d.Missing:
			return "missing"
		case d.Error != "":
			return "refused"
		}
		return "ok"
	}
	for _, d := range s.data() {
		row("data", d.chain+"/"+d.source, d.Path, state(&d.DataStatus), strconv.Itoa(d.Records), date(d.Built), date(d.Loaded), d.Error)
	}
	if s.Store != nil {
		row("store", "cache", "", okOr(s.Store.Cache.Error), strconv.Itoa(s.Store.Cache.Entries), "", "", s.Store.Cache.Error)
		row("store", "ledger", "", okOr(s.Store.Ledger.Error), strconv.Itoa(s.Store.Ledger.Names), "", "", s.Store.Ledger.Error)
	}
	if f := s.Dotforward; f != nil {
		for _, u := range f.Upstreams {
			up := map[bool]string{true: "up", false: "down"}[u.Up]
			row("upstream", "dotforward", u.Server, up, strconv.FormatUint(u.Queries, 10), "", "", failuresOf(u.Failures))
		}
		for _, l := range f.Lists {
			for _, d := range l.Data {
				row("list", "dotforward/"+l.Handler, d.Path, state(&d), strconv.Itoa(d.Records), date(d.Built), date(d.Loaded), d.Error)
			}
		}
	}
	if n := s.NATS; n != nil {
		row("nats", n.Node, n.Server, upOrDown(n.Connected), "", "", date(n.Since), "")
	}
	if s.Workers != nil {
		for _, k := range s.Workers.Workers {
			row("worker", k.Name, "", upOrDown(k.Up), strconv.FormatUint(k.Done, 10), date(k.Started), date(k.Since), fmt.Sprintf("%d failed", k.Failed))
		}
	}
	preloads := s.preloads()
	for _, chain := range slices.Sorted(maps.Keys(preloads)) {
		p := preloads[chain]
		row("preload", chain, "", p.State, strconv.Itoa(p.Done), date(p.Started), date(p.Finished), fmt.Sprintf("of %d, %d failed", p.Names, p.Failed))
	}
	for _, p := range s.Problems {
		row("problem", p.Where, "", string(p.Level), "", "", "", p.Text)
	}
	c.Flush()
	return c.Error()
}

func okOr(fault string) string {
	if fault != "" {
		return "error"
	}
	return "ok"
}
