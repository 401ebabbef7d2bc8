package embedded

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whence-project/whence/store"
)

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// name is the i-th of names whose order is not that of their numbers, as names come in.
func name(i int) string {
	return strconv.FormatUint(uint64(i+1)*0x9e3779b97f4a7c15>>20, 36) + ".example.org"
}

func open(tb testing.TB, dir string, opt Options) *Store {
	tb.Helper()
	s, err := Open(dir, opt)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

// imported is a folder of a store with n names in scope stats.
func imported(b *testing.B, n int) string {
	dir := b.TempDir()
	s := open(b, dir, Options{})
	began := time.Now()
	_, _, err := s.Ledger().Import(b.Context(), "stats", func(yield func(store.Sighting) bool) {
		for i := range n {
			if !yield(store.Sighting{Name: name(i), First: start}) {
				return
			}
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("imported %d names in %v, %d MB on disk", n, time.Since(began), s.Ledger().Status().Bytes>>20)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	return dir
}

func BenchmarkClaimKnown(b *testing.B) {
	const n = 1_000_000
	dir := imported(b, n)
	runtime.GC()
	before := heap()
	began := time.Now()
	s := open(b, dir, Options{FlushEvery: time.Hour})
	runtime.GC()
	b.Logf("opened in %v, %d MB of heap", time.Since(began), (heap()-before)>>20)
	l := s.Ledger()
	names := make([]string, n)
	for i := range names {
		names[i] = name(i)
	}
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if r, _ := l.Claim("stats", names[uint64(i)*7919%n], start); r != store.Seen {
				b.Fatal(r)
			}
		}
	})
	b.Run("many", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(32)
		var at atomic.Uint64
		b.RunParallel(func(pb *testing.PB) {
			for i := at.Add(1_000_003); pb.Next(); i++ {
				if r, _ := l.Claim("stats", names[i*7919%n], start); r != store.Seen {
					b.Fatal(r)
				}
			}
		})
	})
	b.Run("lookup", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			l.Lookup("stats", names[uint64(i)*7919%n])
		}
	})
	b.Run("hot", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			l.Claim("stats", names[i%100], start)
		}
	})
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkClaimNew claims new names beside a million known ones, each operation one name, and counts those that were refused.
func BenchmarkClaimNew(b *testing.B) {
	s := open(b, imported(b, 1_000_000), Options{})
	l := s.Ledger()
	b.ReportAllocs()
	refused, i := 0, 1_000_000
	for b.Loop() {
		if r, _ := l.Claim("stats", name(i), start); r != store.First {
			refused++
			time.Sleep(time.Millisecond)
		}
		i++
	}
	b.ReportMetric(float64(refused)/float64(b.N), "refused/op")
}

// TestSustained is the budget of new names a second, with the ledger on disk; set WHENCE_SUSTAINED to its seconds.
func TestSustained(t *testing.T) {
	seconds, _ := strconv.Atoi(os.Getenv("WHENCE_SUSTAINED"))
	if seconds == 0 {
		t.Skip("takes long: set WHENCE_SUSTAINED to how many seconds")
	}
	s := open(t, t.TempDir(), Options{})
	l := s.Ledger()
	names := func(yield func(store.Sighting) bool) {
		for i := range 1_000_000 {
			if !yield(store.Sighting{Name: name(i), First: start}) {
				return
			}
		}
	}
	if _, _, err := l.Import(t.Context(), "stats", names); err != nil {
		t.Fatal(err)
	}
	const perTick, tick = 200, 10 * time.Millisecond
	var slowest time.Duration
	refused, n, began := 0, 0, time.Now()
	for ; n < seconds*20_000; n += perTick {
		at := time.Now()
		for i := range perTick {
			if r, _ := l.Claim("stats", name(1_000_000+n+i), start); r != store.First {
				refused++
			}
		}
		slowest = max(slowest, time.Since(at))
		time.Sleep(time.Until(began.Add(time.Duration(n/perTick) * tick)))
	}
	runtime.GC()
	fmt.Printf("%d new names in %v, %d refused; slowest %d claims %v; %+v; heap %d MB\n",
		n, time.Since(began), refused, perTick, slowest, l.Status(), heap()>>20)
}
