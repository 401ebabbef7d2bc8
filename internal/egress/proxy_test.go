package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// certificate is one for 127.0.0.1, and the pool that verifies it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s.TLS.Certificates[0], roots
}

func proxyOf(t *testing.T, raw string, hosts ...string) Proxy {
	t.Helper()
	p, err := ParseProxy(raw, hosts...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProxies(t *testing.T) {
	cert, roots := certificate(t)
	backend := listen(t, func(conn net.Conn) { fmt.Fprint(conn, "reply") })
	lookup := names(map[string][]string{"whois.test": {"8.8.8.8"}, "both.test": {"2600::1", "10.0.0.1", "8.8.8.8"}, "inside.test": {"10.0.0.1"}})
	for _, tt := range []struct {
		name, scheme, auth string
		proxy              *testProxy
		address            string
		public             bool
		asked              string // of the proxy
		want               string
	}{
		{"socks5 resolves here", "socks5", "", &testProxy{}, "whois.test:43", false, "8.8.8.8:43", "reply"},
		{"socks5, IPv6 address", "socks5", "", &testProxy{}, "[2600::1]:43", false, "[2600::1]:43", "reply"},
		{"socks5, of several the first that may", "socks5", "", &testProxy{}, "both.test:43", false, "[2600::1]:43", "reply"},
		{"socks5, password", "socks5", "user:s3cret@", &testProxy{user: "user", password: "s3cret"}, "whois.test:43", false, "8.8.8.8:43", "reply"},
		{"socks5, escaped password", "socks5", "user:s3%2Fc%40ret@", &testProxy{user: "user", password: "s3/c@ret"}, "whois.test:43", false, "8.8.8.8:43", "reply"},
		{"socks5h resolves there", "socks5h", "", &testProxy{}, "absent.test:43", false, "absent.test:43", "reply"},
		{"socks5h, address", "socks5h", "", &testProxy{}, "8.8.8.8:43", false, "8.8.8.8:43", "reply"},
		{"socks5h, public only", "socks5h", "", &testProxy{}, "whois.test:43", true, "8.8.8.8:43", "reply"},
		{"http resolves there", "http", "", &testProxy{}, "absent.test:43", false, "absent.test:43", "reply"},
		{"http, password", "http", "user:s3cret@", &testProxy{user: "user", password: "s3cret"}, "whois.test:43", false, "whois.test:43", "reply"},
		{"http, IPv6 address", "http", "", &testProxy{}, "[2600::1]:43", false, "[2600::1]:43", "reply"},
		{"http, backend is early", "http", "", &testProxy{early: "early "}, "whois.test:43", false, "whois.test:43", "early reply"},
		{"http, public only", "http", "", &testProxy{}, "whois.test:43", true, "8.8.8.8:43", "reply"},
		{"https", "https", "user:s3cret@", &testProxy{user: "user", password: "s3cret"}, "whois.test:443", false, "whois.test:443", "reply"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proxy := tt.proxy
			proxy.backend = backend
			address := ""
			if tt.scheme == "https" {
				address = proxy.startTLS(t, cert)
			} else {
				address = proxy.start(t)
			}
			// The proxy is on loopback, which is not allowed to others.
			d := dialer(t, Options{Lookup: lookup, Roots: roots, Proxies: []Proxy{proxyOf(t, tt.scheme+"://"+tt.auth+address)}})
			ctx := t.Context()
			if tt.public {
				ctx = PublicOnly(ctx)
			}
			got, err := ask(ctx, d, tt.address)
			if err != nil || got != tt.want {
				t.Errorf("%q, %v, want %q", got, err, tt.want)
			}
			if asked := proxy.asked(); !slices.Equal(asked, []string{tt.asked}) {
				t.Errorf("the proxy was asked for %v, want %s", asked, tt.asked)
			}
		})
	}
}

func TestProxyFaults(t *testing.T) {
	cert, _ := certificate(t)
	echo := "HTTP/1.1 407 Go away\r\nBasic dXNlcjpzM2NyZXQ= user s3cret\r\n\r\n"
	for _, tt := range []struct {
		name, scheme string
		proxy        *testProxy
		want         string // in the error
		timeout      bool
	}{
		{"socks5 refuses", "socks5", &testProxy{user: "user", password: "s3cret", refuse: true}, "not allowed", false},
		{"socks5, wrong password", "socks5", &testProxy{user: "user", password: "other"}, "username/password", false},
		{"socks5 hangs", "socks5", &testProxy{hang: true}, "", true},
		{"socks5 is something else", "socks5", &testProxy{garbage: "220 s3cret dXNlcjpzM2NyZXQ=\r\n"}, "version", false},
		{"socks5 breaks off", "socks5", &testProxy{garbage: "\x05"}, "EOF", false},
		{"http refuses", "http", &testProxy{user: "user", password: "s3cret", refuse: true}, "403 Forbidden", false},
		{"http, wrong password, and shows it", "http", &testProxy{user: "user", password: "other"}, "407 Proxy Authentication Required", false},
		{"http hangs", "http", &testProxy{hang: true}, "", true},
		{"http is something else", "http", &testProxy{garbage: "220 s3cret dXNlcjpzM2NyZXQ=\r\n"}, "no answer", false},
		{"http echoes", "http", &testProxy{garbage: echo}, "no answer", false},
		{"http is endless", "http", &testProxy{garbage: "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("s3cret", 1<<16)}, "", false},
		{"http never comes to it", "http", &testProxy{garbage: strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 20)}, "does not come", false},
		{"http redirects", "http", &testProxy{garbage: "HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\n\r\n"}, "302", false},
		{"https, certificate of nobody", "https", &testProxy{}, "certificate", false},
		{"https hangs", "https", &testProxy{hang: true}, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var address string
			if tt.scheme == "https" && !tt.timeout {
				address = tt.proxy.startTLS(t, cert)
			} else {
				address = tt.proxy.start(t)
			}
			d := dialer(t, Options{Timeout: 5 * time.Second, Proxies: []Proxy{proxyOf(t, tt.scheme+"://user:s3cret@"+address)}})
			ctx := t.Context()
			if tt.timeout {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 100*time.Millisecond)
				defer cancel()
			}
			_, err := ask(ctx, d, "8.8.8.8:43")
			var proxy *ProxyError
			if !errors.As(err, &proxy) || proxy.Proxy != address || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if isTimeout(err) != tt.timeout || proxy != nil && proxy.Timeout() != tt.timeout {
				t.Errorf("timeout: %v, of %v", isTimeout(err), err)
			}
			if s := fmt.Sprintf("%v %+v %#v", err, err, proxy); strings.Contains(s, "s3cret") || strings.Contains(s, "dXNlc") {
				t.Errorf("the password is in %s", s)
			}
		})
	}
}

