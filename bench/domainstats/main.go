//go:build linux

// Command domainstats measures Whence's HTTP API: warm beside Caddy's own respond, the barest Go and the Python originals' style of
// server, in turns, on one machine, in one run; lists; new names; and memory. See ../README.md.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
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

// bench is one run of the program.
type bench struct {
	dir, caddy      string
	rounds, clients int
	count           int // names
	warm, cold      time.Duration
	names           []string
	plain, ranks    string // files with the names
	servers         []*server
	skipped         []string // what could not be measured, and why
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
	whence, err := b.prepare()
	if err != nil {
		return err
	}
	fmt.Printf("%s, %s; %d names\n", time.Now().UTC().Format(time.DateOnly), machine(), b.count)
	idle := whence.memory()
	for _, part := range []struct {
		name string
		run  func(*server, io.Writer) error
	}{{"warm", b.contestWarm}, {"list", b.contestList}, {"cold", b.runCold}} {
		if only == "" || only == part.name {
			if err := part.run(whence, os.Stdout); err != nil {
				return err
			}
		}
	}
	fmt.Printf("\nAnonymous resident memory with %d ranks and %d sightings: %.1f MB after the start\n\n", b.count, b.count, float64(idle)/1e6)
	atMost(os.Stdout, "MB of anonymous memory after all of it", float64(whence.memory())/1e6, budgetMemory/1e6)
	for _, s := range b.skipped {
		fmt.Println("- left out:", s)
	}
	return nil
}

// prepare makes the names and a ledger that knows them, and starts whence on them.
func (b *bench) prepare() (*server, error) {
	var err error
	if b.caddy == "" {
		fmt.Fprintln(os.Stderr, "building ./cmd/caddy")
		if b.caddy, err = buildCaddy(b.dir); err != nil {
			return nil, err
		}
	}
	if b.caddy, err = filepath.Abs(b.caddy); err != nil {
		return nil, err
	}
	b.names = synthesise(b.count)
	if b.plain, b.ranks, err = writeNames(b.dir, b.names); err != nil {
		return nil, err
	}
	fmt.Fprintln(os.Stderr, "filling the ledger")
	begin, store := time.Now(), filepath.Join(b.dir, "store")
	if err := fillStore(store, b.names); err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "imported in %v\n", time.Since(begin).Round(time.Millisecond))
	whence, err := b.startWhence("whence", store)
	if err != nil {
		return nil, err
	}
	// Every answer's form is checked here, once: wrk looks at the status only.
	if _, err := load(whence.addr, b.clients, each(b.names[:min(20_000, len(b.names))]), checkKnown); err != nil {
		return nil, err
	}
	return whence, nil
}

