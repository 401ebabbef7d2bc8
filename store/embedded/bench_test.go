//go:build unix

package embedded

import (
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/whence-project/whence/store"
)

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
	b.Logf("opened in %v, %.1f MB of heap", time.Since(began), float64(heap()-before)/1e6)
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

func heap() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
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

// BenchmarkSustained claims 20,000 new names a second beside a million known ones, 200 in each operation, and tells the share of
// a core that all of it takes, and the longest operation.
func BenchmarkSustained(b *testing.B) {
	s := open(b, imported(b, 1_000_000), Options{})
	l := s.Ledger()
	const perTick, tick = 200, 10 * time.Millisecond
	var slowest time.Duration
	refused, n, ticks := 0, 1_000_000, 0
	began, cpu := time.Now(), cpuTime(b)
	for b.Loop() {
		at := time.Now()
		for range perTick {
			if r, _ := l.Claim("stats", name(n), start); r != store.First {
				refused++
			}
			n++
		}
		slowest = max(slowest, time.Since(at))
		ticks++
		time.Sleep(time.Until(began.Add(time.Duration(ticks) * tick)))
	}
	took := time.Since(began)
	b.ReportMetric(float64(refused)/float64(n-1_000_000), "refused/name")
	b.ReportMetric(float64(n-1_000_000)/took.Seconds(), "names/s")
	b.ReportMetric(float64(cpuTime(b)-cpu)/float64(took), "cores")
	b.ReportMetric(slowest.Seconds()*1e3, "ms-slowest")
}

// BenchmarkOpen opens a ledger of a million names: in the database, and in a journal as a killed process leaves it.
func BenchmarkOpen(b *testing.B) {
	folded := imported(b, 1_000_000)
	b.Run("database", func(b *testing.B) {
		for b.Loop() {
			s, err := Open(folded, Options{})
			if err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
	b.Run("journal", func(b *testing.B) {
		var journal []byte
		{
			f := &memory{room: -1}
			j := journalOf(f)
			for i := range 1_000_000 {
				if err := j.claim("stats", name(i), uint64(i+1), start.UnixMilli()); err != nil {
					b.Fatal(err)
				}
			}
			journal = f.Bytes()
		}
		for b.Loop() {
			b.StopTimer()
			dir := b.TempDir()
			if err := os.WriteFile(journalName(dir, 1), journal, 0o600); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			s, err := Open(dir, Options{})
			if err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			began := time.Now()
			if err := s.Flush(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(time.Since(began).Seconds(), "s-folding")
			s.Close()
			b.StartTimer()
		}
	})
}

func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
