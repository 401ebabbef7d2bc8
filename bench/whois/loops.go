//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// loop is a peer that annotates addresses from its standard input, one line each: what an analyst would write with the
// database's own library.
type loop struct {
	args  []string
	input string // file with the addresses
}

// newLoop makes a loop, holds what it says of all queries against the database, and returns the size of that.
func newLoop(dir string, queries []query, args ...string) (l *loop, size int, err error) {
	l = &loop{args: args, input: filepath.Join(dir, "addresses.txt")}
	var b bytes.Buffer
	for i := range queries {
		fmt.Fprintln(&b, queries[i].addr)
	}
	if err := os.WriteFile(l.input, b.Bytes(), 0o600); err != nil {
		return nil, 0, err
	}
	var out bytes.Buffer
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &b, &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, 0, err
	}
	return l, out.Len(), checkEach(out.Bytes(), queries, "\n", (*query).checkBars)
}

// loopRun is what one run of a loop took. What the process takes on an empty input, to start and to open the database, is not
// counted.
type loopRun struct{ cpu, elapsed time.Duration }

// run annotates nothing, and then all addresses, into nowhere.
func (l *loop) run() (loopRun, error) {
	idleCPU, idle, err := l.once(os.DevNull)
	if err != nil {
		return loopRun{}, err
	}
	cpu, elapsed, err := l.once(l.input)
	return loopRun{cpu: cpu - idleCPU, elapsed: elapsed - idle}, err
}

func (l *loop) once(input string) (cpu, elapsed time.Duration, err error) {
	in, err := os.Open(input)
	if err != nil {
		return 0, 0, err
	}
	defer in.Close()
	cmd := exec.Command(l.args[0], l.args[1:]...)
	cmd.Stdin, cmd.Stderr = in, os.Stderr
	begin := time.Now()
	err = cmd.Run()
	elapsed = time.Since(begin)
	if state := cmd.ProcessState; state != nil {
		cpu = state.UserTime() + state.SystemTime()
	}
	return cpu, elapsed, err
}

// compileLoop compiles the C loop against libmaxminddb.
func (b *bench) compileLoop() (string, error) {
	source, err := b.Unpack(peers, "peers/loop.c")
	if err != nil {
		return "", err
	}
	out := filepath.Join(b.Dir, "loop")
	text, err := exec.Command("gcc", "-O2", "-D_GNU_SOURCE", "-o", out, source, "-lmaxminddb").CombinedOutput()
	if err != nil {
		reason, _, _ := strings.Cut(string(text), "\n")
		return "", fmt.Errorf("%w: %s (Debian: gcc, libmaxminddb-dev)", err, reason)
	}
	return out, nil
}

// findPython is the Python that has the C extension of maxminddb.
func findPython() (string, error) {
	const python = "/usr/bin/python3"
	text, err := exec.Command(python, "-c", "import maxminddb.extension").CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		return "", fmt.Errorf("%s: %w: %s (Debian: python3-maxminddb)", python, err, lines[len(lines)-1])
	}
	return python, nil
}
