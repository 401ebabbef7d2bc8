package stream

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/whence-project/whence/dotforward"
)

// echo answers with the query itself: what is left is the cost of the connection.
func echo(msg []byte, _ netip.AddrPort, _ dotforward.Transport, respond func([]byte)) { respond(msg) }

// BenchmarkPipeline is a query on a connection that has n of them under way: the costs of server and client together.
func BenchmarkPipeline(b *testing.B) {
	for _, bb := range []struct {
		name string
		n    int
		tls  bool
		h    Handler
	}{
		{"tcp/1", 1, false, echo},
		{"tcp/32", 32, false, echo},
		{"tls/1", 1, true, echo},
		{"tls/32", 32, true, echo},
		{"later/32", 32, false, func(_ []byte, _ netip.AddrPort, _ dotforward.Transport, respond func([]byte)) { late <- respond }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			start := serve
			if bb.tls {
				start = serveTLS
			}
			_, addr := start(b, Options{Handler: bb.h})
			var c net.Conn = dial(b, addr)
			if bb.tls {
				c = tls.Client(c, clientTLS("dot"))
			}
			var out []byte
			for range bb.n {
				out = append(out, query(1, false)...)
			}
			in, back := bufio.NewReader(c), make([]byte, len(out))
			b.ReportAllocs()
			for i := 0; i < b.N; i += bb.n {
				if _, err := c.Write(out); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(in, back); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// late are queries that another goroutine answers, as a connection to an upstream server does.
var late = func() chan func([]byte) {
	ch, reply := make(chan func([]byte), 1024), query(1, false)[prefixLen:]
	go func() {
		for respond := range ch {
			respond(reply)
		}
	}()
	return ch
}()

// BenchmarkDoH is the handler, without the server around it.
func BenchmarkDoH(b *testing.B) {
	reply := answerTo(query(0, true)[2:])
	h := NewDoH(DoHOptions{Handler: func(_ []byte, _ netip.AddrPort, _ dotforward.Transport, respond func([]byte)) { respond(reply) }})
	r := httptest.NewRequest("GET", "/dns-query?dns="+encoded(query(0, true)[2:]), nil)
	w := &sink{h: make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}

type sink struct{ h http.Header }

func (s *sink) Header() http.Header         { return s.h }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(int)             {}
