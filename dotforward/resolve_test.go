package dotforward

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/whence-project/whence/dotforward/upstream/dottest"
	"github.com/whence-project/whence/dotforward/wire"
	"github.com/whence-project/whence/internal/packets"
)

func TestStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		defer r.close()
		r.ask("www.example.org.", dns.TypeA, true)
		time.Sleep(2 * time.Minute)
		if got := r.ask("www.example.org.", dns.TypeA, true); len(got.Answer) != 1 || got.Answer[0].Header().Ttl != 60 || ede(got) != -1 {
			t.Errorf("servers answer, but not the client:\n%v", got)
		}
		time.Sleep(2 * time.Minute)
		r.fake.Behave(dottest.Behaviour{Fault: dottest.Silent})
		began := time.Now()
		got := r.ask("www.example.org.", dns.TypeA, true)
		if took := time.Since(began); took != DefaultStaleWait || len(got.Answer) != 1 || got.Answer[0].Header().Ttl != 30 || ede(got) != 3 {
			t.Errorf("after %v:\n%v", took, got)
		}
		began = time.Now()
		if got = r.ask("www.example.org.", dns.TypeA, true); time.Since(began) != 0 || ede(got) != 3 {
			t.Errorf("while somebody asks, after %v:\n%v", time.Since(began), got)
		}
		time.Sleep(time.Minute)
		r.fake.Behave(dottest.Behaviour{Fault: dottest.ServFail})
		if got = r.ask("www.example.org.", dns.TypeA, true); got.Rcode != 0 || ede(got) != 3 {
			t.Errorf("when servers fail:\n%v", got)
		}
		if n := r.count(OutcomeStale); n != 3 {
			t.Errorf("%d stale answers counted, want 3", n)
		}
	})
}

func TestPrefetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		defer r.close()
		for range 4 {
			r.ask("www.example.org.", dns.TypeA, false)
			synctest.Wait()
			time.Sleep(19 * time.Second)
		}
		// The third asked in the last tenth of 60 s.
		if n := r.fake.Stats().Queries; n != 2 || r.State().Counters().Refetches() != 1 || r.count(OutcomeHit) != 3 {
			t.Errorf("%d queries upstream", n)
		}
	})
}

func TestOneQueryForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		defer r.close()
		r.fake.Behave(dottest.Behaviour{Delay: 100 * time.Millisecond})
		var replies []<-chan []byte
		for i := range 50 {
			m := query("www.example.org.", dns.TypeA, i%2 == 0)
			m.Id = uint16(i)
			replies = append(replies, r.start(pack(t, m), Transport(i%int(transports))))
		}
		for i, c := range replies {
			if got := unpack(t, <-c); int(got.Id) != i || len(got.Answer) != 1 || (got.IsEdns0() != nil) != (i%2 == 0) {
				t.Errorf("%d:\n%v", i, got)
			}
		}
		if n := r.fake.Stats().Queries; n != 1 || r.count(OutcomeMiss) != 1 || r.count(OutcomeJoined) != 49 {
			t.Errorf("%d queries upstream", n)
		}
		// What DO changes is asked for apart.
		m := query("www.example.org.", dns.TypeA, false)
		m.SetEdns0(1232, true)
		if got := r.exchange(m, UDP); !got.IsEdns0().Do() || r.fake.Stats().Queries != 2 {
			t.Errorf("%v", got)
		}
	})
}

