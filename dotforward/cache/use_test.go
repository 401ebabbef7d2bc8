package cache

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/whence-project/whence/dotforward/wire"
)

func TestPrefetch(t *testing.T) {
	c := open(t, Options{})
	a := question(t, "www.example.org.", dns.TypeA)
	a.put(t, c, t0, a.reply(t, 0, "www.example.org. 100 IN A 192.0.2.1"))
	for _, step := range []struct {
		at      int
		refetch bool
	}{
		{1, false}, {89, false}, {90, true}, {90, false}, {94, false}, {95, true}, {95, false}, {99, false},
		{100, true}, {104, false}, {105, true},
	} {
		if _, hit := a.get(t, c, at(time.Duration(step.at)*time.Second)); hit.Refetch != step.refetch {
			t.Errorf("after %d s: refetch %v", step.at, hit.Refetch)
		}
	}
	rare := question(t, "rare.example.org.", dns.TypeA)
	rare.put(t, c, t0, rare.reply(t, 0, "rare.example.org. 100 IN A 192.0.2.1"))
	if _, hit := rare.get(t, c, at(99*time.Second)); hit.Refetch {
		t.Error("what nobody used is fetched again")
	}
	never := open(t, Options{PrefetchAt: -1})
	a.put(t, never, t0, a.reply(t, 0, "www.example.org. 100 IN A 192.0.2.1"))
	for range 5 {
		if _, hit := a.get(t, never, at(99*time.Second)); hit.Refetch {
			t.Error("fetched ahead of time")
		}
	}
}

// While servers fail, an answer that may still be used is not lost to their failures, and they are left alone for a while.
func TestStaleOutlivesFailures(t *testing.T) {
	c := open(t, Options{})
	a := question(t, "www.example.org.", dns.TypeA)
	a.put(t, c, t0, a.reply(t, 0, "www.example.org. 60 IN A 192.0.2.1", "www.example.org. 90 IN A 192.0.2.2"))
	m, hit := a.get(t, c, at(70*time.Second))
	if hit.State != Stale || !hit.Refetch || hit.TTL != 30 || m.Answer[0].Header().Ttl != 30 || m.Answer[1].Header().Ttl != 20 {
		t.Fatalf("%+v\n%v", hit, m)
	}
	if a.put(t, c, at(71*time.Second), a.reply(t, dns.RcodeServerFailure)) {
		t.Error("a failure was kept in place of an answer")
	}
	for after, refetch := range map[int]bool{72: false, 100: false} {
		if _, hit = a.get(t, c, at(time.Duration(after)*time.Second)); hit.State != Stale || hit.Refetch != refetch {
			t.Errorf("after %d s: %+v", after, hit)
		}
	}
	if _, hit = a.get(t, c, at(101*time.Second)); !hit.Refetch {
		t.Error("the servers are never asked again")
	}
	c.Failed(&a.key, at(102*time.Second))
	if _, hit = a.get(t, c, at(131*time.Second)); hit.Refetch {
		t.Error("asked again within 30 s of a failure")
	}
	a.put(t, c, at(140*time.Second), a.reply(t, 3, soa))
	if m, hit = a.get(t, c, at(140*time.Second)); hit.State != Fresh || hit.Kind != wire.NXDomain || m.Rcode != 3 {
		t.Errorf("%+v", hit)
	}
	if !a.put(t, c, at(100*time.Hour), a.reply(t, dns.RcodeServerFailure)) {
		t.Error("an answer that may not be used any more keeps a failure out")
	}
	c.Failed(&question(t, "other.test.", 1).key, t0)
}

func TestEDEIsKept(t *testing.T) {
	c := open(t, Options{})
	a := question(t, "www.example.org.", dns.TypeA)
	m := a.reply(t, dns.RcodeServerFailure)
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: 6, ExtraText: "bogus"}}
	a.put(t, c, t0, m)
	if got, hit := a.get(t, c, t0); hit.EDE != 6 || got.IsEdns0() != nil {
		t.Errorf("%+v", hit)
	}
	a.put(t, c, t0, a.reply(t, 3, soa))
	if _, hit := a.get(t, c, t0); hit.EDE != wire.NoEDE {
		t.Errorf("%+v", hit)
	}
}