// TestProxyIsChecked is that a proxy is no way around the checks.
func TestProxyIsChecked(t *testing.T) {
	proxy := &testProxy{backend: closedPort(t)}
	address := proxy.start(t)
	lookup := names(map[string][]string{"inside.test": {"10.0.0.1"}})
	for _, tt := range []struct {
		scheme, address string
		public          bool
	}{
		{"socks5", "inside.test:43", false},
		{"socks5", "127.0.0.1:43", false},
		{"socks5h", "127.0.0.1:43", false},
		{"http", "[::ffff:127.0.0.1]:43", false},
		{"http", "2130706433:43", false},
		{"socks5h", "0x7f.1:43", false},
		{"socks5h", "localhost:43", false},
		{"http", "a.LOCALHOST.:43", false},
		{"http", "inside.test:43", true},
	} {
		d := dialer(t, Options{Lookup: lookup, Proxies: []Proxy{proxyOf(t, tt.scheme+"://"+address)}})
		ctx := t.Context()
		if tt.public {
			ctx = PublicOnly(ctx)
		}
		var refused *RefusedError
		if _, err := d.DialContext(ctx, "tcp", tt.address); !errors.As(err, &refused) {
			t.Errorf("%s, %s: %v", tt.scheme, tt.address, err)
		}
	}
	if asked := proxy.asked(); len(asked) > 0 {
		t.Errorf("the proxy was asked for %v", asked)
	}
}

