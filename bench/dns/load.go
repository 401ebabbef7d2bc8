//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/whence-project/whence/bench/internal/child"
)

// load is what the generator (peers/load.c) sends.
type load struct {
	kind    string // hit, miss or echo
	count   int    // queries; 0 is for a time
	seconds float64
	clients int     // sockets
	window  int     // queries under way of each
	batch   int     // sent at once
	rate    float64 // queries a second; 0 is what the windows let through
	timeout time.Duration
}

// outcome is what the generator says of a load. Latencies are in microseconds.
type outcome struct {
	Sent, Answered, Right, Failed, Wrong, Lost int
	Seconds, Mean, P50, P99                    float64
}

// generator is the program that loads servers.
type generator struct {
	program string
	next    int // first of the names that nobody has asked for
}

// compile compiles a C source of peers into the stand's folder.
func compile(s *child.Stand, source string, flags ...string) (string, error) {
	from, err := s.Unpack(peers, "peers/"+source)
	if err != nil {
		return "", err
	}
	program := strings.TrimSuffix(from, ".c")
	out, err := exec.Command("gcc", append([]string{"-O2", "-o", program, from}, flags...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("gcc %s: %w\n%s", filepath.Base(source), err, out)
	}
	return program, nil
}

// send loads the server at addr, and waits until everything is answered or lost.
func (g *generator) send(addr netip.AddrPort, l load) (o outcome, err error) {
	cmd := exec.Command(g.program, fmt.Sprint(addr.Port()), l.kind, fmt.Sprint(l.count), fmt.Sprint(l.seconds), fmt.Sprint(l.clients),
		fmt.Sprint(l.window), fmt.Sprint(l.batch), fmt.Sprint(l.rate), fmt.Sprint(g.next), fmt.Sprint(l.timeout.Milliseconds()))
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return o, fmt.Errorf("the load: %w", err)
	}
	if err := json.Unmarshal(out, &o); err != nil {
		return o, fmt.Errorf("the load: %w in %q", err, out)
	}
	if l.kind == "miss" {
		g.next += o.Sent
	}
	return o, nil
}
