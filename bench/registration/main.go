//go:build linux

// Command registration measures lookups of registrations against a farm of registries on loopback that answer in 50 ms and have no
// limits: lists of unknown names, preloading, a crowd that wants one name, and names that are known. See ../README.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"time"

	"github.com/whence-project/whence/bench/internal/child"
	"github.com/whence-project/whence/bench/internal/contest"
)

// The budgets: unknown names a second; anonymous memory during the second half of them as a multiple of that during the first, since what
// is bounded by the configuration does not grow with the names.
const (
	budgetRate   = 2000
	budgetGrowth = 1.1
)

// bench is one run of the program.
type bench struct {
	*child.Stand
	caddy            string
	registries       int // of each protocol
	latency          time.Duration
	names, whois     int // that are looked up over RDAP, and over WHOIS
	memory, with     string
	crowd, clients   int
	rounds, requests int
	farm             *farm
	failed           bool // answers were wrong or not there, or registries asked too often
}

func main() {
	log.SetFlags(0)
	b := new(bench)
	flag.StringVar(&b.caddy, "caddy", "", "the binary to measure; built from ./cmd/caddy where none is given")
	flag.IntVar(&b.registries, "registries", 200, "registries with RDAP, and as many with WHOIS")
	flag.DurationVar(&b.latency, "latency", 50*time.Millisecond, "what a registry takes for an answer")
	flag.IntVar(&b.names, "names", 100_000, "names to look up over RDAP, once in a list and once to preload")
	flag.IntVar(&b.whois, "whois", 20_000, "names to look up over WHOIS")
	flag.StringVar(&b.memory, "memory", "32MiB", "for answers in memory, as in the Caddyfile")
	flag.StringVar(&b.with, "with", "", "another `line` for the block of the source in the Caddyfile, such as: raw off")
	flag.IntVar(&b.crowd, "crowd", 1000, "connections that ask for the same name")
	flag.IntVar(&b.clients, "clients", 64, "keep-alive connections that ask for known names")
	flag.IntVar(&b.rounds, "rounds", 5, "rounds of requests about known names; the figures are their medians")
	flag.IntVar(&b.requests, "requests", 40_000, "requests of such a round")
	only := flag.String("only", "", "list, preload or known; all where empty")
	farm := flag.String("farm", "", "be the farm, with files in this `folder` (for this program's own use)")
	flag.Parse()
	if *farm != "" {
		log.Fatal(serveFarm(*farm, b.registries, b.latency))
	}
	if !slices.Contains([]string{"", "list", "preload", "known"}, *only) || b.registries < 1 || b.registries > 1000 ||
		min(b.names, b.whois) < 2 || min(b.crowd, b.clients, b.rounds, b.requests) < 1 {
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
	if b.caddy, err = b.Binary(b.caddy); err != nil {
		return err
	}
	if b.farm, err = startFarm(b.Stand, b.registries, b.latency); err != nil {
		return err
	}
	fmt.Printf("%s, %s; %d registries that answer in %v\n", time.Now().UTC().Format(time.DateOnly), contest.Machine(), b.registries, b.latency)
	names := synthesise("t", b.names, b.registries)
	if only != "preload" {
		whence, err := b.startWhence("whence", "", "")
		if err != nil {
			return err
		}
		if only != "known" {
			if err := b.runLists(whence, names, os.Stdout); err != nil {
				return err
			}
			if err := b.runCrowd(whence, os.Stdout); err != nil {
				return err
			}
		}
		if only != "list" {
			if err := b.runKnown(whence, os.Stdout); err != nil {
				return err
			}
		}
	}
	if only == "" || only == "preload" {
		if err := b.runPreload(names, os.Stdout); err != nil {
			return err
		}
	}
	b.PrintSkipped(os.Stdout)
	if b.failed {
		return errors.New("answers are wrong or missing, or there were too many queries")
	}
	return nil
}

// startWhence starts the real binary; sources are lines of the chain before the source registration, more lines of its block.
func (b *bench) startWhence(name, sources, more string) (*child.Server, error) {
	// A name takes almost 4 KB of the store with what the servers wrote: the standard size would not have all.
	options := fmt.Sprintf("\tstore %s/%s/store {\n\t\tcache_size 1GiB\n\t}\n\tenrich {\n\t\tiana\n%s%s\t}\n",
		b.Dir, name, sources, b.farm.block(b.memory, "\t\t\t"+b.with+"\n"+more))
	return b.Caddy(name, b.caddy, child.Caddyfile{Options: options, Sites: child.Site("domain_stats {\n\t\tformat c\n\t}")}, child.Serving)
}
