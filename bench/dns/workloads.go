//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/whence-project/whence/bench/internal/child"
	"github.com/whence-project/whence/bench/internal/contest"
)

// workload is what the servers are compared under.
type workload struct {
	name, title string
	load
	delay   time.Duration // of the upstream's answers
	columns []string
	note    func(*forwarder, outcome, seen) map[string]float64 // the figures of the columns
}

// Columns of the tables.
const (
	lost        = "lost"
	failed      = "failed" // answered, but with an error
	mean        = "mean µs"
	p99         = "p99 µs"
	added       = "added µs" // by the server to what the upstream took, mean
	connections = "upstream connections"
	perRecord   = "queries a record"
	resident    = "peak MB"
)

// W1s has more under way than the receive buffers of some servers hold: less would leave the fastest ones waiting for the generator. Its
// clients content themselves with less once they lost something.
var workloads = []workload{
	{
		name: "W1s", title: "hits, as many as the server takes: 16 clients with up to 64 queries under way each, about 900 names",
		load:    load{kind: "hit", seconds: 2, clients: 16, window: 64, batch: 16, timeout: 250 * time.Millisecond},
		columns: []string{mean, lost, failed},
		note:    func(_ *forwarder, o outcome, _ seen) map[string]float64 { return map[string]float64{mean: o.Mean} },
	},
	{
		name: "W1r", title: "hits, 20,000 a second",
		load:    load{kind: "hit", seconds: 1.5, clients: 16, window: 64, batch: 1, rate: 20_000, timeout: time.Second},
		columns: []string{mean, p99, lost, failed},
		note: func(_ *forwarder, o outcome, _ seen) map[string]float64 {
			return map[string]float64{mean: o.Mean, p99: o.P99}
		},
	},
	{
		name: "burst", title: "4,000 clients, each with its first query, at once",
		load:    load{kind: "hit", count: 4000, clients: 4000, window: 1, batch: 1, timeout: 2 * time.Second},
		columns: []string{p99, lost, failed},
		note:    func(_ *forwarder, o outcome, _ seen) map[string]float64 { return map[string]float64{p99: o.P99} },
	},
	{
		name: "W2", title: "misses, as many as the server takes: 60,000 new names a round, 400 queries under way, the upstream answers at once",
		load:    load{kind: "miss", count: 60_000, clients: 16, window: 25, batch: 1, timeout: 5 * time.Second},
		columns: []string{mean, perRecord, resident, lost, failed},
		note: func(f *forwarder, o outcome, s seen) map[string]float64 {
			return map[string]float64{mean: o.Mean, perRecord: float64(s.Queries) / float64(max(s.Records, 1)), resident: float64(f.PeakMemory()) / 1e6}
		},
	},
	{
		name: "W2r", title: "misses, 4,000 a second, at most 400 under way, the upstream answers after 10 ms",
		load: load{kind: "miss", seconds: 2, clients: 16, window: 25, batch: 1, rate: 4000, timeout: 5 * time.Second}, delay: 10 * time.Millisecond,
		columns: []string{added, p99, lost, failed},
		note: func(_ *forwarder, o outcome, s seen) map[string]float64 {
			return map[string]float64{added: o.Mean - s.Held, p99: o.P99}
		},
	},
	{
		name: "flight", title: "misses, 400 queries under way for 10 ms each",
		load: load{kind: "miss", count: 8000, clients: 16, window: 25, batch: 1, timeout: 5 * time.Second}, delay: 10 * time.Millisecond,
		columns: []string{connections, added, lost, failed},
		note: func(_ *forwarder, o outcome, s seen) map[string]float64 {
			return map[string]float64{connections: float64(s.Connections), added: o.Mean - s.Held}
		},
	},
}

// run measures the servers under a workload in turns, and writes the table. An echo has nothing to miss.
func (b *bench) run(l workload, servers []*forwarder, w io.Writer) ([]*contest.Contender, error) {
	var contenders []*contest.Contender
	for _, f := range servers {
		if f.upstream != nil || l.kind != "miss" {
			contenders = append(contenders, &contest.Contender{Name: f.name, Run: func() (contest.Sample, error) { return b.measure(f, l) }})
		}
	}
	if len(contenders) == 0 {
		return nil, nil
	}
	fmt.Fprintf(os.Stderr, "%s\n", l.name)
	if err := contest.Run(contenders, b.rounds, os.Stderr); err != nil {
		return nil, err
	}
	refs := contenders[:0:0]
	for _, c := range contenders {
		if c.Name == "whence" {
			refs = append(refs, c)
		}
	}
	fmt.Fprintf(w, "\n%s: %s; median of %d rounds\n\n", l.name, l.title, b.rounds)
	contest.Table{Rate: "query/s", Unit: "query", Columns: l.columns}.Write(w, contenders, refs...)
	return contenders, nil
}

// measure puts the load on one server. What others answer with an error, or not at all, is told beside their figures; a wrong answer ends
// the program.
func (b *bench) measure(f *forwarder, l workload) (contest.Sample, error) {
	var beside []*child.Server
	if f.upstream != nil {
		beside = append(beside, f.upstream)
		if err := f.reset(l.delay); err != nil {
			return contest.Sample{}, err
		}
	}
	var o outcome
	s, err := contest.Measure(f.Server, func() (int, time.Duration, error) {
		var err error
		o, err = b.generator.send(f.addr, f.load(l.load))
		if err == nil && o.Right == 0 {
			err = fmt.Errorf("none of %d queries was answered rightly: %w", o.Sent, f.Failed())
		}
		return o.Right, time.Duration(o.Seconds * float64(time.Second)), err
	}, beside...)
	if err != nil {
		return s, err
	}
	var saw seen
	if f.upstream != nil {
		if saw, err = f.seen(); err != nil {
			return s, err
		}
	}
	switch {
	case o.Wrong > 0:
		return s, fmt.Errorf("%d of %d answers are wrong", o.Wrong, o.Answered)
	case l.kind == "miss" && saw.Queries < int64(o.Right):
		return s, fmt.Errorf("%d answers about new names, but the upstream was asked %d times", o.Right, saw.Queries)
	}
	s.More = l.note(f, o, saw)
	s.More[lost], s.More[failed] = float64(o.Lost), float64(o.Failed)
	return s, nil
}

// load is a load as this server is to have it: of an echo no answers are wanted.
func (f *forwarder) load(l load) load {
	if f.upstream == nil {
		l.kind = "echo"
	}
	return l
}
