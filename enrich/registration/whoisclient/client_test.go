package whoisclient

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whence-project/whence/internal/egress"
)

// server answers connections on loopback with answer, which gets the line that the client sent, and returns what to ask.
func server(t *testing.T, answer func(conn *net.TCPConn, query string)) Server {
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
				query, _ := bufio.NewReader(conn).ReadString('\n')
				answer(conn.(*net.TCPConn), query)
			}()
		}
	}()
	s, err := ParseServer(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

// reset ends a connection with RST.
func reset(conn *net.TCPConn) {
	conn.SetLinger(0)
	conn.Close()
}

func TestAsk(t *testing.T) {
	big := strings.Repeat("descr: é\r\n", 1<<20)
	for _, tt := range []struct {
		name, reply, charset string
		want, wantCharset    string
		truncated            bool
	}{
		{"plain", "domain: example.org\r\n", "", "domain: example.org\r\n", "utf-8", false},
		{"no final newline", "Registrar WHOIS Server: x", "", "Registrar WHOIS Server: x", "utf-8", false},
		{"NULs", "a\x00b\x00\r\n", "", "a\x00b\x00\r\n", "utf-8", false},
		{"UTF-8", "holder: Ærøskøbing\n", "iso-8859-1", "holder: Ærøskøbing\n", "utf-8", false},
		{"Latin-1", "holder: \xc6r\xf8sk\xf8bing\n", "", "holder: Ærøskøbing\n", "windows-1252", false},
		{"EUC-KR", "\xb5\xee\xb7\xcf\xc0\xce : x\n", "EUC-KR", "등록인 : x\n", "euc-kr", false},
		{"10 MB", big, "", big[:1<<20], "utf-8", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := server(t, func(conn *net.TCPConn, query string) {
				if query != "example.org\r\n" {
					t.Errorf("sent %q", query)
				}
				io.WriteString(conn, tt.reply)
			})
			s.Charset = tt.charset
			c := Client{Dial: dial}
			got, err := c.Ask(t.Context(), s, "example.org")
			if err != nil {
				t.Fatal(err)
			}
			if got.Text != tt.want && !(tt.truncated && strings.HasPrefix(tt.want, got.Text) && len(got.Text) > len(tt.want)-4) {
				t.Errorf("text is %.200q, want %.200q", got.Text, tt.want)
			}
			if got.Charset != tt.wantCharset || got.Truncated != tt.truncated || got.Remote != s.Addr() {
				t.Errorf("charset %q, truncated %v, remote %q", got.Charset, got.Truncated, got.Remote)
			}
		})
	}
}

func TestMaxReply(t *testing.T) {
	s := server(t, func(conn *net.TCPConn, _ string) { io.WriteString(conn, "0123456789") })
	for most, want := range map[int]string{1: "0", 9: "012345678", 10: "0123456789", 11: "0123456789"} {
		c := Client{Dial: dial, MaxReply: most}
		got, err := c.Ask(t.Context(), s, "example.org")
		if err != nil || got.Text != want || got.Truncated != (most < 10) {
			t.Errorf("%d: %+v, %v", most, got, err)
		}
	}
}

