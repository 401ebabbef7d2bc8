//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"
)

// bulk sends all queries over one connection and reads the answers to the end.
type bulk struct {
	addr    netip.AddrPort
	input   []byte // what is sent
	room    []byte // where the answers go; as large as they can become
	timeout time.Duration
}

// bulkInput is what a bulk client sends: options first, then the addresses.
func bulkInput(queries []query, options ...string) []byte {
	b := []byte("begin\r\n")
	for _, o := range options {
		b = append(append(b, o...), "\r\n"...)
	}
	for i := range queries {
		b = append(b, queries[i].line...)
	}
	return append(b, "end\r\n"...)
}

// run returns the answers, which are valid until the next run. They are looked at when the clock has stopped.
func (b *bulk) run() (answers []byte, elapsed time.Duration, err error) {
	start := time.Now()
	c, err := net.DialTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 1, 1)}, net.TCPAddrFromAddrPort(b.addr))
	if err != nil {
		return nil, 0, err
	}
	defer c.Close()
	if err := c.SetDeadline(start.Add(b.timeout)); err != nil {
		return nil, 0, err
	}
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(b.input)
		if err == nil {
			err = c.CloseWrite()
		}
		sent <- err
	}()
	n := 0
	for err == nil {
		if n == len(b.room) {
			return nil, 0, fmt.Errorf("answers of more than %d bytes", n)
		}
		var k int
		k, err = c.Read(b.room[n:])
		n += k
	}
	elapsed = time.Since(start)
	if err != io.EOF {
		return nil, 0, err
	}
	return b.room[:n], elapsed, <-sent
}

// checkBulk goes through the answers, which end in sep each, line for line with the queries. The first line of a bulk reply is a
// greeting.
func checkBulk(answers []byte, queries []query, sep string, check func(q *query, answer []byte) error) error {
	greeting, rest, _ := bytes.Cut(answers, []byte("\n"))
	if !bytes.HasPrefix(greeting, []byte("Bulk mode; ")) {
		return fmt.Errorf("no greeting: %.80q", answers)
	}
	return checkEach(rest, queries, sep, check)
}

func checkEach(answers []byte, queries []query, sep string, check func(q *query, answer []byte) error) error {
	for i := range queries {
		answer, rest, ok := bytes.Cut(answers, []byte(sep))
		if !ok {
			return fmt.Errorf("the answers end before line %d of %d: %.80q", i+1, len(queries), answer)
		}
		if err := check(&queries[i], answer); err != nil {
			return fmt.Errorf("line %d: %w", i+1, err)
		}
		answers = rest
	}
	if len(answers) > 0 {
		return fmt.Errorf("more answers than lines: %.80q", answers)
	}
	return nil
}

// checkRecords is checkBulk for answers of the form of the article, a blank line after each.
func checkRecords(answers []byte, queries []query) error {
	return checkBulk(answers, queries, "\r\n\r\n", func(q *query, answer []byte) error {
		return q.checkLines(answer[:len(answer)+2]) // with the line end that the separator begins with
	})
}

// checkRows is checkBulk for the columns of Team Cymru's service.
func checkRows(answers []byte, queries []query) error {
	return checkBulk(answers, queries, "\n", (*query).checkColumns)
}

// checkEcho holds the echo against what was sent.
func checkEcho(answers, input []byte) error {
	if !bytes.Equal(answers, input) {
		return fmt.Errorf("the echo has %d bytes of %d, or others", len(answers), len(input))
	}
	return nil
}
