package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whence-project/whence/dotforward/upstream/dottest"
)

// datagramServer answers what comes to sockets in memory, with what answer says.
type datagramServer struct {
	answer  func(q []byte) [][]byte
	sockets atomic.Int64
	mu      sync.Mutex
	ids     map[[2]byte]bool
	asked   atomic.Int64
}

func (d *datagramServer) dial() net.Conn {
	d.sockets.Add(1)
	near, far := net.Pipe() // one write is one read, as with datagrams
	go func() {
		defer far.Close()
		buf := make([]byte, 4096)
		for {
			n, err := far.Read(buf)
			if err != nil {
				return
			}
			d.asked.Add(1)
			d.mu.Lock()
			d.ids[[2]byte(buf[:2])] = true
			d.mu.Unlock()
			for _, msg := range d.answer(bytes.Clone(buf[:n])) {
				if _, err := far.Write(msg); err != nil {
					return
				}
			}
		}
	}()
	return near
}

func TestUDP(t *testing.T) {
	change := func(at int, bits byte) func([]byte) [][]byte {
		return func(q []byte) [][]byte {
			reply := replyTo(q)
			reply[at] ^= bits
			return [][]byte{reply}
		}
	}
	truncated := change(2, flagTC)
	var first atomic.Bool
	for _, tt := range []struct {
		name   string
		answer func(q []byte) [][]byte
		tcp    bool
		rcode  int // of the answer; -1: none
		took   time.Duration
	}{
		{"answers", change(3, 0), false, 0, 0},
		{"first is lost", func(q []byte) [][]byte {
			if !first.Swap(true) {
				return nil
			}
			return [][]byte{replyTo(q)}
		}, false, 0, time.Second},
		{"forgeries before the answer", func(q []byte) [][]byte {
			a, b := replyTo(q), replyTo(q)
			a[0] ^= 1
			b[headerSize+1] ^= 1
			return [][]byte{a, b, nil, {0}, q, replyTo(q)}
		}, false, 0, 0},
		{"FORMERR without question", func(q []byte) [][]byte { return [][]byte{{q[0], q[1], 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0}} }, false, -1, 0},
		{"SERVFAIL", change(3, 2), false, 2, 0},
		{"truncated", truncated, true, 0, 0},
		{"truncated, no TCP", truncated, false, 0, 0},
		{"another ID", change(0, 1), false, -1, 0},
		{"another question", change(headerSize+1, 1), false, -1, 0},
		{"silent", func([]byte) [][]byte { return nil }, false, -1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := dottest.NewPlain()
				defer fake.Stop()
				d := &datagramServer{answer: tt.answer, ids: make(map[[2]byte]bool)}
				s, err := NewPlain(Options{Host: "192.0.2.53", Network: "udp", Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
					if network == "udp" {
						return d.dial(), nil
					}
					if !tt.tcp {
						return nil, errors.New("connection refused")
					}
					return fake.Dial(ctx, network, address)
				}})
				if err != nil {
					t.Fatal(err)
				}
				pool, err := NewPool(PoolOptions{}, s)
				if err != nil {
					t.Fatal(err)
				}
				f := &farm{t: t, pool: pool, servers: []*Server{s}}
				r := f.ask("a.test", inTime)
				switch {
				case tt.rcode < 0:
					if r.err == nil || r.took > inTime+25*time.Millisecond {
						t.Error(r)
					}
				case r.err != nil || rcode(r.msg) != tt.rcode || tt.rcode == 0 && r.took != tt.took:
					t.Error(r)
				case strings.HasPrefix(tt.name, "truncated") && r.msg[2]&flagTC != 0 == tt.tcp:
					t.Errorf("truncated: %x", r.msg)
				}
				f.end()
			})
		})
	}
}

// Each query has a socket and an ID of its own, and no more are open than MaxInFlight allows.
func TestUDPBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &datagramServer{ids: make(map[[2]byte]bool)}
		var open, most atomic.Int64
		d.answer = func(q []byte) [][]byte {
			n := open.Add(1)
			defer open.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			time.Sleep(10 * time.Millisecond)
			return [][]byte{replyTo(q)}
		}
		s, err := NewPlain(Options{Host: "192.0.2.53", Network: "udp", MaxInFlight: 20, Dial: func(context.Context, string, string) (net.Conn, error) {
			return d.dial(), nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		pool, err := NewPool(PoolOptions{}, s)
		if err != nil {
			t.Fatal(err)
		}
		f := &farm{t: t, pool: pool, servers: []*Server{s}}
		defer f.end()
		var waiting []<-chan result
		for i := range 400 {
			waiting = append(waiting, f.start(query(fmt.Sprintf("n%d.test", i), 7), inTime))
		}
		for _, w := range waiting {
			if r := <-w; r.err != nil {
				t.Fatal(r)
			}
		}
		if d.sockets.Load() != 400 || len(d.ids) < 390 || most.Load() > 40 {
			t.Errorf("%d sockets, %d IDs, %d at once", d.sockets.Load(), len(d.ids), most.Load())
		}
		if st := s.Stats(); st.Answers != 400 || st.InFlight != 0 || s.String() != "udp://192.0.2.53:53" {
			t.Errorf("%v: %+v", s, st)
		}
	})
}

// Over the loopback: a server that answers, then nobody.
func TestUDPSockets(t *testing.T) {
	l, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := l.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			l.WriteToUDPAddrPort(replyTo(buf[:n]), from)
		}
	}()
	s, err := NewPlain(Options{Host: "127.0.0.1", Port: uint16(l.LocalAddr().(*net.UDPAddr).Port), Network: "udp"})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := NewPool(PoolOptions{}, s)
	if err != nil {
		t.Fatal(err)
	}
	f := &farm{t: t, pool: pool, servers: []*Server{s}}
	defer f.end()
	for i := range 100 {
		if r := f.ask(fmt.Sprintf("n%d.test", i), inTime); r.err != nil {
			t.Fatal(r)
		}
	}
	l.Close()
	if r := f.ask("gone.test", 500*time.Millisecond); r.err == nil {
		t.Error(r)
	}
}

func TestNetworks(t *testing.T) {
	for network, want := range map[string]string{"": "dns://192.0.2.53:53", "tcp": "dns://192.0.2.53:53", "udp": "udp://192.0.2.53:53", "unix": ""} {
		s, err := NewPlain(Options{Host: "192.0.2.53", Network: network})
		if (err == nil) != (want != "") || err == nil && s.String() != want {
			t.Errorf("%q: %v, %v", network, s, err)
		}
	}
	for _, make := range []func(Options) (*Server, error){NewDoT, NewDoH} {
		if _, err := make(Options{Host: "192.0.2.53", Network: "udp"}); err == nil {
			t.Error("encrypted over UDP")
		}
	}
}
