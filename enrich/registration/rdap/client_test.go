package rdap

import (
	"compress/gzip"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whence-project/whence/internal/egress"
)

// server answers with handler, and a client that asks it.
func server(t *testing.T, handler http.HandlerFunc) (*Client, string) {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	c := NewHTTPClient(nil, nil)
	t.Cleanup(c.CloseIdleConnections)
	return &Client{HTTP: c}, s.URL + "/"
}

// mustFail asks for example.test and returns the error there has to be.
func mustFail(t *testing.T, c *Client, base string) *Error {
	t.Helper()
	r, err := c.Get(t.Context(), DomainURL(base, "example.test"))
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("an object from %s, %v, want an *Error", r.URL, err)
	}
	return e
}

func TestGet(t *testing.T) {
	var asked *http.Request
	c, base := server(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.Clone(context.Background())
		w.Header().Set("Content-Type", "application/rdap+json")
		w.Write([]byte(domainAnswer))
	})
	r, err := c.Get(t.Context(), DomainURL(base, "EXAMPLE.test"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Object.LDHName != "example.test" || string(r.Raw) != domainAnswer || r.URL != base+"domain/example.test" || r.Took <= 0 {
		t.Errorf("%+v", r)
	}
	if asked.Method != "GET" || asked.URL.Path != "/domain/example.test" || asked.Header.Get("User-Agent") != DefaultAgent ||
		asked.Header.Get("Accept") != "application/rdap+json, application/json;q=0.9" || asked.Header.Get("Referer") != "" {
		t.Errorf("asked with %+v", asked)
	}
}

func TestHTTP2(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("asked over %s", r.Proto)
		}
		if strings.HasSuffix(r.URL.Path, "/free.test") {
			w.WriteHeader(http.StatusNotFound) // over HTTP/2 the end of an empty body is marked without a length
			w.(http.Flusher).Flush()
			return
		}
		w.Write([]byte(domainAnswer))
	}))
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshake that is to fail
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	c := &Client{HTTP: NewHTTPClient(nil, roots)}
	defer c.HTTP.CloseIdleConnections()
	if _, err := c.Get(t.Context(), DomainURL(s.URL, "example.test")); err != nil {
		t.Error(err)
	}
	var e *Error
	if _, err := c.Get(t.Context(), DomainURL(s.URL, "free.test")); !errors.As(err, &e) || e.Kind != NotFound {
		t.Errorf("%v, want not found", err)
	}
	other := &Client{HTTP: NewHTTPClient(nil, x509.NewCertPool())}
	if _, err := other.Get(t.Context(), DomainURL(s.URL, "free.test")); !errors.As(err, &e) || e.Kind != Network {
		t.Errorf("%v from a server that nobody vouches for, want a network error", err)
	}
}

func TestGzip(t *testing.T) {
	c, base := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close()
		if strings.HasSuffix(r.URL.Path, "big.test") {
			for range 2000 {
				z.Write(make([]byte, 1<<10))
			}
			return
		}
		z.Write([]byte(domainAnswer))
	})
	if _, err := c.Get(t.Context(), DomainURL(base, "example.test")); err != nil {
		t.Error(err)
	}
	_, err := c.Get(t.Context(), DomainURL(base, "big.test"))
	var e *Error
	if !errors.As(err, &e) || e.Kind != TooLarge {
		t.Errorf("%v for 2 MB in a few bytes, want too large", err)
	}
	c.MaxBody = 100
	if e := mustFail(t, c, base); e.Kind != TooLarge {
		t.Errorf("%v, want too large", e)
	}
}

func TestRedirects(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(domainAnswer)) }))
	defer plain.Close()
	for _, tt := range []struct {
		name, to string
		tls      bool
		status   int
		want     string // a kind; empty: the object
	}{
		{"another path", "/v1/domain/example.test", false, 302, ""},
		{"another path, https", "/v1/domain/example.test", true, 301, ""},
		{"another server", plain.URL + "/domain/EXAMPLE.test/", false, 308, ""},
		{"relative", "example.test?x=1#y", false, 307, ""},
		{"https to http", plain.URL + "/domain/example.test", true, 302, "redirect"},
		{"to itself", "/domain/example.test", false, 302, "redirect"},
		{"round in circles", "/circle/domain/example.test", false, 302, "redirect"},
		{"ever on", "/on/", false, 302, "redirect"},
		{"a file", "file:///etc/passwd", false, 302, "redirect"},
		{"another scheme", "gopher://example.test/", false, 302, "redirect"},
		{"a password", "http://a:b@example.test/domain/example.test", false, 302, "redirect"},
		{"no host", "http:///domain/example.test", false, 302, "redirect"},
		{"no URL", "http://[::1", false, 302, "redirect"},
		{"nowhere", "", false, 302, "redirect"},
		{"to a 404 of a page", "/404", false, 302, "doubtful"},
		{"to an empty 404", "/empty", false, 302, "doubtful"},
		{"not modified", "/v1/domain/example.test", false, 304, "invalid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				to := tt.to
				switch p := r.URL.Path; {
				case strings.HasPrefix(p, "/v1/"), r.URL.RawQuery != "":
					w.Write([]byte(domainAnswer))
					return
				case strings.HasPrefix(p, "/circle/"):
					to = "/domain/example.test"
				case strings.HasPrefix(p, "/on/"):
					to = p + "on/"
				case p == "/404":
					w.Header().Set("Content-Type", "application/rdap+json")
					w.WriteHeader(404)
					w.Write([]byte(`{"errorCode":404}`))
					return
				case p == "/empty":
					w.WriteHeader(404)
					return
				}
				if to != "" {
					w.Header().Set("Location", to)
				}
				w.WriteHeader(tt.status)
			}))
			roots := x509.NewCertPool()
			if tt.tls {
				s.StartTLS()
				roots.AddCert(s.Certificate())
			} else {
				s.Start()
			}
			defer s.Close()
			c := &Client{HTTP: NewHTTPClient(nil, roots)}
			defer c.HTTP.CloseIdleConnections()
			if tt.want != "" {
				if e := mustFail(t, c, s.URL); e.Kind.String() != tt.want {
					t.Errorf("%s: %v, want %s", e.Kind, e, tt.want)
				}
				return
			}
			if _, err := c.Get(t.Context(), DomainURL(s.URL, "example.test")); err != nil {
				t.Error(err)
			}
			c.MaxRedirects = -1
			if e := mustFail(t, c, s.URL); e.Kind != Redirect {
				t.Errorf("%v, want no redirect followed", e)
			}
		})
	}
}

