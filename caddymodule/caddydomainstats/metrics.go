package caddydomainstats

import (
	"github.com/prometheus/client_golang/prometheus"
)

// collector reads the states in the pool, which outlive a configuration.
type collector struct{ answers, contacts, refused, lines *prometheus.Desc }

var metrics = &collector{
	answers: prometheus.NewDesc("caddy_whence_domain_stats_answers_total",
		"Answers, by route and outcome.", []string{"route", "outcome"}, nil),
	contacts: prometheus.NewDesc("caddy_whence_domain_stats_first_contacts_total",
		"First contacts that were answered.", nil, nil),
	refused: prometheus.NewDesc("caddy_whence_domain_stats_new_names_refused_total",
		"New names that were not claimed since their client had used up new_names.", nil, nil),
	lines: prometheus.NewDesc("caddy_whence_domain_stats_bulk_lines_total",
		"Lines of posted lists that were answered.", nil, nil),
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.answers, c.contacts, c.refused, c.lines} {
		ch <- d
	}
}

// Collect adds up what the states have counted.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	answers := make(map[[2]string]uint64)
	var contacts, refused, lines uint64
	states.Range(func(_, v any) bool {
		s := v.(stateEntry)
		s.Answers(func(route, outcome string, n uint64) { answers[[2]string{route, outcome}] += n })
		contacts += s.FirstContacts()
		refused += s.Refused()
		lines += s.BulkLines()
		return true
	})
	for labels, n := range answers {
		ch <- prometheus.MustNewConstMetric(c.answers, prometheus.CounterValue, float64(n), labels[0], labels[1])
	}
	ch <- prometheus.MustNewConstMetric(c.contacts, prometheus.CounterValue, float64(contacts))
	ch <- prometheus.MustNewConstMetric(c.refused, prometheus.CounterValue, float64(refused))
	ch <- prometheus.MustNewConstMetric(c.lines, prometheus.CounterValue, float64(lines))
}
