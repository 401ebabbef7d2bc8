package layer4whois

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// checkReply holds what goes out against what every reply promises: whole lines of clean UTF-8.
func checkReply(t testing.TB, in, out []byte) {
	t.Helper()
	if len(out) > 0 && out[len(out)-1] != '\n' {
		t.Fatalf("%q: the reply does not end its line: %q", in, out)
	}
	if !utf8.Valid(out) {
		t.Fatalf("%q: the reply is not UTF-8: %q", in, out)
	}
	for i, c := range out {
		if c < ' ' && c != '\n' && c != '\t' && !(c == '\r' && i+1 < len(out) && out[i+1] == '\n') || c == 0x7f {
			t.Fatalf("%q: a control character in the reply: %q", in, out)
		}
	}
}

// serveBytes has the server serve input that ends, and returns what it sent.
func serveBytes(s *Server, in []byte) []byte {
	c := &script{in: bytes.NewReader(in)}
	s.ServeConn(c)
	return c.out.Bytes()
}

// script is a connection that sends fixed input and takes all output.
type script struct {
	in  *bytes.Reader
	out bytes.Buffer
}

func (c *script) Read(b []byte) (int, error)       { return c.in.Read(b) }
func (c *script) Write(b []byte) (int, error)      { return c.out.Write(b) }
func (c *script) Close() error                     { return nil }
func (c *script) LocalAddr() net.Addr              { return nil }
func (c *script) RemoteAddr() net.Addr             { return nil }
func (c *script) SetDeadline(time.Time) error      { return nil }
func (c *script) SetReadDeadline(time.Time) error  { return nil }
func (c *script) SetWriteDeadline(time.Time) error { return nil }

func TestRandomBytes(t *testing.T) {
	logs, seen := observer.New(zap.ErrorLevel)
	s, err := New(Options{Chain: worldChain(), Logger: zap.New(logs)})
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	words := []string{"begin", "end", "-v ", "-k ", "--json ", "8.8.8.8", "\r\n", "\n", "\r", "\x00", "\xff\xfa", "\xff\xf0", "verbose", "json"}
	for range 10_000 {
		var in []byte
		for n := r.IntN(40); n > 0; n-- {
			if r.IntN(3) > 0 {
				in = append(in, words[r.IntN(len(words))]...)
			} else {
				for range r.IntN(60) {
					in = append(in, byte(r.Uint32()))
				}
			}
		}
		checkReply(t, in, serveBytes(s, in))
	}
	if seen.Len() > 0 {
		t.Errorf("panics: %v", seen.All()[0])
	}
}

// The same over TCP, where every client must hear an answer, or the end, and the server must go on.
func TestRandomBytesTCP(t *testing.T) {
	_, addr := start(t, Options{MaxConnsPerClient: -1, FirstLine: 200 * time.Millisecond, Idle: 200 * time.Millisecond})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(3, uint64(w)))
			for range 100 {
				in := make([]byte, r.IntN(3000))
				for i := range in {
					in[i] = byte(r.Uint32())
				}
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					t.Error(err)
					return
				}
				conn.SetDeadline(time.Now().Add(10 * time.Second))
				conn.Write(in)
				conn.(*net.TCPConn).CloseWrite()
				if out, err := io.ReadAll(conn); err != nil {
					t.Errorf("%.100q: %v", in, err)
				} else {
					checkReply(t, in, out)
				}
				conn.Close()
			}
		})
	}
	wg.Wait()
	if got := ask(t, addr, "8.8.8.8"); got != articleAnswer {
		t.Errorf("afterwards: %q", got)
	}
}

