package main

import (
	"maps"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/internal/testenv"
)

// scrape is what /metrics says: values of Whence's series, and the types of its metrics.
type scrape struct {
	values map[string]float64 // by name and labels, as they are written
	types  map[string]string
}

func (s *server) scrape() scrape {
	s.t.Helper()
	m := scrape{make(map[string]float64), make(map[string]string)}
	for line := range strings.Lines(s.get("/metrics")) {
		if name, ok := strings.CutPrefix(line, "# TYPE caddy_whence_"); ok {
			name, typ, _ := strings.Cut(strings.TrimSpace(name), " ")
			m.types["caddy_whence_"+name] = typ
		}
		if !strings.HasPrefix(line, "caddy_whence_") {
			continue
		}
		end := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(strings.TrimSpace(line[end+1:]), 64)
		if err != nil {
			s.t.Errorf("%q: %v", line, err)
		}
		m.values[line[:end]] = v
	}
	return m
}

// metricOf is the metric that a series belongs to.
func (m *scrape) metricOf(series string) string {
	name, _, _ := strings.Cut(series, "{")
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(name, suffix); ok && m.types[base] == "histogram" {
			return base
		}
	}
	return name
}

// sum adds the series up whose metric and labels contain all of the words.
func (m *scrape) sum(words ...string) (sum float64) {
next:
	for series, v := range m.values {
		for _, w := range words {
			if !strings.Contains(series, w) {
				continue next
			}
		}
		sum += v
	}
	return sum
}

// counted is what the series whose metric and labels contain the words add up to, at least.
type counted struct {
	words []string
	n     float64
}

// scrapeUntil waits until all is counted: some is only after the answer was sent.
func (s *server) scrapeUntil(t *testing.T, all []counted) (m scrape) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		m = s.scrape()
		i := slices.IndexFunc(all, func(c counted) bool { return m.sum(c.words...) < c.n })
		if i < 0 {
			return m
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q: %v, want %v or more", all[i].words, m.sum(all[i].words...), all[i].n)
		}
	}
}

var labelNames = regexp.MustCompile(`(\w+)="`)

// checkDocumented holds every series against the table in docs/metrics.md.
func (m *scrape) checkDocumented(t *testing.T) {
	t.Helper()
	table := testenv.Metrics(t)
	for series := range m.values {
		name := m.metricOf(series)
		var labels []string
		for _, l := range labelNames.FindAllStringSubmatch(series, -1) {
			if l[1] != "le" {
				labels = append(labels, l[1])
			}
		}
		want, ok := table[name]
		slices.Sort(want.Labels)
		if !ok || want.Type != m.types[name] || !slices.Equal(labels, want.Labels) {
			t.Errorf("docs/metrics.md does not have %s, a %s", series, m.types[name])
		}
	}
}

// checkCounted holds every counter and histogram against an earlier scrape, below which it must not fall.
func (m *scrape) checkCounted(t *testing.T, when string, before scrape) {
	t.Helper()
	for series, was := range before.values {
		typ := before.types[before.metricOf(series)]
		if is, ok := m.values[series]; typ != "gauge" && (!ok || is < was) {
			t.Errorf("%s, %s went from %v to %v", when, series, was, is)
		}
	}
}

var ofCaddy = regexp.MustCompile(`\b(?:process_|go_|caddy_[a-vx-z])\w+`)

// checkDashboards has the server have what the dashboards show beside Whence's own metrics, which the tests of caddymodule look after.
func (s *server) checkDashboards(t *testing.T) {
	t.Helper()
	metrics := s.get("/metrics")
	for _, file := range []string{"whence.json", "alerts.yml"} {
		b, err := os.ReadFile("../../dashboards/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range ofCaddy.FindAllString(string(b), -1) {
			if !strings.Contains(metrics, "# TYPE "+name+" ") {
				t.Errorf("dashboards/%s shows %s, which the server does not have", file, name)
			}
		}
	}
}

// TestMetricsSurviveReloads has each door asked, and counts after reloads: of the same, of another configuration, of one that fails, of
// one without any of the doors, and back.
func TestMetricsSurviveReloads(t *testing.T) {
	h := newHouse(t)
	h.open()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, v := range h.visitors() {
		if err := v.ask(0); err != nil {
			t.Errorf("%s: %v", v.door, err)
		}
		v.leave()
	}
	if _, err := resolve("udp", h.dns("udp"), "ads.example"); err != nil {
		t.Error(err)
	}
	last := h.scrapeUntil(t, []counted{
		{[]string{"whois_queries_total{", `outcome="found"`}, 1},
		{[]string{"whois_bulk_lines_total"}, bulkLines},
		{[]string{"whois_query_duration_seconds_count"}, 1},
		{[]string{"domain_stats_answers_total{", `route="domain"`}, 2},
		{[]string{"domain_stats_bulk_lines_total"}, 2 * bulkLines},
		{[]string{"dns_queries_total{", `transport="udp"`}, 3},
		{[]string{"dns_queries_total{", `transport="tcp"`}, 2},
		{[]string{"dns_queries_total{", `transport="tls"`}, 2},
		{[]string{"dns_queries_total{", `transport="https"`}, 1},
		{[]string{"dns_packets_total"}, 3},
		{[]string{"dns_blocked_total"}, 1},
		{[]string{"dns_policy_hits_total{", `policy="unranked"`}, 1},
		{[]string{"dns_cache_lookups_total"}, 7},
		{[]string{"dns_connections_total{", "accepted"}, 4},
		{[]string{"dns_handshakes_total"}, 2},
		{[]string{"dns_upstream_queries_total"}, 1},
		{[]string{"dns_upstream_seconds_count"}, 1},
		{[]string{"registration_lookups_total"}, 1},
		{[]string{"store_cache_lookups_total"}, 1},
	})
	last.checkDocumented(t)
	h.checkDashboards(t)
	for _, step := range []struct {
		name, config string
		fails        bool
	}{
		{"the same again", h.config(0), false},
		{"another", h.config(1), false},
		{"the first again", h.config(2), false},
		{"one that cannot start", h.broken(2, taken.Addr().String()), true},
		{"one that cannot be provisioned", strings.Replace(h.config(2), "footer", "enrich nowhere\n\t\tfooter", 1), true},
		{"none of the doors", globals(""), false},
		{"the first again", h.config(2), false},
	} {
		if err := h.load(step.config); (err != nil) != step.fails {
			t.Fatalf("%s: %v", step.name, err)
		}
		now := h.scrape()
		now.checkCounted(t, "after "+step.name, last)
		now.checkDocumented(t)
		last = now
		if n := now.sum("source_file_ok{", "lite-composite.mmdb"); step.name != "none of the doors" && n != 1 {
			t.Errorf("after %s, the database serves: %v", step.name, n)
		}
	}
	if n := len(slices.Collect(maps.Keys(last.types))); n < 50 {
		t.Errorf("only %d metrics", n)
	}
}
