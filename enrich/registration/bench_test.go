package registration

import (
	"fmt"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration/bootstrap"
	"github.com/whence-project/whence/enrich/registration/manners"
)

// known is a source that knows n names, in a chain.
func known(n int) (*enrich.Chain, []enrich.Subject) {
	s := New(Options{Bootstrap: bootstrap.New(bootstrap.Options{}), Manners: manners.New(manners.Options{}), Memory: 1 << 30})
	names := make([]enrich.Subject, n)
	for i := range names {
		name := fmt.Sprintf("name%d.test", i)
		s.Learn(name, time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC), time.Time{}, "bench")
		names[i] = enrich.DomainOf("www." + name)
	}
	return enrich.NewChain("", enrich.Link{Name: "registration", Source: s}), names
}

// TestKnownAnswersAllocateNothing has answers that are in memory cost nothing but the record that the caller brings, and what the
// library of public suffixes allocates for a name that is not the registrable one.
func TestKnownAnswersAllocateNothing(t *testing.T) {
	chain, _ := known(1)
	q, r := &enrich.Query{Subject: enrich.DomainOf("name0.test")}, new(enrich.Record)
	chain.Lookup(ctx, q, r)
	q.Registrable()
	if n := testing.AllocsPerRun(1000, func() { chain.Lookup(ctx, q, r) }); n > 0 || !r.Found() {
		t.Errorf("%v allocations, found %v", n, r.Found())
	}
}

func BenchmarkKnown(b *testing.B) {
	for _, n := range []int{1, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			chain, names := known(n)
			q, r := new(enrich.Query), new(enrich.Record)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				q.Subject = names[i*7919%n]
				chain.Lookup(ctx, q, r)
			}
		})
	}
}
