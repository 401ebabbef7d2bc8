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

	"golang.org/x/sys/unix"
)

// sample is what one run of a contender took.
type sample struct {
	rate  float64 // requests or names a second
	cpu   float64 // of the server, microseconds a request or name
	other float64 // share of the machine that neither server nor client used
}

func cpuOf(s sample) float64   { return s.cpu }
func rateOf(s sample) float64  { return s.rate }
func otherOf(s sample) float64 { return s.other }

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
			fmt.Fprintf(progress, "round %d  %-38s %10.0f/s  %7.3f µs  others %2.0f %%\n", round+1, c.name, s.rate, s.cpu, s.other*100)
		}
	}
	return nil
}

func median[T cmp.Ordered](values []T) T {
	values = slices.Sorted(slices.Values(values))
	return values[len(values)/2]
}

// med is the median of a figure over the rounds.
func med(c *contender, figure func(sample) float64) float64 {
	values := make([]float64, 0, len(c.samples))
	for _, s := range c.samples {
		values = append(values, figure(s))
	}
	return median(values)
}

// ratio is the median over the rounds of how c's processor time a request compares with that of ref in the same round.
func (c *contender) ratio(ref *contender) float64 {
	values := make([]float64, 0, len(c.samples))
	for i, s := range c.samples {
		values = append(values, s.cpu/ref.samples[i].cpu)
	}
	return median(values)
}

// table writes the contest's medians in Markdown; each of refs has a column with the ratios to it.
func table(w io.Writer, contenders []*contender, unit string, refs ...*contender) {
	head := []string{"server", unit + "s/s", "server CPU µs/" + unit, "least–most"}
	for _, ref := range refs {
		head = append(head, "× "+ref.name)
	}
	head = append(head, "others' CPU")
	tw := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	row := func(cells []string) { fmt.Fprintln(tw, "| "+strings.Join(cells, "\t| ")+"\t|") }
	row(head)
	row(slices.Repeat([]string{"---"}, len(head)))
	busy := 0.0
	for _, c := range contenders {
		lo, hi := c.samples[0].cpu, c.samples[0].cpu
		for _, s := range c.samples {
			lo, hi = min(lo, s.cpu), max(hi, s.cpu)
		}
		cells := []string{c.name, fmt.Sprintf("%.0f", med(c, rateOf)), fmt.Sprintf("%.2f", med(c, cpuOf)), fmt.Sprintf("%.2f–%.2f", lo, hi)}
		for _, ref := range refs {
			cells = append(cells, fmt.Sprintf("%.2f", c.ratio(ref)))
		}
		busy = max(busy, med(c, otherOf))
		row(append(cells, fmt.Sprintf("%.0f %%", 100*med(c, otherOf))))
	}
	tw.Flush()
	if busy > 0.15 {
		fmt.Fprintf(w, "\nThe machine was busy with other work (%.0f %% of it): run it again when it is not.\n", busy*100)
	}
}

// atMost writes whether a figure keeps its budget.
func atMost(w io.Writer, what string, value, budget float64) {
	word := "met"
	if value > budget {
		word = fmt.Sprintf("MISSED by %.0f %%", 100*(value/budget-1))
	}
	fmt.Fprintf(w, "- %s: %.3g, budget ≤ %.3g: %s\n", what, value, budget, word)
}

// atLeast writes whether a figure reaches its budget.
func atLeast(w io.Writer, what string, value, budget float64) {
	word := "met"
	if value < budget {
		word = fmt.Sprintf("MISSED by %.0f %%", 100*(1-value/budget))
	}
	fmt.Fprintf(w, "- %s: %.0f, budget ≥ %.0f: %s\n", what, value, budget, word)
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
