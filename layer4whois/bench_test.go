package layer4whois

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
)

// loop is a connection in memory that sends the same input again and again, n bytes in all, in reads of any size.
type loop struct {
	head, body string
	at, n      int
	wrote      int
}

func (l *loop) Read(b []byte) (n int, err error) {
	if l.head != "" {
		n = copy(b, l.head)
		l.head = l.head[n:]
		return n, nil
	}
	if l.n <= 0 {
		return 0, io.EOF
	}
	for n < len(b) && l.n > 0 {
		m := copy(b[n:min(len(b), n+l.n)], l.body[l.at:])
		l.at = (l.at + m) % len(l.body)
		l.n -= m
		n += m
	}
	return n, nil
}

func (l *loop) Write(b []byte) (int, error)      { l.wrote += len(b); return len(b), nil }
func (l *loop) Close() error                     { return nil }
func (l *loop) LocalAddr() net.Addr              { return nil }
func (l *loop) RemoteAddr() net.Addr             { return benchAddr }
func (l *loop) SetDeadline(time.Time) error      { return nil }
func (l *loop) SetReadDeadline(time.Time) error  { return nil }
func (l *loop) SetWriteDeadline(time.Time) error { return nil }

var benchAddr = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1043}

// one is a source that knows one record, so that the bench measures the door.
type one struct{ f *enrich.Fragment }

func (o one) Add(_ *enrich.Query, r *enrich.Record) enrich.Verdict {
	r.Attach(o.f, benchNet)
	return enrich.Next
}

var benchNet = prefix("8.8.8.0/24")

func benchServer(b *testing.B) *Server {
	s, err := New(Options{Chain: enrich.NewChain("", enrich.Link{Name: "mmdb", Source: one{newWorld().parts[0]}})})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkQuery is what one query costs beside the kernel: admitted, read, parsed, looked up, answered, closed.
func BenchmarkQuery(b *testing.B) {
	for _, q := range []string{"8.8.8.8", "-v 8.8.8.8", "--json 8.8.8.8", "-V Md5.6.6 2001:db8::1"} {
		b.Run(q, func(b *testing.B) {
			s, c := benchServer(b), &loop{}
			line := q + "\r\n"
			b.ReportAllocs()
			for b.Loop() {
				*c = loop{head: line}
				s.ServeConn(c)
			}
		})
	}
}

// BenchmarkBulkLine is what one line of a bulk query costs beside the kernel.
func BenchmarkBulkLine(b *testing.B) {
	var lines strings.Builder
	for i := range 4096 {
		fmt.Fprintf(&lines, "8.8.%d.%d\n", i%200, i%256)
	}
	for _, form := range []string{"verbose", "noheader", "lines", "json"} {
		b.Run(form, func(b *testing.B) {
			s := benchServer(b)
			per := float64(lines.Len()) / 4096
			c := &loop{head: "begin\n" + form + "\n", body: lines.String(), n: int(per * float64(b.N))}
			b.ReportAllocs()
			b.ResetTimer()
			s.ServeConn(c)
		})
	}
}
