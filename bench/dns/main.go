//go:build linux

// Command dns measures the forwarder beside other forwarders, each with a DNS-over-TLS upstream of its own on loopback: the processor
// time a query from the cache and from the upstream, the latency, connections, losses and memory. See ../README.md.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/whence-project/whence/bench/internal/child"
	"github.com/whence-project/whence/bench/internal/contest"
)

// bench is one run of the program.
type bench struct {
	*child.Stand
	caddy     string
	coredns   string
	rounds    int
	generator generator
}

// The servers, in the order of the tables.
var serverNames = []string{"echo", "unbound", "dnsdist", "kresd", "coredns", "whence"}

func main() {
	log.SetFlags(0)
	b := new(bench)
	flag.StringVar(&b.caddy, "caddy", "", "the binary to measure; built from ./cmd/caddy where none is given")
	flag.StringVar(&b.coredns, "coredns", "", "the CoreDNS to measure; built from ./bench/dns/peers/coredns where none is given")
	flag.IntVar(&b.rounds, "rounds", 3, "rounds; the figures are their medians")
	only := flag.String("only", "", "workloads, with commas between: "+strings.Join(workloadNames(), ",")+"; all where empty")
	servers := flag.String("servers", "", "servers likewise: "+strings.Join(serverNames, ",")+"; all where empty")
	upstream := flag.String("upstream", "", "be an upstream with its authority in this `file` (for this program's own use)")
	flag.Parse()
	if *upstream != "" {
		log.Fatal(serveUpstream(*upstream))
	}
	chosen, ok := choose(*only, workloadNames())
	measured, known := choose(*servers, serverNames)
	if !ok || !known || b.rounds < 1 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := b.all(chosen, measured); err != nil {
		log.Fatal(err)
	}
}

func workloadNames() (names []string) {
	for _, l := range workloads {
		names = append(names, l.name)
	}
	return names
}

// choose takes a list with commas apart, whose words must be among all; all are chosen where it is empty.
func choose(list string, all []string) (chosen []string, ok bool) {
	if list == "" {
		return all, true
	}
	chosen = strings.Split(list, ",")
	for _, word := range chosen {
		if !slices.Contains(all, word) {
			return nil, false
		}
	}
	return chosen, true
}

// all does it all, and ends what it started however it goes.
func (b *bench) all(chosen, measured []string) (err error) {
	if b.Stand, err = child.NewStand(); err != nil {
		return err
	}
	defer b.Close()
	if b.generator.program, err = compile(b.Stand, "load.c", "-lm"); err != nil {
		return err
	}
	if slices.Contains(measured, "whence") {
		if b.caddy, err = b.Binary(b.caddy); err != nil {
			return err
		}
	}
	servers, err := b.start(measured)
	if err != nil {
		return err
	}
	fmt.Printf("%s, %s; servers on one core, load and upstreams on another\n", time.Now().UTC().Format(time.DateOnly), contest.Machine())
	var r results
	for _, l := range workloads {
		if !slices.Contains(chosen, l.name) {
			continue
		}
		contenders, err := b.run(l, servers, os.Stdout)
		if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		r.add(l.name, contenders)
	}
	r.writeBudgets(os.Stdout)
	b.PrintSkipped(os.Stdout)
	return r.failure()
}

// start starts the servers. Those of others that cannot be started are left out.
func (b *bench) start(measured []string) (servers []*forwarder, err error) {
	if err := pin(loadCore); err != nil {
		b.Skip("a core for the servers alone", err)
	}
	for _, name := range measured {
		fmt.Fprintf(os.Stderr, "starting %s\n", name)
		f, err := b.startNamed(name)
		switch {
		case err == nil:
			servers = append(servers, f)
		case name == "whence":
			return nil, err
		default:
			b.Skip(name, err)
		}
	}
	return servers, nil
}

func (b *bench) startNamed(name string) (*forwarder, error) {
	switch name {
	case "echo":
		return b.startEcho()
	case "unbound":
		return b.startPeer(name, "unbound", "-d", "-c", "%c")
	case "dnsdist":
		return b.startPeer(name, "dnsdist", "--supervised", "--disable-syslog", "-C", "%c")
	case "kresd":
		return b.startPeer(name, "kresd", "-n", "-c", "%c", "%d")
	case "coredns":
		program, err := b.coreDNS(b.coredns)
		if err != nil {
			return nil, err
		}
		return b.startPeer(name, program, "-conf", "%c", "-quiet")
	default:
		return b.startWhence()
	}
}
