package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// listen serves connections on loopback until the test ends.
func listen(t *testing.T, serve func(conn net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return l.Addr().String()
}

// sayPeer tells a client its own address.
func sayPeer(conn net.Conn) {
	host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
	io.WriteString(conn, host)
}

// closedPort is an address of loopback where nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func dialer(t *testing.T, o Options) *Dialer {
	t.Helper()
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// ask connects and reads to the end.
func ask(ctx context.Context, d *Dialer, address string) (string, error) {
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	b, err := io.ReadAll(conn)
	return string(b), err
}

func TestSources(t *testing.T) {
	address := listen(t, sayPeer)
	addr := netip.MustParseAddr
	for _, tt := range []struct {
		name    string
		sources []netip.Addr
		asked   netip.Addr
		want    string // "": an error
	}{
		{"none", nil, netip.Addr{}, "127.0.0.1"},
		{"the first", []netip.Addr{addr("127.0.0.2"), addr("127.0.0.3")}, netip.Addr{}, "127.0.0.2"},
		{"the first of the family", []netip.Addr{addr("::1"), addr("127.0.0.3")}, netip.Addr{}, "127.0.0.3"},
		{"mapped", []netip.Addr{addr("::ffff:127.0.0.3")}, netip.Addr{}, "127.0.0.3"},
		{"asked for", []netip.Addr{addr("127.0.0.2")}, addr("127.0.0.3"), "127.0.0.3"},
		{"asked for, mapped", nil, addr("::ffff:127.0.0.3"), "127.0.0.3"},
		{"none of the family", []netip.Addr{addr("::1")}, netip.Addr{}, ""},
		{"asked for another family", []netip.Addr{addr("127.0.0.2")}, addr("::1"), ""},
		{"not ours", []netip.Addr{addr("192.0.2.1")}, netip.Addr{}, ""},
	} {
		d := dialer(t, Options{Allow: loopback, Sources: tt.sources})
		for range 2 {
			got, err := ask(WithSource(t.Context(), tt.asked), d, address)
			if got != tt.want || (err != nil) != (tt.want == "") {
				t.Errorf("%s: %q, %v, want %q", tt.name, got, err, tt.want)
			}
		}
	}
}

// TestSourcePicksFamily is that a peer with addresses of both families is dialled where there is a source for it.
func TestSourcePicksFamily(t *testing.T) {
	d, dialled := recorder(t, Options{Lookup: names(map[string][]string{"whois.example.org": {"2600::1", "8.8.8.8"}})})
	for _, source := range []string{"198.51.100.1", "2001:db8::1"} {
		from := netip.MustParseAddr(source)
		if _, err := d.DialContext(WithSource(t.Context(), from), "tcp", "whois.example.org:43"); err != nil {
			t.Fatal(err)
		}
		if r := (*dialled)[len(*dialled)-1]; r.from != from || r.to.Addr().Is4() != from.Is4() {
			t.Errorf("from %s: %v", from, r)
		}
	}
}

func TestNetworks(t *testing.T) {
	d, dialled := recorder(t, Options{Lookup: names(map[string][]string{"both.test": {"8.8.8.8", "2600::1"}, "v4.test": {"8.8.8.8"}})})
	for _, tt := range []struct{ network, address, want string }{
		{"tcp", "both.test:43", "8.8.8.8:43"},
		{"tcp4", "both.test:43", "8.8.8.8:43"},
		{"tcp6", "both.test:43", "[2600::1]:43"},
		{"tcp6", "v4.test:43", ""},
		{"udp", "both.test:43", ""},
		{"tcp", "both.test", ""},
		{"tcp", "both.test:0", ""},
		{"tcp", "both.test:65536", ""},
		{"tcp", "both.test:whois", ""},
	} {
		*dialled = nil
		_, err := d.DialContext(t.Context(), tt.network, tt.address)
		if got := fmt.Sprint(*dialled); (err != nil) != (tt.want == "") || err == nil && (*dialled)[0].to.String() != tt.want {
			t.Errorf("%s %s: %v, %v, want %q", tt.network, tt.address, got, err, tt.want)
		}
	}
}

func TestErrors(t *testing.T) {
	boom := errors.New("resolver on fire")
	d := dialer(t, Options{Allow: loopback, Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
		switch host {
		case "fire.test":
			return nil, boom
		case "empty.test":
			return nil, nil
		}
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}})
	var dns *net.DNSError
	if _, err := d.DialContext(t.Context(), "tcp", "fire.test:43"); !errors.As(err, &dns) || !errors.Is(err, boom) || dns.IsNotFound {
		t.Errorf("resolver fails: %v", err)
	}
	for _, host := range []string{"absent.test", "empty.test"} {
		if _, err := d.DialContext(t.Context(), "tcp", host+":43"); !errors.As(err, &dns) || !dns.IsNotFound {
			t.Errorf("%s: %v", host, err)
		}
	}
	var op *net.OpError
	if _, err := d.DialContext(t.Context(), "tcp", closedPort(t)); !errors.As(err, &op) || op.Timeout() {
		t.Errorf("connection refused: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.DialContext(ctx, "tcp", closedPort(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestResolverHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dialer(t, Options{Lookup: func(ctx context.Context, _ string) ([]netip.Addr, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		start := time.Now()
		_, err := d.DialContext(t.Context(), "tcp", "slow.test:43")
		var dns *net.DNSError
		if !errors.As(err, &dns) || !dns.IsTimeout || !isTimeout(err) || time.Since(start) != DefaultTimeout {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// TestRace is the order and the times of RFC 8305.
func TestRace(t *testing.T) {
	never := time.Hour
	for _, tt := range []struct {
		name    string
		addrs   []string
		answers map[string]time.Duration // a negative time: refused after it
		want    string                   // the address that answers, or what the error says
		took    time.Duration
	}{
		{"first", []string{"2600::1", "8.8.8.1"}, map[string]time.Duration{"2600::1": 200 * time.Millisecond}, "2600::1", 200 * time.Millisecond},
		{"first is slow", []string{"2600::1", "8.8.8.1"}, map[string]time.Duration{"2600::1": never, "8.8.8.1": 50 * time.Millisecond},
			"8.8.8.1", 300 * time.Millisecond},
		{"first is slow but wins", []string{"2600::1", "8.8.8.1"}, map[string]time.Duration{"2600::1": 280 * time.Millisecond, "8.8.8.1": 50 * time.Millisecond},
			"2600::1", 280 * time.Millisecond},
		{"first is refused", []string{"2600::1", "8.8.8.1"}, map[string]time.Duration{"2600::1": -10 * time.Millisecond, "8.8.8.1": 50 * time.Millisecond},
			"8.8.8.1", 60 * time.Millisecond},
		{"families in turns", []string{"2600::1", "2600::2", "2600::3", "8.8.8.1"},
			map[string]time.Duration{"2600::1": never, "2600::2": never, "2600::3": never, "8.8.8.1": 0}, "8.8.8.1", 250 * time.Millisecond},
		{"all refused", []string{"8.8.8.1", "2600::1"}, map[string]time.Duration{"8.8.8.1": -600 * time.Millisecond, "2600::1": -time.Millisecond},
			"8.8.8.1 refused", 600 * time.Millisecond},
		{"all hang", []string{"8.8.8.1", "2600::1"}, map[string]time.Duration{"8.8.8.1": never, "2600::1": never}, "8.8.8.1", DefaultTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := dialer(t, Options{Lookup: names(map[string][]string{"whois.test": tt.addrs})})
				open := 0
				d.connect = func(ctx context.Context, _ netip.Addr, to netip.AddrPort) (net.Conn, error) {
					after := tt.answers[to.Addr().String()]
					select {
					case <-time.After(max(after, -after)):
					case <-ctx.Done():
						return nil, ctx.Err()
					}
					if after < 0 {
						return nil, errors.New(to.Addr().String() + " refused")
					}
					open++
					return answered{to.Addr().String(), &open}, nil
				}
				start := time.Now()
				conn, err := d.DialContext(t.Context(), "tcp", "whois.test:43")
				took := time.Since(start)
				synctest.Wait()
				switch {
				case err != nil && !strings.Contains(err.Error(), tt.want), err == nil && conn.(answered).addr != tt.want:
					t.Errorf("%v, %v, want %s", conn, err, tt.want)
				case err == nil && open != 1, err != nil && open != 0:
					t.Errorf("%d connections are left open", open)
				case took != tt.took:
					t.Errorf("took %v, want %v", took, tt.took)
				case tt.took == DefaultTimeout && !isTimeout(err):
					t.Errorf("no timeout: %v", err)
				}
			})
		})
	}
}

// answered is a connection to addr. Closing it is counted.
type answered struct {
	addr string
	open *int
}

func (c answered) Close() error                     { *c.open--; return nil }
func (c answered) Read([]byte) (int, error)         { return 0, io.EOF }
func (c answered) Write(b []byte) (int, error)      { return len(b), nil }
func (c answered) LocalAddr() net.Addr              { return nil }
func (c answered) RemoteAddr() net.Addr             { return nil }
func (c answered) SetDeadline(time.Time) error      { return nil }
func (c answered) SetReadDeadline(time.Time) error  { return nil }
func (c answered) SetWriteDeadline(time.Time) error { return nil }

func TestNewRefuses(t *testing.T) {
	for _, o := range []Options{
		{Trusted: []string{"https://whois.test"}},
		{Trusted: []string{"127.1"}},
		{Sources: []netip.Addr{{}}},
		{Sources: []netip.Addr{netip.IPv4Unspecified()}},
		{Sources: []netip.Addr{netip.MustParseAddr("224.0.0.1")}},
		{Proxies: []Proxy{{}}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}
