package mmdb

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/testenv"
)

func randomAddrs(n int, seed uint64) []netip.Addr {
	rnd := rand.New(rand.NewPCG(seed, 1))
	as := make([]netip.Addr, n)
	for i := range as {
		v := rnd.Uint32()
		as[i] = netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
	}
	return as
}

func openSource(tb testing.TB, opt Options) *Source {
	tb.Helper()
	s := New(opt)
	if err := s.Open(context.Background()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

func benchmarkAdd(b *testing.B, addrs []netip.Addr) {
	s := openSource(b, Options{Patterns: []string{testenv.Path(b, "mmdb", "lite-composite.mmdb")}})
	subjects := make([]enrich.Subject, len(addrs))
	for i, a := range addrs {
		subjects[i] = enrich.AddressOf(a)
	}
	var q enrich.Query
	var r enrich.Record
	add := func(i int) {
		q.Subject = subjects[i%len(subjects)]
		r.Reset(q.Subject)
		s.Add(&q, &r)
	}
	for i := range subjects {
		add(i)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		add(i)
		i++
	}
}

// BenchmarkAddRandom asks for addresses that are spread over all of IPv4, so that nothing is in the processor's cache.
func BenchmarkAddRandom(b *testing.B) { benchmarkAdd(b, randomAddrs(1<<20, 1)) }

// BenchmarkAddRepeated asks for addresses as a log has them: few make up most of the lines.
func BenchmarkAddRepeated(b *testing.B) {
	rnd := rand.New(rand.NewPCG(2, 2))
	zipf := rand.NewZipf(rnd, 1.1, 1, 1<<16)
	few := randomAddrs(1<<16+1, 3)
	addrs := make([]netip.Addr, 1<<20)
	for i := range addrs {
		addrs[i] = few[zipf.Uint64()]
	}
	benchmarkAdd(b, addrs)
}

// BenchmarkTree is the walk alone, the reader's beside ours.
func BenchmarkTree(b *testing.B) {
	path := testenv.Path(b, "mmdb", "lite-composite.mmdb")
	addrs := randomAddrs(1<<20, 1)
	b.Run("whence", func(b *testing.B) {
		s := openSource(b, Options{Patterns: []string{path}})
		t := s.current.Load().databases[0].tree
		i := 0
		for b.Loop() {
			t.lookup(addrs[i&(1<<20-1)])
			i++
		}
	})
	b.Run("maxminddb", func(b *testing.B) {
		r, err := maxminddb.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		defer r.Close()
		i := 0
		for b.Loop() {
			r.Lookup(addrs[i&(1<<20-1)]).Prefix()
			i++
		}
	})
}

// BenchmarkLoad reads 20 MB with 1.5 million networks and 127,607 distinct records.
func BenchmarkLoad(b *testing.B) {
	path := testenv.Path(b, "mmdb", "lite-composite.mmdb")
	for b.Loop() {
		if _, err := load(context.Background(), path, testLimits); err != nil {
			b.Fatal(err)
		}
	}
}
