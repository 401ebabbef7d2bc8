//go:build unix

package dotforward

import (
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// cpu is what the process has used of the processor.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkHit answers packets from the cache, as a loop does, without the sockets. cpu-ns/op is what counts on a busy machine.
func BenchmarkHit(b *testing.B) {
	for _, bb := range []struct {
		name string
		edns bool
		more []Handler
	}{
		{"limit+observe", false, nil},
		{"limit+observe+edns", true, nil},
		{"limit+observe+block", false, []Handler{NewBlock(blocklist(b, "ads.test"), BlockZero, 0)}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			h := newHitPath(b, 10000, bb.edns, bb.more...)
			b.ReportAllocs()
			b.ResetTimer()
			now, used := time.Now(), cpu()
			for i := range b.N {
				if len(h.packetAt(i, now)) == 0 {
					b.Fatal("no reply")
				}
			}
			b.ReportMetric(float64(cpu()-used)/float64(b.N), "cpu-ns/op")
		})
	}
}

// BenchmarkMiss forwards queries, 200 at a time, to a server in the same process, whose work is counted with ours.
func BenchmarkMiss(b *testing.B) {
	r := newRig(b, nil)
	defer r.close()
	slots := make(chan struct{}, 200)
	msg := pack(b, query("n00000000.example.org.", dns.TypeA, false))
	answered := func([]byte) { <-slots }
	b.ReportAllocs()
	b.ResetTimer()
	used := cpu()
	for i := range b.N {
		for d, n := 21, i; d > 13; d, n = d-1, n/10 {
			msg[d] = byte('0' + n%10)
		}
		slots <- struct{}{}
		r.ServeMessage(msg, client, UDP, answered)
	}
	for range cap(slots) {
		slots <- struct{}{}
	}
	b.ReportMetric(float64(cpu()-used)/float64(b.N), "cpu-ns/op")
}
