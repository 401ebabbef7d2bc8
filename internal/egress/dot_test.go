package egress

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// dotServer answers DNS over TLS on loopback: what it knows, and NXDOMAIN for the rest; or a failure for everything.
func dotServer(t *testing.T, cert tls.Certificate, zone map[string]string, fails bool, asked *atomic.Int32) netip.AddrPort {
	address := listen(t, func(raw net.Conn) {
		conn := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{cert}})
		defer conn.Close()
		for {
			var size [2]byte
			if _, err := io.ReadFull(conn, size[:]); err != nil {
				return
			}
			b := make([]byte, binary.BigEndian.Uint16(size[:]))
			if _, err := io.ReadFull(conn, b); err != nil {
				return
			}
			var m dnsmessage.Message
			if err := m.Unpack(b); err != nil || len(m.Questions) != 1 {
				return
			}
			asked.Add(1)
			b, err := dnsAnswer(m, zone, fails).Pack()
			if err != nil {
				return
			}
			conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
		}
	})
	return netip.MustParseAddrPort(address)
}

func dnsAnswer(m dnsmessage.Message, zone map[string]string, fails bool) *dnsmessage.Message {
	q := m.Questions[0]
	answer := &dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}, Questions: m.Questions}
	a, known := zone[q.Name.String()]
	switch {
	case fails:
		answer.RCode = dnsmessage.RCodeServerFailure
	case !known:
		answer.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA:
		answer.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 300},
			Body:   &dnsmessage.AResource{A: netip.MustParseAddr(a).As4()},
		}}
	}
	return answer
}

func TestDoTResolver(t *testing.T) {
	cert, roots := certificate(t)
	zone := map[string]string{"whois.example.org.": "192.0.2.43"}
	var good, bad atomic.Int32
	works := DoTServer{Addr: dotServer(t, cert, zone, false, &good)} // the certificate has the address
	named := DoTServer{Addr: works.Addr, Name: "example.com"}        // and this name
	fails := DoTServer{Addr: dotServer(t, cert, nil, true, &bad)}
	stranger := DoTServer{Addr: works.Addr, Name: "dns.test"}
	down := DoTServer{Addr: netip.MustParseAddrPort(closedPort(t))}
	want := []netip.Addr{netip.MustParseAddr("192.0.2.43")}
	for _, tt := range []struct {
		name    string
		servers []DoTServer
		host    string
		ok      bool
	}{
		{"works", []DoTServer{works}, "whois.example.org", true},
		{"by name", []DoTServer{named}, "whois.example.org", true},
		{"first fails", []DoTServer{fails, works}, "whois.example.org", true},
		{"first is down", []DoTServer{down, works}, "whois.example.org", true},
		{"first is somebody else", []DoTServer{stranger, works}, "whois.example.org", true},
		{"somebody else", []DoTServer{stranger}, "whois.example.org", false},
		{"fails", []DoTServer{fails}, "whois.example.org", false},
		{"no server", nil, "whois.example.org", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lookup := NewDoTResolver(roots, tt.servers...)
			for range 2 {
				got, err := lookup(t.Context(), tt.host)
				var dns *net.DNSError
				if tt.ok && (err != nil || !slices.Equal(got, want)) || !tt.ok && (!errors.As(err, &dns) || dns.IsNotFound) {
					t.Fatalf("%v, %v", got, err)
				}
			}
		})
	}
}

// TestDoTAbsent is that the next server is not asked about what the first says there is not, and that answers are kept.
func TestDoTAbsent(t *testing.T) {
	cert, roots := certificate(t)
	var first, second atomic.Int32
	lookup := NewDoTResolver(roots,
		DoTServer{Addr: dotServer(t, cert, map[string]string{"a.example.org.": "192.0.2.1"}, false, &first)},
		DoTServer{Addr: dotServer(t, cert, map[string]string{"b.example.org.": "192.0.2.2"}, false, &second)})
	var dns *net.DNSError
	if _, err := lookup(t.Context(), "b.example.org"); !errors.As(err, &dns) || !dns.IsNotFound || second.Load() != 0 {
		t.Errorf("%v, the second server was asked %d times", err, second.Load())
	}
	before := first.Load()
	for range 5 {
		if _, err := lookup(t.Context(), "a.example.org"); err != nil {
			t.Fatal(err)
		}
	}
	if n := first.Load() - before; n != 2 { // A and AAAA
		t.Errorf("asked %d times", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lookup(ctx, "c.example.org"); err == nil {
		t.Error("cancelled, and yet an answer")
	}
}
