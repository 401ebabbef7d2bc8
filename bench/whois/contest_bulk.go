//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/whence-project/whence/bench/internal/child"
	"github.com/whence-project/whence/bench/internal/contest"
)

// answerRoom is more than any answer in bulk takes.
const answerRoom = 1024

// bulk measures many lines on one connection.
func (b *bench) bulk(whence *child.Server, w io.Writer) error {
	echo, err := b.Self("echo", "-serve", "echo")
	if err != nil {
		return err
	}
	room := make([]byte, b.lines*answerRoom)
	lines := bulkInput(b.bulks)
	contenders := []*contest.Contender{
		b.bulkOf("the echo", echo, room, lines, func(answers []byte) error { return checkEcho(answers, lines) }),
		b.bulkOf("whence, one line (cymru -v)", whence, room, bulkInput(b.bulks, "verbose"),
			func(answers []byte) error { return checkRows(answers, b.bulks) }),
		b.bulkOf("whence, whole records (lines)", whence, room, bulkInput(b.bulks, "lines"),
			func(answers []byte) error { return checkRecords(answers, b.bulks) }),
	}
	refs := contenders[:1:1]
	if c, err := b.compileLoop(); err != nil {
		b.Skip("the C loop", err)
	} else if peer, err := b.loopOf("the C loop (libmaxminddb)", c, b.database); err != nil {
		return err
	} else {
		contenders, refs = append(contenders, peer), append(refs, peer)
	}
	if b.python != "" {
		script, err := b.Unpack(peers, "peers/loop.py")
		if err != nil {
			return err
		}
		peer, err := b.loopOf("the Python loop (C extension)", b.python, script, b.database)
		if err != nil {
			return err
		}
		contenders = append(contenders, peer)
	}
	if err := contest.Run(contenders, b.rounds, os.Stderr); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nBulk, one connection: %d lines, median of %d rounds; the loops read a file and write to /dev/null\n\n", b.lines, b.rounds)
	contest.Table{Rate: "line/s", Unit: "line", Figure: figure, Columns: []string{size}}.Write(w, contenders, refs...)
	fmt.Fprintln(w)
	contest.AtMost(w, "server CPU µs/line, one line (the budget's figure is of the machine it was set on)", contenders[1].Median(contest.CPU), budgetLine)
	if len(refs) > 1 {
		contest.AtMost(w, "server CPU, × the C loop, one line", contenders[1].Ratio(refs[1]), 1)
	}
	return nil
}

// bulkOf is a contender that is sent input over one connection.
func (b *bench) bulkOf(name string, s *child.Server, room, input []byte, check func(answers []byte) error) *contest.Contender {
	client := &bulk{addr: s.Addr, input: input, room: room, timeout: time.Minute}
	return &contest.Contender{Name: name, Run: func() (contest.Sample, error) {
		var answers []byte
		x, err := contest.Measure(s, func() (n int, elapsed time.Duration, err error) {
			answers, elapsed, err = client.run()
			return b.lines, elapsed, err
		})
		if err != nil {
			return x, err
		}
		x.More = map[string]float64{size: float64(len(answers)) / float64(b.lines)}
		return x, check(answers)
	}}
}

// loopOf is a contender that runs a program on all lines.
func (b *bench) loopOf(name string, args ...string) (*contest.Contender, error) {
	l, bytes, err := newLoop(b.Dir, b.bulks, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &contest.Contender{Name: name, Run: func() (contest.Sample, error) {
		others := contest.Others()
		r, err := l.run()
		if err != nil {
			return contest.Sample{}, err
		}
		n := float64(b.lines)
		return contest.Sample{
			Rate: n / r.elapsed.Seconds(), CPU: r.cpu.Seconds() * 1e6 / n, Other: others(0),
			More: map[string]float64{size: float64(bytes) / n},
		}, nil
	}}, nil
}
