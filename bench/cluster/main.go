//go:build linux

// Command cluster measures how lookups of registrations scale with workers: one and four of them, each with an address of its own, look
// up a list of names at a farm of registries on loopback that count queries by address. See ../README.md.
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/whence-project/whence/bench/internal/child"
	"github.com/whence-project/whence/bench/internal/contest"
	"github.com/whence-project/whence/internal/natstest"
	"github.com/whence-project/whence/internal/registryfarm"
)

// What the README of WHOIS-API says of itself, in two places: names a second of four nodes, and of one core of one.
const (
	seedFour = 16.7
	seedOne  = 34.7
)

// aim is by how much four workers are to be faster than one.
const aim = 3.5

// bench is one run of the program.
type bench struct {
	*child.Stand
	caddy, nats      string
	registries, rate int
	latency          time.Duration
	seconds          int // that a list takes at the limits
}

func main() {
	log.SetFlags(0)
	b := new(bench)
	flag.StringVar(&b.caddy, "caddy", "", "the binary to measure; built from ./cmd/caddy where none is given")
	flag.StringVar(&b.nats, "nats-server", "", "NATS's server; built from ./tools/natsserver where none is given")
	flag.IntVar(&b.registries, "registries", 20, "registries with RDAP")
	flag.IntVar(&b.rate, "rate", 4, "queries a second that each of them allows each address")
	flag.DurationVar(&b.latency, "latency", 50*time.Millisecond, "what a registry takes for an answer")
	flag.IntVar(&b.seconds, "seconds", 30, "what a list takes at those limits")
	rounds := flag.Int("rounds", 3, "rounds of one and of four workers; the figures are their medians")
	flag.Parse()
	if min(b.registries, b.rate, b.seconds, *rounds) < 1 || b.registries > 1000 {
		flag.Usage()
		os.Exit(2)
	}
	if err := b.run(*rounds); err != nil {
		log.Fatal(err)
	}
}

// run does all rounds, and ends what it started however it goes.
func (b *bench) run(rounds int) (err error) {
	if b.Stand, err = child.NewStand(); err != nil {
		return err
	}
	defer b.Close()
	if b.caddy, err = b.Binary(b.caddy); err != nil {
		return err
	}
	if b.nats == "" {
		if b.nats, err = natstest.Binary(filepath.Join("tools", "natsserver")); err != nil {
			return err
		}
	}
	fmt.Printf("%s, %s; %d registries that allow an address %d/s each and answer in %v\n\n", time.Now().UTC().Format(time.DateOnly),
		contest.Machine(), b.registries, b.rate, b.latency)
	rates := make(map[int][]float64)
	bad := 0
	for round := range rounds {
		for _, workers := range []int{1, 4} {
			r, err := b.measure(fmt.Sprintf("r%dw%d", round, workers), workers)
			if err != nil {
				return err
			}
			fmt.Printf("round %d, %d workers: %d names in %v, %.1f/s; %d failed, %d asked about twice, %d queries over a limit\n", round+1, workers,
				r.names, r.took.Round(100*time.Millisecond), r.rate(), r.failed, r.twice, r.violations)
			rates[workers] = append(rates[workers], r.rate())
			bad += r.failed + r.violations
		}
	}
	one, four := median(rates[1]), median(rates[4])
	limit := float64(b.registries * b.rate)
	fmt.Printf("\n| | names/s | of what the limits allow | × one worker |\n|---|---|---|---|\n")
	fmt.Printf("| one worker | %.1f | %.2f | 1 |\n| four workers | %.1f | %.2f | %.2f |\n", one, one/limit, four, four/(4*limit), four/one)
	fmt.Printf("| the seed, as its README has it: four nodes | %.1f | | |\n| … and one core of one | %.1f | | |\n", seedFour, seedOne)
	if bad > 0 {
		return errors.New("names failed, or registries were asked too often")
	}
	if four/one < aim {
		return fmt.Errorf("four workers are %.2f times as fast as one, and are to be %.1f", four/one, aim)
	}
	return nil
}

