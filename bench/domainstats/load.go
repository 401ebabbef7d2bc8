//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// draw is how wrk asks for names of a file, in paths that begin with prefix.
type draw struct {
	wrk, script, names string
	clients            int
	time               time.Duration // in whole seconds
}

// run returns how many requests there were, and what they took.
func (d *draw) run(addr netip.AddrPort, prefix string) (n int, elapsed time.Duration, err error) {
	cmd := exec.Command(d.wrk, "-t2", "-c"+strconv.Itoa(d.clients), "-d"+strconv.Itoa(int(d.time.Seconds()))+"s", "-s", d.script,
		"http://"+addr.String())
	cmd.Env = append(os.Environ(), "NAMES="+d.names, "PREFIX="+prefix)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, 0, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	return parseWrk(out)
}

var wrkTotals = regexp.MustCompile(`(\d+) requests in ([0-9.]+(?:us|ms|s|m)),`)

// parseWrk reads what wrk says. It counts answers that are no success, and broken connections, and neither may be.
func parseWrk(out []byte) (n int, elapsed time.Duration, err error) {
	m := wrkTotals.FindSubmatch(out)
	if m == nil || bytes.Contains(out, []byte("Non-2xx")) || bytes.Contains(out, []byte("Socket errors")) {
		return 0, 0, fmt.Errorf("wrk failed, or had failures:\n%s", out)
	}
	n, _ = strconv.Atoi(string(m[1]))
	elapsed, err = time.ParseDuration(string(m[2]))
	if n == 0 || elapsed == 0 {
		err = fmt.Errorf("wrk asked nothing:\n%s", out)
	}
	return n, elapsed, err
}

// asker is a keep-alive connection that asks for paths.
type asker struct {
	c   net.Conn
	in  *bufio.Reader
	buf []byte
}

func dial(addr netip.AddrPort) (*asker, error) {
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(addr))
	if err != nil {
		return nil, err
	}
	return &asker{c: c, in: bufio.NewReader(c)}, nil
}

var okStatus, contentLength = []byte("HTTP/1.1 200 "), []byte("Content-Length: ")

// ask returns the body of the answer, valid until the next one.
func (a *asker) ask(name string) ([]byte, error) {
	a.buf = append(append(append(a.buf[:0], "GET /"...), name...), " HTTP/1.1\r\nHost: localhost\r\n\r\n"...)
	if _, err := a.c.Write(a.buf); err != nil {
		return nil, err
	}
	length := -1
	for first := true; ; first = false {
		line, err := a.in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if first && !bytes.HasPrefix(line, okStatus) {
			return nil, fmt.Errorf("%s: %s", name, line)
		}
		if v, ok := bytes.CutPrefix(line, contentLength); ok {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(v)))
		}
		if len(line) == 2 {
			break
		}
	}
	if length < 0 || length > 1<<16 {
		return nil, fmt.Errorf("%s: an answer without a length", name)
	}
	if cap(a.buf) < length {
		a.buf = make([]byte, length)
	}
	_, err := io.ReadFull(a.in, a.buf[:length])
	return a.buf[:length], err
}

var firstContact = []byte(`"YOUR-FIRST-CONTACT"`)

// checkKnown holds an answer of format C about a name that the ledger knows.
func checkKnown(name string, body []byte) error {
	if !bytes.HasPrefix(body, []byte(`{"alerts":[`)) || bytes.Contains(body, firstContact) || !bytes.HasSuffix(body, []byte(" GMT\"}\n")) ||
		!bytes.Contains(body, []byte(`"No whois record for `+name+`"`)) || !bytes.Contains(body, []byte(`,"freq_score":[`)) {
		return fmt.Errorf("%s: answered %q", name, body)
	}
	return nil
}

// checkNew holds an answer of format C about a name that nobody has asked for.
func checkNew(name string, body []byte) error {
	if !bytes.Contains(body, firstContact) || !bytes.Contains(body, []byte(`"No whois record for `+name+`"`)) {
		return fmt.Errorf("%s: answered %q", name, body)
	}
	return nil
}

// load asks for the names that next gives until it gives none, over so many connections, and checks every answer.
func load(addr netip.AddrPort, clients int, next func() (string, bool), check func(name string, body []byte) error) (n int64, err error) {
	var asked atomic.Int64
	var failure atomic.Pointer[error]
	var wg sync.WaitGroup
	for range clients {
		a, err := dial(addr)
		if err != nil {
			return 0, err
		}
		defer a.c.Close()
		wg.Go(func() {
			for failure.Load() == nil {
				name, ok := next()
				if !ok {
					return
				}
				body, err := a.ask(name)
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
	return asked.Load(), err
}

// checkFixed holds the answer of a server that has one for all.
func checkFixed(name string, body []byte) error {
	if string(bytes.TrimSpace(body)) != fixedAnswer {
		return fmt.Errorf("%s: answered %q", name, body)
	}
	return nil
}

// each gives every name once.
func each(names []string) func() (string, bool) {
	var i atomic.Int64
	return func() (string, bool) {
		n := int(i.Add(1)) - 1
		if n >= len(names) {
			return "", false
		}
		return names[n], true
	}
}

// fresh gives names that were never given before, until the time is over.
func fresh(counter *atomic.Int64, d time.Duration) func() (string, bool) {
	end := time.Now().Add(d)
	return func() (string, bool) {
		// Scattered, as names are: in order they would all go to one end of the database.
		n := uint64(counter.Add(1)) * 0x9e3779b97f4a7c15
		return "n" + strconv.FormatUint(n, 36) + ".com", time.Now().Before(end)
	}
}
