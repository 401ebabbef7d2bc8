//go:build linux

// Command annotate measures `caddy whence annotate` beside the limit, which is to copy the lines, and beside what an analyst would
// write instead: in turns, on one machine, in one run. See ../README.md.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/whence-project/whence/bench/internal/child"
	"github.com/whence-project/whence/bench/internal/contest"
)

// The budgets: microseconds of a line, and how many times as much the Python loop takes.
const (
	budgetLine   = 0.40
	budgetPython = 5
)

// The columns of the table that are this program's own.
const (
	startCPU  = "start CPU ms"
	startWall = "start ms"
	memory    = "memory MB"
)

// bench is one run of the program.
type bench struct {
	*child.Stand
	caddy, database, from string
	rounds, lines         int
	log                   string // the log that is annotated
	size                  int64
}

func main() {
	log.SetFlags(0)
	b := new(bench)
	data := os.Getenv("WHENCE_TESTDATA")
	if data == "" {
		data = filepath.Join("..", "shared", "data")
	}
	flag.StringVar(&b.caddy, "caddy", "", "the binary to measure; built from ./cmd/caddy where none is given")
	flag.StringVar(&b.database, "db", filepath.Join(data, "mmdb", "lite-composite.mmdb"), "an MMDB in the IPinfo Lite schema")
	flag.StringVar(&b.from, "log", filepath.Join(data, "logs", "apache_access_10k.log"), "an access log whose lines are used, with other clients")
	flag.IntVar(&b.rounds, "rounds", 5, "rounds; the figures are their medians")
	flag.IntVar(&b.lines, "lines", 1_000_000, "lines of the log")
	only := flag.String("only", "", "zipf (few clients often, as in logs) or once (every client once); both where empty")
	copying := flag.Bool("copy", false, "be the limit (for this program's own use)")
	flag.Parse()
	if *copying {
		copyLines()
		return
	}
	if b.rounds < 1 || b.lines < 1 || *only != "" && *only != "zipf" && *only != "once" {
		flag.Usage()
		os.Exit(2)
	}
	if err := b.run(*only); err != nil {
		log.Fatal(err)
	}
}

// run does it all, and ends what it started however it goes.
func (b *bench) run(only string) (err error) {
	if b.database, err = filepath.Abs(b.database); err != nil {
		return err
	}
	if b.Stand, err = child.NewStand(); err != nil {
		return err
	}
	defer b.Close()
	if b.caddy, err = b.Binary(b.caddy); err != nil {
		return err
	}
	python, err := findPython()
	if err != nil {
		b.Skip("Python", err)
	}
	fmt.Printf("%s, %s; database %s\n", time.Now().UTC().Format(time.DateOnly), contest.Machine(), filepath.Base(b.database))
	b.log = filepath.Join(b.Dir, "access.log")
	for _, kind := range []string{"zipf", "once"} {
		if only != "" && only != kind {
			continue
		}
		if b.size, err = writeLog(b.log, b.from, b.lines, kind == "once"); err != nil {
			return err
		}
		if err := b.contest(kind, python, os.Stdout); err != nil {
			return err
		}
	}
	b.PrintSkipped(os.Stdout)
	return nil
}

// contest has the programs annotate the log, after their outputs have been held against each other.
func (b *bench) contest(kind, python string, w io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	limit := &program{"the copy", []string{self, "-copy"}}
	all, err := b.whence("whence, every address in the line")
	if err != nil {
		return err
	}
	first, err := b.whence("whence, the client (--in 1)", "--in", "1")
	if err != nil {
		return err
	}
	programs := []*program{limit, all, first}
	if python != "" {
		script, err := b.Unpack(peers, "peers/loop.py")
		if err != nil {
			return err
		}
		programs = append(programs, &program{"the Python loop (C extension)", []string{python, script, b.database}},
			&program{"the same, with a dict of the answers", []string{python, script, b.database, "cache"}})
	}
	if err := b.check(programs); err != nil {
		return err
	}
	contenders := make([]*contest.Contender, len(programs))
	for i, p := range programs {
		contenders[i] = b.contender(p)
	}
	if err := contest.Run(contenders, b.rounds, os.Stderr); err != nil {
		return err
	}
	what := "few clients often, as in logs"
	if kind == "once" {
		what = "every client once"
	}
	fmt.Fprintf(w, "\n%s: %d lines of %d bytes, from a file to /dev/null, median of %d rounds\n\n", what, b.lines, b.size/int64(b.lines), b.rounds)
	contest.Table{Rate: "line/s", Unit: "line", Figure: func(v float64) string { return fmt.Sprintf("%.3f", v) },
		Columns: []string{startCPU, startWall, memory}}.Write(w, contenders, contenders[0])
	fmt.Fprintln(w)
	for _, c := range contenders[1:3] {
		contest.AtMost(w, c.Name+", CPU µs/line", c.Median(contest.CPU), budgetLine)
		if python != "" {
			contest.AtLeast(w, c.Name+", times faster than the Python loop, by CPU", contenders[3].Ratio(c), budgetPython)
		}
	}
	return nil
}

// check holds the programs' outputs against each other: the copy is the log, the loops and Whence say the same of the clients, and where
// Whence annotates every address, that is so of the clients, too.
func (b *bench) check(programs []*program) error {
	log, err := os.ReadFile(b.log)
	if err != nil {
		return err
	}
	first, err := b.output(programs[2])
	if err != nil {
		return err
	}
	for i, p := range programs {
		got, err := b.output(p)
		if err != nil {
			return err
		}
		switch i {
		case 0:
			err = checkSame(got, log)
		case 1:
			err = checkAll(got, first)
		default:
			err = checkSame(got, first)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return checkLog(first, log)
}
