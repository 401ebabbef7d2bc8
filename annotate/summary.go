package annotate

import (
	"fmt"
	"io"
	"net/netip"
	"text/tabwriter"

	"github.com/whence-project/whence/enrich"
)

// Summary says what was in logs: how many lines, and what was in them most often. Every occurrence counts, also several in a line.
type Summary struct {
	Counts
	AS        []Count `json:"as"`
	Networks  []Count `json:"networks"`
	Countries []Count `json:"countries"`
	Addresses []Count `json:"addresses"`
	Names     []Count `json:"names"`
	// Lost is how much lower than they are counts may be, since there was more to count than is kept in memory: 65,536 of a kind
	// at least.
	Lost uint64 `json:"lost,omitempty"`
}

// Count is how often something was there.
type Count struct {
	Value string `json:"value"`
	Name  string `json:"name,omitempty"` // of an AS
	Count uint64 `json:"count"`
}

// tally is what a summary is made of.
type tally struct {
	systems   top[system]
	networks  top[string]
	countries top[string]
	addresses top[netip.Addr]
	names     top[string]
}

// system is an AS and how it is called.
type system struct{ asn, name string }

func newTally() *tally {
	return &tally{newTop[system](), newTop[string](), newTop[string](), newTop[netip.Addr](), newTop[string]()}
}

// add counts an answer.
func (t *tally) add(f facts, n uint64) {
	if f.asn != "" {
		t.systems.add(system{f.asn, f.asName}, n)
	}
	if f.network != "" {
		t.networks.add(f.network, n)
	}
	if f.country != "" {
		t.countries.add(f.country, n)
	}
}

// subject counts a subject that was written as text.
func (t *tally) subject(s enrich.Subject) {
	switch s.Kind() {
	case enrich.Address:
		t.addresses.add(s.Addr(), 1)
	case enrich.Domain:
		t.names.add(s.Name(), 1)
	}
}

func (t *tally) merge(o *tally) {
	t.systems.merge(&o.systems)
	t.networks.merge(&o.networks)
	t.countries.merge(&o.countries)
	t.addresses.merge(&o.addresses)
	t.names.merge(&o.names)
}

func (t *tally) reset() {
	t.systems.reset()
	t.networks.reset()
	t.countries.reset()
	t.addresses.reset()
	t.names.reset()
}

// Summary is that of all logs so far, with the first n of each kind. It has no more than the counts where the options did not ask
// for one.
func (a *Annotator) Summary(n int) *Summary {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := &Summary{Counts: a.counts}
	t := a.tally
	if t == nil {
		return s
	}
	value := func(v string) Count { return Count{Value: v} }
	s.AS = first(&t.systems, n, func(as system) Count { return Count{Value: as.asn, Name: as.name} })
	s.Networks = first(&t.networks, n, value)
	s.Countries = first(&t.countries, n, value)
	s.Addresses = first(&t.addresses, n, func(a netip.Addr) Count { return Count{Value: a.String()} })
	s.Names = first(&t.names, n, value)
	s.Lost = max(t.systems.lost, t.networks.lost, t.countries.lost, t.addresses.lost, t.names.lost)
	return s
}

// Write writes the summary as text.
func (s *Summary) Write(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "lines\t%d\n", s.Lines)
	fmt.Fprintf(w, "annotated\t%d\n", s.Annotated)
	fmt.Fprintf(w, "nothing known\t%d\n", s.Unknown)
	fmt.Fprintf(w, "rejected\t%d\n", s.Rejected)
	fmt.Fprintf(w, "too long\t%d\n", s.TooLong)
	for _, kind := range []struct {
		head   string
		counts []Count
	}{{"AS", s.AS}, {"network", s.Networks}, {"country", s.Countries}, {"address", s.Addresses}, {"name", s.Names}} {
		if len(kind.counts) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n%s\tcount\n", kind.head)
		for _, c := range kind.counts {
			if c.Name != "" {
				c.Name = "\t" + c.Name
			}
			fmt.Fprintf(w, "%s\t%d%s\n", c.Value, c.Count, c.Name)
		}
	}
	if s.Lost > 0 {
		fmt.Fprintf(w, "\nCounts may be up to %d too low: there was more than is kept in memory.\n", s.Lost)
	}
	return w.Flush()
}
