package testenv

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Metric is a row of the table in docs/metrics.md.
type Metric struct {
	Type    string   // counter, gauge or histogram
	Labels  []string // in the order of the row
	Meaning string
}

// Metrics are the metrics that docs/metrics.md has, by name.
func Metrics(t testing.TB) map[string]Metric {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(Root(t), "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	table := make(map[string]Metric)
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(line, "| `caddy_whence_") {
			continue
		}
		cell := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cell) != 4 || strings.TrimSpace(cell[3]) == "" {
			t.Errorf("docs/metrics.md: not name, type, labels and meaning: %s", line)
			continue
		}
		name := strings.Trim(cell[0], " `")
		if _, twice := table[name]; twice {
			t.Errorf("docs/metrics.md: %s is there twice", name)
		}
		table[name] = Metric{Type: strings.TrimSpace(cell[1]), Labels: strings.FieldsFunc(cell[2], func(r rune) bool {
			return r == '`' || r == ',' || r == ' '
		}), Meaning: strings.TrimSpace(cell[3])}
	}
	if len(table) == 0 {
		t.Fatal("docs/metrics.md has no table of metrics")
	}
	return table
}
