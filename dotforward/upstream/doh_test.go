package upstream

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestDoH(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(nil)
		defer s.Server.Close()
		f := newHTTPFarm(t, []*site{s}, PoolOptions{}, nil)
		defer f.end()
		s.behave(func(w http.ResponseWriter, r *http.Request) {
			q, _ := io.ReadAll(r.Body)
			_, agent := r.Header["User-Agent"]
			if r.Method != http.MethodPost || r.ProtoMajor != 2 || r.Host != serverName || r.RequestURI != "/dns-query" || agent ||
				r.Header.Get("Content-Type") != mediaType || r.Header.Get("Accept") != mediaType || r.Header.Get("Accept-Encoding") != "" {
				t.Errorf("request %s %s %s %s %v", r.Proto, r.Method, r.Host, r.RequestURI, r.Header)
			}
			if q[0]|q[1] != 0 || len(q)%paddedTo != 0 || optOf(q) == nil {
				t.Errorf("query %x", q)
			} else if found, _ := option(optOf(q)[optFixed:], optionKeepalive); found != nil {
				t.Error("keepalive is asked for over HTTPS")
			}
			w.Header().Set("Content-Type", mediaType+"; charset=none")
			w.Write(replyTo(q))
		})
		for i := range 200 {
			if r := f.ask(fmt.Sprintf("n%d.example.org", i), inTime); r.err != nil || r.took > 100*time.Millisecond {
				t.Fatal(r)
			}
		}
		st := f.servers[0].Stats()
		if s.conns.Load() != 1 || st.Queries != 200 || st.Answers != 200 || st.Handshakes != 1 || st.InFlight != 0 || !st.Up || st.Conns != 1 {
			t.Errorf("%d connections, stats %+v", s.conns.Load(), st)
		}
	})
}

// One server that misbehaves, alone and before one that does not.
func TestDoHFaults(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", code) }
	}
	say := func(mediaType string, change func(reply []byte) []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			q, _ := io.ReadAll(r.Body)
			w.Header().Set("Content-Type", mediaType)
			w.Write(change(replyTo(q)))
		}
	}
	same := func(reply []byte) []byte { return reply }
	for _, tt := range []struct {
		name   string
		b      http.HandlerFunc
		alone  error
		counts string        // the kind of failure
		next   time.Duration // at most, until the next server has answered
	}{
		{"status 500", status(500), ErrDown, "http", time.Millisecond},
		{"status 404", status(404), ErrDown, "http", time.Millisecond},
		{"redirection", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://other.test/dns-query", http.StatusPermanentRedirect)
		}, ErrDown, "http", time.Millisecond},
		{"media type", say("text/html", same), ErrDown, "http", time.Millisecond},
		{"no media type", func(w http.ResponseWriter, r *http.Request) { w.Header()["Content-Type"] = nil }, ErrDown, "http", time.Millisecond},
		{"too long", say(mediaType, func(reply []byte) []byte { return append(reply, make([]byte, mostMessage)...) }), ErrDown, "http", time.Millisecond},
		{"endless", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", mediaType)
			for err := error(nil); err == nil; {
				_, err = w.Write(make([]byte, 4096))
			}
		}, ErrDown, "http", time.Millisecond},
		{"short", say(mediaType, func(reply []byte) []byte { return reply[:headerSize-1] }), ErrDown, "format", time.Millisecond},
		{"empty", say(mediaType, func([]byte) []byte { return nil }), ErrDown, "format", time.Millisecond},
		{"wrong question", say(mediaType, func(reply []byte) []byte { reply[headerSize+1] ^= 1; return reply }), ErrDown, "mismatch", time.Millisecond},
		{"no question", say(mediaType, func(reply []byte) []byte { reply[3], reply[5] = reply[3]|1, 0; return reply[:headerSize] }),
			ErrDown, "format", time.Millisecond},
		{"resets the stream", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, ErrDown, "lost", time.Millisecond},
		{"half a body", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", mediaType)
			w.Header().Set("Content-Length", "100")
			w.Write(make([]byte, 50))
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, ErrDown, "lost", time.Millisecond},
		{"hangs", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, ErrTimeout, "silent", 1050 * time.Millisecond},
		{"hangs in the body", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", mediaType)
			w.Write(make([]byte, 50))
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, ErrTimeout, "silent", 1050 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for n := 1; n <= 2; n++ {
				synctest.Test(t, func(t *testing.T) {
					var sites []*site
					for range n {
						s := newSite(nil)
						defer s.Server.Close()
						sites = append(sites, s)
					}
					f := newHTTPFarm(t, sites, PoolOptions{}, nil)
					defer f.end()
					sites[0].behave(tt.b)
					r := f.ask("a.example.org", inTime)
					t.Logf("%d servers: %v", n, r)
					if n == 1 && (!errors.Is(r.err, tt.alone) || r.took > inTime+25*time.Millisecond) {
						t.Errorf("alone: %v", r)
					}
					if n == 2 && (r.err != nil || r.from != f.servers[1] || r.took > tt.next) {
						t.Errorf("with another: %v", r)
					}
					if st := f.servers[0].Stats(); n == 1 && st.Failures[tt.counts] == 0 {
						t.Errorf("%v", st.Failures)
					}
				})
			}
		})
	}
}

