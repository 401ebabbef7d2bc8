package layer4whois

import (
	"net"
	"time"
)

// A TCP connection that is closed while input is unread is reset, and the reset may overtake the answer and take it from the
// client. Where input may be unread the server ends its side only, and reads on for a little while.
const (
	lingerTime  = 2 * time.Second
	lingerBytes = 256 << 10
	maxLinger   = 256 // connections that linger at the same time; one more is closed at once
)

// close ends a connection after its last answer. The usual case, that the line's end was the last the client sent, needs no
// lingering: this is seen without waiting for the client's own end, which would cost as much as the query.
func (c *session) close() {
	if c.in.eof {
		return
	}
	if t := tcpConn(c.conn); t != nil && c.in.drained() && unread(t) == 0 {
		return
	}
	c.linger()
}

// linger ends the sending side and reads until the client ends its own, or a bound is met. The caller closes.
func (c *session) linger() {
	s := c.srv
	if s.lingering.Add(1) > maxLinger {
		s.lingering.Add(-1)
		return
	}
	defer s.lingering.Add(-1)
	var half interface{ CloseWrite() error }
	if h, ok := c.conn.(interface{ CloseWrite() error }); ok {
		half = h
	} else if t := tcpConn(c.conn); t != nil {
		half = t
	}
	if half == nil || half.CloseWrite() != nil {
		return
	}
	c.deadline(net.Conn.SetReadDeadline, lingerTime)
	for total := 0; total < lingerBytes; {
		n, err := c.conn.Read(c.in.buf)
		if err != nil {
			return
		}
		total += n
	}
}

// tcpConn is the TCP connection behind conn, nil where there is none or it must not be gone past. A connection of the PROXY
// protocol hands it out.
func tcpConn(conn net.Conn) *net.TCPConn {
	switch c := conn.(type) {
	case *net.TCPConn:
		return c
	case interface{ TCPConn() (*net.TCPConn, bool) }:
		t, _ := c.TCPConn()
		return t
	}
	return nil
}
