package annotate

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"testing"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/iana"
	"github.com/whence-project/whence/enrich/mmdb"
	"github.com/whence-project/whence/internal/testenv"
)

// BenchmarkFinder finds all addresses in the lines of an Apache log.
func BenchmarkFinder(b *testing.B) {
	log, err := os.ReadFile(testenv.Path(b, "logs", "apache_access_10k.log"))
	if err != nil {
		b.Fatal(err)
	}
	lines := bytes.Count(log, []byte("\n"))
	n := 0
	b.SetBytes(int64(len(log)))
	for b.Loop() {
		n = 0
		var f finder
		for f.start(log, false, false); ; n++ {
			if _, ok := f.next(); !ok {
				break
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(lines), "ns/line")
	b.ReportMetric(float64(n), "addresses")
}

// realChain is a chain as an operator has it.
func realChain(b *testing.B) *enrich.Chain {
	b.Helper()
	db := mmdb.New(mmdb.Options{Patterns: []string{testenv.Path(b, "mmdb", "lite-composite.mmdb")}})
	chain := enrich.NewChain("", enrich.Link{Name: "iana", Source: iana.New()}, enrich.Link{Name: "mmdb", Source: db})
	if err := chain.Open(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { chain.Close() })
	return chain
}

// madeUp is an Apache log of n lines with other clients: drawn from 60,000 as logs have them, some once, or each once.
func madeUp(b *testing.B, n int, once bool) []byte {
	b.Helper()
	log, err := os.ReadFile(testenv.Path(b, "logs", "apache_access_10k.log"))
	if err != nil {
		b.Fatal(err)
	}
	lines := bytes.SplitAfter(log, []byte("\n"))
	r := rand.New(rand.NewPCG(1, 2))
	pool := make([]netip.Addr, 60_000)
	for i := range pool {
		pool[i] = randomAddr(r, i%12 == 0)
	}
	zipf := rand.NewZipf(r, 1.1, 10, uint64(len(pool)-1))
	var out []byte
	for i := range n {
		line := lines[i%10_000]
		a := pool[zipf.Uint64()]
		if once || i%10 == 0 {
			a = randomAddr(r, i%12 == 0)
		}
		out = append(a.AppendTo(out), line[bytes.IndexByte(line, ' '):]...)
	}
	return out
}

func randomAddr(r *rand.Rand, v6 bool) netip.Addr {
	if v6 {
		var a [16]byte
		binary.BigEndian.PutUint64(a[:], 0x2000<<48|r.Uint64()>>3)
		binary.BigEndian.PutUint64(a[8:], r.Uint64())
		return netip.AddrFrom16(a)
	}
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 1<<24+r.Uint32N(222<<24))
	return netip.AddrFrom4(a)
}

// BenchmarkAnnotate annotates an Apache log, by one worker.
func BenchmarkAnnotate(b *testing.B) {
	chain := realChain(b)
	for _, bb := range []struct {
		name string
		once bool
		o    Options
	}{
		{"all", false, Options{}},
		{"first", false, Options{In: []string{"1"}}},
		{"append", false, Options{Append: true}},
		{"once", true, Options{}},
		{"once,first", true, Options{In: []string{"1"}}},
		{"summary", false, Options{Summary: true}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			const n = 200_000
			log := madeUp(b, n, bb.once)
			bb.o.Format, bb.o.Workers, bb.o.Lookup = Text, 1, Local(chain)
			b.ReportAllocs()
			b.SetBytes(int64(len(log)))
			a := mustNew(b, bb.o)
			for b.Loop() {
				if err := a.Annotate(context.Background(), Log{Name: "log", In: bytes.NewReader(log), Out: io.Discard}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/line")
		})
	}
}