// A server that does not speak HTTP/2, or is another, is not asked.
func TestDoHRefusesToSpeak(t *testing.T) {
	for name, tt := range map[string]struct {
		change  func(*httptest.Server)
		options func(*Options)
		kind    string
	}{
		"HTTP/1.1": {func(s *httptest.Server) { s.EnableHTTP2 = false; s.TLS.NextProtos = []string{"http/1.1"} }, nil, "tls"},
		"no ALPN": {func(s *httptest.Server) {
			s.EnableHTTP2 = false
			config := s.TLS.Clone()
			s.TLS.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return config, nil }
		}, nil, "http"},
		"another name":    {nil, func(o *Options) { o.Name = "other.test" }, "tls"},
		"another pin":     {nil, func(o *Options) { o.Pins = []string{strings.Repeat("A", 43) + "="} }, "tls"},
		"system's roots":  {nil, func(o *Options) { o.Roots = nil }, "tls"},
		"another address": {nil, func(o *Options) { o.Host, o.Name = "192.0.2.54", "" }, "tls"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(tt.change)
				defer s.Server.Close()
				f := newHTTPFarm(t, []*site{s}, PoolOptions{}, func(o *Options) {
					o.DialTimeout = 500 * time.Millisecond // in memory nobody reads the alert
					if tt.options != nil {
						tt.options(o)
					}
				})
				defer f.end()
				r := f.ask("a.test", time.Second)
				if st := f.servers[0].Stats(); r.err == nil || st.Failures[tt.kind] == 0 || s.asked.Load() != 0 {
					t.Errorf("%v, %v", r, st.Failures)
				}
			})
		})
	}
}

func TestNewDoH(t *testing.T) {
	addrs := []netip.Addr{netip.MustParseAddr("192.0.2.53")}
	pin := strings.Repeat("A", 43) + "="
	for _, tt := range []struct {
		o                       Options
		server, url, verifiedAs string // empty: an error
	}{
		{Options{URL: "https://dns.test/dns-query", Addrs: addrs}, "https://dns.test:443/dns-query", "https://dns.test/dns-query", "dns.test"},
		{Options{URL: "https://dns.test./q{?dns}", Addrs: addrs}, "https://dns.test.:443/q", "https://dns.test/q", "dns.test"},
		{Options{URL: "https://dns.test:8443", Addrs: addrs}, "https://dns.test:8443/", "https://dns.test:8443/", "dns.test"},
		{Options{URL: "https://dns.test/a/b?key=1", Host: "192.0.2.53"}, "https://192.0.2.53:443/a/b?key=1", "https://dns.test/a/b?key=1", "dns.test"},
		{Options{URL: "https://[2001:db8::443]/x"}, "https://[2001:db8::443]:443/x", "https://[2001:db8::443]/x", "2001:db8::443"},
		{Options{URL: "https://192.0.2.1/x", Pins: []string{pin}}, "https://192.0.2.1:443/x", "https://192.0.2.1/x", ""},
		{Options{Host: "192.0.2.53", Name: "dns.test"}, "https://192.0.2.53:443/dns-query", "https://dns.test/dns-query", "dns.test"},
		{Options{Host: "192.0.2.53", Port: 8443, Path: "/x"}, "https://192.0.2.53:8443/x", "https://192.0.2.53:8443/x", "192.0.2.53"},
		{o: Options{URL: "http://dns.test/", Addrs: addrs}},
		{o: Options{URL: "https://user@dns.test/", Addrs: addrs}},
		{o: Options{URL: "https://dns.test/#x", Addrs: addrs}},
		{o: Options{URL: "https://dns.test:0/", Addrs: addrs}},
		{o: Options{URL: "https:///x", Addrs: addrs}},
		{o: Options{URL: "https://dns.test/", Addrs: addrs, Port: 443}},
		{o: Options{URL: "https://dns.test/", Addrs: addrs, Path: "/x"}},
		{o: Options{URL: "https://dns.test/"}},
		{o: Options{Host: "192.0.2.53", Path: "x"}},
		{o: Options{}},
		{o: Options{Host: "192.0.2.53", Pins: []string{"x"}}},
	} {
		s, err := NewDoH(tt.o)
		if tt.server == "" {
			if err == nil {
				t.Errorf("%+v is %v", tt.o, s)
			}
			continue
		}
		if err != nil || s.String() != tt.server || s.http.url.String() != tt.url || s.tls.ServerName != tt.verifiedAs {
			t.Errorf("%+v: %v %+v, %v", tt.o, s, s, err)
		}
	}
	for _, make := range []func(Options) (*Server, error){NewDoT, NewPlain} {
		if _, err := make(Options{Host: "192.0.2.53", URL: "https://dns.test/"}); err == nil {
			t.Error("a URL is taken by who does not ask there")
		}
	}
	dot, _ := NewDoT(Options{Host: "192.0.2.53"})
	doh, _ := NewDoH(Options{Host: "192.0.2.53"})
	if _, err := NewPool(PoolOptions{}, dot, doh); err == nil {
		t.Error("a pool of two protocols")
	}
}

// What an HTTP cache has kept is as much older.
func TestGrow(t *testing.T) {
	q := query("a.test", 1)
	reply := replyTo(q)
	reply[11] = 1
	reply = append(reply, 0, 0, typeOPT, 4, 0xd0, 0, 0, 0x80, 0, 0, 0)
	want := bytes.Clone(reply)
	ttl := endOfQuestion(q) + 6
	for _, tt := range []struct{ age, want uint32 }{{10, 50}, {60, 0}, {1 << 30, 0}} {
		got := bytes.Clone(reply)
		grow(got, tt.age)
		binary.BigEndian.PutUint32(want[ttl:], tt.want)
		if !bytes.Equal(got, want) {
			t.Errorf("%d s: %x", tt.age, got)
		}
	}
	for n := headerSize; n < len(reply); n++ {
		grow(bytes.Clone(reply[:n]), 1) // must not panic
	}
}

func FuzzGrow(f *testing.F) {
	f.Add(replyTo(query("a.test", 1)), uint32(10))
	f.Fuzz(func(t *testing.T, msg []byte, age uint32) {
		if len(msg) >= headerSize {
			grow(msg, age)
		}
	})
}
