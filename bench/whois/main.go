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
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// The budgets: server CPU of a query as a multiple of the limit's; microseconds of a line in bulk.
const (
	budgetRatio  = 1.15
	budgetMicros = 30
	budgetLine   = 0.40
)

// bench is one run of the program.
type bench struct {
	dir, caddy, database string
	rounds, n, lines     int
	clients              int
	zipf                 bool
	python               string // empty where there is none
	servers              []*server
	skipped              []string // what could not be measured, and why
	singles, bulks       []query  // the queries of each contest
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
	if b.dir, err = os.MkdirTemp("", "whence-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	defer b.stop()
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupted
		os.RemoveAll(b.dir)
		os.Exit(130) // which ends the children, see start
	}()

	if b.caddy == "" {
		fmt.Fprintln(os.Stderr, "building ./cmd/caddy")
		if b.caddy, err = buildCaddy(b.dir); err != nil {
			return err
		}
	}
	if b.python, err = findPython(); err != nil {
		b.skip("Python", err)
	}
	if b.singles, err = newQueries(b.database, b.n, 1, b.zipf); err != nil {
		return err
	}
	if b.bulks, err = newQueries(b.database, b.lines, 2, b.zipf); err != nil {
		return err
	}
	whence, err := b.add(startWhence(b.dir, "whence", b.caddy, b.database, true))
	if err != nil {
		return err
	}
	fmt.Printf("%s, %s; database %s; %s\n", time.Now().UTC().Format(time.DateOnly), machine(), filepath.Base(b.database), b.draw())
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
	for _, s := range b.skipped {
		fmt.Println("- left out:", s)
	}
	return nil
}

func (b *bench) draw() string {
	if b.zipf {
		return "addresses drawn as in logs (Zipf, s = 1.1, of 200,000)"
	}
	return "random public IPv4 addresses"
}

func (b *bench) add(s *server, err error) (*server, error) {
	if err == nil {
		b.servers = append(b.servers, s)
	}
	return s, err
}

func (b *bench) stop() {
	for _, s := range b.servers {
		s.stop()
	}
}

func (b *bench) skip(what string, err error) {
	b.skipped = append(b.skipped, fmt.Sprintf("%s: %v", what, err))
}

// single measures one query a connection.
func (b *bench) single(whence *server, w io.Writer) error {
	limit, err := b.add(startSelf(b.dir, "limit"))
	if err != nil {
		return err
	}
	quiet, err := b.add(startWhence(b.dir, "quiet", b.caddy, b.database, false))
	if err != nil {
		return err
	}
	fixed := func(_ *query, answer []byte) error {
		if string(answer) != string(fixedAnswer) {
			return fmt.Errorf("answered %.80q", answer)
		}
		return nil
	}
	contenders := []*contender{
		b.loadOf("the limit", limit, len(b.singles), fixed),
		b.loadOf("whence, access lines (INFO, file)", whence, len(b.singles), (*query).checkLines),
		b.loadOf("whence, no access lines", quiet, len(b.singles), (*query).checkLines),
	}
	if b.python != "" {
		article, err := b.add(startArticle(b.dir, b.python, b.database))
		if err != nil {
			return err
		}
		contenders = append(contenders, b.loadOf("the article's server (Python)", article, len(b.singles)/4, (*query).checkLines))
	}
	if err := contest(contenders, b.rounds, os.Stderr); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nOne query a connection: %d clients, %d queries, median of %d rounds\n\n", b.clients, b.n, b.rounds)
	table(w, contenders, "query", true, contenders[0])
	fmt.Fprintln(w)
	verdict(w, "server CPU, × the limit, with access lines", contenders[1].ratio(contenders[0]), budgetRatio)
	verdict(w, "server CPU, × the limit, without access lines", contenders[2].ratio(contenders[0]), budgetRatio)
	verdict(w, "server CPU µs/query, with access lines (the budget's figure is of the machine it was set on)",
		med(contenders[1], cpuOf), budgetMicros)
	return nil
}

// loadOf is a contender that is asked the first n single queries.
func (b *bench) loadOf(name string, s *server, n int, check func(*query, []byte) error) *contender {
	l := &load{addr: s.addr, queries: b.singles[:n], clients: b.clients, timeout: 10 * time.Second, check: check}
	return &contender{name: name, run: func() (sample, error) {
		var res *loadResult
		x, err := measured(s, n, func() (time.Duration, error) {
			res = l.run()
			if res.failed > 0 {
				return 0, fmt.Errorf("%d of %d queries failed, the first: %w", res.failed, n, res.first)
			}
			return res.elapsed, nil
		})
		if err != nil {
			return sample{}, err
		}
		x.p50, x.p99, x.bytes = res.quantile(0.5), res.quantile(0.99), float64(res.bytes)/float64(n)
		return x, nil
	}}
}

// measured is a sample of what s takes for n queries or lines.
func measured(s *server, n int, run func() (time.Duration, error)) (sample, error) {
	runtime.GC() // this program's own garbage is not to be collected on the clock
	all, own, cpu := machineCPU(), processCPU(os.Getpid()), s.cpu()
	elapsed, err := run()
	if err != nil {
		return sample{}, err
	}
	cpu, own = s.cpu()-cpu, processCPU(os.Getpid())-own
	all = machineCPU() - all
	return sample{
		rate:  float64(n) / elapsed.Seconds(),
		cpu:   cpu.Seconds() * 1e6 / float64(n),
		other: share(all-cpu-own, elapsed),
	}, nil
}

// share is a processor time as a share of what the machine had. The machine counts in hundredths of a second.
func share(cpu, elapsed time.Duration) float64 {
	return min(max(0, cpu.Seconds()/elapsed.Seconds()/float64(runtime.NumCPU())), 1)
}