// Whatever breaks, each query is answered once.
func TestEachIsAnswered(t *testing.T) {
	r := newRig(t, nil)
	defer r.close()
	var wg sync.WaitGroup
	stop := make(chan struct{})
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				r.fake.Behave(dottest.Behaviour{Fault: [...]dottest.Fault{dottest.None, dottest.Reset, dottest.ServFail}[i%3]})
				r.fake.Drop()
			}
		}
	}()
	for i := range 16 {
		wg.Go(func() {
			for k := range 50 {
				c := r.start(pack(t, query(fmt.Sprintf("n%d.example.org.", (i*k)%200), dns.TypeA, true)), UDP)
				select {
				case <-c:
				case <-time.After(10 * time.Second):
					t.Error("no answer")
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	r.fake.Behave(dottest.Behaviour{})
}

// later is a handler that pauses queries, and resumes them before or after it returns.
type later struct {
	stage Stage
	at    time.Duration
	v     Verdict
}

func (l later) Stage() Stage { return l.stage }

func (l later) Handle(q *Query) Verdict {
	q.Pause()
	resume := func() {
		if l.v == Done {
			q.Refuse(wire.EDEOther, "")
		}
		q.Resume(l.v)
	}
	if l.at == 0 {
		resume()
	} else {
		time.AfterFunc(l.at, resume)
	}
	return Pending
}

func TestPause(t *testing.T) {
	for _, stage := range []Stage{Admit, Decide, Resolve, Answered} {
		for _, at := range []time.Duration{0, time.Second} {
			for _, v := range []Verdict{Next, Done, Drop} {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, func(o *Options) { o.Handlers = []Handler{later{stage, at, v}, later{stage, at, Next}} })
					defer r.close()
					w := &worker{tally: r.state.counters.tally()}
					for range 2 { // a miss and a hit
						c := r.start(pack(t, query("www.example.org.", dns.TypeA, true)), UDP)
						time.Sleep(10 * time.Second)
						select {
						case reply := <-c:
							if got := unpack(t, reply); v == Drop || (got.Rcode == dns.RcodeRefused) != (v == Done) || len(got.Answer) != 1 && v != Done {
								t.Errorf("%v %v %v: %v", stage, at, v, got)
							}
						default:
							if v != Drop {
								t.Errorf("%v %v %v: no reply", stage, at, v)
							}
						}
					}
					r.packet(w, nil, 0, pack(t, query("www.example.org.", dns.TypeA, true)), client, time.Now(), make([]byte, 4096))
					if w.query != nil {
						t.Error("the loop has a query that pauses")
					}
					time.Sleep(10 * time.Second)
					if r.pending.Load() != 0 {
						t.Errorf("%d pending", r.pending.Load())
					}
				})
			}
		}
	}
}

// careless is a handler that does not do what its verdict says.
type careless struct {
	stage Stage
	v     Verdict
}

func (c careless) Stage() Stage          { return c.stage }
func (c careless) Handle(*Query) Verdict { return c.v }

func TestCarelessHandlers(t *testing.T) {
	for _, stage := range []Stage{Admit, Decide, Resolve} {
		for _, v := range []Verdict{Done, Pending, 99} {
			r := newRig(t, func(o *Options) { o.Handlers = []Handler{careless{stage, v}} })
			if got := r.ask("www.example.org.", dns.TypeA, true); got.Rcode != dns.RcodeServerFailure {
				t.Errorf("%v, verdict %d: %v", stage, v, got)
			}
			r.close()
		}
	}
}

type panics struct{ stage Stage }

func (p panics) Stage() Stage          { return p.stage }
func (p panics) Handle(*Query) Verdict { panic("a mistake") }

func TestPanic(t *testing.T) {
	for stage := Admit; stage < over; stage++ {
		var heard any
		r := newRig(t, func(o *Options) {
			o.Handlers, o.OnPanic = []Handler{panics{stage}}, func(h Handler, value any) { heard = value }
		})
		if got := r.ask("www.example.org.", dns.TypeA, true); got.Rcode != dns.RcodeServerFailure || heard != "a mistake" {
			t.Errorf("%v: %v, %v", stage, heard, got)
		}
		r.close()
	}
}

func TestLameDuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		defer r.close()
		ask := func() (rcode int, keepalive uint16) {
			m := query("www.example.org.", dns.TypeA, true)
			m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE})
			got := r.exchange(m, TCP)
			if len(got.IsEdns0().Option) > 0 {
				if k, ok := got.IsEdns0().Option[0].(*dns.EDNS0_TCP_KEEPALIVE); ok {
					return got.Rcode, k.Timeout
				}
			}
			return got.Rcode, 1
		}
		if rcode, keepalive := ask(); rcode != 0 || keepalive != 100 || !r.Healthy() {
			t.Errorf("before: rcode %d, keepalive %d", rcode, keepalive)
		}
		r.LameDuck(10 * time.Second)
		if rcode, keepalive := ask(); rcode != 0 || keepalive != 0 || r.Healthy() {
			t.Errorf("within grace: rcode %d, keepalive %d", rcode, keepalive)
		}
		time.Sleep(10 * time.Second)
		if rcode, _ := ask(); rcode != dns.RcodeRefused {
			t.Errorf("after grace: rcode %d", rcode)
		}
	})
}

