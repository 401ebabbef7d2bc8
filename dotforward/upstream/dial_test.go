package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whence-project/whence/dotforward/upstream/dottest"
)

// Who the server must be: by name, by address, by key.
func TestIdentity(t *testing.T) {
	cert, roots := certificate()
	stranger, _, err := dottest.Certificate(serverName)
	if err != nil {
		t.Fatal(err)
	}
	pin, other := dottest.Pin(cert), dottest.Pin(stranger)
	for _, tt := range []struct {
		name string
		o    Options
		tls  uint16 // the most that the server speaks
		ok   bool
	}{
		{"name", Options{Host: "192.0.2.53", Name: serverName, Roots: roots}, 0, true},
		{"name with a dot", Options{Host: "192.0.2.53", Name: serverName + ".", Roots: roots}, 0, true},
		{"another name", Options{Host: "192.0.2.53", Name: "other.test", Roots: roots}, 0, false},
		{"address", Options{Host: "192.0.2.53", Roots: roots}, 0, true},
		{"another address", Options{Host: "192.0.2.54", Roots: roots}, 0, false},
		{"host name", Options{Host: serverName, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.53")}, Roots: roots}, 0, true},
		{"system's roots", Options{Host: "192.0.2.53", Name: serverName}, 0, false},
		{"TLS 1.2", Options{Host: "192.0.2.53", Name: serverName, Roots: roots}, tls.VersionTLS12, true},
		{"TLS 1.1", Options{Host: "192.0.2.53", Name: serverName, Roots: roots}, tls.VersionTLS11, false},
		{"pin", Options{Host: "192.0.2.53", Pins: []string{other, pin}}, 0, true},
		{"pin without sha256/", Options{Host: "192.0.2.53", Pins: []string{pin[len("sha256/"):]}}, 0, true},
		{"another pin", Options{Host: "192.0.2.53", Pins: []string{other}}, 0, false},
		{"pin and name", Options{Host: "192.0.2.53", Name: serverName, Roots: roots, Pins: []string{pin}}, 0, true},
		{"pin, another name", Options{Host: "192.0.2.53", Name: "other.test", Roots: roots, Pins: []string{pin}}, 0, false},
		{"name, another pin", Options{Host: "192.0.2.53", Name: serverName, Roots: roots, Pins: []string{other}}, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFarm(t, 1, PoolOptions{}, func(o *Options) {
					tt.o.Dial, tt.o.OnEvent = o.Dial, o.OnEvent
					*o = tt.o
				})
				defer f.end()
				if tt.tls != 0 {
					f.fakes[0].Config().MaxVersion, f.fakes[0].Config().MinVersion = tt.tls, tls.VersionTLS10
				}
				for i := range 2 { // the second connection resumes, and is checked like the first
					r := f.ask("a.test", time.Second)
					if (r.err == nil) != tt.ok {
						t.Errorf("connection %d: %v", i+1, r)
					}
					f.fakes[0].Drop()
					synctest.Wait()
				}
				if st := f.servers[0].Stats(); tt.ok && st.Resumed != 1 || !tt.ok && (st.Handshakes > 0 || f.fakes[0].Stats().Queries > 0) {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{
		{},
		{Host: "dns.test"},
		{Host: "192.0.2.1", Pins: []string{"sha256/short"}},
		{Host: "192.0.2.1", Probe: "a..test"},
	} {
		if s, err := NewDoT(o); err == nil {
			t.Errorf("%+v made %v", o, s)
		}
	}
	if _, err := NewPlain(Options{Host: "192.0.2.1", Name: "dns.test"}); err == nil {
		t.Error("a name to verify in the clear")
	}
	s, err := NewDoT(Options{Host: "2001:db8::53"})
	if err != nil || s.String() != "tls://[2001:db8::53]:853" {
		t.Error(s, err)
	}
	p, err := NewPlain(Options{Host: "192.0.2.1", Probe: "corp.test."})
	if err != nil || p.String() != "dns://192.0.2.1:53" {
		t.Error(p, err)
	}
}

// Addresses of a name: looked up for each connection, the next one where the first fails, and those known while there are no others.
func TestAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var dialled []string
		var lookupFault error
		f := newFarm(t, 1, PoolOptions{}, func(o *Options) {
			dial := o.Dial
			o.Host, o.Name = serverName, ""
			o.Lookup = func(context.Context, string) ([]netip.Addr, error) {
				return []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1")}, lookupFault
			}
			o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				mu.Lock()
				dialled = append(dialled, address)
				mu.Unlock()
				if address == "[2001:db8::1]:853" {
					<-ctx.Done() // a black hole
					return nil, ctx.Err()
				}
				return dial(ctx, network, address)
			}
		})
		defer f.end()
		if r := f.ask("a.test", inTime); r.err != nil || r.took != attemptDelay {
			t.Error(r)
		}
		lookupFault = errors.New("no resolver")
		f.fakes[0].Drop()
		if r := f.ask("b.test", inTime); r.err != nil || r.took != attemptDelay {
			t.Error(r)
		}
		if fmt.Sprint(dialled) != "[[2001:db8::1]:853 192.0.2.1:853 [2001:db8::1]:853 192.0.2.1:853]" {
			t.Error(dialled)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, 1, PoolOptions{}, func(o *Options) {
			o.Host, o.Name = serverName, ""
			o.Lookup = func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no resolver") }
		})
		defer f.end()
		if r := f.ask("a.test", time.Second); r.err == nil || f.servers[0].Stats().Failures["resolve"] == 0 {
			t.Error(r)
		}
	})
}

// An address that accepts and then does not speak TLS is followed by the next.
func TestNextAddressAfterStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stalled := dottest.NewPlain()
		stalled.Behave(dottest.Behaviour{Fault: dottest.Stall})
		defer stalled.Stop()
		f := newFarm(t, 1, PoolOptions{}, func(o *Options) {
			dial := o.Dial
			o.Host, o.Name = serverName, ""
			o.Addrs = []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}
			o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				if address == "192.0.2.1:853" {
					return stalled.Dial(ctx, network, address)
				}
				return dial(ctx, network, address)
			}
		})
		defer f.end()
		if r := f.ask("a.test", inTime); r.err != nil || r.took > DefaultDialTimeout+200*time.Millisecond {
			t.Error(r)
		}
	})
}

func TestWarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, 1, PoolOptions{}, nil)
		defer f.end()
		f.servers[0].Warm()
		f.servers[0].Warm()
		synctest.Wait()
		if st := f.servers[0].Stats(); st.Conns != 1 || st.Handshakes != 1 || st.Queries != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// Over TCP on loopback, with resets and refused connections as the kernel makes them, encrypted and not.
func TestOverTCP(t *testing.T) {
	cert, roots := certificate()
	for _, encrypted := range []bool{true, false} {
		t.Run(fmt.Sprint("TLS ", encrypted), func(t *testing.T) {
			fake := dottest.NewPlain()
			if encrypted {
				fake = dottest.New(cert)
			}
			address, err := fake.Listen("127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer fake.Stop()
			host, port, _ := net.SplitHostPort(address)
			n, _ := strconv.Atoi(port)
			o := Options{Host: host, Port: uint16(n)}
			build := NewPlain
			if encrypted {
				o.Roots, build = roots, NewDoT
			}
			s, err := build(o)
			if err != nil {
				t.Fatal(err)
			}
			p, err := NewPool(PoolOptions{}, s)
			if err != nil {
				t.Fatal(err)
			}
			f := &farm{t: t, servers: []*Server{s}, pool: p}
			defer f.end()
			stop := make(chan struct{})
			var wg sync.WaitGroup
			for i := range 64 {
				wg.Go(func() {
					for k := 0; ; k++ {
						select {
						case <-stop:
							return
						default:
						}
						if r := f.ask(fmt.Sprintf("n%d.c%d.test", k, i), inTime); r.err != nil {
							t.Error(r)
						}
					}
				})
			}
			answered := func(n uint64) {
				for before := s.Stats().Answers; s.Stats().Answers < before+n; {
					time.Sleep(time.Millisecond)
				}
			}
			for range 5 {
				answered(200)
				fake.Stop()
				if _, err := fake.Listen(address); err != nil {
					t.Fatal(err)
				}
			}
			answered(200)
			close(stop)
			wg.Wait()
			st := fake.Stats()
			if st.Conns < 6 || (st.Padded > 0) != encrypted || (st.EDNS > 0) != encrypted {
				t.Errorf("%+v", st)
			}
		})
	}
}
