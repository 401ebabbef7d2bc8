//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// answerRoom is more than any answer in bulk takes.
const answerRoom = 1024

// bulk measures many lines on one connection.
func (b *bench) bulk(whence *server, w io.Writer) error {
	echo, err := b.add(startSelf(b.dir, "echo"))
	if err != nil {
		return err
	}
	room := make([]byte, b.lines*answerRoom)
	lines := bulkInput(b.bulks)
	contenders := []*contender{
		b.bulkOf("the echo", echo, room, lines, func(answers []byte) error { return checkEcho(answers, lines) }),
		b.bulkOf("whence, one line (cymru -v)", whence, room, bulkInput(b.bulks, "verbose"),
			func(answers []byte) error { return checkRows(answers, b.bulks) }),
		b.bulkOf("whence, whole records (lines)", whence, room, bulkInput(b.bulks, "lines"),
			func(answers []byte) error { return checkRecords(answers, b.bulks) }),
	}
	refs := contenders[:1:1]
	if c, err := compileLoop(b.dir); err != nil {
		b.skip("the C loop", err)
	} else if peer, err := b.loopOf("the C loop (libmaxminddb)", c, b.database); err != nil {
		return err
	} else {
		contenders, refs = append(contenders, peer), append(refs, peer)
	}
	if b.python != "" {
		script, err := unpack(b.dir, "loop.py")
		if err != nil {
			return err
		}
		peer, err := b.loopOf("the Python loop (C extension)", b.python, script, b.database)
		if err != nil {
			return err
		}
		contenders = append(contenders, peer)
	}
	if err := contest(contenders, b.rounds, os.Stderr); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nBulk, one connection: %d lines, median of %d rounds; the loops read a file and write to /dev/null\n\n", b.lines, b.rounds)
	table(w, contenders, "line", false, refs...)
	fmt.Fprintln(w)
	verdict(w, "server CPU µs/line, one line (the budget's figure is of the machine it was set on)", med(contenders[1], cpuOf), budgetLine)
	if len(refs) > 1 {
		verdict(w, "server CPU, × the C loop, one line", contenders[1].ratio(refs[1]), 1)
	}
	return nil
}

// bulkOf is a contender that is sent input over one connection.
func (b *bench) bulkOf(name string, s *server, room, input []byte, check func(answers []byte) error) *contender {
	client := &bulk{addr: s.addr, input: input, room: room, timeout: time.Minute}
	return &contender{name: name, run: func() (sample, error) {
		var answers []byte
		x, err := measured(s, b.lines, func() (elapsed time.Duration, err error) {
			answers, elapsed, err = client.run()
			return elapsed, err
		})
		if err != nil {
			return sample{}, err
		}
		x.bytes = float64(len(answers)) / float64(b.lines)
		return x, check(answers)
	}}
}

// loopOf is a contender that runs a program on all lines.
func (b *bench) loopOf(name string, args ...string) (*contender, error) {
	l, bytes, err := newLoop(b.dir, b.bulks, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &contender{name: name, run: func() (sample, error) {
		all, own, start := machineCPU(), processCPU(os.Getpid()), time.Now()
		r, err := l.run()
		if err != nil {
			return sample{}, err
		}
		all, own = machineCPU()-all, processCPU(os.Getpid())-own
		n := float64(b.lines)
		return sample{
			rate: n / r.elapsed.Seconds(), cpu: r.cpu.Seconds() * 1e6 / n, bytes: float64(bytes) / n,
			other: share(all-own-r.spent, time.Since(start)),
		}, nil
	}}, nil
}