// Close waits for those who wait, and no longer than it is told.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		defer r.close()
		r.fake.Behave(dottest.Behaviour{Delay: time.Second})
		c := r.start(pack(t, query("www.example.org.", dns.TypeA, true)), UDP)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if err := r.Close(ctx); err == nil {
			t.Error("it does not wait")
		}
		cancel()
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got := unpack(t, <-c); len(got.Answer) != 1 {
			t.Errorf("%v", got)
		}
		if got := r.ask("www.example.org.", dns.TypeA, true); got.Rcode != dns.RcodeRefused || ede(got) != 14 || r.Healthy() {
			t.Errorf("closed:\n%v", got)
		}
	})
}

// The sockets' side: a miss and then a hit for each of some clients.
func TestServePackets(t *testing.T) {
	r := newRig(t, nil)
	defer r.close()
	g, err := packets.Listen(netip.MustParseAddrPort("127.0.0.1:0"), packets.Options{Sockets: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	g.Serve(r.Server)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			c := new(dns.Client)
			for k := range 50 {
				m := query(fmt.Sprintf("n%d.example.org.", (i+k)%20), dns.TypeA, k%2 == 0)
				got, _, err := c.Exchange(m, g.Addr().String())
				if err != nil || len(got.Answer) != 1 {
					t.Errorf("%v, %v", err, got)
				}
			}
		})
	}
	wg.Wait()
	if hits := r.count(OutcomeHit); hits < 300 {
		t.Errorf("%d hits", hits)
	}
}

func TestExplain(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Handlers = []Handler{NewBlock(blocklist(t, "ads.test"), BlockNXDomain, 0)} })
	defer r.close()
	r.ask("www.example.org.", dns.TypeA, true)
	r.ask("www.example.org.", dns.TypeA, true)
	before := r.count(OutcomeOwn)
	e, ok := r.Explain([]byte("\x03www\x07Example\x03org\x00"), dns.TypeA)
	if !ok || e.Answered != "" || len(e.Servers) != 1 || len(e.Cached) != 1 || e.Cached[0].State != "fresh" || !e.Cached[0].Passed ||
		e.Cached[0].Upstream != e.Servers[0] || e.Cached[0].Left < 59 {
		t.Errorf("%+v", e)
	}
	e, ok = r.Explain([]byte("\x03ads\x04test\x00"), dns.TypeA)
	if !ok || e.Answered != "block" || e.Rcode != dns.RcodeNameError || e.EDE != 15 || len(e.Cached) != 0 || len(e.Tags) != 1 {
		t.Errorf("%+v", e)
	}
	if _, ok = r.Explain([]byte("\x03ads"), dns.TypeA); ok || r.count(OutcomeOwn) != before {
		t.Error("half a name is explained, or something counted")
	}
}

func TestState(t *testing.T) {
	a := newRig(t, nil)
	defer a.close()
	a.ask("www.example.org.", dns.TypeA, true)
	b := newRig(t, func(o *Options) { o.State, o.Cache = a.State(), a.cache })
	defer b.close()
	var upstream string
	b.Server.o.Log = func(q *Query) { upstream = q.Upstream() }
	if got := b.ask("www.example.org.", dns.TypeA, true); len(got.Answer) != 1 || upstream != a.up.String() {
		t.Errorf("from %q: %v", upstream, got)
	}
	if b.count(OutcomeMiss) != 1 || b.count(OutcomeHit) != 1 || b.fake.Stats().Queries != 0 {
		t.Error("counters or cache are not those of the server before")
	}
}
