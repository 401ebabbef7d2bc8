//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/whence-project/whence/bench/internal/ask"
	"github.com/whence-project/whence/bench/internal/child"
	"github.com/whence-project/whence/bench/internal/contest"
)

// The columns of what takes processor time beside the server.
const (
	farmCPU   = "farm's CPU µs"
	clientCPU = "client's CPU µs"
)

// answerRoom is about what an answer takes, so that the client need not make room on the clock.
const answerRoom = 2 << 10

// memory is the anonymous memory of a server in bytes: before names were looked up, the most during each half of them, and at the end;
// and the most that ever was resident, with the files that it maps.
type memory struct{ before, first, second, after, resident int }

// measure is one run over names that nobody has asked for, with what the farm and the client take beside the server.
func (b *bench) measure(name string, whence *child.Server, n int, run func() (time.Duration, error)) (*contest.Contender, error) {
	if err := b.farm.forget(); err != nil {
		return nil, err
	}
	farm, own := b.farm.CPU(), child.OwnCPU()
	s, err := contest.Measure(whence, func() (int, time.Duration, error) {
		elapsed, err := run()
		return n, elapsed, err
	}, b.farm.Server)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	micros := func(d time.Duration) float64 { return d.Seconds() * 1e6 / float64(n) }
	s.More = map[string]float64{farmCPU: micros(b.farm.CPU() - farm), clientCPU: micros(child.OwnCPU() - own)}
	fmt.Fprintf(os.Stderr, "%-38s %10.0f/s  %7.0f µs  others %2.0f %%\n", name, s.Rate, s.CPU, s.Other*100)
	return &contest.Contender{Name: name, Samples: []contest.Sample{s}}, nil
}

// result is what came of looking up unknown names.
type result struct {
	*contest.Contender
	memory
	verdict
	names int
	asked counts
}

// list looks up names in one list on one connection, each line of which waits for its registry, and checks every answer.
func (b *bench) list(name string, whence *child.Server, names []string, via string) (*result, error) {
	in := []byte(strings.Join(names, "\n") + "\n")
	out := bytes.NewBuffer(make([]byte, 0, len(names)*answerRoom))
	return b.lookUp(name, whence, names, via, func(half func()) (time.Duration, error) {
		return ask.List(whence.Addr, "/v1/lookup?wait=60s", in, func(answers io.Reader) error {
			return copyLines(out, answers, len(names)/2, half)
		})
	}, func() ([]byte, error) { return out.Bytes(), nil })
}

// preload has a server of its own look up a list of ranks before anybody asks, and then asks it for all of them, without waiting.
func (b *bench) preload(name string, names []string) (*result, error) {
	// The list comes when the server is up, so that starting it is not counted.
	ranks := filepath.Join(b.Dir, "ranks.csv")
	whence, err := b.startWhence("preload", "\t\trank "+ranks+"\n", fmt.Sprintf("\t\t\tpreload %d delay 0s\n", len(names)))
	if err != nil {
		return nil, err
	}
	return b.lookUp(name, whence, names, "rdap", func(half func()) (time.Duration, error) {
		if err := writeRanks(ranks, names); err != nil {
			return 0, err
		}
		return b.awaitPreload("preload", len(names), half)
	}, func() (out []byte, err error) {
		_, err = ask.List(whence.Addr, "/v1/lookup", []byte(strings.Join(names, "\n")+"\n"), func(r io.Reader) (err error) {
			out, err = io.ReadAll(r)
			return err
		})
		return out, err
	})
}

// lookUp measures run, which has the server look names up and calls half when half of them are, and checks the answers.
func (b *bench) lookUp(name string, whence *child.Server, names []string, via string,
	run func(half func()) (time.Duration, error), answers func() ([]byte, error)) (*result, error) {
	r := &result{names: len(names)}
	r.before = whence.Memory()
	watch := whence.WatchMemory()
	defer watch.Stop()
	var err error
	r.Contender, err = b.measure(name, whence, len(names), func() (time.Duration, error) {
		return run(func() { r.first = watch.Most() })
	})
	r.second, r.after, r.resident = watch.Most(), whence.Memory(), whence.PeakMemory()
	if err != nil {
		return nil, err
	}
	if r.asked, err = b.farm.counts(); err != nil {
		return nil, err
	}
	lines, err := answers()
	if err != nil {
		return nil, err
	}
	if r.verdict, err = checkList(names, via, lines); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

// copyLines copies all of r, and calls at when so many lines are there.
func copyLines(out *bytes.Buffer, r io.Reader, lines int, at func()) error {
	buf := make([]byte, 64<<10)
	for n := 0; ; {
		k, err := r.Read(buf)
		out.Write(buf[:k])
		if n < lines {
			if n += bytes.Count(buf[:k], []byte("\n")); n >= lines {
				at()
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
