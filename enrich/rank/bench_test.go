package rank

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/whence-project/whence/enrich"
)

// million is a list in the form of the published ones: 1,000,000 different names, 13 bytes long on average.
var million = sync.OnceValue(func() []string {
	rnd := rand.New(rand.NewPCG(1, 2))
	syllables := strings.Fields("ba be co da do el en fa go ha in ka la le li lo ma me mi mo na ne no on pa ra re ri ro sa se si so ta te ti to va vi za")
	tlds := strings.Fields("com com com com net org de ru co.uk io com.br info fr jp cn in")
	seen := make(map[string]bool, 1_000_000)
	names := make([]string, 0, 1_000_000)
	for len(names) < cap(names) {
		var b strings.Builder
		for range 4 + rnd.IntN(2) {
			b.WriteString(syllables[rnd.IntN(len(syllables))])
		}
		if rnd.IntN(4) == 0 {
			fmt.Fprintf(&b, "%d", rnd.IntN(100))
		}
		b.WriteString("." + tlds[rnd.IntN(len(tlds))])
		if name := b.String(); !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
})

func millionCSV() []byte {
	var b bytes.Buffer
	for i, name := range million() {
		fmt.Fprintf(&b, "%d,%s\r\n", i+1, name)
	}
	return b.Bytes()
}

func writeFile(tb testing.TB, name string, data []byte) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		tb.Fatal(err)
	}
	return path
}

func openSource(tb testing.TB, o Options) *Source {
	tb.Helper()
	s := New(o)
	if err := s.Open(context.Background()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

// BenchmarkLoad reads a list of 1M names; the budget is 0.5 s.
func BenchmarkLoad(b *testing.B) {
	csv := millionCSV()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(csv)
	z.Close()
	for _, bb := range []struct {
		name string
		data []byte
	}{{"plain", csv}, {"gzip", packed.Bytes()}} {
		b.Run(bb.name, func(b *testing.B) {
			path := writeFile(b, "top-1m.csv", bb.data)
			for b.Loop() {
				if _, err := (loader{maxBytes: DefaultMaxFile}).load(context.Background(), path); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// benchmarkSource runs f over names in an order that no processor cache knows, on a list of 1M.
func benchmarkSource(b *testing.B, names []string, f func(s *Source, name string)) {
	s := openSource(b, Options{Files: []string{writeFile(b, "top-1m.csv", millionCSV())}})
	rand.New(rand.NewPCG(3, 4)).Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	// One behind the other in memory, as names come that were just read from a socket.
	all := strings.Join(names, "")
	for i, at := 0, 0; i < len(names); i++ {
		names[i] = all[at : at+len(names[i])]
		at += len(names[i])
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		f(s, names[i])
		if i++; i == len(names) {
			i = 0
		}
	}
}

func some(format string) []string {
	names := make([]string, 200_000)
	for i := range names {
		names[i] = fmt.Sprintf(format, million()[i*5])
	}
	return names
}

// BenchmarkRank is the lookup alone; the budget is 350 ns.
func BenchmarkRank(b *testing.B) {
	for _, bb := range []struct{ name, format string }{
		{"hit", "%s"}, {"miss", "no-%s"}, {"under", "www.%s"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			benchmarkSource(b, some(bb.format), func(s *Source, name string) { s.Rank(name) })
		})
	}
}

// BenchmarkAdd is what a chain pays: for names that are each asked once in a while, and for those that a network asks for again
// and again.
func BenchmarkAdd(b *testing.B) {
	var q enrich.Query
	var r enrich.Record
	add := func(s *Source, name string) {
		q.Subject = enrich.DomainOf(name)
		r.Reset(q.Subject)
		s.Add(&q, &r)
	}
	for _, bb := range []struct{ name, format string }{
		{"hit", "%s"}, {"miss", "no-%s"}, {"under", "www.%s"},
	} {
		b.Run(bb.name+"/spread", func(b *testing.B) { benchmarkSource(b, some(bb.format), add) })
		b.Run(bb.name+"/repeated", func(b *testing.B) {
			names, all := make([]string, 200_000), some(bb.format)
			zipf := rand.NewZipf(rand.New(rand.NewPCG(5, 6)), 1.2, 1, uint64(len(all)-1))
			for i := range names {
				names[i] = all[zipf.Uint64()]
			}
			benchmarkSource(b, names, add)
		})
	}
}

// TestMemory holds a list of 1M names against its budget of 40 MB resident, of which the Go runtime takes about 5.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("synthesises 1M names")
	}
	path := writeFile(t, "top-1m.csv", millionCSV())
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapInuse
	}
	before := heap()
	s := openSource(t, Options{Files: []string{path}})
	for _, name := range some("%s") { // fills what is kept
		var r enrich.Record
		q := enrich.Query{Subject: enrich.DomainOf(name)}
		s.Add(&q, &r)
	}
	used := heap() - before
	t.Logf("%.1f MB for %d names", float64(used)/1e6, s.Status().Records)
	if used > 35e6 {
		t.Errorf("%d bytes in use, want at most 35e6", used)
	}
	runtime.KeepAlive(s)
}
