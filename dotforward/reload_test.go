package dotforward

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/whence-project/whence/internal/limit"
	"github.com/whence-project/whence/internal/packets"
)

// A server takes another's place without a query being lost, with what the one before has learnt.
func TestReload(t *testing.T) {
	r := newRig(t, nil)
	defer r.close()
	g, err := packets.Listen(netip.MustParseAddrPort("127.0.0.1:0"), packets.Options{Sockets: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	withdraw := g.Serve(r.Server)
	stop, answered := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			c := &dns.Client{Timeout: 5 * time.Second}
			for k := 0; ; k++ {
				select {
				case <-stop:
					return
				default:
				}
				name := fmt.Sprintf("n%d-%d.example.org.", i, k/2) // each a miss and a hit
				if got, _, err := c.Exchange(query(name, dns.TypeA, true), g.Addr().String()); err != nil || len(got.Answer) != 1 {
					t.Errorf("%v, %v", err, got)
				}
				select {
				case answered <- struct{}{}:
				case <-stop:
				}
			}
		})
	}
	old := r.Server
	for range 20 {
		for range 20 {
			<-answered
		}
		next, err := New(Options{Cache: r.cache, Pool: r.pool, State: old.State()})
		if err != nil {
			t.Fatal(err)
		}
		withdrawNext := g.Serve(next)
		withdraw()
		if err := old.Close(context.Background()); err != nil {
			t.Error(err)
		}
		old, withdraw = next, withdrawNext
	}
	close(stop)
	wg.Wait()
	if n := r.count(OutcomeRefused) + r.count(OutcomeFailed); n != 0 || r.count(OutcomeHit) == 0 || r.count(OutcomeMiss) == 0 {
		t.Errorf("%d refused or failed, %d hits, %d misses", n, r.count(OutcomeHit), r.count(OutcomeMiss))
	}
}

// Memory does not grow with the number of clients, of which anybody can make up as many as he likes.
func TestFlood(t *testing.T) {
	acl, err := NewACL(ACLOptions{Allow: []netip.Prefix{netip.MustParsePrefix("::/0")}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := NewLimit(LimitOptions{Rate: limit.Rate{Events: 1, Per: time.Minute}, BlockFor: time.Minute}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(o *Options) { o.Handlers = []Handler{acl, l} })
	defer r.close()
	msg, buf := pack(t, query("www.example.org.", dns.TypeANY, true)), make([]byte, 4096)
	w := &worker{tally: r.state.counters.tally()}
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	before, now, refused := heap(), time.Now(), 0
	for range 200_000 {
		var a [16]byte
		a[0] = 0x20
		for i := 1; i < len(a); i++ {
			a[i] = byte(rng.Uint32())
		}
		for range 2 { // the second is too much
			if reply := r.packet(w, nil, 0, msg, netip.AddrPortFrom(netip.AddrFrom16(a), 53), now, buf); reply[3]&15 == dns.RcodeRefused {
				refused++
			}
		}
	}
	if grown := heap() - before; grown > 4<<20 || refused < 150_000 {
		t.Errorf("%d bytes more; %d refused", grown, refused)
	}
}
