package stream

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/zap/zaptest"

	"github.com/whence-project/whence/dotforward"
)

// soon is longer than anything on loopback takes.
const soon = 20 * time.Second

// serve starts a server on loopback, and ends it with the test.
func serve(t testing.TB, o Options) (*Server, net.Addr) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, ln, o), ln.Addr()
}

func serveOn(t testing.TB, ln net.Listener, o Options) *Server {
	t.Helper()
	s := newServer(t, o)
	l := s.Serve(ln)
	t.Cleanup(func() {
		l.Close()
		ctx, cancel := context.WithTimeout(context.Background(), soon)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if st := s.Stats(); st.Open != 0 || st.Buffered != 0 {
			t.Errorf("after Shutdown: %+v", st)
		}
	})
	return s
}

func newServer(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Handler == nil {
		o.Handler = atOnce
	}
	o.Logger = zaptest.NewLogger(t)
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// dial is a client's connection, closed with the test.
func dial(t testing.TB, to net.Addr) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(soon))
	return c
}

// answerTo answers as a forwarder would: an address with a TTL of 300, EDNS with a keepalive for those who speak it.
func answerTo(msg []byte) []byte {
	q, r := new(dns.Msg), new(dns.Msg)
	if err := q.Unpack(msg); err != nil || len(q.Question) != 1 {
		r.SetRcodeFormatError(&dns.Msg{MsgHdr: dns.MsgHdr{Id: binary.BigEndian.Uint16(msg)}})
	} else {
		r.SetReply(q)
		header := dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 300}
		r.Answer = []dns.RR{&dns.A{Hdr: header, A: net.IPv4(192, 0, 2, 1)}}
		if q.IsEdns0() != nil {
			r.SetEdns0(1232, false)
			r.IsEdns0().Option = append(r.IsEdns0().Option, &dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE, Timeout: 100})
		}
	}
	b, err := r.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

func atOnce(msg []byte, _ netip.AddrPort, _ dotforward.Transport, respond func([]byte)) {
	respond(answerTo(msg))
}

// desk is a handler that keeps queries until the test answers them.
type desk struct {
	mu      sync.Mutex
	waiting []call
	came    chan struct{} // one for each
}

type call struct {
	msg     []byte
	client  netip.AddrPort
	over    dotforward.Transport
	respond func([]byte)
}

func newDesk() *desk { return &desk{came: make(chan struct{}, 1<<16)} }

func (d *desk) handle(msg []byte, client netip.AddrPort, t dotforward.Transport, respond func([]byte)) {
	d.mu.Lock()
	d.waiting = append(d.waiting, call{append([]byte(nil), msg...), client, t, respond})
	d.mu.Unlock()
	d.came <- struct{}{}
}

// take waits for n queries.
func (d *desk) take(t testing.TB, n int) []call {
	t.Helper()
	late := time.After(soon)
	for i := range n {
		select {
		case <-d.came:
		case <-late:
			t.Fatalf("%d queries came, want %d", i, n)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	taken := d.waiting[:n:n]
	d.waiting = d.waiting[n:]
	return taken
}

// query is a question for the address of a name, in a frame.
func query(id uint16, edns bool) []byte {
	q := new(dns.Msg).SetQuestion("www.example.org.", dns.TypeA)
	q.Id = id
	if edns {
		q.SetEdns0(1232, false)
	}
	b, err := q.Pack()
	if err != nil {
		panic(err)
	}
	return frame(b)
}

func frame(msg []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)
}

func readFrame(r io.Reader) ([]byte, error) {
	var n [2]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		return nil, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(n[:]))
	_, err := io.ReadFull(r, msg)
	return msg, err
}

// expect reads a reply and returns it unpacked.
func expect(t testing.TB, r io.Reader) *dns.Msg {
	t.Helper()
	b, err := readFrame(r)
	if err != nil {
		t.Fatalf("no reply: %v", err)
	}
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		t.Fatalf("reply: %v", err)
	}
	return m
}

func expectEOF(t testing.TB, r io.Reader) {
	t.Helper()
	if b, err := io.ReadAll(r); err != nil || len(b) > 0 {
		t.Fatalf("read %d bytes, %v, want the end", len(b), err)
	}
}

// waitIdle waits until n connections have nothing to answer: the client may have its reply before the server knows that it is sent.
func waitIdle(t testing.TB, s *Server, n int) {
	t.Helper()
	for late := time.Now().Add(soon); ; time.Sleep(time.Millisecond) {
		idle := 0
		s.mu.Lock()
		for c := range s.open {
			if _, ok := c.idle(); ok {
				idle++
			}
		}
		s.mu.Unlock()
		if idle == n {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("%d connections are idle, want %d", idle, n)
		}
	}
}

func send(t testing.TB, w io.Writer, frames ...[]byte) {
	t.Helper()
	var all []byte
	for _, f := range frames {
		all = append(all, f...)
	}
	if _, err := w.Write(all); err != nil {
		t.Fatal(err)
	}
}
