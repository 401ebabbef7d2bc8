package caddymodule

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/whence-project/whence/internal/testenv"
)

// expression is a query of a dashboard or a rule, and the texts that show its labels.
type expression struct {
	where, query string
	texts        []string
}

// panel is what the test reads of a panel of Grafana's.
type panel struct {
	Title, Type string
	Panels      []panel
	Targets     []struct{ Expr, LegendFormat string }
	GridPos     struct{ X, Y, W, H int }
}

// dashboard reads the expressions of the dashboard, those of its variables too.
func dashboard(t *testing.T) (es []expression, panels []panel) {
	t.Helper()
	b, err := os.ReadFile("../dashboards/whence.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels     []panel
		Templating struct {
			List []struct {
				Name, Type string
				Query      any
			}
		}
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	for _, v := range d.Templating.List {
		if query, ok := v.Query.(map[string]any); ok {
			es = append(es, expression{where: "variable " + v.Name, query: query["query"].(string)})
		}
	}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			es = append(es, expression{"panel " + p.Title, target.Expr, []string{target.LegendFormat}})
		}
		if len(p.Panels) > 0 || len(p.Targets) == 0 && p.Type != "row" {
			t.Errorf("panel %s: want rows that are open, and panels that show something", p.Title)
		}
	}
	return es, d.Panels
}

// alerts reads the expressions of the alerting rules.
func alerts(t *testing.T) (es []expression) {
	t.Helper()
	b, err := os.ReadFile("../dashboards/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if !slices.Contains([]string{"info", "warning", "critical"}, r.Labels["severity"]) || r.Annotations["summary"] == "" {
				t.Errorf("alert %s: want a severity and a summary", r.Alert)
			}
			es = append(es, expression{"alert " + r.Alert, r.Expr, []string{r.Annotations["summary"]}})
		}
	}
	return es
}

var (
	// selectors are metrics with their matchers: words that no function is, which would have a parenthesis behind it.
	selectors = regexp.MustCompile(`\b((?:caddy|process|go)_\w+)(?:\{([^}]*)\})?`)
	matchers  = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"`)
	groupings = regexp.MustCompile(`\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)`)
	shown     = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}`)
	word      = regexp.MustCompile(`^\w+$`)
)

// caddys are the metrics of Caddy and of the client library that a dashboard may show; that a server has them cmd/caddy tests.
var caddys = []string{
	"process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds", "go_goroutines", "caddy_config_last_reload_successful",
}

// everySeries are labels that Prometheus gives, and that of a histogram's buckets.
var everySeries = []string{"instance", "job", "le"}

// free are labels whose values the table does not list: names out of the configuration, and registries of the DNS.
var free = []string{"instance", "job", "chain", "source", "file", "handler", "from", "server", "policy", "scope", "route", "dialect", "type", "rcode"}

// TestDashboards holds every metric, label and value that the dashboard and the alerts name against docs/metrics.md.
func TestDashboards(t *testing.T) {
	table := testenv.Metrics(t)
	panels, _ := dashboard(t)
	for _, e := range append(panels, alerts(t)...) {
		e.check(t, table)
	}
}

func (e *expression) check(t *testing.T, table map[string]testenv.Metric) {
	t.Helper()
	labels := slices.Clone(everySeries)
	found := selectors.FindAllStringSubmatch(e.query, -1)
	if len(found) == 0 {
		t.Errorf("%s: no metric in %s", e.where, e.query)
	}
	for _, s := range found {
		name := metricOf(s[1], table)
		m, ok := table[name]
		if !ok && !slices.Contains(caddys, name) {
			t.Errorf("%s: there is no metric %s", e.where, s[1])
		}
		labels = append(labels, m.Labels...)
		for _, match := range matchers.FindAllStringSubmatch(s[2], -1) {
			label, values := match[1], match[2]
			if !slices.Contains(everySeries, label) && !slices.Contains(m.Labels, label) {
				t.Errorf("%s: %s has no label %s", e.where, name, label)
			}
			for value := range strings.SplitSeq(values, "|") {
				if !slices.Contains(free, label) && !regexp.MustCompile(`\b`+regexp.QuoteMeta(value)+`\b`).MatchString(m.Meaning) {
					t.Errorf("%s: docs/metrics.md does not say that %s has %s=%q", e.where, name, label, value)
				}
			}
		}
	}
	for _, g := range groupings.FindAllStringSubmatch(e.query, -1) {
		for _, label := range strings.FieldsFunc(g[1], func(r rune) bool { return r == ',' || r == ' ' }) {
			if !slices.Contains(labels, label) || !word.MatchString(label) {
				t.Errorf("%s: no metric in it has the label %s", e.where, label)
			}
		}
	}
	for _, text := range e.texts {
		for _, l := range shown.FindAllStringSubmatch(text, -1) {
			if !e.keeps(l[1], labels) {
				t.Errorf("%s: %q shows %s, which the expression does not have", e.where, text, l[1])
			}
		}
	}
}

// keeps reports whether results of the expression have a label: one that it sums by or, where it sums nothing, one of its metrics.
func (e *expression) keeps(label string, labels []string) bool {
	by := groupings.FindAllStringSubmatch(e.query, -1)
	for _, g := range by {
		if slices.Contains(strings.FieldsFunc(g[1], func(r rune) bool { return r == ',' || r == ' ' }), label) {
			return true
		}
	}
	return !strings.Contains(e.query, "sum(") && len(by) == 0 && slices.Contains(labels, label)
}

// metricOf is the metric that a name in an expression belongs to: histograms have several names.
func metricOf(name string, table map[string]testenv.Metric) string {
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(name, suffix); ok && table[base].Type == "histogram" {
			return base
		}
	}
	return name
}

// TestDashboardLayout has every panel within the grid of 24 columns, and none over another.
func TestDashboardLayout(t *testing.T) {
	_, panels := dashboard(t)
	taken := make(map[[2]int]string)
	for _, p := range panels {
		g := p.GridPos
		if g.W < 1 || g.H < 1 || g.X < 0 || g.X+g.W > 24 {
			t.Errorf("panel %s: %+v", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("panel %s lies over %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
	if len(panels) < 50 {
		t.Errorf("only %d panels", len(panels))
	}
}
