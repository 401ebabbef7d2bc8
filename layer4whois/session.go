package layer4whois

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich"
)

// session is one connection, and what is used again for the next: buffers, a record.
type session struct {
	srv     *Server
	conn    net.Conn
	client  netip.AddrPort
	network netip.Addr // what the connection counts for
	counted bool
	since   time.Time // when the client came, then when its line was complete
	opened  time.Time // by the system's clock
	in      lineReader
	out     []byte
	rec     enrich.Record
	asked   query // what the line asks for; here since what goes to a Dialect would be allocated
	query   enrich.Query
	columns cymru // of the query that is answered now
	access  Access

	// Guarded by the server's mutex:
	prev, next *session
	idle       bool // waits for one more line of a persistent connection
	cut        bool // Shutdown's time was up
}

func newSession(s *Server) *session {
	return &session{srv: s, in: lineReader{buf: make([]byte, lineBuffer)}, out: make([]byte, 0, 1024)}
}

// What a session may keep for the next one; bulk queries need more, and give it back.
const keepBuffer = 16 << 10

func (c *session) begin(conn net.Conn) {
	c.conn, c.counted, c.idle, c.cut = conn, false, false, false
	c.out = c.out[:0]
	c.in.reset(conn)
	c.opened = time.Now()
	c.srv.enter(c)
	// One deadline serves for the line and for an answer that the socket's buffer takes whole: setting it costs as much as a
	// lookup. It comes before RemoteAddr, which reads from the connection where the PROXY protocol is spoken.
	c.deadline(net.Conn.SetDeadline, c.srv.opt.FirstLine)
	c.client = addrPort(conn.RemoteAddr())
	c.since = c.srv.opt.Now()
}

// end gives everything back, and sees to it that no panic of a source takes the server down.
func (c *session) end() {
	if p := recover(); p != nil {
		c.srv.opt.Logger.Error("a query panicked", zap.Any("panic", p), zap.Stringer("subject", c.query.Subject),
			zap.ByteString("stack", debug.Stack()))
		c.sayAndClose(&errInternal, Access{Subject: c.query.Subject, Outcome: Failed}, "")
	}
	c.conn.Close()
	c.srv.leave(c)
	if c.counted {
		c.srv.opt.State.conns.Release(c.network)
	}
	c.conn, c.in.conn = nil, nil
	if len(c.in.buf) > keepBuffer || cap(c.out) > keepBuffer {
		return
	}
	c.srv.sessions.Put(c)
}

// deadline sets a deadline of the connection, d from now and not after the end of its time in all. Once the server has cut the
// connection off, it stays so.
func (c *session) deadline(set func(net.Conn, time.Time) error, d time.Duration) {
	t := time.Now().Add(d)
	if last := c.opened.Add(c.srv.opt.Total); t.After(last) {
		t = last
	}
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	if c.cut {
		t = longAgo
	}
	set(c.conn, t)
}

// serve reads the first line and what may follow it, and answers.
func (c *session) serve() {
	if e := c.srv.admit(c); e != nil {
		c.sayAndClose(e, Access{Outcome: Refused}, "")
		return
	}
	for first := true; ; first = false {
		line, err := c.line(first)
		if err != nil {
			c.fail(err, first)
			return
		}
		if c.srv.opt.Access != nil {
			c.since = c.srv.opt.Now()
		}
		more := c.answer(line, first)
		if !more || !c.await() {
			break
		}
	}
	c.close()
}

var (
	errTLS  = errors.New("TLS")
	errHTTP = errors.New("HTTP")
)

// line is the next line, read by the deadline that is set. A TLS hello (RFC 8446 §4.1.2) is told by its first two bytes: there
// may be no line end in it.
func (c *session) line(first bool) ([]byte, error) {
	for {
		line, ok, err := c.in.next()
		if err != nil || ok {
			if ok && first && isHTTP(line) {
				return nil, errHTTP
			}
			return line, err
		}
		if c.in.eof {
			return nil, io.EOF
		}
		if err := c.in.fill(); err != nil {
			return nil, err
		}
		if b := c.in.buf; first && c.in.w >= 2 && b[0] == 0x16 && b[1] == 3 {
			return nil, errTLS
		}
	}
}

// isHTTP reports that a line is an HTTP request line, "GET / HTTP/1.1", or begins a connection of HTTP/2 (RFC 9113 §3.4).
func isHTTP(line []byte) bool {
	n := len(line) - len("HTTP/1.1")
	return n > 0 && line[n-1] == ' ' && string(line[n:n+5]) == "HTTP/"
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

// fail ends a connection on which no line came.
func (c *session) fail(err error, first bool) {
	switch {
	case errors.Is(err, errLineTooLong):
		c.sayAndClose(&errLineLong, Access{Outcome: Failed}, "")
	case errors.Is(err, errTLS):
		c.sayAndClose(errKey.with("this is a WHOIS server (RFC 3912) without TLS", 0), Access{Outcome: Failed}, "")
	case errors.Is(err, errHTTP):
		c.sayAndClose(errKey.with("this is a WHOIS server (RFC 3912), not HTTP", 0), Access{Outcome: Failed}, "")
	case errors.Is(err, os.ErrDeadlineExceeded) && !c.isIdle():
		c.sayAndClose(&errTimeout, Access{Outcome: Timeout}, "")
	case isEOF(err) && first && c.in.drained():
		// Opened and closed without a word: a port that is checked, not a query.
	}
}

func (c *session) isIdle() bool {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	return c.idle && (c.cut || c.srv.closing)
}

// sayAndClose answers with an error outside of any dialect, and ends the connection. Input that was never read is likely, so
// that it lingers.
func (c *session) sayAndClose(e *Error, a Access, query string) {
	c.out = Lines.AppendError(c.out[:0], e)
	c.deadline(net.Conn.SetWriteDeadline, min(c.srv.opt.Write, lingerTime))
	a.Dialect, a.Error, a.Bytes = c.srv.opt.Dialect.Name(), e.Code, c.flush()
	c.report(a, query)
	c.linger()
}

// await prepares for one more line of a persistent connection. It returns false where the server is shutting down.
func (c *session) await() bool {
	if c.in.eof && c.in.r == c.in.w {
		return false
	}
	c.deadline(net.Conn.SetDeadline, c.srv.opt.Idle)
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	if c.srv.closing {
		return false
	}
	c.idle = true
	return true
}

// directWrite is the size up to which an answer fits the buffer of a new connection's socket, so that writing it cannot block.
const directWrite = 16 << 10

// reply sends what was answered to a single line.
func (c *session) reply() int {
	if len(c.out) > directWrite || time.Since(c.opened) > c.srv.opt.FirstLine/2 {
		c.deadline(net.Conn.SetWriteDeadline, c.srv.opt.Write)
	}
	return c.flush()
}

// flush writes all output and returns how many bytes the system took.
func (c *session) flush() int {
	n, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	if err != nil {
		c.in.eof = true // nobody listens: read no further line
		c.in.r = c.in.w
	}
	return n
}

// addrPort is the address of a TCP client, IPv4-mapped ones unmapped; the zero AddrPort for anything else.
func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		p := t.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	if a == nil {
		return netip.AddrPort{}
	}
	p, err := netip.ParseAddrPort(strings.TrimSpace(a.String()))
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}
