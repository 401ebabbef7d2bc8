package egress

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	maxConnectReply = 16 << 10 // bytes of a proxy's reply to CONNECT
	maxInformal     = 5        // replies of 1xx before the one that counts
)

// connectHTTP has an HTTP proxy at the other end of conn connect to target (RFC 9110 §9.3.6). Its errors quote nothing that the
// proxy sent, which may be what was sent to it, password and all.
func connectHTTP(ctx context.Context, conn net.Conn, u *url.URL, target string) (net.Conn, error) {
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	tunnel, err := exchangeConnect(conn, u, target)
	if !stop() { // the deadline in the past is, or will be, set
		return nil, &net.OpError{Op: "CONNECT", Net: "tcp", Err: ctx.Err()}
	}
	return tunnel, err
}

func exchangeConnect(conn net.Conn, u *url.URL, target string) (net.Conn, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n", target)
	if u.User != nil {
		password, _ := u.User.Password()
		token := base64.StdEncoding.EncodeToString([]byte(u.User.Username() + ":" + password))
		fmt.Fprintf(&b, "Proxy-Authorization: Basic %s\r\n", token)
	}
	b.WriteString("\r\n")
	if _, err := io.WriteString(conn, b.String()); err != nil {
		return nil, err
	}
	r := bufio.NewReader(&io.LimitedReader{R: conn, N: maxConnectReply})
	for range maxInformal {
		reply, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
		if err != nil {
			var network net.Error
			if errors.As(err, &network) {
				return nil, err
			}
			return nil, errors.New("no answer that HTTP knows")
		}
		switch {
		case reply.StatusCode == http.StatusSwitchingProtocols || reply.StatusCode >= 300:
			return nil, fmt.Errorf("answered %d %s", reply.StatusCode, http.StatusText(reply.StatusCode))
		case reply.StatusCode >= 200:
			if r.Buffered() == 0 {
				return conn, nil
			}
			early, _ := r.Peek(r.Buffered())
			return &earlyConn{conn, strings.NewReader(string(early))}, nil
		}
	}
	return nil, errors.New("does not come to an answer")
}

// earlyConn is a connection whose peer spoke before it was asked: its first bytes came with the proxy's reply.
type earlyConn struct {
	net.Conn
	early *strings.Reader
}

func (c *earlyConn) Read(b []byte) (int, error) {
	if c.early.Len() > 0 {
		return c.early.Read(b)
	}
	return c.Conn.Read(b)
}
