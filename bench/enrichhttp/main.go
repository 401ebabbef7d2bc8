//go:build linux

// Command enrichhttp measures what the directive enrich costs a request: the same answer of one Caddy with two of its fields, with two
// of Caddy's own placeholders, and as a constant, in turns. See ../README.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/whence-project/whence/bench/internal/ask"
	"github.com/whence-project/whence/bench/internal/child"
	"github.com/whence-project/whence/bench/internal/contest"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/iana"
	"github.com/whence-project/whence/enrich/mmdb"
)

// budget is the processor time that two fields may cost a request, in microseconds.
const budget = 1

// sites are what the contenders are asked for: constant first, as the server tries the paths in this order.
const sites = `http://:0 {
	bind 127.0.0.1
	handle /constant {
		respond "AS64496 DE"
	}
	handle /own {
		respond "{http.request.method} {http.request.proto}"
	}
	handle /idle {
		enrich
		respond "AS64496 DE"
	}
	handle /two {
		enrich
		respond "{enrich.asn} {enrich.country_code}"
	}
	handle /matcher {
		@nobody enrich country_code XX
		respond @nobody x
		respond "AS64496 DE"
	}
}
`

// bench is one run of the program.
type bench struct {
	*child.Stand
	rounds, clients int
	time            time.Duration
	count           int // addresses
	addresses       []string
	want            []string // of /two, for each
}

func main() {
	log.SetFlags(0)
	b := new(bench)
	caddy := flag.String("caddy", "", "the binary to measure; built from ./cmd/caddy where none is given")
	db := flag.String("db", defaultDB(), "a database in the MMDB format")
	flag.IntVar(&b.rounds, "rounds", 25, "rounds; the figures are their medians")
	flag.IntVar(&b.clients, "clients", 32, "keep-alive connections at the same time")
	flag.IntVar(&b.count, "addresses", 10_000, "clients, as their proxy names them")
	flag.DurationVar(&b.time, "time", time.Second, "how long a round asks for each")
	flag.Parse()
	if b.rounds < 1 || b.clients < 1 || b.count < 1 || b.time <= 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := b.run(*caddy, *db); err != nil {
		log.Fatal(err)
	}
}

func defaultDB() string {
	dir := os.Getenv("WHENCE_TESTDATA")
	if dir == "" {
		dir = "../shared/data"
	}
	return filepath.Join(dir, "mmdb", "lite-composite.mmdb")
}

func (b *bench) run(caddy, db string) (err error) {
	if db, err = filepath.Abs(db); err != nil {
		return err
	}
	if err := b.draw(db); err != nil {
		return err
	}
	if b.Stand, err = child.NewStand(); err != nil {
		return err
	}
	defer b.Close()
	if caddy, err = b.Binary(caddy); err != nil {
		return err
	}
	options := "\tservers {\n\t\ttrusted_proxies static 127.0.0.0/8\n\t}\n\tenrich {\n\t\tiana\n\t\tmmdb " + db + "\n\t}\n"
	server, err := b.Caddy("caddy", caddy, child.Caddyfile{Options: options, Sites: sites}, child.Serving)
	if err != nil {
		return err
	}
	of := func(name, path string, want func(i int) string) *contest.Contender {
		return &contest.Contender{Name: name, Run: func() (contest.Sample, error) {
			return contest.Measure(server, func() (int, time.Duration, error) { return b.load(server.Addr, path, want) })
		}}
	}
	constant := func(int) string { return "AS64496 DE" }
	contenders := []*contest.Contender{
		of("respond, a constant", "/constant", constant),
		of("respond, two of Caddy's placeholders", "/own", func(int) string { return "GET HTTP/1.1" }),
		of("enrich, nothing used", "/idle", constant),
		of("enrich, two fields", "/two", func(i int) string { return b.want[i] }),
		of("a matcher enrich", "/matcher", constant),
	}
	if err := contest.Run(contenders, b.rounds, os.Stderr); err != nil {
		return err
	}
	b.report(os.Stdout, contenders)
	return nil
}

// draw draws addresses, and asks the chain itself what is known of them.
func (b *bench) draw(db string) error {
	source := mmdb.New(mmdb.Options{Patterns: []string{db}})
	chain := enrich.NewChain("", enrich.Link{Name: "iana", Source: iana.New()}, enrich.Link{Name: "mmdb", Source: source})
	if err := chain.Open(context.Background()); err != nil {
		return err
	}
	defer chain.Close()
	if len(source.Status().Data) == 0 {
		return fmt.Errorf("no database %s; name one with -db", db)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range b.count {
		a := netip.AddrFrom4([4]byte{1 + byte(r.IntN(223)), byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(256))})
		rec := chain.Answer(context.Background(), enrich.AddressOf(a), 0)
		b.addresses = append(b.addresses, a.String())
		b.want = append(b.want, rec.Value(enrich.ASN)+" "+rec.Value(enrich.CountryCode))
	}
	return nil
}

// load asks for a path on behalf of clients by turns, and holds every answer.
func (b *bench) load(addr netip.AddrPort, path string, want func(i int) string) (int, time.Duration, error) {
	var asked atomic.Int64
	var failure atomic.Pointer[error]
	var wg sync.WaitGroup
	begin := time.Now()
	for range b.clients {
		c, err := ask.Dial(addr)
		if err != nil {
			return 0, 0, err
		}
		defer c.Close()
		wg.Go(func() {
			for failure.Load() == nil && time.Since(begin) < b.time {
				i := int(asked.Add(1)) % len(b.addresses)
				body, err := c.GetFor(b.addresses[i], path)
				if err == nil && string(body) != want(i) {
					err = fmt.Errorf("%s for %s: %q, want %q", path, b.addresses[i], body, want(i))
				}
				if err != nil {
					failure.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	wg.Wait()
	if err := failure.Load(); err != nil {
		return 0, 0, *err
	}
	return int(asked.Load()), time.Since(begin), nil
}

// report writes the medians, and what the fields cost: the median over the rounds of the differences in a round.
func (b *bench) report(w io.Writer, contenders []*contest.Contender) {
	fmt.Fprintf(w, "%s, %s\n\n", time.Now().UTC().Format(time.DateOnly), contest.Machine())
	fmt.Fprintf(w, "One server, %d keep-alive connections, each request of another of %d clients, %v a round, median of %d rounds\n\n",
		b.clients, b.count, b.time, b.rounds)
	contest.Table{Rate: "requests/s", Unit: "request"}.Write(w, contenders, contenders[0])
	fmt.Fprintln(w)
	more := func(c, than *contest.Contender) float64 {
		differences := make([]float64, 0, b.rounds)
		for i := range c.Samples {
			differences = append(differences, c.Samples[i].CPU-than.Samples[i].CPU)
		}
		return contest.Median(differences)
	}
	contest.AtMost(w, "µs that two fields cost more than a constant", more(contenders[3], contenders[0]), budget)
	fmt.Fprintf(w, "- µs that two fields cost more than two of Caddy's placeholders: %.2f\n", more(contenders[3], contenders[1]))
	fmt.Fprintf(w, "- µs that two of Caddy's placeholders cost more than a constant: %.2f\n", more(contenders[1], contenders[0]))
}
