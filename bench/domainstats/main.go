//go:build linux

// Command domainstats measures Whence's HTTP API: warm beside Caddy's own respond, the barest Go and the Python originals' style of
// server, in turns, on one machine, in one run; lists; new names; and memory. See ../README.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/whence-project/whence/bench/internal/ask"
	"github.com/whence-project/whence/bench/internal/child"
	"github.com/whence-project/whence/bench/internal/contest"
)

// The budgets: server CPU of a request as a multiple of that of respond, and in microseconds; names a second in lists; new names
// a second; anonymous resident memory with a million ranks and a million sightings.
const (
	budgetRatio  = 0.8
	budgetMicros = 21
	budgetList   = 300_000
	budgetCold   = 20_000
	budgetMemory = 120e6
)

// ofNames is the form of the tables of lists and new names.
var ofNames = contest.Table{Rate: "names/s", Unit: "name"}

// bench is one run of the program.
type bench struct {
	*child.Stand
	caddy           string
	rounds, clients int
	count           int // names
	warm, cold      time.Duration
	names           []string
	plain, ranks    string // files with the names
}

func main() {
	log.SetFlags(0)
	b := new(bench)
	flag.StringVar(&b.caddy, "caddy", "", "the binary to measure; built from ./cmd/caddy where none is given")
	flag.IntVar(&b.rounds, "rounds", 5, "rounds; the figures are their medians")
	flag.IntVar(&b.clients, "clients", 64, "keep-alive connections at the same time")
	flag.IntVar(&b.count, "names", 1_000_000, "names, all of them ranked and seen")
	flag.DurationVar(&b.warm, "warm", 4*time.Second, "how long a round asks each server, in whole seconds")
	flag.DurationVar(&b.cold, "cold", 12*time.Second, "how long new names are asked for")
	only := flag.String("only", "", "warm, list or cold; all where empty")
	serve := flag.Bool("serve", false, "be the fixed server (for this program's own use)")
	flag.Parse()
	if *serve {
		serveFixed()
	}
	if b.rounds < 1 || b.clients < 1 || b.count < 1 || b.warm < time.Second || b.cold < time.Second {
		flag.Usage()
		os.Exit(2)
	}
	if err := b.run(*only); err != nil {
		log.Fatal(err)
	}
}

// run does it all, and ends what it started however it goes.
func (b *bench) run(only string) (err error) {
	if b.Stand, err = child.NewStand(); err != nil {
		return err
	}
	defer b.Close()
	whence, err := b.prepare()
	if err != nil {
		return err
	}
	fmt.Printf("%s, %s; %d names\n", time.Now().UTC().Format(time.DateOnly), contest.Machine(), b.count)
	idle := whence.Memory()
	for _, part := range []struct {
		name string
		run  func(*child.Server, io.Writer) error
	}{{"warm", b.contestWarm}, {"list", b.contestList}, {"cold", b.runCold}} {
		if only == "" || only == part.name {
			if err := part.run(whence, os.Stdout); err != nil {
				return err
			}
		}
	}
	fmt.Printf("\nAnonymous resident memory with %d ranks and %d sightings: %.1f MB after the start\n\n", b.count, b.count, float64(idle)/1e6)
	contest.AtMost(os.Stdout, "MB of anonymous memory after all of it", float64(whence.Memory())/1e6, budgetMemory/1e6)
	b.PrintSkipped(os.Stdout)
	return nil
}

// prepare makes the names and a ledger that knows them, and starts whence on them.
func (b *bench) prepare() (*child.Server, error) {
	var err error
	if b.caddy, err = b.Binary(b.caddy); err != nil {
		return nil, err
	}
	b.names = synthesise(b.count)
	if b.plain, b.ranks, err = writeNames(b.Dir, b.names); err != nil {
		return nil, err
	}
	fmt.Fprintln(os.Stderr, "filling the ledger")
	begin, store := time.Now(), filepath.Join(b.Dir, "store")
	if err := fillStore(store, b.names); err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "imported in %v\n", time.Since(begin).Round(time.Millisecond))
	whence, err := b.startWhence("whence", store)
	if err != nil {
		return nil, err
	}
	// Every answer's form is checked here, once: wrk looks at the status only.
	if _, err := ask.All(whence.Addr, b.clients, "/", ask.Each(b.names[:min(20_000, len(b.names))]), checkKnown); err != nil {
		return nil, err
	}
	return whence, nil
}

func (b *bench) startWhence(name, store string) (*child.Server, error) {
	options := fmt.Sprintf("\tstore %s\n\tenrich {\n\t\tiana\n\t\trank %s\n\t\tlexical\n\t\tsightings\n\t}\n", store, b.ranks)
	return b.Caddy(name, b.caddy, child.Caddyfile{Options: options, Sites: child.Site("domain_stats {\n\t\tformat c\n\t}")}, child.Serving)
}

