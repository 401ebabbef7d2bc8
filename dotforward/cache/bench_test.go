package cache

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/miekg/dns"

	"github.com/whence-project/whence/dotforward/wire"
)

// filled is a cache with n small answers, and the keys of them.
func filled(b *testing.B, n int) (*Cache, []Key) {
	b.Helper()
	c := open(b, Options{})
	a := question(b, "n000000.bench.example.org.", dns.TypeA)
	msg, err := a.reply(b, 0, "n000000.bench.example.org. 3600 IN A 192.0.2.1").Pack()
	if err != nil {
		b.Fatal(err)
	}
	keys := make([]Key, n)
	var ans wire.Answer
	for i := range keys {
		copy(msg[13:], fmt.Sprintf("n%06d", i))
		keys[i] = Key{Question: append([]byte(nil), msg[12:12+len(a.key.Question)]...)}
		if err := wire.ScanAnswer(msg, &ans); err != nil || !c.Put(&keys[i], msg, &ans, t0, Meta{}) {
			b.Fatal(i, err)
		}
	}
	return c, keys
}

func BenchmarkGet(b *testing.B) {
	for _, n := range []int{1000, 400_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c, keys := filled(b, n)
			s := c.Stats()
			order := rand.New(rand.NewPCG(1, 2)).Perm(n)
			buf, now, missed, i := make([]byte, 512), at(60e9), 0, 0
			b.ReportAllocs()
			for b.Loop() {
				if _, hit := c.Get(&keys[order[i]], now, buf); hit.State != Fresh {
					missed++
				}
				if i++; i == n {
					i = 0
				}
			}
			b.ReportMetric(float64(s.Bytes)/float64(s.Entries), "B/entry")
			b.ReportMetric(float64(missed)/float64(b.N), "missed")
		})
	}
}

func BenchmarkPut(b *testing.B) {
	c := open(b, Options{})
	a := question(b, "n000000.bench.example.org.", dns.TypeA)
	msg, _ := a.reply(b, 0, "n000000.bench.example.org. 3600 IN A 192.0.2.1").Pack()
	var ans wire.Answer
	if err := wire.ScanAnswer(msg, &ans); err != nil {
		b.Fatal(err)
	}
	k := Key{Question: append([]byte(nil), a.key.Question...)}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		for j, v := 0, i; j < 6; j, v = j+1, v/10 {
			msg[14+j] = byte('0' + v%10)
		}
		copy(k.Question, msg[12:])
		i++
		if !c.Put(&k, msg, &ans, t0, Meta{}) {
			b.Fatal()
		}
	}
}
