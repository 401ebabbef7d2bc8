package stream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/whence-project/whence/dotforward"
	"github.com/whence-project/whence/internal/limit"
)

var _ Handler = (*dotforward.Server)(nil).ServeMessage

func TestClient(t *testing.T) {
	_, addr := serve(t, Options{})
	client := &dns.Client{Net: "tcp", Timeout: soon}
	r, _, err := client.Exchange(new(dns.Msg).SetQuestion("www.example.org.", dns.TypeA), addr.String())
	if err != nil || len(r.Answer) != 1 {
		t.Fatalf("%v, %v", r, err)
	}
}

func TestWhoAsks(t *testing.T) {
	d := newDesk()
	_, addr := serve(t, Options{Handler: d.handle})
	c := dial(t, addr)
	send(t, c, query(1, false))
	got := d.take(t, 1)[0]
	if want := netip.MustParseAddrPort(c.LocalAddr().String()); got.client != want || got.over != dotforward.TCP {
		t.Errorf("client %v over %v, want %v over TCP", got.client, got.over, want)
	}
	got.respond(answerTo(got.msg))
	expect(t, c)
}

// Replies leave when they are there, whatever the order of the queries (RFC 7766 section 7).
func TestOutOfOrder(t *testing.T) {
	d := newDesk()
	_, addr := serve(t, Options{Handler: d.handle})
	c := dial(t, addr)
	send(t, c, query(1, false), query(2, false), query(3, false))
	calls := d.take(t, 3)
	for _, i := range []int{2, 0, 1} {
		calls[i].respond(answerTo(calls[i].msg))
		calls[i].respond(answerTo(calls[i].msg)) // counts once
		if r := expect(t, c); int(r.Id) != i+1 {
			t.Fatalf("reply %d, want %d", r.Id, i+1)
		}
	}
	send(t, c, query(4, false))
	calls[0].respond(answerTo(calls[0].msg)) // nor does it answer another query that has its place now
	last := d.take(t, 1)[0]
	last.respond(answerTo(last.msg))
	if r := expect(t, c); r.Id != 4 {
		t.Fatalf("reply %d, want 4", r.Id)
	}
}

// Ten thousand queries in one go are all answered, with no more under way than may be, at once and later.
func TestPipeline(t *testing.T) {
	const n = 10_000
	for _, later := range []bool{false, true} {
		t.Run(fmt.Sprintf("later=%v", later), func(t *testing.T) {
			d := newDesk()
			o := Options{MaxPipeline: 100}
			if later {
				o.Handler = d.handle
				stop := make(chan struct{})
				answered := make(chan struct{})
				go func() {
					defer close(answered)
					most := 0
					for {
						select {
						case <-d.came:
						case <-stop:
							if most > o.MaxPipeline {
								t.Errorf("%d queries under way, want at most %d", most, o.MaxPipeline)
							}
							return
						}
						d.mu.Lock()
						most = max(most, len(d.waiting))
						calls := d.waiting
						d.waiting = nil
						d.mu.Unlock()
						slices.Reverse(calls)
						for _, q := range calls {
							q.respond(answerTo(q.msg))
						}
					}
				}()
				defer func() { close(stop); <-answered }()
			}
			s, addr := serve(t, o)
			c := dial(t, addr)
			go func() {
				var all []byte
				for i := range n {
					all = append(all, query(uint16(i), i%2 == 0)...)
				}
				c.Write(all)
			}()
			seen := make(map[uint16]bool)
			for range n {
				seen[expect(t, c).Id] = true
			}
			if st := s.Stats(); len(seen) != n || st.Queries != n || st.Replies != n {
				t.Errorf("%d queries answered, %+v, want %d", len(seen), st, n)
			}
		})
	}
}

// A client that ends its side gets what it asked for.
func TestHalfClose(t *testing.T) {
	d := newDesk()
	_, addr := serve(t, Options{Handler: d.handle})
	c := dial(t, addr)
	send(t, c, query(1, false), query(2, false))
	c.(*net.TCPConn).CloseWrite()
	for _, q := range d.take(t, 2) {
		q.respond(answerTo(q.msg))
	}
	expect(t, c)
	expect(t, c)
	expectEOF(t, c)
}

// Bytes may come in any pieces.
func TestPieces(t *testing.T) {
	_, addr := serve(t, Options{})
	c := dial(t, addr)
	for _, b := range append(query(1, false), query(2, true)...) {
		send(t, c, []byte{b})
	}
	expect(t, c)
	expect(t, c)
}

// The longest message there is goes both ways, and after it short ones.
func TestLongest(t *testing.T) {
	d := newDesk()
	_, addr := serve(t, Options{Handler: d.handle})
	c := dial(t, addr)
	long := make([]byte, 65535)
	copy(long, query(1, false)[2:])
	for _, msg := range [][]byte{long, query(2, false)[2:], long} {
		go c.Write(frame(msg))
		q := d.take(t, 1)[0]
		if string(q.msg) != string(msg) {
			t.Fatalf("%d bytes came, not the %d that were sent", len(q.msg), len(msg))
		}
		q.respond(msg)
		if got, err := readFrame(c); err != nil || string(got) != string(msg) {
			t.Fatalf("%d bytes back, %v", len(got), err)
		}
	}
}

