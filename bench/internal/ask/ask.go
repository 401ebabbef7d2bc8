// Package ask is the HTTP client of the benchmarks: bare connections that are kept alive. It takes as little as can be of the
// processors that it shares with the server.
package ask

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// patience is how long a connection is used at most, so that a server that hangs ends the benchmark, not the day.
const patience = 15 * time.Minute

// maxBody is the length of a body that [Conn.Get] takes.
const maxBody = 1 << 16

// Conn is a connection that is kept alive. It is for one goroutine.
type Conn struct {
	c   *net.TCPConn
	in  *bufio.Reader
	buf []byte
}

// Dial connects.
func Dial(addr netip.AddrPort) (*Conn, error) {
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(addr))
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	return &Conn{c: c, in: bufio.NewReader(c)}, nil
}

// Close closes the connection.
func (c *Conn) Close() error { return c.c.Close() }

var okStatus, contentLength = []byte("HTTP/1.1 200 "), []byte("Content-Length: ")

// Get returns the body of the answer about a path, valid until the next one. Any answer but 200 with a length is an error.
func (c *Conn) Get(path string) ([]byte, error) { return c.GetFor("", path) }

// GetFor is Get as a proxy makes it for a client, if one is given.
func (c *Conn) GetFor(client, path string) ([]byte, error) {
	if err := c.send(client, path); err != nil {
		return nil, err
	}
	return c.receive(path)
}

func (c *Conn) send(client, path string) error {
	c.buf = append(append(append(c.buf[:0], "GET "...), path...), " HTTP/1.1\r\nHost: localhost\r\n"...)
	if client != "" {
		c.buf = append(append(append(c.buf, "X-Forwarded-For: "...), client...), "\r\n"...)
	}
	c.buf = append(c.buf, "\r\n"...)
	_, err := c.c.Write(c.buf)
	return err
}

func (c *Conn) receive(path string) ([]byte, error) {
	length := -1
	for first := true; ; first = false {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if first && !bytes.HasPrefix(line, okStatus) {
			return nil, fmt.Errorf("%s: %s", path, line)
		}
		if v, ok := bytes.CutPrefix(line, contentLength); ok {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(v)))
		}
		if len(line) == 2 {
			break
		}
	}
	if length < 0 || length > maxBody {
		return nil, fmt.Errorf("%s: an answer without a length", path)
	}
	if cap(c.buf) < length {
		c.buf = make([]byte, length)
	}
	_, err := io.ReadFull(c.in, c.buf[:length])
	return c.buf[:length], err
}

// All asks for prefix and each name that next gives until it gives none, over so many connections, and checks every answer. It
// returns how many passed, and the first failure, which ends it.
func All(addr netip.AddrPort, clients int, prefix string, next func() (string, bool), check func(name string, body []byte) error) (n int, err error) {
	var asked atomic.Int64
	var failure atomic.Pointer[error]
	var wg sync.WaitGroup
	for range clients {
		c, err := Dial(addr)
		if err != nil {
			failure.CompareAndSwap(nil, &err)
			break
		}
		defer c.Close()
		wg.Go(func() {
			for failure.Load() == nil {
				name, ok := next()
				if !ok {
					return
				}
				body, err := c.Get(prefix + name)
				if err == nil {
					err = check(name, body)
				}
				if err != nil {
					failure.CompareAndSwap(nil, &err)
					return
				}
				asked.Add(1)
			}
		})
	}
	wg.Wait()
	if f := failure.Load(); f != nil {
		err = *f
	}
	return int(asked.Load()), err
}

// Each gives every name once.
func Each(names []string) func() (string, bool) {
	var i atomic.Int64
	return func() (string, bool) {
		n := int(i.Add(1)) - 1
		if n >= len(names) {
			return "", false
		}
		return names[n], true
	}
}

// Crowd asks for one path over so many connections at the same time: every request is written before an answer is read. It returns
// how long that took to the last answer, and how much of it had passed when the last request was out.
func Crowd(addr netip.AddrPort, clients int, path string, check func(body []byte) error) (elapsed, sent time.Duration, err error) {
	conns := make([]*Conn, clients)
	for i := range conns {
		if conns[i], err = Dial(addr); err != nil {
			return 0, 0, err
		}
		defer conns[i].Close()
	}
	begin := time.Now()
	for _, c := range conns {
		if err := c.send("", path); err != nil {
			return 0, 0, err
		}
	}
	sent = time.Since(begin)
	for i, c := range conns {
		body, err := c.receive(path)
		if err == nil {
			err = check(body)
		}
		if err != nil {
			return 0, 0, fmt.Errorf("connection %d: %w", i+1, err)
		}
	}
	return time.Since(begin), sent, nil
}

// List posts a list to a path and has read read the answers, as a client does that reads while it writes. It returns how long that
// took. The answers must be read to their end.
func List(addr netip.AddrPort, path string, list []byte, read func(answers io.Reader) error) (time.Duration, error) {
	begin := time.Now()
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(addr))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	_ = c.SetDeadline(begin.Add(patience))
	sent := make(chan error, 1)
	go func() {
		_, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", path, len(list))
		if err == nil {
			_, err = c.Write(list)
		}
		sent <- err
	}()
	resp, err := http.ReadResponse(bufio.NewReaderSize(c, 256<<10), nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("POST %s: %s", path, resp.Status)
	}
	if err := read(resp.Body); err != nil {
		return 0, err
	}
	return time.Since(begin), <-sent
}
