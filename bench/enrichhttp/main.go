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

// contests are what is measured: each a site on an address of its own, of one server.
var contests = []struct {
	name, body string
	fields     bool // the answer is the client's AS and country
	mixed      bool // each request is another client's
}{
	{name: "respond, a constant", body: `respond "AS64496 DE"`},
	{name: "respond, two of Caddy's placeholders", body: `respond "{http.request.method} {http.request.proto}"`},
	{name: "enrich, nothing used", body: "enrich\n\trespond \"AS64496 DE\""},
	{name: "enrich, two fields", body: "enrich\n\trespond \"{enrich.asn} {enrich.country_code}\"", fields: true},
	{name: "enrich, two fields, clients mixed", body: "enrich\n\trespond \"{enrich.asn} {enrich.country_code}\"", fields: true, mixed: true},
	{name: "a matcher enrich", body: "@nobody enrich country_code XX\n\trespond @nobody x\n\trespond \"AS64496 DE\""},
}

// bench is one run of the program.
type bench struct {
	*child.Stand
	rounds, clients int
	time            time.Duration
	count           int // addresses
	addresses       []string
	want            []string // the fields of each
}

func main() {
	log.SetFlags(0)
	b := new(bench)
	caddy := flag.String("caddy", "", "the binary to measure; built from ./cmd/caddy where none is given")
	db := flag.String("db", defaultDB(), "a database in the MMDB format")
	flag.IntVar(&b.rounds, "rounds", 25, "rounds; the figures are their medians")
	flag.IntVar(&b.clients, "clients", 32, "keep-alive connections at the same time")
	flag.IntVar(&b.count, "addresses", 10_000, "clients, as a proxy names them; no fewer than connections")
	flag.DurationVar(&b.time, "time", time.Second, "how long a round asks for each")
	flag.Parse()
	if b.rounds < 1 || b.clients < 1 || b.count < b.clients || b.time <= 0 {
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
	server, err := b.Caddy("caddy", caddy, b.caddyfile(db), child.Serving)
	if err != nil {
		return err
	}
	addrs := addresses(server)
	contenders := make([]*contest.Contender, len(contests))
	for i, c := range contests {
		addr := addrs[host(i)]
		contenders[i] = &contest.Contender{Name: c.name, Run: func() (contest.Sample, error) {
			return contest.Measure(server, func() (int, time.Duration, error) { return b.load(addr, c.fields, c.mixed) })
		}}
	}
	if err := contest.Run(contenders, b.rounds, os.Stderr); err != nil {
		return err
	}
	b.report(os.Stdout, contenders)
	return nil
}

// caddyfile has a site for each contest.
func (b *bench) caddyfile(db string) child.Caddyfile {
	f := child.Caddyfile{Options: "\tservers {\n\t\ttrusted_proxies static 127.0.0.0/8\n\t}\n\tenrich {\n\t\tiana\n\t\tmmdb " + db + "\n\t}\n"}
	for i, c := range contests {
		f.Sites += fmt.Sprintf("http://:0 {\n\tbind %s\n\t%s\n}\n", host(i), c.body)
	}
	return f
}

// host is the address of the i-th site.
func host(i int) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 2, byte(1 + i)}) }

// addresses are where the sites listen, by their host.
func addresses(p *child.Server) map[netip.Addr]netip.AddrPort {
	all := make(map[netip.Addr]netip.AddrPort)
	p.LoggedAddr(func(e child.Entry) string {
		if a, err := netip.ParseAddrPort(e.Actual); err == nil {
			all[a.Addr()] = a
		}
		return "" // there may be more
	})
	return all
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

// load asks and holds every answer. A connection is one client's, or, mixed, each request another's.
func (b *bench) load(addr netip.AddrPort, fields, mixed bool) (int, time.Duration, error) {
	var asked atomic.Int64
	var failure atomic.Pointer[error]
	var wg sync.WaitGroup
	begin := time.Now()
	for n := range b.clients {
		c, err := ask.Dial(addr)
		if err != nil {
			return 0, 0, err
		}
		defer c.Close()
		wg.Go(func() {
			for failure.Load() == nil && time.Since(begin) < b.time {
				i := n
				if asked.Add(1); mixed {
					i = int(asked.Load()) % len(b.addresses)
				}
				body, err := c.GetFor(b.addresses[i], "/")
				if err == nil && fields && string(body) != b.want[i] {
					err = fmt.Errorf("%s: %q, want %q", b.addresses[i], body, b.want[i])
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
	fmt.Fprintf(w, "One server, %d keep-alive connections, each of one client, or mixed of %d, %v a round, median of %d rounds\n\n",
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
	fmt.Fprintf(w, "- … with clients mixed: %.2f\n", more(contenders[4], contenders[0]))
	fmt.Fprintf(w, "- … than two of Caddy's placeholders: %.2f\n", more(contenders[3], contenders[1]))
}
