//go:build linux

// Package contest measures servers beside each other in turns, and writes the medians and whether they keep their budgets.
package contest

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"github.com/whence-project/whence/bench/internal/child"
)

// Sample is what one run of a contender took. A thing is what the contest counts: a query, a line, a name.
type Sample struct {
	Rate  float64            // things a second
	CPU   float64            // of the server, microseconds a thing
	Other float64            // share of the machine that neither server nor client used
	More  map[string]float64 // figures of a program's own, by their column in its table
}

// Rate, CPU and Other are the figures of samples that [Contender.Median] is asked for most.
func Rate(s Sample) float64  { return s.Rate }
func CPU(s Sample) float64   { return s.CPU }
func Other(s Sample) float64 { return s.Other }

// Contender is measured once a round, beside the others.
type Contender struct {
	Name    string
	Run     func() (Sample, error)
	Samples []Sample // one a round
}

// Run runs all contenders once to warm up and then in each round, every round beginning with another one, so that what else the
// machine does falls on all alike.
func Run(contenders []*Contender, rounds int, progress io.Writer) error {
	for round := -1; round < rounds; round++ {
		for i := range contenders {
			c := contenders[(max(round, 0)+i)%len(contenders)]
			s, err := c.Run()
			if err != nil {
				return fmt.Errorf("%s: %w", c.Name, err)
			}
			if round < 0 {
				continue
			}
			c.Samples = append(c.Samples, s)
			fmt.Fprintf(progress, "round %d  %-38s %10.0f/s  %7.3f µs  others %2.0f %%\n", round+1, c.Name, s.Rate, s.CPU, s.Other*100)
		}
	}
	return nil
}

// Measure is a sample of what the server takes for what run does: so many things, in that time. Servers beside it take part, so that
// they are no others.
func Measure(p *child.Server, run func() (things int, elapsed time.Duration, err error), beside ...*child.Server) (Sample, error) {
	runtime.GC() // this program's own garbage is not to be collected on the clock
	sum := func() (all time.Duration) {
		for _, s := range beside {
			all += s.CPU()
		}
		return all
	}
	others, helped, cpu := Others(), sum(), p.CPU()
	n, elapsed, err := run()
	if err != nil {
		return Sample{}, err
	}
	cpu = p.CPU() - cpu
	return Sample{
		Rate:  float64(n) / elapsed.Seconds(),
		CPU:   cpu.Seconds() * 1e6 / float64(n),
		Other: others(cpu + sum() - helped),
	}, nil
}

// Others begins to watch the machine. What it returns tells which share of it was used since by others than this program, its
// children that have ended, and servers that used so much.
func Others() func(servers time.Duration) float64 {
	all, own, begin := child.MachineCPU(), child.OwnCPU(), time.Now()
	return func(servers time.Duration) float64 {
		used := child.MachineCPU() - all - (child.OwnCPU() - own) - servers
		return min(max(0, used.Seconds()/time.Since(begin).Seconds()/float64(runtime.NumCPU())), 1)
	}
}

// Median of values, the higher of two; there must be one.
func Median[T cmp.Ordered](values []T) T {
	values = slices.Sorted(slices.Values(values))
	return values[len(values)/2]
}

// Median of a figure over the rounds.
func (c *Contender) Median(figure func(Sample) float64) float64 {
	values := make([]float64, 0, len(c.Samples))
	for _, s := range c.Samples {
		values = append(values, figure(s))
	}
	return Median(values)
}

// Ratio is the median over the rounds of how c's processor time a thing compares with that of ref in the same round.
func (c *Contender) Ratio(ref *Contender) float64 {
	values := make([]float64, 0, len(c.Samples))
	for i, s := range c.Samples {
		values = append(values, s.CPU/ref.Samples[i].CPU)
	}
	return Median(values)
}

// spread is the least and the most of c's processor time a thing.
func (c *Contender) spread() (least, most float64) {
	least, most = c.Samples[0].CPU, c.Samples[0].CPU
	for _, s := range c.Samples {
		least, most = min(least, s.CPU), max(most, s.CPU)
	}
	return least, most
}
