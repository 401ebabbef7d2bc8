// Package whoisclient asks WHOIS servers (RFC 3912): one query, one reply, with a deadline, a size and a charset.
//
// What a reply means is not its business (see whoisreply), except where the reply names the server to ask next.
package whoisclient

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"time"
)

// What a Client does where it is not told otherwise.
const (
	DefaultMaxReply = 1 << 20
	DefaultIdle     = 10 * time.Second
)

// Client asks WHOIS servers. It is safe for concurrent use as long as its fields are not changed.
type Client struct {
	// Dial connects; it must be set. It decides which addresses may be asked (package egress).
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// MaxReply is how many bytes of a reply are read; the rest is left, and the reply is Truncated. 0: DefaultMaxReply.
	MaxReply int
	// Idle is how long a server may let wait for its next bytes. The whole is bounded by the context. 0: DefaultIdle.
	Idle time.Duration
}

// Reply is what a server said.
type Reply struct {
	Text      string // in UTF-8, line ends as they came; of at most MaxReply bytes before it was decoded
	Truncated bool   // there was more than MaxReply
	Charset   string // what Text was decoded from: "utf-8" (and ASCII), "iso-2022-jp", "windows-1252"…
	Remote    string // "address:port" that was asked, a proxy's where one was between
}

// Ask sends the server's query for name (a domain in A-labels or U-labels, an address, an AS number) and reads its reply to the
// end. The error is an [*Error]. If there is one and Text is not empty, the reply broke off: it may tell that the server
// throttles, but what it does not say means nothing.
func (c *Client) Ask(ctx context.Context, s Server, name string) (Reply, error) {
	query, err := s.line(name)
	if err != nil {
		return Reply{}, &Error{s.String(), Invalid, err}
	}
	conn, err := c.Dial(ctx, "tcp", s.Addr())
	if err != nil {
		return Reply{}, &Error{s.String(), dialStage(err), err}
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	reply := Reply{Remote: conn.RemoteAddr().String()}
	if err := c.write(ctx, conn, query); err != nil {
		// The server may have said why it hangs up before it was asked.
		raw, _, _ := c.read(ctx, conn)
		reply.Text, reply.Charset = decode(raw, s.Charset, true)
		return reply, &Error{s.String(), stageOf(err, Write), err}
	}
	raw, truncated, err := c.read(ctx, conn)
	reply.Truncated = truncated
	reply.Text, reply.Charset = decode(raw, s.Charset, truncated || err != nil)
	switch {
	case err != nil:
		return reply, &Error{s.String(), stageOf(err, Read), err}
	case strings.Trim(reply.Text, " \t\r\n\x00") == "":
		return reply, &Error{s.String(), Empty, errors.New("the server closed the connection without a reply")}
	}
	return reply, nil
}

func (c *Client) idle() time.Duration {
	if c.Idle > 0 {
		return c.Idle
	}
	return DefaultIdle
}

func (c *Client) write(ctx context.Context, conn net.Conn, query string) error {
	if err := patience(ctx, conn, c.idle()); err != nil {
		return err
	}
	_, err := io.WriteString(conn, query)
	return ended(ctx, err)
}

// read reads to the end of the reply, or to its permitted size. What was read before an error is returned with it.
func (c *Client) read(ctx context.Context, conn net.Conn) (raw []byte, truncated bool, err error) {
	most := c.MaxReply
	if most <= 0 {
		most = DefaultMaxReply
	}
	raw = make([]byte, 0, min(4096, most+1))
	for {
		if err := patience(ctx, conn, c.idle()); err != nil {
			return raw, false, err
		}
		n, err := conn.Read(raw[len(raw):cap(raw)])
		raw = raw[:len(raw)+n]
		switch {
		case len(raw) > most:
			return raw[:most], true, nil
		case err == io.EOF:
			return raw, false, nil
		case err != nil:
			return raw, false, ended(ctx, err)
		}
		if len(raw) == cap(raw) {
			grown := make([]byte, len(raw), min(2*cap(raw), most+1))
			copy(grown, raw)
			raw = grown
		}
	}
}

// patience lets the next read or write take so long. The deadline comes first, the look at the context after it: else the end of
// the context between the two, which sets a deadline in the past, would be forgotten.
func patience(ctx context.Context, conn net.Conn, idle time.Duration) error {
	if err := conn.SetDeadline(time.Now().Add(idle)); err != nil {
		return err
	}
	return ctx.Err()
}

// ended is err, or why the context ended if that is what made err.
func ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
