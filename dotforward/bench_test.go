//go:build unix

package dotforward

import (
	"syscall"
	"testing"
	"time"
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
