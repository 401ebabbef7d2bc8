//go:build linux

package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strconv"
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

// checkFixed holds the answer of a server that has one for all.
func checkFixed(name string, body []byte) error {
	if string(bytes.TrimSpace(body)) != fixedAnswer {
		return fmt.Errorf("%s: answered %q", name, body)
	}
	return nil
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