func (b *bench) startWhence(name, store string) (*server, error) {
	options := fmt.Sprintf("\tstore %s\n\tenrich {\n\t\tiana\n\t\trank %s\n\t\tlexical\n\t\tsightings\n\t}\n", store, b.ranks)
	return b.add(startCaddy(b.dir, name, b.caddy, options, "domain_stats {\n\t\tformat c\n\t}"))
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

// contestWarm measures requests about names that the ledger knows.
func (b *bench) contestWarm(whence *server, w io.Writer) error {
	wrk, err := exec.LookPath("wrk")
	if err != nil {
		b.skipped = append(b.skipped, "requests, warm: no program wrk, install it (Debian package wrk)")
		return nil
	}
	script, err := unpack(b.dir, "draw.lua")
	if err != nil {
		return err
	}
	// In a body of respond, braces that are not escaped are placeholders.
	body := strings.NewReplacer("{", `\{`, "}", `\}`).Replace(fixedAnswer)
	respond, err := b.add(startCaddy(b.dir, "respond", b.caddy, "", "respond `"+body+"`"))
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	fixed, err := b.add(startPrinting(b.dir, "fixed", exec.Command(self, "-serve")))
	if err != nil {
		return err
	}
	for _, s := range []*server{respond, fixed} {
		if _, err := load(s.addr, 1, each(b.names[:1]), checkFixed); err != nil {
			return err
		}
	}
	d := &draw{wrk: wrk, script: script, names: b.plain, clients: b.clients, time: b.warm}
	of := func(name string, s *server, prefix string) *contender {
		return &contender{name: name, run: func() (sample, error) {
			return measured(s, func() (int, time.Duration, error) { return d.run(s.addr, prefix) })
		}}
	}
	contenders := []*contender{of("Caddy's respond", respond, "/"), of("whence, format C", whence, "/"),
		of("whence, /depuny: nothing is looked up", whence, "/depuny?domain="), of("Go, fixed answer", fixed, "/")}
	if python, err := b.add(startPython(b.dir, b.plain)); err != nil {
		b.skipped = append(b.skipped, fmt.Sprintf("the Python server: %v", err))
	} else if _, err := load(python.addr, 1, each(b.names[:1]), checkKnown); err != nil {
		return err
	} else {
		contenders = append(contenders, of("Python, threads and a dict", python, "/"))
	}
	if err := contest(contenders, b.rounds, os.Stderr); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nRequests, warm: wrk with %d keep-alive connections, %v a round, median of %d rounds\n\n", b.clients, b.warm, b.rounds)
	table(w, contenders, "request", contenders[0])
	fmt.Fprintln(w)
	atMost(w, "server CPU, × Caddy's respond", contenders[1].ratio(contenders[0]), budgetRatio)
	atMost(w, "server CPU µs/request (the budget's figure is of the machine it was set on)", med(contenders[1], cpuOf), budgetMicros)
	return nil
}

// contestList measures lists of all names. Client and server share the machine.
func (b *bench) contestList(whence *server, w io.Writer) error {
	list := []byte(strings.Join(b.names, "\n") + "\n")
	var size int64
	c := &contender{name: "whence, POST /v1/lookup", run: func() (sample, error) {
		return measured(whence, func() (int, time.Duration, error) {
			elapsed, n, err := postList(whence.addr, b.names, list)
			size = n
			return len(b.names), elapsed, err
		})
	}}
	if err := contest([]*contender{c}, b.rounds, os.Stderr); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nLists: %d names on one connection, %d bytes an answer, median of %d rounds\n\n", b.count, size/int64(b.count), b.rounds)
	table(w, []*contender{c}, "name")
	fmt.Fprintln(w)
	atLeast(w, "names a second, client and server on the same cores", med(c, rateOf), budgetList)
	return nil
}

// runCold measures names that nobody has asked for, on a ledger of its own: one run, as long as it takes to fold some times.
func (b *bench) runCold(_ *server, w io.Writer) error {
	cold, err := b.startWhence("cold", filepath.Join(b.dir, "coldstore"))
	if err != nil {
		return err
	}
	var counter atomic.Int64
	c := &contender{name: "whence, new names"}
	s, err := measured(cold, func() (int, time.Duration, error) {
		begin := time.Now()
		n, err := load(cold.addr, b.clients, fresh(&counter, b.cold), checkNew)
		return int(n), time.Since(begin), err
	})
	if err != nil {
		return err
	}
	c.samples = []sample{s}
	fmt.Fprintf(w, "\nNew names: %d connections, %v, every answer checked to be a first contact, each name asked for once; the ledger in %s\n\n",
		b.clients, b.cold, b.dir)
	table(w, []*contender{c}, "name")
	fmt.Fprintln(w)
	atLeast(w, "new names a second, client and server on the same cores", s.rate, budgetCold)
	fmt.Fprintf(w, "- anonymous memory of that server: %.1f MB\n", float64(cold.memory())/1e6)
	return nil
}

// measured is a sample of what s takes for what run does.
func measured(s *server, run func() (int, time.Duration, error)) (sample, error) {
	runtime.GC() // this program's own garbage is not to be collected on the clock
	own := func() time.Duration { return processCPU(os.Getpid()) + childrenCPU() }
	all, mine, cpu, begin := machineCPU(), own(), s.cpu(), time.Now()
	n, elapsed, err := run()
	if err != nil {
		return sample{}, err
	}
	cpu, mine, all = s.cpu()-cpu, own()-mine, machineCPU()-all
	idle := time.Since(begin).Seconds() * float64(runtime.NumCPU())
	return sample{
		rate:  float64(n) / elapsed.Seconds(),
		cpu:   cpu.Seconds() * 1e6 / float64(n),
		other: min(max(0, (all-cpu-mine).Seconds()/idle), 1),
	}, nil
}
