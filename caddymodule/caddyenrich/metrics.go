package caddyenrich

import (
	"github.com/prometheus/client_golang/prometheus"
)

// registrationCollector reads the sources in the pool, which outlive a configuration.
type registrationCollector struct{ lookups, queries, waiting, preload *prometheus.Desc }

var registrationMetrics = &registrationCollector{
	lookups: prometheus.NewDesc("caddy_whence_registration_lookups_total",
		"Questions to the source registration: answered from the cache (hit), with an old answer (stale), or not at once (miss).",
		[]string{"result"}, nil),
	queries: prometheus.NewDesc("caddy_whence_registration_queries_total",
		"Queries to registries, by protocol and outcome.", []string{"protocol", "outcome"}, nil),
	waiting: prometheus.NewDesc("caddy_whence_registration_lookups_under_way",
		"Lookups that wait for a registry or for their turn.", nil, nil),
	preload: prometheus.NewDesc("caddy_whence_registration_preload_names",
		"Names to preload, and of those the ones that are done.", []string{"state"}, nil),
}

// Describe implements prometheus.Collector.
func (c *registrationCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.lookups, c.queries, c.waiting, c.preload} {
		ch <- d
	}
}

// Collect adds up what the sources have counted.
func (c *registrationCollector) Collect(ch chan<- prometheus.Metric) {
	queries := make(map[[2]string]uint64)
	var hits, stale, misses uint64
	var waiting, names, done int
	lookupPool.Range(func(_, v any) bool {
		s := v.(*lookups)
		if s.Source == nil {
			return true
		}
		h, st, m := s.Lookups()
		hits, stale, misses = hits+h-st, stale+st, misses+m
		s.Queries(func(via, outcome string, n uint64) { queries[[2]string{via, outcome}] += n })
		waiting += s.UnderWay()
		if p := s.Preloading(); p != nil {
			names, done = names+p.Names, done+p.Done
		}
		return true
	})
	for result, n := range map[string]uint64{"hit": hits, "stale": stale, "miss": misses} {
		ch <- prometheus.MustNewConstMetric(c.lookups, prometheus.CounterValue, float64(n), result)
	}
	for labels, n := range queries {
		ch <- prometheus.MustNewConstMetric(c.queries, prometheus.CounterValue, float64(n), labels[0], labels[1])
	}
	ch <- prometheus.MustNewConstMetric(c.waiting, prometheus.GaugeValue, float64(waiting))
	ch <- prometheus.MustNewConstMetric(c.preload, prometheus.GaugeValue, float64(names), "names")
	ch <- prometheus.MustNewConstMetric(c.preload, prometheus.GaugeValue, float64(done), "done")
}
