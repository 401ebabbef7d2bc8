//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// postList posts the names to /v1/lookup as a client does that reads while it writes, and checks that each has its line, in order.
func postList(addr netip.AddrPort, names []string, list []byte) (elapsed time.Duration, size int64, err error) {
	begin := time.Now()
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(addr))
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	_ = c.SetDeadline(begin.Add(2 * time.Minute))
	sent := make(chan error, 1)
	go func() {
		_, err := fmt.Fprintf(c, "POST /v1/lookup HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", len(list))
		if err == nil {
			_, err = c.Write(list)
		}
		sent <- err
	}()
	resp, err := http.ReadResponse(bufio.NewReaderSize(c, 256<<10), nil)
	if err != nil {
		return 0, 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, 0, fmt.Errorf("POST /v1/lookup: %s", resp.Status)
	}
	if size, err = checkLines(resp.Body, names); err != nil {
		return 0, 0, err
	}
	return time.Since(begin), size, <-sent
}

// checkLines reads answers to their end and holds the subject of each against the names.
func checkLines(r io.Reader, names []string) (size int64, err error) {
	buf, kept, i := make([]byte, 256<<10), 0, 0
	for {
		n, err := r.Read(buf[kept:])
		size += int64(n)
		rest := buf[:kept+n]
		for {
			end := bytes.IndexByte(rest, '\n')
			if end < 0 {
				break
			}
			if i == len(names) || !isAbout(rest[:end], names[i]) {
				return size, fmt.Errorf("line %d of %d is %.100q", i+1, len(names), rest[:end])
			}
			i++
			rest = rest[end+1:]
		}
		kept = copy(buf, rest)
		switch {
		case err == io.EOF && (i < len(names) || kept > 0):
			return size, fmt.Errorf("the answers end after line %d of %d", i, len(names))
		case err == io.EOF:
			return size, nil
		case err != nil:
			return size, err
		case kept == len(buf):
			return size, fmt.Errorf("line %d has no end", i+1)
		}
	}
}

// isAbout reports that a line is about that name, with its rank and when it was seen.
func isAbout(line []byte, name string) bool {
	rest, ok := bytes.CutPrefix(line, []byte(`{"subject":"`))
	return ok && len(rest) > len(name) && string(rest[:len(name)]) == name && rest[len(name)] == '"' &&
		bytes.HasPrefix(rest[len(name):], []byte(`","kind":"domain","rank":`)) && rest[len(rest)-1] == '}'
}
