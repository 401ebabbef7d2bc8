package lists

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whence-project/whence/internal/testenv"
)

// realNames are names that a network asked for.
func realNames(tb testing.TB) []string {
	tb.Helper()
	b, err := os.ReadFile(testenv.Path(tb, "dns", "names-33k.txt"))
	if err != nil {
		tb.Fatal(err)
	}
	return strings.Fields(string(b))
}

// million are 1,000,000 different names such as lists block, 22 bytes long on average.
var million = sync.OnceValue(func() []string {
	rnd := rand.New(rand.NewPCG(1, 2))
	syllables := strings.Fields("ad be track do el stat fa go ha in ka la le li lo click me mi mo na ne pixel pa ra re ri ro sa se si so ta te ti to va vi za")
	tlds := strings.Fields("com com com com com net org de ru co.uk io com.br info fr jp cn in top xyz")
	seen := make(map[string]bool, 1_000_000)
	names := make([]string, 0, 1_000_000)
	for len(names) < cap(names) {
		var b strings.Builder
		for range rnd.IntN(3) {
			b.WriteString(syllables[rnd.IntN(len(syllables))])
			fmt.Fprintf(&b, "%d.", rnd.IntN(30))
		}
		for range 4 + rnd.IntN(4) {
			b.WriteString(syllables[rnd.IntN(len(syllables))])
		}
		b.WriteString("." + tlds[rnd.IntN(len(tlds))])
		if name := b.String(); !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
})

func millionLines(before, after string) []byte {
	var b bytes.Buffer
	for _, name := range million() {
		b.WriteString(before + name + after + "\n")
	}
	return b.Bytes()
}

func BenchmarkLoad(b *testing.B) {
	for _, form := range []struct{ name, before, after string }{{"hosts", "0.0.0.0 ", ""}, {"domains", "", ""}, {"adblock", "||", "^"}} {
		data := millionLines(form.before, form.after)
		b.Run(form.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				l := new(list)
				r := ruleReader{list: l}
				if err := r.read(b.Context(), bytes.NewReader(data)); err != nil {
					b.Fatal(err)
				}
				if s, err := newSet([]*list{l}, []flags{0}); err != nil || s.Len() != 1_000_000 {
					b.Fatal(s.Len(), err)
				}
			}
		})
	}
}

type lookup struct {
	name  string
	names [][]byte
}

// lookups are names in a random order: such as are in the list, names below them, real ones, of which hardly any are, and a thousand
// that are in the list and soon in the processor's cache, while the first two wait for memory.
func lookups(b *testing.B) []lookup {
	all := []lookup{{name: "hit"}, {name: "below"}, {name: "miss"}}
	for i, name := range million() {
		if i%30 == 0 {
			all[0].names = append(all[0].names, wire(b, name))
			all[1].names = append(all[1].names, wire(b, "www.x."+name))
		}
	}
	for _, name := range realNames(b) {
		all[2].names = append(all[2].names, wire(b, name))
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, l := range all {
		rnd.Shuffle(len(l.names), func(i, j int) { l.names[i], l.names[j] = l.names[j], l.names[i] })
	}
	return append(all, lookup{"hot", all[0].names[:1000]})
}

// BenchmarkMatch looks names up among 1M.
func BenchmarkMatch(b *testing.B) {
	path := write(b, b.TempDir(), "list.txt", string(millionLines("||", "^")))
	list := open(b, BlockOptions{Files: []string{path}, Rules: "@@||example.org^"})
	for _, bench := range lookups(b) {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			i, blocked := 0, 0
			for b.Loop() {
				if i++; i == len(bench.names) {
					i = 0
				}
				if list.Match(bench.names[i], typeA).Action == Block {
					blocked++
				}
			}
			b.ReportMetric(float64(blocked)/float64(b.N), "blocked/op")
		})
	}
}

// BenchmarkMap is the same as BenchmarkMatch with a map of Go's, which has neither exceptions nor lines: what the machine can do at
// the moment.
func BenchmarkMap(b *testing.B) {
	set := make(map[string]struct{})
	for _, name := range million() {
		set[string(wire(b, name))] = struct{}{}
	}
	for _, bench := range lookups(b) {
		b.Run(bench.name, func(b *testing.B) {
			i := 0
			for b.Loop() {
				if i++; i == len(bench.names) {
					i = 0
				}
				for name := bench.names[i]; name[0] != 0; name = name[1+name[0]:] {
					if _, ok := set[string(name)]; ok {
						break
					}
				}
			}
		})
	}
}

func BenchmarkHosts(b *testing.B) {
	path := write(b, b.TempDir(), "hosts", string(millionLines("192.0.2.1 ", "")))
	h := openHosts(b, HostsOptions{Files: []string{path}})
	var hits, misses [][]byte
	for i, name := range million() {
		if i%30 == 0 {
			hits = append(hits, wire(b, name))
			misses = append(misses, wire(b, "www."+name))
		}
	}
	for name, names := range map[string][][]byte{"hit": hits, "miss": misses} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			addrs, _ := h.Lookup(nil, hits[0])
			i := 0
			for b.Loop() {
				if i++; i == len(names) {
					i = 0
				}
				addrs, _ = h.Lookup(addrs[:0], names[i])
			}
		})
	}
}

// TestBudget holds a list of 1M names against 40 bytes a name and 2 s.
func TestBudget(t *testing.T) {
	if testing.Short() {
		t.Skip("synthesises 1M names")
	}
	data := string(millionLines("||", "^"))
	path := write(t, t.TempDir(), "list.txt", data)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapInuse
	}
	before := heap()
	b, err := NewBlocklist(BlockOptions{Files: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := b.Open(); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	defer b.Close()
	used := float64(heap()-before) / 1e6
	n := b.Set().Len()
	t.Logf("%d names, %.1f bytes long on average: %.1f bytes a name in memory, read in %v", n, float64(len(data))/float64(n)-4, used, took)
	if used > 40 || n != 1_000_000 {
		t.Errorf("%.1f bytes a name, want at most 40", used)
	}
	if took > 20*time.Second { // ten times the budget: the machine may have other work, and races are looked for
		t.Errorf("read in %v", took)
	}
	runtime.KeepAlive(b)
}
