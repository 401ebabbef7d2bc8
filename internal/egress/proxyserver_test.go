package egress

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// testProxy is a proxy that leads everywhere to one backend. It speaks SOCKS5 or HTTP, whichever it is spoken to in.
type testProxy struct {
	backend        string
	user, password string // empty: no authentication
	hang           bool   // takes connections, and never says anything
	refuse         bool   // says that it may not
	garbage        string // is all that it says
	early          string // what the backend says in one packet with the proxy's own answer

	mu      sync.Mutex
	targets []string
}

func (p *testProxy) start(t *testing.T) string { return listen(t, p.serve) }

func (p *testProxy) startTLS(t *testing.T, cert tls.Certificate) string {
	return listen(t, func(conn net.Conn) {
		c := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}})
		defer c.Close()
		p.serve(c)
	})
}

func (p *testProxy) asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.targets
}

func (p *testProxy) serve(conn net.Conn) {
	r := bufio.NewReader(conn)
	if p.hang {
		io.Copy(io.Discard, r)
		return
	}
	first, err := r.Peek(1)
	if err != nil {
		return
	}
	if p.garbage != "" {
		io.WriteString(conn, p.garbage)
		return
	}
	if first[0] == 5 {
		p.serveSOCKS(conn, r)
	} else {
		p.serveHTTP(conn, r)
	}
}

func (p *testProxy) serveHTTP(conn net.Conn, r *bufio.Reader) {
	req, err := http.ReadRequest(r)
	if err != nil || req.Method != http.MethodConnect {
		io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
		return
	}
	token := strings.TrimPrefix(req.Header.Get("Proxy-Authorization"), "Basic ")
	if got, _ := base64.StdEncoding.DecodeString(token); p.user != "" && string(got) != p.user+":"+p.password {
		io.WriteString(conn, "HTTP/1.1 407 "+string(got)+"\r\nX-Sent: "+string(got)+"\r\n\r\n")
		return
	}
	p.note(req.RequestURI)
	if p.refuse {
		io.WriteString(conn, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
		return
	}
	p.pass(conn, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 Connection established\r\nContent-Length: 0\r\n\r\n"+p.early)
}

// serveSOCKS is RFC 1928 and RFC 1929 as far as CONNECT goes.
func (p *testProxy) serveSOCKS(conn net.Conn, r *bufio.Reader) {
	head := make([]byte, 2)
	io.ReadFull(r, head)
	methods := make([]byte, head[1])
	io.ReadFull(r, methods)
	if p.user != "" {
		if !strings.Contains(string(methods), "\x02") {
			conn.Write([]byte{5, 0xff})
			return
		}
		conn.Write([]byte{5, 2})
		r.ReadByte()
		user, password := readShort(r), readShort(r)
		if user != p.user || password != p.password {
			conn.Write([]byte{1, 1})
			return
		}
		conn.Write([]byte{1, 0})
	} else {
		conn.Write([]byte{5, 0})
	}
	request := make([]byte, 4)
	if _, err := io.ReadFull(r, request); err != nil {
		return
	}
	host := ""
	switch request[3] {
	case 1:
		var b [4]byte
		io.ReadFull(r, b[:])
		host = netip.AddrFrom4(b).String()
	case 3:
		host = readShort(r)
	case 4:
		var b [16]byte
		io.ReadFull(r, b[:])
		host = netip.AddrFrom16(b).String()
	}
	var port [2]byte
	io.ReadFull(r, port[:])
	p.note(net.JoinHostPort(host, strconv.Itoa(int(binary.BigEndian.Uint16(port[:])))))
	if p.refuse {
		conn.Write([]byte{5, 2, 0, 1, 0, 0, 0, 0, 0, 0}) // not allowed by ruleset
		return
	}
	p.pass(conn, "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
}

func readShort(r *bufio.Reader) string {
	n, _ := r.ReadByte()
	b := make([]byte, n)
	io.ReadFull(r, b)
	return string(b)
}

func (p *testProxy) note(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.targets = append(p.targets, target)
}

// pass answers, and then is the backend.
func (p *testProxy) pass(conn net.Conn, answer string) {
	io.WriteString(conn, answer)
	to, err := net.Dial("tcp", p.backend)
	if err != nil {
		return
	}
	defer to.Close()
	io.Copy(conn, to)
}
