package layer4whois

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
)

// world is a source that knows a little about the documentation networks and the article's 8.8.8.0/24.
type world struct {
	nets  []netip.Prefix
	parts []*enrich.Fragment // nil: the network is known, but nothing about it
	as    map[uint32]*enrich.Fragment
	names map[string]*enrich.Fragment
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func newWorld() *world {
	db := &enrich.Origin{Source: "mmdb", Name: "lite.mmdb"}
	fields := func(o *enrich.Origin, kv ...string) *enrich.Fragment {
		b := enrich.NewBuilder(o)
		for i := 0; i < len(kv); i += 2 {
			b.Add(enrich.Field{Key: kv[i], Value: kv[i+1], Canon: enrich.KeyOf(kv[i])})
			b.Canonical(enrich.KeyOf(kv[i]), kv[i+1])
		}
		return b.Build()
	}
	google := fields(db, "as_domain", "google.com", "as_name", "Google LLC", "asn", "AS15169", "continent", "North America",
		"continent_code", "NA", "country", "United States", "country_code", "US")
	one := fields(db, "asn", "AS64496", "as_name", "One | Two", "country_code", "DE", "registry", "ripencc")
	w := &world{
		as:    map[uint32]*enrich.Fragment{64496: fields(db, "as_name", "Example AS", "country_code", "DE", "registry", "ripencc")},
		names: map[string]*enrich.Fragment{},
	}
	for _, n := range []struct {
		net string
		f   *enrich.Fragment
	}{
		{"8.8.8.0/24", google}, {"127.0.0.0/8", nil},
		{"192.0.2.0/25", one}, {"192.0.2.128/26", nil}, {"192.0.2.192/26", one},
		{"2001:db8::/32", one}, {"198.51.100.0/32", one},
		{"203.0.113.0/24", fields(db, "evil", "x\r\ninjected: y\x1b[2J", "bad\nkey", "\xff")},
	} {
		w.nets, w.parts = append(w.nets, prefix(n.net)), append(w.parts, n.f)
	}
	w.names["example.org"] = fields(db, "registrar", "Example Registrar", "created", "1995-08-14T04:00:00Z")
	w.names["Customer-7"] = enrich.NewBuilder(&enrich.Origin{Source: "records"}).Verbatim("Customer:\tseven\r\n\r\n").Build()
	return w
}

func (w *world) Add(q *enrich.Query, r *enrich.Record) enrich.Verdict {
	s := q.Subject
	switch s.Kind() {
	case enrich.Address, enrich.Prefix:
		if s.Addr() == netip.MustParseAddr("192.0.2.66") {
			panic("a source panics")
		}
		for i, n := range w.nets {
			if n.Contains(s.Addr()) {
				if r.Cover(n); w.parts[i] != nil {
					r.Attach(w.parts[i], n)
				}
			}
		}
		if s.Addr() == netip.MustParseAddr("127.0.0.9") {
			r.Note(enrich.Throttled, "try again")
		}
	case enrich.AS:
		if f := w.as[s.ASN()]; f != nil {
			r.Attach(f, netip.Prefix{})
		}
	default:
		if f := w.names[s.Name()]; f != nil {
			r.Attach(f, netip.Prefix{})
		}
	}
	return enrich.Next
}

func worldChain() *enrich.Chain {
	return enrich.NewChain("", enrich.Link{Name: "mmdb", Source: newWorld()})
}

// start serves opt on a loopback address until the test ends.
func start(t testing.TB, opt Options) (*Server, string) {
	t.Helper()
	if opt.Chain == nil {
		opt.Chain = worldChain()
	}
	s, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go s.ServeConn(conn)
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		s.Shutdown(ctx)
	})
	return s, ln.Addr().String()
}

func dial(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.TCPConn)
}

// exchange sends input, ends it if half is set, and reads the reply to its end.
func exchange(t testing.TB, addr, input string, half bool) string {
	t.Helper()
	conn := dial(t, addr)
	defer conn.Close()
	if _, err := io.WriteString(conn, input); err != nil {
		t.Fatal(err)
	}
	if half {
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	b, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("%.60q: %v after %.200q", input, err, b)
	}
	return string(b)
}

// ask is a query of one line that ends as RFC 3912 says.
func ask(t testing.TB, addr, query string) string { return exchange(t, addr, query+"\r\n", false) }

func unixLines(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }
