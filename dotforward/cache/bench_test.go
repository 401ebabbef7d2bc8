//go:build unix

package cache

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/whence-project/whence/dotforward/wire"
)

// small is a small answer of many, which differ in the number that number sets in message and key.
type small struct {
	key Key
	msg []byte
	ans wire.Answer
}

func newSmall(b *testing.B) *small {
	b.Helper()
	a := question(b, "n000000.bench.example.org.", dns.TypeA)
	msg, err := a.reply(b, 0, "n000000.bench.example.org. 3600 IN A 192.0.2.1").Pack()
	if err != nil {
		b.Fatal(err)
	}
	s := &small{key: a.key, msg: msg}
	if err := wire.ScanAnswer(msg, &s.ans); err != nil {
		b.Fatal(err)
	}
	return s
}

func (s *small) number(i int) {
	for j := 7; j > 1; j-- {
		digit := byte('0' + i%10)
		s.key.Question[j], s.msg[wire.HeaderLen+j] = digit, digit
		i /= 10
	}
}

func BenchmarkGet(b *testing.B) {
	for _, n := range []int{1000, 400_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c, a := open(b, Options{}), newSmall(b)
			for i := range n {
				a.number(i)
				c.Put(&a.key, a.msg, &a.ans, t0, Meta{})
			}
			s := c.Stats()
			order := rand.New(rand.NewPCG(1, 2)).Perm(n)
			buf, now, missed, i := make([]byte, 512), at(60e9), 0, 0
			b.ReportAllocs()
			before := cpu()
			for b.Loop() {
				a.number(order[i])
				if _, hit := c.Get(&a.key, now, buf); hit.State != Fresh {
					missed++
				}
				if i++; i == n {
					i = 0
				}
			}
			b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
			b.ReportMetric(float64(s.Bytes)/float64(s.Entries), "B/entry")
			b.ReportMetric(float64(missed)/float64(b.N), "missed/op")
		})
	}
}

func BenchmarkPut(b *testing.B) {
	c, a := open(b, Options{}), newSmall(b)
	b.ReportAllocs()
	before, i := cpu(), 0
	for b.Loop() {
		a.number(i)
		i++
		if !c.Put(&a.key, a.msg, &a.ans, t0, Meta{}) {
			b.Fatal()
		}
	}
	b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
}

// cpu is the time that the process has computed, in ns: what counts where processors are shared.
func cpu() int64 {
	var u unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}
