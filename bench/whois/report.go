//go:build linux

package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// sample is what one run of a contender took.
type sample struct {
	rate     float64       // queries or lines a second
	cpu      float64       // of the server, microseconds a query or line
	p50, p99 time.Duration // zero in bulk
	bytes    float64       // of an answer
	other    float64       // share of the machine that neither server nor client used
}

// contender is measured once a round, beside the others.
type contender struct {
	name    string
	run     func() (sample, error)
	samples []sample // one a round
}

// contest runs all contenders once to warm up and then in each round, every round beginning with another one, so that what else
// the machine does falls on all alike.
func contest(contenders []*contender, rounds int, progress io.Writer) error {
	for round := -1; round < rounds; round++ {
		for i := range contenders {
			c := contenders[(max(round, 0)+i)%len(contenders)]
			s, err := c.run()
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			if round < 0 {
				continue
			}
			c.samples = append(c.samples, s)
			fmt.Fprintf(progress, "round %d  %-34s %10.0f/s  %7.3f µs  others %2.0f %%\n", round+1, c.name, s.rate, s.cpu, s.other*100)
		}
	}
	return nil
}

func median[T cmp.Ordered](values []T) T {
	values = slices.Sorted(slices.Values(values))
	return values[len(values)/2]
}

// med is the median of a figure over the rounds.
func med[T cmp.Ordered](c *contender, figure func(sample) T) T {
	values := make([]T, 0, len(c.samples))
	for _, s := range c.samples {
		values = append(values, figure(s))
	}
	return median(values)
}

func cpuOf(s sample) float64 { return s.cpu }

// ratio is the median over the rounds of how c's processor time a query compares with that of ref in the same round.
func (c *contender) ratio(ref *contender) float64 {
	values := make([]float64, 0, len(c.samples))
	for i, s := range c.samples {
		values = append(values, s.cpu/ref.samples[i].cpu)
	}
	return median(values)
}

// spread is the least and the most of c's processor time a query.
func (c *contender) spread() string {
	lo, hi := c.samples[0].cpu, c.samples[0].cpu
	for _, s := range c.samples {
		lo, hi = min(lo, s.cpu), max(hi, s.cpu)
	}
	return figure(lo) + "–" + figure(hi)
}

func figure(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.3f", v)
	}
	return fmt.Sprintf("%.1f", v)
}

// table writes the contest's medians in Markdown; each of refs has a column with the ratios to it.
func table(w io.Writer, contenders []*contender, unit string, latency bool, refs ...*contender) {
	head := []string{"server", unit + "/s", "server CPU µs/" + unit, "least–most"}
	for _, ref := range refs {
		head = append(head, "× "+ref.name)
	}
	if latency {
		head = append(head, "p50 µs", "p99 µs")
	}
	head = append(head, "bytes/answer", "others' CPU")
	tw := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	row := func(cells []string) { fmt.Fprintln(tw, "| "+strings.Join(cells, "\t| ")+"\t|") }
	row(head)
	row(slices.Repeat([]string{"---"}, len(head)))
	for _, c := range contenders {
		cells := []string{c.name, fmt.Sprintf("%.0f", med(c, func(s sample) float64 { return s.rate })), figure(med(c, cpuOf)), c.spread()}
		for _, ref := range refs {
			cells = append(cells, fmt.Sprintf("%.2f", c.ratio(ref)))
		}
		if latency {
			cells = append(cells, micros(med(c, func(s sample) time.Duration { return s.p50 })),
				micros(med(c, func(s sample) time.Duration { return s.p99 })))
		}
		cells = append(cells, fmt.Sprintf("%.0f", med(c, func(s sample) float64 { return s.bytes })),
			fmt.Sprintf("%.0f %%", 100*med(c, func(s sample) float64 { return s.other })))
		row(cells)
	}
	tw.Flush()
	for _, c := range contenders {
		if share := med(c, func(s sample) float64 { return s.other }); share > 0.15 {
			fmt.Fprintf(w, "\nThe machine was busy with other work (%.0f %% of it beside %s): run it again when it is not.\n", share*100, c.name)
			break
		}
	}
}

func micros(d time.Duration) string { return fmt.Sprint(d.Microseconds()) }

// verdict writes whether a figure keeps its budget.
func verdict(w io.Writer, what string, value, budget float64) {
	word := "met"
	if value > budget {
		word = fmt.Sprintf("MISSED by %.0f %%", 100*(value/budget-1))
	}
	fmt.Fprintf(w, "- %s: %.3g, budget %.3g: %s\n", what, value, budget, word)
}

// machine says what the figures were taken on.
func machine() string {
	model := "unknown CPU"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if key, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				model = strings.TrimSpace(v)
				break
			}
		}
	}
	var u unix.Utsname
	_ = unix.Uname(&u)
	return fmt.Sprintf("%s, %d cores, Linux %s, %s", model, runtime.NumCPU(), unix.ByteSliceToString(u.Release[:]), runtime.Version())
}