func TestProxyDown(t *testing.T) {
	down := closedPort(t)
	for _, raw := range []string{"http://" + down, "socks5://" + down, "socks5://proxy.test:1080"} {
		d := dialer(t, Options{Lookup: names(nil), Proxies: []Proxy{proxyOf(t, raw)}})
		var proxy *ProxyError
		if _, err := d.DialContext(t.Context(), "tcp", "8.8.8.8:43"); !errors.As(err, &proxy) {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func TestProxyForHost(t *testing.T) {
	d := dialer(t, Options{Proxies: []Proxy{
		proxyOf(t, "socks5://a.test", "Whois.nic.test", "192.0.2.1", "2001:DB8::1"),
		proxyOf(t, "socks5://b.test:99", ".nic.test"),
	}})
	for host, want := range map[string]string{
		"whois.nic.test":     "a.test:1080",
		"192.0.2.1":          "a.test:1080",
		"2001:db8::1":        "a.test:1080",
		"nic.test":           "b.test:99",
		"rdap.nic.test":      "b.test:99",
		"x.whois.nic.test":   "b.test:99",
		"picnic.test":        "",
		"192.0.2.2":          "",
		"whois.nic.test.org": "",
	} {
		got := ""
		if p := d.proxyFor(host); p != nil {
			got = p.URL.Host
		}
		if got != want {
			t.Errorf("%s goes through %q, want %q", host, got, want)
		}
	}
}

func TestParseProxy(t *testing.T) {
	for _, tt := range []struct{ raw, want string }{
		{"socks5://proxy.test", "socks5://proxy.test:1080"},
		{"socks5h://Proxy.TEST:99/", "socks5h://proxy.test:99"},
		{"http://user:s3cret@127.0.0.1", "http://user:xxxxx@127.0.0.1:80"},
		{"https://user@[::1]", "https://user@[::1]:443"},
		{"SOCKS5://proxy.test", "socks5://proxy.test:1080"},
		{"", ""},
		{"proxy.test:1080", ""},
		{"//proxy.test:1080", ""},
		{"ftp://user:s3cret@proxy.test", ""},
		{"socks4://user:s3cret@proxy.test", ""},
		{"socks5://user:s3cret@", ""},
		{"socks5://user:s3cret@proxy.test:99999", ""},
		{"socks5://user:s3cret@proxy.test:0", ""},
		{"socks5://user:s3cret@proxy.test/path", ""},
		{"socks5://user:s3cret@proxy.test?x", ""},
		{"socks5://user:s3cret@127.1", ""},
		{"socks5://user:s3cret/x@proxy.test", ""},
		{"socks5://user:12/s3cret@proxy.test", ""},
		{"socks5://user:%s3cret@proxy.test", ""},
		{"socks5://:s3cret@proxy.test", ""},
		{"socks5://user:s3cret" + strings.Repeat("x", 255) + "@proxy.test", ""},
		{"http://us%3Aer:s3cret@proxy.test", ""},
		{"user:s3cret@proxy.test", ""},
		{"s3cret", ""},
	} {
		p, err := ParseProxy(tt.raw)
		if (err != nil) != (tt.want == "") || p.String() != tt.want {
			t.Errorf("ParseProxy(%q) = %s, %v, want %q", tt.raw, p, err, tt.want)
		}
		if s := fmt.Sprintf("%v %s %+v", p, p, err); strings.Contains(s, "s3cret") {
			t.Errorf("the password is in %s", s)
		}
	}
	if _, err := ParseProxy("socks5://proxy.test", "https://whois.test"); err == nil {
		t.Error("a URL for a host")
	}
	if p := proxyOf(t, "socks5://u:s3cret@proxy.test", ".test", "A.example"); p.String() != "socks5://u:xxxxx@proxy.test:1080 for .test a.example" {
		t.Errorf("String() is %s", p)
	}
}

// TestProxyIsResolvedHere is that the name of a proxy goes through Lookup, may be private, and is dialled from no source address.
func TestProxyIsResolvedHere(t *testing.T) {
	proxy := &testProxy{backend: listen(t, sayPeer)}
	host, port, _ := net.SplitHostPort(proxy.start(t))
	d := dialer(t, Options{
		Lookup:  names(map[string][]string{"proxy.lan": {host}}),
		Sources: []netip.Addr{netip.MustParseAddr("2001:db8::1")},
		Proxies: []Proxy{proxyOf(t, "http://proxy.lan:"+port)},
	})
	if got, err := ask(t.Context(), d, "whois.test:43"); err != nil || got == "" {
		t.Errorf("%q, %v", got, err)
	}
}
