package caddymodule

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/whence-project/whence/caddymodule/internal/prom"
	"github.com/whence-project/whence/internal/testenv"
)

// metric is what a collector has.
type metric struct {
	testenv.Metric
	help string
}

// more is what has metrics and is not in the example.
const more = `{
	nats nats://127.0.0.1:4222
	enrich {
		mmdb ./data/country.mmdb {
			update https://example.org/country.mmdb
		}
	}
	notify {
		webhook https://example.org/
	}
}
`

func provision(t *testing.T, caddyfile string) {
	t.Helper()
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), nil)
	if err != nil {
		t.Fatal(err)
	}
	var c caddy.Config
	if err := json.Unmarshal(config, &c); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&c); err != nil { // which provisions all of it, and starts nothing
		t.Fatal(err)
	}
}

// provisioned are the metrics that the process has when everything that has any was provisioned.
func provisioned(t *testing.T) map[string]metric {
	t.Helper()
	b, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	provision(t, string(b))
	provision(t, more)
	metrics := make(map[string]metric)
	for _, collector := range prom.Collectors() {
		for _, desc := range descriptions(collector) {
			name, m := parse(t, desc)
			m.Type = typeOf(collector, name)
			metrics[name] = m
		}
	}
	return metrics
}

func descriptions(c prometheus.Collector) (ds []*prometheus.Desc) {
	ch := make(chan *prometheus.Desc)
	go func() {
		c.Describe(ch)
		close(ch)
	}()
	for d := range ch {
		ds = append(ds, d)
	}
	return ds
}

var description = regexp.MustCompile(`^Desc\{fqName: "(.*)", help: "(.*)", unit: ".*", constLabels: \{\}, variableLabels: \{(.*)\}\}$`)

// parse reads a description, which the library keeps to itself, from how it is printed.
func parse(t *testing.T, d *prometheus.Desc) (name string, m metric) {
	t.Helper()
	parts := description.FindStringSubmatch(d.String())
	if parts == nil {
		t.Fatalf("the library prints descriptions in another way: %s", d)
	}
	m.help = parts[2]
	m.Labels = strings.FieldsFunc(parts[3], func(r rune) bool { return r == ',' })
	return parts[1], m
}

// typeOf is the type of a collector's metric, "" where neither tells without a sample.
func typeOf(c prometheus.Collector, name string) string {
	switch c := c.(type) {
	case interface{ Metrics() []*prom.Metric }:
		for _, m := range c.Metrics() {
			if m.Name == name {
				return string(m.Type)
			}
		}
	case *prometheus.CounterVec, prometheus.Counter:
		return "counter"
	case *prometheus.GaugeVec:
		return "gauge"
	case prometheus.Histogram, *prometheus.HistogramVec:
		return "histogram"
	}
	return ""
}

// TestMetricsDocumented holds every metric that is registered against the table in docs/metrics.md, and the table against them.
func TestMetricsDocumented(t *testing.T) {
	table, metrics := testenv.Metrics(t), provisioned(t)
	for name, m := range metrics {
		row := fmt.Sprintf("| `%s` | %s | %s | … |", name, m.Type, quoted(m.Labels))
		switch d, ok := table[name]; {
		case m.Type == "":
			t.Errorf("%s: its collector does not tell its type; make it with package prom, or of the client library's own types", name)
		case !ok:
			t.Errorf("docs/metrics.md lacks: %s", row)
		case d.Type != m.Type || !slices.Equal(d.Labels, m.Labels):
			t.Errorf("docs/metrics.md has %s as %s of %q, but it is: %s", name, d.Type, d.Labels, row)
		}
	}
	for name := range table {
		if _, ok := metrics[name]; !ok {
			t.Errorf("docs/metrics.md has %s, which nothing registers that the test provisions", name)
		}
	}
	if len(metrics) < 60 {
		t.Errorf("only %d metrics", len(metrics))
	}
}

func quoted(labels []string) string {
	if len(labels) == 0 {
		return ""
	}
	return "`" + strings.Join(labels, "`, `") + "`"
}

var literal = regexp.MustCompile(`"caddy_whence_\w+"`)

// TestMetricsProvisioned looks for names of metrics in the adapters' code that the test does not provision.
func TestMetricsProvisioned(t *testing.T) {
	metrics := provisioned(t)
	files, err := filepath.Glob("*/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range literal.FindAllString(string(b), -1) {
			if _, ok := metrics[strings.Trim(name, `"`)]; !ok && !strings.HasSuffix(file, "_test.go") {
				t.Errorf("%s has a metric %s, which nothing registers that the test provisions; add what has it to more", file, name)
			}
		}
	}
}

// TestMetricNames has Prometheus' own rules for names and texts: base units, _total for counters and for nothing else.
func TestMetricNames(t *testing.T) {
	var exposition strings.Builder
	for name, m := range provisioned(t) {
		if !strings.HasPrefix(name, "caddy_whence_") || !strings.HasSuffix(m.help, ".") {
			t.Errorf("%s, %q: want the prefix caddy_whence_ and a sentence", name, m.help)
		}
		fmt.Fprintf(&exposition, "# HELP %s %s\n# TYPE %s %s\n", name, m.help, name, m.Type)
		if m.Type == "histogram" {
			fmt.Fprintf(&exposition, "%s_bucket{le=\"+Inf\"} 1\n%s_sum 1\n%s_count 1\n", name, name, name)
		} else {
			fmt.Fprintf(&exposition, "%s 1\n", name)
		}
	}
	problems, err := promlint.New(strings.NewReader(exposition.String())).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
