//go:build linux

// Command whois measures Whence's WHOIS server beside the limit, which is the same work in the barest Go, and beside its peers:
// in turns, on one machine, in one run. See ../README.md.
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

// The budgets: server CPU of a query as a multiple of the limit's; microseconds of a line in bulk.
const (
	budgetRatio  = 1.15
	budgetMicros = 30
	budgetLine   = 0.40
)

// The columns of the tables that are this program's own.
const (
	p50  = "p50 µs"
	p99  = "p99 µs"
	size = "bytes/answer"
)

// bench is one run of the program.
type bench struct {
	*child.Stand
	caddy, database  string
	rounds, n, lines int
	clients          int
	zipf             bool
	python           string  // empty where there is none
	singles, bulks   []query // the queries of each contest
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
	flag.IntVar(&b.rounds, "rounds", 5, "rounds; the figures are their medians")
	flag.IntVar(&b.n, "n", 40_000, "single queries a round and server; a quarter of it for the Python server")
	flag.IntVar(&b.clients, "clients", 32, "connections at the same time")
	flag.IntVar(&b.lines, "lines", 500_000, "lines of a bulk query")
	flag.BoolVar(&b.zipf, "zipf", false, "ask for few addresses often, as logs do, and not for all alike")
	only := flag.String("only", "", "single or bulk; both where empty")
	serve := flag.String("serve", "", "be the server limit or echo (for this program's own use)")
	flag.Parse()
	if *serve != "" {
		listenAndServe(*serve)
	}
	if b.rounds < 1 || b.n < 4 || b.clients < 1 || b.lines < 1 || *only != "" && *only != "single" && *only != "bulk" {
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
	if b.python, err = findPython(); err != nil {
		b.Skip("Python", err)
	}
	if b.singles, err = newQueries(b.database, b.n, 1, b.zipf); err != nil {
		return err
	}
	if b.bulks, err = newQueries(b.database, b.lines, 2, b.zipf); err != nil {
		return err
	}
	whence, err := b.startWhence("whence", true)
	if err != nil {
		return err
	}
	fmt.Printf("%s, %s; database %s; %s\n", time.Now().UTC().Format(time.DateOnly), contest.Machine(), filepath.Base(b.database), b.draw())
	if only != "bulk" {
		if err := b.single(whence, os.Stdout); err != nil {
			return err
		}
	}
	if only != "single" {
		if err := b.bulk(whence, os.Stdout); err != nil {
			return err
		}
	}
	b.PrintSkipped(os.Stdout)
	return nil
}

func (b *bench) draw() string {
	if b.zipf {
		return "addresses drawn as in logs (Zipf, s = 1.1, of 200,000)"
	}
	return "random public IPv4 addresses"
}

// single measures one query a connection.
func (b *bench) single(whence *child.Server, w io.Writer) error {
	limit, err := b.Self("limit", "-serve", "limit")
	if err != nil {
		return err
	}
	quiet, err := b.startWhence("quiet", false)
	if err != nil {
		return err
	}
	fixed := func(_ *query, answer []byte) error {
		if string(answer) != string(fixedAnswer) {
			return fmt.Errorf("answered %.80q", answer)
		}
		return nil
	}
	contenders := []*contest.Contender{
		b.loadOf("the limit", limit, len(b.singles), fixed),
		b.loadOf("whence, access lines (INFO, file)", whence, len(b.singles), (*query).checkLines),
		b.loadOf("whence, no access lines", quiet, len(b.singles), (*query).checkLines),
	}
	if b.python != "" {
		article, err := b.startArticle()
		if err != nil {
			return err
		}
		contenders = append(contenders, b.loadOf("the article's server (Python)", article, len(b.singles)/4, (*query).checkLines))
	}
	if err := contest.Run(contenders, b.rounds, os.Stderr); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nOne query a connection: %d clients, %d queries, median of %d rounds\n\n", b.clients, b.n, b.rounds)
	contest.Table{Rate: "query/s", Unit: "query", Figure: figure, Columns: []string{p50, p99, size}}.Write(w, contenders, contenders[0])
	fmt.Fprintln(w)
	contest.AtMost(w, "server CPU, × the limit, with access lines", contenders[1].Ratio(contenders[0]), budgetRatio)
	contest.AtMost(w, "server CPU, × the limit, without access lines", contenders[2].Ratio(contenders[0]), budgetRatio)
	contest.AtMost(w, "server CPU µs/query, with access lines (the budget's figure is of the machine it was set on)",
		contenders[1].Median(contest.CPU), budgetMicros)
	return nil
}

// loadOf is a contender that is asked the first n single queries.
func (b *bench) loadOf(name string, s *child.Server, n int, check func(*query, []byte) error) *contest.Contender {
	l := &load{addr: s.Addr, queries: b.singles[:n], clients: b.clients, timeout: 10 * time.Second, check: check}
	return &contest.Contender{Name: name, Run: func() (contest.Sample, error) {
		var res *loadResult
		x, err := contest.Measure(s, func() (int, time.Duration, error) {
			res = l.run()
			if res.failed > 0 {
				return 0, 0, fmt.Errorf("%d of %d queries failed, the first: %w", res.failed, n, res.first)
			}
			return n, res.elapsed, nil
		})
		if err != nil {
			return x, err
		}
		x.More = map[string]float64{
			p50: float64(res.quantile(0.5).Microseconds()), p99: float64(res.quantile(0.99).Microseconds()),
			size: float64(res.bytes) / float64(n),
		}
		return x, nil
	}}
}

// figure writes a processor time with as many digits as are worth reading.
func figure(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.3f", v)
	}
	return fmt.Sprintf("%.1f", v)
}