// contestWarm measures requests about names that the ledger knows.
func (b *bench) contestWarm(whence *child.Server, w io.Writer) error {
	wrk, err := exec.LookPath("wrk")
	if err != nil {
		b.Skip("requests, warm", errors.New("no program wrk, install it (Debian package wrk)"))
		return nil
	}
	script, err := b.Unpack(peers, "peers/draw.lua")
	if err != nil {
		return err
	}
	// In a body of respond, braces that are not escaped are placeholders.
	body := strings.NewReplacer("{", `\{`, "}", `\}`).Replace(fixedAnswer)
	respond, err := b.Caddy("respond", b.caddy, child.Caddyfile{Sites: child.Site("respond `" + body + "`")}, child.Serving)
	if err != nil {
		return err
	}
	fixed, err := b.Self("fixed", "-serve")
	if err != nil {
		return err
	}
	for _, s := range []*child.Server{respond, fixed} {
		if _, err := ask.All(s.Addr, 1, "/", ask.Each(b.names[:1]), checkFixed); err != nil {
			return err
		}
	}
	d := &draw{wrk: wrk, script: script, names: b.plain, clients: b.clients, time: b.warm}
	of := func(name string, s *child.Server, prefix string) *contest.Contender {
		return &contest.Contender{Name: name, Run: func() (contest.Sample, error) {
			return contest.Measure(s, func() (int, time.Duration, error) { return d.run(s.Addr, prefix) })
		}}
	}
	contenders := []*contest.Contender{of("Caddy's respond", respond, "/"), of("whence, format C", whence, "/"),
		of("whence, /depuny: nothing is looked up", whence, "/depuny?domain="), of("Go, fixed answer", fixed, "/")}
	if python, err := b.startPython(); err != nil {
		b.Skip("the Python server", err)
	} else if _, err := ask.All(python.Addr, 1, "/", ask.Each(b.names[:1]), checkKnown); err != nil {
		return err
	} else {
		contenders = append(contenders, of("Python, threads and a dict", python, "/"))
	}
	if err := contest.Run(contenders, b.rounds, os.Stderr); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nRequests, warm: wrk with %d keep-alive connections, %v a round, median of %d rounds\n\n", b.clients, b.warm, b.rounds)
	contest.Table{Rate: "requests/s", Unit: "request"}.Write(w, contenders, contenders[0])
	fmt.Fprintln(w)
	contest.AtMost(w, "server CPU, × Caddy's respond", contenders[1].Ratio(contenders[0]), budgetRatio)
	contest.AtMost(w, "server CPU µs/request (the budget's figure is of the machine it was set on)", contenders[1].Median(contest.CPU), budgetMicros)
	return nil
}

// contestList measures lists of all names. Client and server share the machine.
func (b *bench) contestList(whence *child.Server, w io.Writer) error {
	list := []byte(strings.Join(b.names, "\n") + "\n")
	var size int64
	c := &contest.Contender{Name: "whence, POST /v1/lookup", Run: func() (contest.Sample, error) {
		return contest.Measure(whence, func() (int, time.Duration, error) {
			elapsed, err := ask.List(whence.Addr, "/v1/lookup", list, func(answers io.Reader) (err error) {
				size, err = checkLines(answers, b.names)
				return err
			})
			return len(b.names), elapsed, err
		})
	}}
	if err := contest.Run([]*contest.Contender{c}, b.rounds, os.Stderr); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nLists: %d names on one connection, %d bytes an answer, median of %d rounds\n\n", b.count, size/int64(b.count), b.rounds)
	ofNames.Write(w, []*contest.Contender{c})
	fmt.Fprintln(w)
	contest.AtLeast(w, "names a second, client and server on the same cores", c.Median(contest.Rate), budgetList)
	return nil
}

// runCold measures names that nobody has asked for, on a ledger of its own: one run, as long as it takes to fold some times.
func (b *bench) runCold(_ *child.Server, w io.Writer) error {
	cold, err := b.startWhence("cold", filepath.Join(b.Dir, "coldstore"))
	if err != nil {
		return err
	}
	var counter atomic.Int64
	c := &contest.Contender{Name: "whence, new names"}
	s, err := contest.Measure(cold, func() (int, time.Duration, error) {
		begin := time.Now()
		n, err := ask.All(cold.Addr, b.clients, "/", fresh(&counter, b.cold), checkNew)
		return n, time.Since(begin), err
	})
	if err != nil {
		return err
	}
	c.Samples = []contest.Sample{s}
	fmt.Fprintf(w, "\nNew names: %d connections, %v, every answer checked to be a first contact, each name asked for once; the ledger in %s\n\n",
		b.clients, b.cold, b.Dir)
	ofNames.Write(w, []*contest.Contender{c})
	fmt.Fprintln(w)
	contest.AtLeast(w, "new names a second, client and server on the same cores", s.Rate, budgetCold)
	fmt.Fprintf(w, "- anonymous memory of that server: %.1f MB\n", float64(cold.Memory())/1e6)
	return nil
}