// check holds the shards against what they must be: what slots point to lies in the ring, once, in the bucket of its hash, and the
// counts are right.
func check(t *testing.T, c *Cache) {
	t.Helper()
	for i := range c.shards {
		s := &c.shards[i]
		inRing, pointed := map[int]bool{}, 0
		s.each(func(off int, e *entry) {
			inRing[off] = true
			if slot := s.slot(off); slot == nil || *slot != slotOf(e.hash, off) {
				t.Fatalf("shard %d: nothing points to the entry at %d", i, off)
			}
		})
		for _, slot := range s.slots {
			if slot != 0 {
				pointed++
				if !inRing[slot.place()] {
					t.Fatalf("shard %d: a slot points to %d, where there is no entry", i, slot.place())
				}
			}
		}
		if pointed != s.entries || pointed != len(inRing) || s.used > s.end {
			t.Fatalf("shard %d: %d slots, %d in the ring, counted %d; %d of %d bytes", i, pointed, len(inRing), s.entries, s.used, s.end)
		}
	}
}

// However large answers are and in whatever order they come, go, and are used, the cache gives for a key what was put last, or nothing.
func TestRing(t *testing.T) {
	c := open(t, Options{MaxBytes: 1})
	r := rand.New(rand.NewPCG(3, 4))
	const names = 3000
	asks, last := make([]*ask, names), make([]int, names)
	for i := range asks {
		asks[i] = question(t, fmt.Sprintf("n%d.example.org.", i), dns.TypeTXT)
	}
	buf, hits := make([]byte, wire.MaxLen), 0
	for step := range 40_000 {
		i := int(float64(names) * r.Float64() * r.Float64())
		a := asks[i]
		switch r.IntN(10) {
		case 0, 1, 2, 3:
			size := r.IntN(200)
			if r.IntN(200) == 0 {
				size = r.IntN(60_000)
			}
			msg := wire.Reply(nil, a.msg, &a.q, 0)
			msg = wire.AppendRecord(msg, dns.TypeTXT, 1, uint32(100+step), make([]byte, size))
			var ans wire.Answer
			if err := wire.ScanAnswer(msg, &ans); err != nil || !c.Put(&a.key, msg, &ans, at(time.Duration(step)*time.Millisecond), Meta{}) {
				t.Fatal(err)
			}
			last[i] = step
		case 4:
			if step%50 == 4 {
				c.Purge(a.q.Name(), false)
				last[i] = 0
			}
		default:
			n, hit := c.Get(&a.key, at(time.Duration(step)*time.Millisecond), buf)
			if n == 0 {
				continue
			}
			hits++
			var ans wire.Answer
			if err := wire.ScanAnswer(buf[:n], &ans); err != nil || int(ans.TTL+hit.Age) != 100+last[i] || !wire.SameQuestion(buf[:n], a.key.Question) {
				t.Fatalf("step %d: %v, put with TTL %d, got with %d after %d s", step, err, 100+last[i], ans.TTL, hit.Age)
			}
		}
		if step%500 == 0 {
			check(t, c)
		}
	}
	check(t, c)
	st := c.Stats()
	if st.Evicted == 0 || st.Bytes > st.MaxBytes || st.MaxBytes != shardBytes || hits < 5000 {
		t.Errorf("%+v, %d hits", st, hits)
	}
}

// What is used stays when much that is not goes by.
func TestUsedStays(t *testing.T) {
	c := open(t, Options{MaxBytes: 1 << 20})
	popular := question(t, "popular.example.org.", 1)
	popular.put(t, c, t0, popular.reply(t, 0, "popular.example.org. 3600 IN A 192.0.2.1"))
	for i := range 50_000 {
		a := question(t, fmt.Sprintf("n%d.example.org.", i), 1)
		msg := wire.AppendRecord(wire.Reply(nil, a.msg, &a.q, 0), 1, 1, 3600, []byte{192, 0, 2, 1})
		var ans wire.Answer
		if err := wire.ScanAnswer(msg, &ans); err != nil || !c.Put(&a.key, msg, &ans, t0, Meta{}) {
			t.Fatal(err)
		}
		if i%1000 == 0 {
			if _, hit := popular.get(t, c, t0); hit.State != Fresh {
				t.Fatalf("gone after %d others", i)
			}
		}
	}
	check(t, c)
}