func median(list []float64) float64 {
	slices.SortFunc(list, cmp.Compare)
	return list[len(list)/2]
}

// result is what came of one list.
type result struct {
	names, failed, twice, violations int
	took                             time.Duration
}

func (r result) rate() float64 { return float64(r.names) / r.took.Seconds() }

var listening = regexp.MustCompile(`client connections on (127\.0\.0\.1:\d+)`)

// measure has so many workers look up as many names as they may ask about in the time.
func (b *bench) measure(round string, workers int) (r result, err error) {
	nats, url, err := b.startNATS(round)
	if err != nil {
		return r, err
	}
	defer nats.Stop()
	limit := registryfarm.PerAddress(b.rate, time.Second)
	limit.Slack = 100 * time.Millisecond // of a machine on which everything runs at once
	farm, err := registryfarm.Start(registryfarm.Options{
		Registries: registryfarm.Many(b.registries, registryfarm.Registry{RDAP: true, Latency: b.latency, Limit: limit}),
	})
	if err != nil {
		return r, err
	}
	defer farm.Close()
	r.names = workers * b.registries * b.rate * b.seconds
	var top strings.Builder
	for i := range r.names {
		fmt.Fprintf(&top, "%d,tulip%d.t%03d\n", i+1, i, i%b.registries)
	}
	list := filepath.Join(b.Dir, round+".csv")
	if err := os.WriteFile(list, []byte(top.String()), 0o600); err != nil {
		return r, err
	}
	for i := range workers {
		name := fmt.Sprintf("%s-%d", round, i+1)
		w, err := b.startWhence(name, farm, url, "/dev/null", fmt.Sprintf("worker\n\t\t\tsource 127.0.1.%d", i+1))
		if err != nil {
			return r, err
		}
		defer w.Stop()
	}
	front, err := b.startWhence(round+"-front", farm, url, list, "workers only")
	if err != nil {
		return r, err
	}
	defer front.Stop()
	if err := b.wait(round+"-front", workers); err != nil {
		return r, err
	}
	if r.took, r.failed, err = b.preload(round+"-front", r.names); err != nil {
		return r, err
	}
	asked, _ := farm.AllQueries()
	for _, n := range asked {
		r.twice += n - 1
	}
	r.violations = len(farm.Violations())
	if missing := r.names - len(asked); missing > 0 {
		return r, fmt.Errorf("%d names were not asked about", missing)
	}
	return r, nil
}

func (b *bench) startNATS(round string) (*child.Server, string, error) {
	url := ""
	p, err := b.Program(round+"-nats", exec.Command(b.nats, "-a", "127.0.0.1", "-p", "-1", "-js", "-sd", filepath.Join(b.Dir, round+"-nats-data")),
		func(p *child.Server) bool {
			if m := listening.FindSubmatch(p.Log()); m != nil {
				url = "nats://" + string(m[1])
			}
			return url != ""
		})
	return p, url, err
}

// startWhence starts the real binary with lines in the block of the source.
func (b *bench) startWhence(name string, farm *registryfarm.Farm, url, list, lines string) (*child.Server, error) {
	if list == "/dev/null" {
		list = filepath.Join(b.Dir, "empty.csv")
		if err := os.WriteFile(list, []byte("1,example.com\n"), 0o600); err != nil {
			return nil, err
		}
	}
	options := fmt.Sprintf("\tnats %s {\n\t\tname %s\n\t}\n\tstore nats %s/%s/store\n\tenrich {\n\t\trank %s\n\t\tregistration {\n\t\t\tregistries %s\n"+
		"\t\t\tallow_networks 127.0.0.0/8\n\t\t\tlimit default %d/s per 32 64\n\t\t\t%s\n\t\t}\n\t}\n",
		url, name, b.Dir, name, list, farm.BootstrapURL(), b.rate, lines)
	return b.Caddy(name, b.caddy, child.Caddyfile{Options: options, Sites: child.Site("domain_stats")}, child.Serving)
}