// waitFor waits until cond holds.
func waitFor(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

func TestIdleConnections(t *testing.T) {
	s, addr := start(t, Options{MaxConnsPerClient: -1})
	before, routines := heap(), runtime.NumGoroutine()
	const n = 1000
	for range n {
		io.WriteString(dial(t, addr), "8.8")
	}
	waitFor(t, "1,000 open connections", func() bool { return s.State().Open() == n })
	for range 100 {
		if got := ask(t, addr, "8.8.8.8"); got != articleAnswer {
			t.Fatalf("beside them: %q", got)
		}
	}
	if each := (int64(heap()) - int64(before)) / n; each > 24<<10 { // both ends are in this process
		t.Errorf("%d bytes for each idle connection", each)
	}
	if got := runtime.NumGoroutine() - routines; got > n+50 {
		t.Errorf("%d goroutines", got)
	}
	for range 24 { // up to the limit in all
		dial(t, addr)
	}
	waitFor(t, "the limit", func() bool { return s.State().Open() == 1024 })
	if got := ask(t, addr, "8.8.8.8"); got != "%ERROR:306: too many connections\r\n" {
		t.Errorf("one more: %q", got)
	}
}

// A bulk client that sends and never reads costs bounded memory, and its connection in the end.
func TestNeverReads(t *testing.T) {
	done := make(chan Access, 1)
	_, addr := start(t, Options{Write: 200 * time.Millisecond, Access: func(a *Access) { done <- *a }})
	before := heap()
	conn := dial(t, addr)
	conn.SetReadBuffer(4096)
	go func() {
		lines := []byte(strings.Repeat("8.8.8.8\n", 8192))
		io.WriteString(conn, "begin\nlines\n")
		for {
			if _, err := conn.Write(lines); err != nil {
				return
			}
		}
	}()
	select {
	case a := <-done:
		if a.Outcome != Bulk || a.Lines == 0 {
			t.Errorf("%+v", a)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the connection outlives the write timeout")
	}
	if grown := int64(heap()) - int64(before); grown > 8<<20 {
		t.Errorf("%d bytes more than before", grown)
	}
}

// Answers arrive whole although the client goes on sending: closing must not reset the connection.
func TestCloseKeepsTheReply(t *testing.T) {
	_, addr := start(t, Options{MaxConnsPerClient: -1})
	_, denied := start(t, Options{Deny: []netip.Prefix{prefix("127.0.0.0/8")}})
	for i := range 200 {
		for name, tt := range map[string]struct{ addr, in, want string }{
			"more lines": {addr, "8.8.8.8\r\n" + strings.Repeat("x\r\n", i*10), articleAnswer},
			"refused":    {denied, "8.8.8.8\r\n" + strings.Repeat("x", i*10), "%ERROR:201: access denied: for 127.0.0.1\r\n"},
			"CR":         {addr, "8.8.8.8\r", articleAnswer},
		} {
			conn := dial(t, tt.addr)
			io.WriteString(conn, tt.in)
			if name == "CR" {
				time.Sleep(time.Duration(i) * 10 * time.Microsecond)
				io.WriteString(conn, "\n")
			}
			if got, err := io.ReadAll(conn); string(got) != tt.want || err != nil {
				t.Fatalf("%s, %d: %q, %v", name, i, got, err)
			}
			conn.Close()
		}
	}
}

func FuzzServe(f *testing.F) {
	for _, s := range []string{"8.8.8.8\r\n", "begin\nverbose\n8.8.8.8\nend\n", "-k\r8.8.8.8\r\x00-k\r", "\xff\xfa\x1f\xff\xf0x\n", "\x16\x03",
		"GET / HTTP/1.0\n", "begin\njson\nexample.org\n\xff", "--json -k 8.8.8.0/23\n\n"} {
		f.Add([]byte(s), uint16(3))
	}
	logs, seen := observer.New(zap.ErrorLevel)
	s, err := New(Options{Chain: worldChain(), Logger: zap.New(logs)})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in []byte, size uint16) {
		whole := serveBytes(s, in)
		checkReply(t, in, whole)
		seen.TakeAll() // 192.0.2.66 is known to panic
		c := &pieces{script: script{in: bytes.NewReader(in)}, size: int(size%64) + 1}
		s.ServeConn(c)
		if a, b := undated(whole), undated(c.out.Bytes()); !bytes.Equal(a, b) && !bytes.Contains(a, []byte("%ERROR:115: invalid search key: this is")) {
			t.Errorf("%q: in one piece\n%q\nin pieces of %d\n%q", in, a, c.size, b)
		}
	})
}

// undated is a reply without the time in the greeting.
func undated(b []byte) []byte {
	if i, j := bytes.Index(b, []byte(" [")), bytes.Index(b, []byte("]\n")); bytes.HasPrefix(b, []byte("Bulk mode; ")) && i > 0 && j > i {
		return append(bytes.Clone(b[:i]), b[j:]...)
	}
	return b
}

// pieces is a script that is read in small pieces.
type pieces struct {
	script
	size int
}

func (p *pieces) Read(b []byte) (int, error) { return p.in.Read(b[:min(len(b), p.size)]) }