func TestConcurrent(t *testing.T) {
	c := open(t, Options{MaxBytes: 2 << 20})
	asks := make([]*ask, 200)
	for i := range asks {
		asks[i] = question(t, fmt.Sprintf("n%d.example.org.", i), dns.TypeA)
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 0))
			buf := make([]byte, 512)
			var ans wire.Answer
			for range 5000 {
				a := asks[r.IntN(len(asks))]
				switch r.IntN(12) {
				case 0, 1:
					msg := wire.AppendRecord(wire.Reply(nil, a.msg, &a.q, 0), 1, 1, 3600, []byte{192, 0, 2, 1})
					if wire.ScanAnswer(msg, &ans) == nil {
						c.Put(&a.key, msg, &ans, t0, Meta{})
					}
				case 2:
					if f, ok := c.Join(&a.key, waiterFunc(func([]byte) {}), t0); ok && f != nil {
						f.Done(nil)
					}
				case 3:
					c.SetVerdict(&a.key, 1, 2)
					c.Stats()
				case 4:
					if r.IntN(100) == 0 {
						c.Purge(a.q.Name(), true)
					}
				default:
					c.Get(&a.key, t0, buf)
				}
			}
		})
	}
	wg.Wait()
	check(t, c)
}

func TestNoAllocation(t *testing.T) {
	c := open(t, Options{})
	a := question(t, "www.example.org.", dns.TypeA)
	msg := wire.AppendRecord(wire.Reply(nil, a.msg, &a.q, 0), 1, 1, 3600, []byte{192, 0, 2, 1})
	var ans wire.Answer
	buf := make([]byte, 512)
	if n := testing.AllocsPerRun(100, func() {
		if wire.ScanAnswer(msg, &ans) != nil || !c.Put(&a.key, msg, &ans, t0, Meta{}) {
			t.Error("not kept")
		}
		if wire.ParseQuery(a.msg, &a.q) != wire.OK {
			t.Error("not read")
		}
		n, _ := c.Get(&a.key, t0, buf)
		wire.Readdress(buf[:n], a.msg, &a.q)
		wire.AppendOPT(buf[:n], &wire.OPT{UDPSize: 1232, HasEDE: true, EDE: wire.EDEStaleAnswer, EDEText: "stale"})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestClosed(t *testing.T) {
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	a := question(t, "www.example.org.", dns.TypeA)
	m := a.reply(t, 0, "www.example.org. 60 IN A 192.0.2.1")
	a.put(t, c, t0, m)
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, hit := a.get(t, c, t0); hit.State != Miss || a.put(t, c, t0, m) || c.Purge([]byte{0}, true) != 0 {
		t.Error("a closed cache has answers")
	}
}

func TestInspect(t *testing.T) {
	c := open(t, Options{})
	for _, name := range []string{"example.org.", "www.example.org.", "a.www.example.org.", "xexample.org.", "example.net."} {
		a := question(t, name, dns.TypeA)
		a.put(t, c, t0, a.reply(t, 0, name+" 60 IN A 192.0.2.1"), Meta{Upstream: 4})
	}
	www := question(t, "www.example.org.", dns.TypeA)
	www.get(t, c, t0)
	x, ok := c.Explain(&www.key, at(59*time.Second))
	if !ok || x.State != Fresh || x.TTL != 1 || x.Upstream != 4 || x.Uses != 1 || x.Rcode != 0 || x.Size == 0 || !slices.Equal(x.Key.Question, www.key.Question) {
		t.Errorf("%v, %+v", ok, x)
	}
	if again, _ := c.Explain(&www.key, at(59*time.Second)); again.Uses != 1 {
		t.Error("to explain is to use")
	}
	if _, ok := c.Explain(&question(t, "nowhere.test.", 1).key, t0); ok {
		t.Error("explained what is not there")
	}
	org := question(t, "Example.ORG.", 1).q.Name()
	if found := c.Find(org, true, 10, t0); len(found) != 3 {
		t.Errorf("%d at and below", len(found))
	}
	if found := c.Find(org, false, 10, t0); len(found) != 1 {
		t.Errorf("%d at", len(found))
	}
	if found := c.Find([]byte{0}, true, 2, t0); len(found) != 2 {
		t.Errorf("%d of 2 of all", len(found))
	}
	if n := c.Purge(org, false); n != 1 {
		t.Errorf("%d purged at", n)
	}
	if n := c.Purge(org, true); n != 2 {
		t.Errorf("%d purged below", n)
	}
	if n := c.Purge([]byte{0}, true); n != 2 || c.Stats().Entries != 0 {
		t.Errorf("%d purged at last", n)
	}
	check(t, c)
}