// Queries that are dropped free their places.
func TestDropped(t *testing.T) {
	_, addr := serve(t, Options{MaxPipeline: 2, Handler: func(msg []byte, a netip.AddrPort, o dotforward.Transport, respond func([]byte)) {
		if msg[1] < 10 {
			respond(nil)
			return
		}
		atOnce(msg, a, o, respond)
	}})
	c := dial(t, addr)
	for id := range uint16(11) {
		send(t, c, query(id, false))
	}
	if r := expect(t, c); r.Id != 10 {
		t.Errorf("reply %d, want 10", r.Id)
	}
}

// A new handler takes over on the connections that are open.
func TestSetHandler(t *testing.T) {
	before, after := newDesk(), newDesk()
	s, addr := serve(t, Options{Handler: before.handle})
	c := dial(t, addr)
	send(t, c, query(1, false))
	old := before.take(t, 1)[0]
	s.SetHandler(after.handle)
	send(t, c, query(2, false))
	q := after.take(t, 1)[0]
	q.respond(answerTo(q.msg))
	old.respond(answerTo(old.msg))
	if a, b := expect(t, c), expect(t, c); a.Id != 2 || b.Id != 1 {
		t.Errorf("replies %d, %d, want 2, 1", a.Id, b.Id)
	}
}

// Shutdown answers what has come, and says that the connection ends.
func TestShutdown(t *testing.T) {
	d := newDesk()
	s, addr := serve(t, Options{Handler: d.handle})
	c, idle := dial(t, addr), dial(t, addr)
	send(t, idle, query(9, false))
	q := d.take(t, 1)[0]
	q.respond(answerTo(q.msg))
	expect(t, idle)
	send(t, c, query(1, true), query(2, false))
	calls := d.take(t, 2)
	ended := make(chan error)
	go func() { ended <- s.Shutdown(context.Background()) }()
	expectEOF(t, idle)
	idle.Close()
	for _, q := range calls {
		q.respond(answerTo(q.msg))
	}
	r := expect(t, c)
	k, ok := r.IsEdns0().Option[0].(*dns.EDNS0_TCP_KEEPALIVE)
	if !ok || k.Timeout != 0 {
		t.Errorf("options %v, want a keepalive of 0", r.IsEdns0().Option)
	}
	expect(t, c)
	expectEOF(t, c)
	c.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	late := dial(t, addr)
	if _, err := late.Read(make([]byte, 1)); err == nil {
		t.Error("a connection was served after Shutdown")
	}
}

// What nobody answers is cut off when Shutdown's time is up.
func TestShutdownCut(t *testing.T) {
	d := newDesk()
	s, addr := serve(t, Options{Handler: d.handle})
	c := dial(t, addr)
	send(t, c, query(1, false))
	q := d.take(t, 1)[0]
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	if _, err := readFrame(c); err == nil {
		t.Error("a reply, want none")
	}
	q.respond(answerTo(q.msg)) // nobody's any more
}

// Where there are too many connections, the longest idle one gives way, and none that waits for an answer.
func TestTooMany(t *testing.T) {
	for name, o := range map[string]Options{
		"in all":   {MaxConns: 2, MaxPerClient: -1},
		"a client": {MaxPerClient: 2, Client: &limit.Network{Bits4: 8}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk()
			o.Handler = d.handle
			s, addr := serve(t, o)
			use := func(c net.Conn) {
				t.Helper()
				send(t, c, query(1, false))
				q := d.take(t, 1)[0]
				q.respond(answerTo(q.msg))
				expect(t, c)
			}
			a, b := dial(t, addr), dial(t, addr)
			use(a)
			use(b)
			waitIdle(t, s, 2)
			send(t, a, query(2, false))
			q := d.take(t, 1)[0]
			use(dial(t, addr))
			waitIdle(t, s, 1)
			if _, err := b.Read(make([]byte, 1)); err == nil {
				t.Error("the idle connection is still served")
			}
			third := dial(t, addr)
			use(third)
			send(t, third, query(3, false))
			held := d.take(t, 1)[0]
			if _, err := dial(t, addr).Read(make([]byte, 1)); err == nil {
				t.Error("a connection too many was served")
			}
			q.respond(answerTo(q.msg))
			expect(t, a)
			held.respond(answerTo(held.msg))
			expect(t, third)
			if st := s.Stats(); st.Evicted != 2 || st.Refused != 1 || st.Open != 2 {
				t.Errorf("%+v, want 2 evicted, 1 refused, 2 open", st)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"no handler": {},
		"time":       {Handler: atOnce, Idle: -1},
		"pipeline":   {Handler: atOnce, MaxPipeline: 1 << 16},
		"network":    {Handler: atOnce, Client: &limit.Network{Bits4: 33}},
		"buffered":   {Handler: atOnce, MaxBuffered: -1},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	s, err := New(Options{Handler: atOnce})
	if err != nil || s.opt.Idle != 10*time.Second || s.opt.MaxPipeline != 128 {
		t.Errorf("%+v, %v", s.opt, err)
	}
}
