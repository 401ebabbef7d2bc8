//go:build linux

package contest

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/sys/unix"
)

// busy is the share of the machine that others may use beside a contest.
const busy = 0.15

// Table is how the medians of a contest are written.
type Table struct {
	Rate    string               // head of the column of the rates: "query/s"
	Unit    string               // of processor time: "query"
	Figure  func(float64) string // how processor times are written; nil is with two decimals
	Columns []string             // of [Sample.More], written as whole numbers
}

// Write writes the medians in Markdown; each of refs has a column with the ratios to it.
func (t Table) Write(w io.Writer, contenders []*Contender, refs ...*Contender) {
	figure := t.Figure
	if figure == nil {
		figure = func(v float64) string { return fmt.Sprintf("%.2f", v) }
	}
	head := []string{"server", t.Rate, "server CPU µs/" + t.Unit, "least–most"}
	for _, ref := range refs {
		head = append(head, "× "+ref.Name)
	}
	head = append(append(head, t.Columns...), "others' CPU")
	rows := make([][]string, 0, len(contenders))
	most := contenders[0]
	for _, c := range contenders {
		least, greatest := c.spread()
		cells := []string{c.Name, whole(c.Median(Rate)), figure(c.Median(CPU)), figure(least) + "–" + figure(greatest)}
		for _, ref := range refs {
			cells = append(cells, fmt.Sprintf("%.2f", c.Ratio(ref)))
		}
		for _, column := range t.Columns {
			cells = append(cells, whole(c.Median(func(s Sample) float64 { return s.More[column] })))
		}
		if c.Median(Other) > most.Median(Other) {
			most = c
		}
		rows = append(rows, append(cells, fmt.Sprintf("%.0f %%", 100*c.Median(Other))))
	}
	Markdown(w, head, rows)
	if share := most.Median(Other); share > busy {
		fmt.Fprintf(w, "\nThe machine was busy with other work (%.0f %% of it beside %s): run it again when it is not.\n", share*100, most.Name)
	}
}

func whole(v float64) string { return fmt.Sprintf("%.0f", v) }

// Markdown writes a table.
func Markdown(w io.Writer, head []string, rows [][]string) {
	tw := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	row := func(cells []string) { fmt.Fprintln(tw, "| "+strings.Join(cells, "\t| ")+"\t|") }
	row(head)
	row(slices.Repeat([]string{"---"}, len(head)))
	for _, cells := range rows {
		row(cells)
	}
	tw.Flush()
}

// AtMost writes whether a figure keeps its budget.
func AtMost(w io.Writer, what string, value, budget float64) {
	word := "met"
	if value > budget {
		word = fmt.Sprintf("MISSED by %.0f %%", 100*(value/budget-1))
	}
	fmt.Fprintf(w, "- %s: %.3g, budget ≤ %.3g: %s\n", what, value, budget, word)
}

// AtLeast writes whether a figure reaches its budget.
func AtLeast(w io.Writer, what string, value, budget float64) {
	word := "met"
	if value < budget {
		word = fmt.Sprintf("MISSED by %.0f %%", 100*(1-value/budget))
	}
	fmt.Fprintf(w, "- %s: %.0f, budget ≥ %.0f: %s\n", what, value, budget, word)
}

// Machine says what the figures were taken on.
func Machine() string {
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