// TestStages is that every way to fail has its own stage, and that what was read before is not lost.
func TestStages(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed, err := ParseServer(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	guarded, err := egress.New(egress.Options{Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
		if host == "slow.example.org" {
			return nil, &net.DNSError{Err: "timeout", Name: host, IsTimeout: true}
		}
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}})
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := egress.ParseProxy("socks5h://user:secret@" + closed.Addr())
	if err != nil {
		t.Fatal(err)
	}
	proxied, err := egress.New(egress.Options{Proxies: []egress.Proxy{proxy}})
	if err != nil {
		t.Fatal(err)
	}
	answers := func(answer func(conn *net.TCPConn)) Server {
		return server(t, func(conn *net.TCPConn, _ string) { answer(conn) })
	}
	read := make(chan struct{}, 1)
	tellRead := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		return readConn{conn, read}, err
	}
	for _, tt := range []struct {
		name   string
		server Server
		dial   func(ctx context.Context, network, address string) (net.Conn, error)
		stage  Stage
		text   string
	}{
		{"resolve", Server{Host: "whois.example.org"}, guarded.DialContext, Resolve, ""},
		{"resolver hangs", Server{Host: "slow.example.org"}, guarded.DialContext, Timeout, ""},
		{"loopback", Server{Host: "127.0.0.1"}, guarded.DialContext, Refused, ""},
		{"number", Server{Host: "2130706433"}, guarded.DialContext, Refused, ""},
		{"connection refused", closed, dial, Connect, ""},
		{"proxy down", Server{Host: "whois.example.org"}, proxied.DialContext, Connect, ""},
		{"reset at once", answers(reset), dial, Read, ""},
		{"reset after bytes", answers(func(conn *net.TCPConn) {
			io.WriteString(conn, "quota exceeded\r\n")
			<-read // else the reset throws away what is still in the client's buffer
			reset(conn)
		}), tellRead, Read, "quota exceeded\r\n"},
		{"empty", answers(func(*net.TCPConn) {}), dial, Empty, ""},
		{"only newlines", answers(func(conn *net.TCPConn) { io.WriteString(conn, "\r\n\r\n\x00") }), dial, Empty, "\r\n\r\n\x00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Client{Dial: tt.dial}
			got, err := c.Ask(t.Context(), tt.server, "example.org")
			var e *Error
			if !errors.As(err, &e) || e.Stage != tt.stage || e.Server != tt.server.String() {
				t.Fatalf("error %v, want stage %v", err, tt.stage)
			}
			if e.Timeout() != (tt.stage == Timeout) {
				t.Errorf("Timeout() of %v", err)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("a password in %q", err)
			}
			if got.Text != tt.text {
				t.Errorf("text %q, want %q", got.Text, tt.text)
			}
		})
	}
}

// TestSlow is what hangs and drips, on a clock of its own.
func TestSlow(t *testing.T) {
	for _, tt := range []struct {
		name  string
		serve func(conn net.Conn)
		idle  time.Duration
		text  string
		took  time.Duration
	}{
		{"never reads", func(net.Conn) { time.Sleep(time.Hour) }, 0, "", 20 * time.Second}, // to write, then for a reason why
		{"never answers", func(conn net.Conn) { skipLine(conn); time.Sleep(time.Hour) }, 0, "", 10 * time.Second},
		{"never answers, patience", func(conn net.Conn) { skipLine(conn); time.Sleep(time.Hour) }, time.Hour, "", time.Minute},
		{"stops", func(conn net.Conn) { skipLine(conn); io.WriteString(conn, "Quota"); time.Sleep(time.Hour) }, 3 * time.Second,
			"Quota", 3 * time.Second},
		{"drips", func(conn net.Conn) {
			skipLine(conn)
			for range 1000 {
				time.Sleep(7 * time.Second)
				if _, err := io.WriteString(conn, "."); err != nil {
					return
				}
			}
		}, 0, "........", time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				c := Client{Dial: pipe(tt.serve), Idle: tt.idle}
				start := time.Now()
				got, err := c.Ask(ctx, Server{Host: "whois.example.org"}, "example.org")
				var e *Error
				if !errors.As(err, &e) || e.Stage != Timeout || !e.Timeout() {
					t.Errorf("error %v", err)
				}
				if took := time.Since(start); took != tt.took || got.Text != tt.text {
					t.Errorf("%q after %v, want %q after %v", got.Text, took, tt.text, tt.took)
				}
				time.Sleep(2 * time.Hour) // the server ends
			})
		})
	}
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := Client{Dial: pipe(func(conn net.Conn) {
			skipLine(conn)
			io.WriteString(conn, "domain:")
			time.Sleep(time.Second)
			cancel()
			time.Sleep(time.Hour)
		})}
		start := time.Now()
		got, err := c.Ask(ctx, Server{Host: "whois.example.org"}, "example.org")
		if !errors.Is(err, context.Canceled) || got.Text != "domain:" || time.Since(start) != time.Second {
			t.Errorf("%+v, %v after %v", got, err, time.Since(start))
		}
		time.Sleep(2 * time.Hour)
	})
}

// pipe dials servers in memory, which wait on a fake clock.
func pipe(serve func(conn net.Conn)) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			serve(theirs)
		}()
		return ours, nil
	}
}

func skipLine(conn net.Conn) { bufio.NewReader(conn).ReadString('\n') }

// readConn tells when something has been read from it.
type readConn struct {
	net.Conn
	read chan<- struct{}
}

func (c readConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.read <- struct{}{}
	}
	return n, err
}
