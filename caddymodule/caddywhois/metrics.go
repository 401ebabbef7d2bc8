package caddywhois

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/whence-project/whence/caddymodule/internal/prom"
	"github.com/whence-project/whence/layer4whois"
)

var connections = prom.Gauge("caddy_whence_whois_connections", "WHOIS connections that are open.")

// live reads the states in the pool, which outlive a configuration.
var live = prom.NewLive(func(s *layer4whois.State, to *prom.Sample) { to.Add(connections, float64(s.Open())) }, connections)

// The collectors belong to the process, not to a configuration, so that counters survive a reload.
var metrics = struct {
	queries   *prometheus.CounterVec
	bytes     prometheus.Counter
	bulkLines prometheus.Counter
	seconds   prometheus.Histogram
}{
	queries: prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "whence_whois", Name: "queries_total",
		Help: "WHOIS queries answered, by dialect and outcome; a bulk connection is one.",
	}, []string{"dialect", "outcome"}),
	bytes: prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "whence_whois", Name: "response_bytes_total",
		Help: "Bytes of WHOIS answers sent.",
	}),
	bulkLines: prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "whence_whois", Name: "bulk_lines_total",
		Help: "Lines answered on bulk connections.",
	}),
	seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: "caddy", Subsystem: "whence_whois", Name: "query_duration_seconds",
		Help:    "Time from the complete query to the end of its answer; bulk connections are left out.",
		Buckets: []float64{25e-6, 100e-6, 500e-6, 0.0025, 0.01, 0.05, 0.25, 1, 5},
	}),
}