// A redirect to an address that must not be dialled is refused, and says so.
func TestPrivateAddresses(t *testing.T) {
	c, base := server(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://10.0.0.1/domain/example.test", http.StatusFound)
	})
	first := strings.TrimSuffix(strings.TrimPrefix(base, "http://"), "/")
	d, err := egress.New(egress.Options{Lookup: func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no names here") }})
	if err != nil {
		t.Fatal(err)
	}
	c.HTTP = NewHTTPClient(func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == first {
			return new(net.Dialer).DialContext(ctx, network, address)
		}
		return d.DialContext(ctx, network, address)
	}, nil)
	defer c.HTTP.CloseIdleConnections()
	e := mustFail(t, c, base)
	var refused *egress.RefusedError
	if e.Kind != Refused || !errors.As(e, &refused) || e.URL != "http://10.0.0.1/domain/example.test" {
		t.Errorf("%+v, want refused", e)
	}
}

func TestConnections(t *testing.T) {
	cut := func(w http.ResponseWriter, text string) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		conn.Write([]byte(text))
		conn.Close()
	}
	for _, tt := range []struct {
		name, text string
		want       Kind
	}{
		{"nothing", "", Network},
		{"half an answer", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", Network},
		{"half a 404", "HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\n", Network},
		{"a 404 that may go on", "HTTP/1.1 404 Not Found\r\n\r\n", Doubtful},
		{"a 404 in pieces that does", "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n", Network},
		{"half a 429", "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 100\r\n\r\n", Throttled},
		{"not HTTP", "% No match for example.test\r\n", Network},
		{"endless headers", "HTTP/1.1 404 Not Found\r\n" + strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 100) + "\r\n", Network},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, base := server(t, func(w http.ResponseWriter, _ *http.Request) { cut(w, tt.text) })
			if e := mustFail(t, c, base); e.Kind != tt.want {
				t.Errorf("%s: %v, want %s", e.Kind, e, tt.want)
			}
		})
	}
}

func TestTimeout(t *testing.T) {
	for _, part := range []string{"", "{"} {
		c, base := server(t, func(w http.ResponseWriter, r *http.Request) {
			if part != "" {
				w.WriteHeader(http.StatusNotFound)
				fmt.Fprint(w, part)
				w.(http.Flusher).Flush()
			}
			<-r.Context().Done()
		})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := c.Get(ctx, DomainURL(base, "example.test"))
		var e *Error
		if !errors.As(err, &e) || e.Kind != Timeout || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %q: %v, want a timeout", part, err)
		}
	}
}

func TestNoQuery(t *testing.T) {
	c := &Client{HTTP: NewHTTPClient(func(context.Context, string, string) (net.Conn, error) {
		t.Error("dialled")
		return nil, errors.New("no")
	}, nil)}
	for _, u := range []string{"", "domain/example.test", "ftp://rdap.test/domain/example.test", "https:///domain/example.test",
		"https://rdap.test/", "https://rdap.test/help", "https://rdap.test/domains?name=*", "https://rdap.test/domain/",
		"https://u:p@rdap.test/domain/example.test", "https://rdap.test/domain/a%20b", ":"} {
		_, err := c.Get(t.Context(), u)
		var e *Error
		if !errors.As(err, &e) || e.Kind != Invalid {
			t.Errorf("Get(%q): %v, want invalid", u, err)
		}
	}
}

// Connections that were dialled from one address are not used for another.
func TestSources(t *testing.T) {
	_, base := server(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(domainAnswer)) })
	var mu sync.Mutex
	dialled := 0
	c := &Client{HTTP: NewHTTPClient(func(ctx context.Context, network, address string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		dialled++
		return new(net.Dialer).DialContext(ctx, network, address)
	}, nil)}
	defer c.HTTP.CloseIdleConnections()
	for range 3 {
		for _, source := range []string{"192.0.2.1", "192.0.2.2", "::ffff:192.0.2.1"} {
			ctx := WithSource(t.Context(), netip.MustParseAddr(source))
			if _, err := c.Get(ctx, DomainURL(base, "example.test")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if dialled != 2 {
		t.Errorf("dialled %d times for two sources, want 2", dialled)
	}
	for i := range 3 * maxSources {
		ctx := WithSource(t.Context(), netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}))
		if _, err := c.Get(ctx, DomainURL(base, "example.test")); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(c.HTTP.Transport.(*transports).of); n > maxSources {
		t.Errorf("%d pools, want no more than %d", n, maxSources)
	}
}
