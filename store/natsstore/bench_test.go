package natsstore

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whence-project/whence/internal/natstest"
	"github.com/whence-project/whence/store"
)

func benchNode(b *testing.B) (*Store, *natstest.Server) {
	b.Helper()
	server := natstest.Start(b, natstest.Options{})
	s := open(b, b.TempDir(), connect(b, server.URL), Options{Bucket: newBucket(), Wait: patience})
	synced(b, s)
	return s, server
}

// BenchmarkClaimNew claims names that nobody has seen, by so many claimants at a time.
func BenchmarkClaimNew(b *testing.B) {
	for _, claimants := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(claimants), func(b *testing.B) {
			s, _ := benchNode(b)
			var next, unknown atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range claimants {
				wg.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						if r, _ := s.Ledger().Claim("stats", name(int(i)), start); r != store.First {
							unknown.Add(1)
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "claims/s")
			if n := unknown.Load(); n > 0 {
				b.Errorf("%d were not first", n)
			}
		})
	}
}

// BenchmarkClaimSeen claims names that the node knows.
func BenchmarkClaimSeen(b *testing.B) {
	s, _ := benchNode(b)
	names := make([]string, 10_000)
	for i := range names {
		names[i] = name(i)
		s.Ledger().Claim("stats", names[i], start)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if r, _ := s.Ledger().Claim("stats", names[i%len(names)], start); r != store.Seen {
			b.Fatal(r)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "claims/s")
}

// BenchmarkGet gets what is in the folder, and fetches what is in NATS.
func BenchmarkGet(b *testing.B) {
	s, _ := benchNode(b)
	keys := make([]string, 10_000)
	value := []byte(strings.Repeat("Domain Name: EXAMPLE.ORG\n", 40))
	for i := range keys {
		keys[i] = name(i)
		s.Cache().Put("b", keys[i], value, time.Time{})
	}
	until(b, "put", func() bool { return s.Status().Waiting == 0 })
	if err := s.local.Flush(); err != nil {
		b.Fatal(err)
	}
	b.Run("hit", func(b *testing.B) {
		for i := range b.N {
			if _, _, ok := s.Cache().Get("b", keys[i%len(keys)]); !ok {
				b.Fatal("miss")
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "gets/s")
	})
	b.Run("fetch", func(b *testing.B) {
		for i := range b.N {
			if _, _, ok := s.cache.Fetch(b.Context(), "b", keys[i%len(keys)]); !ok {
				b.Fatal("miss")
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "fetches/s")
	})
}

// BenchmarkPut puts values and waits until they are in NATS.
func BenchmarkPut(b *testing.B) {
	s, _ := benchNode(b)
	value := []byte(strings.Repeat("Domain Name: EXAMPLE.ORG\n", 40))
	b.ResetTimer()
	for i := range b.N {
		s.Cache().Put("b", name(i), value, time.Time{})
		if i%1000 == 999 {
			until(b, "put", func() bool { return s.Status().Waiting < 1<<20 })
		}
	}
	until(b, "put", func() bool { return s.Status().Waiting == 0 })
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
}

// BenchmarkNames fills a ledger, has another node make its copy, and tells what memory both nodes and NATS have then. Run it with
// -benchtime 300000x.
func BenchmarkNames(b *testing.B) {
	s, server := benchNode(b)
	b.ResetTimer()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				s.Ledger().Claim("stats", name(int(i)), start)
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "claims/s")
	began := time.Now()
	for list, err := s.Ledger().Pending("stats", 0, 1024); len(list) > 0; list, err = s.Ledger().Pending("stats", 0, 1024) {
		numbers := make([]uint64, len(list))
		for i := range list {
			numbers[i] = list[i].Event
		}
		if err != nil || s.Ledger().Done(numbers...) != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "events/s")
	_ = s.local.Flush()
	before := anonymous(os.Getpid())
	began = time.Now()
	second := open(b, b.TempDir(), connect(b, server.URL), Options{Bucket: s.opt.Bucket})
	synced(b, second)
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "copied/s")
	_ = second.local.Flush()
	runtime.GC()
	b.ReportMetric(float64(before)/1024, "node-MB")
	b.ReportMetric(float64(anonymous(os.Getpid())-before)/1024, "second-node-MB")
	b.ReportMetric(float64(anonymous(server.PID()))/1024, "nats-MB")
	server.Kill()
	server.Restart()
	until(b, "back", func() bool { return s.Status().Ready && second.Status().Ready })
	synced(b, s, second)
	b.ReportMetric(float64(anonymous(server.PID()))/1024, "nats-restarted-MB")
}

// anonymous is the memory of a process that is no file's, in KiB, where the system tells.
func anonymous(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "RssAnon:")
	n, _ := strconv.Atoi(strings.Fields(rest + " 0")[0])
	return n
}
