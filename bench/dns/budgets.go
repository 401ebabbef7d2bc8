//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/whence-project/whence/bench/internal/contest"
)

// results are the contenders of each workload that was run.
type results map[string][]*contest.Contender

func (r *results) add(workload string, contenders []*contest.Contender) {
	if *r == nil {
		*r = make(results)
	}
	(*r)[workload] = contenders
}

// of is a server under a workload; nil where it was not measured.
func (r results) of(workload, server string) *contest.Contender {
	i := slices.IndexFunc(r[workload], func(c *contest.Contender) bool { return c.Name == server })
	if i < 0 {
		return nil
	}
	return r[workload][i]
}

// budget is what Whence must keep, and what it aims at. The figures are those of its README; 0 is no aim, except where the budget is 0.
type budget struct {
	what      string
	must, aim float64
	// figure is what was measured; there is none where a server that it needs was not.
	figure func(r results) (value float64, measured bool)
}

var budgets = []budget{
	{"W1s, CPU × dnsdist", 1.0, 0.85, ratio("W1s", "dnsdist")},
	{"W1s, CPU × the echo", 1.3, 0, ratio("W1s", "echo")},
	{"W1r, CPU × dnsdist", 1.1, 1.0, ratio("W1r", "dnsdist")},
	{"lost of an opening burst of 4,000 clients", 0, 0, most("burst", lost)},
	{"W2, CPU × the best peer", 0.65, 0.5, ratio("W2", "unbound", "dnsdist", "kresd", "coredns")},
	{"W2, resident memory × CoreDNS", 1.0, 0, memory("coredns")},
	{"W2r, latency added, ms", 0.6, 0.4, milliseconds("W2r", added)},
	{"W2r, CPU × kresd", 1.2, 1.0, ratio("W2r", "kresd")},
	{"upstream connections with 400 queries under way", 4, 2, most("flight", connections)},
}

// ratio is the processor time of Whence × that of the best of the servers, by rounds.
func ratio(workload string, servers ...string) func(results) (float64, bool) {
	return func(r results) (worst float64, measured bool) {
		whence := r.of(workload, "whence")
		for _, name := range servers {
			if c := r.of(workload, name); whence != nil && c != nil {
				worst, measured = max(worst, whence.Ratio(c)), true
			}
		}
		return worst, measured
	}
}

// most is the greatest figure of a column that Whence had.
func most(workload, column string) func(results) (float64, bool) {
	return func(r results) (value float64, measured bool) {
		whence := r.of(workload, "whence")
		if whence == nil {
			return 0, false
		}
		for _, s := range whence.Samples {
			value = max(value, s.More[column])
		}
		return value, true
	}
}

// milliseconds is the median of a column in microseconds.
func milliseconds(workload, column string) func(results) (float64, bool) {
	return func(r results) (float64, bool) {
		whence := r.of(workload, "whence")
		if whence == nil {
			return 0, false
		}
		return whence.Median(func(s contest.Sample) float64 { return s.More[column] }) / 1000, true
	}
}

// memory is the most resident memory of Whence × that of a peer, after as many names.
func memory(peer string) func(results) (float64, bool) {
	return func(r results) (float64, bool) {
		other, measured := r.of("W2", peer), r.of("W2", "whence") != nil
		if other == nil || !measured {
			return 0, false
		}
		own, _ := most("W2", resident)(r)
		return own / other.Samples[len(other.Samples)-1].More[resident], true
	}
}

// writeBudgets writes which budgets are kept, of those that were measured.
func (r results) writeBudgets(w io.Writer) {
	var rows [][]string
	for _, b := range budgets {
		value, measured := b.figure(r)
		if !measured {
			continue
		}
		word, aim := "met", ""
		if value > b.must {
			word = "MISSED"
		}
		if b.aim > 0 {
			aim = fmt.Sprintf("≤ %.3g: reached", b.aim)
			if value > b.aim {
				aim = fmt.Sprintf("≤ %.3g: not reached", b.aim)
			}
		}
		rows = append(rows, []string{b.what, fmt.Sprintf("%.3g", value), fmt.Sprintf("≤ %.3g", b.must), word, aim})
	}
	if len(rows) == 0 {
		return
	}
	fmt.Fprintln(w)
	contest.Markdown(w, []string{"whence", "measured", "budget", "", "aim"}, rows)
	fmt.Fprintln(w)
}

// failure is an error where Whence did not answer, or answered with errors. What is lost of an opening burst is a budget.
func (r results) failure() error {
	var all []error
	for _, l := range workloads {
		whence := r.of(l.name, "whence")
		if whence == nil {
			continue
		}
		for i, s := range whence.Samples {
			if n := s.More[failed]; n > 0 {
				all = append(all, fmt.Errorf("%s, round %d: %.0f queries failed", l.name, i+1, n))
			}
			if n := s.More[lost]; n > 0 && l.name != "burst" {
				all = append(all, fmt.Errorf("%s, round %d: %.0f queries were lost", l.name, i+1, n))
			}
		}
	}
	return errors.Join(all...)
}
