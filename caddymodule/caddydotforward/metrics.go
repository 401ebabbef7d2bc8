package caddydotforward

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/whence-project/whence/dotforward"
	"github.com/whence-project/whence/dotforward/upstream"
)

// collector reads the pools, which outlive a configuration.
type collector struct {
	queries, waits, refetches, shed, up, inFlight, asked, failures, connections, latency, disagreed, received, dropped *prometheus.Desc
}

var metrics = &collector{
	queries: prometheus.NewDesc("caddy_whence_dns_queries_total",
		"Queries, by transport, type, response code and where the reply came from.", []string{"transport", "type", "rcode", "outcome"}, nil),
	waits: prometheus.NewDesc("caddy_whence_dns_wait_seconds",
		"How long queries waited that the cache had no answer to.", nil, nil),
	refetches: prometheus.NewDesc("caddy_whence_dns_refetches_total",
		"Answers that were asked for again though there was one: popular ones ahead of time, and stale ones.", nil, nil),
	shed: prometheus.NewDesc("caddy_whence_dns_shed_total",
		"Queries that were answered SERVFAIL since too many were waiting.", nil, nil),
	up: prometheus.NewDesc("caddy_whence_dns_upstream_up",
		"Whether an upstream server is up.", []string{"server"}, nil),
	inFlight: prometheus.NewDesc("caddy_whence_dns_upstream_queries_under_way",
		"Queries that wait for an upstream server.", []string{"server"}, nil),
	asked: prometheus.NewDesc("caddy_whence_dns_upstream_queries_total",
		"Queries sent to an upstream server.", []string{"server"}, nil),
	failures: prometheus.NewDesc("caddy_whence_dns_upstream_failures_total",
		"What went wrong with an upstream server, by kind.", []string{"server", "kind"}, nil),
	connections: prometheus.NewDesc("caddy_whence_dns_upstream_handshakes_total",
		"TLS handshakes with an upstream server, and those of them that resumed a session.", []string{"server", "resumed"}, nil),
	latency: prometheus.NewDesc("caddy_whence_dns_upstream_seconds",
		"How long an upstream server took to answer.", []string{"server"}, nil),
	disagreed: prometheus.NewDesc("caddy_whence_dns_disagreements_total",
		"Quorums in which upstream servers said different things.", nil, nil),
	received: prometheus.NewDesc("caddy_whence_dns_packets_total",
		"Packets read from UDP sockets.", nil, nil),
	dropped: prometheus.NewDesc("caddy_whence_dns_packets_dropped_total",
		"Packets that the kernel had no room for, or that were too long.", nil, nil),
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.queries, c.waits, c.refetches, c.shed, c.up, c.inFlight, c.asked, c.failures, c.connections,
		c.latency, c.disagreed, c.received, c.dropped} {
		ch <- d
	}
}

// Collect reads what was counted.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	states.Range(func(_, v any) bool {
		if s, ok := v.(kept).value.(*dotforward.State); ok {
			c.collectCounters(ch, s.Counters())
		}
		return true
	})
	seen := make(map[string]bool)
	upstreams.Range(func(_, v any) bool {
		if s := v.(shared); !seen[s.String()] {
			seen[s.String()] = true
			c.collectUpstream(ch, s.String(), s.Stats())
		}
		return true
	})
	var received, dropped uint64
	groups.Range(func(_, v any) bool {
		n := v.(group).Counters()
		received, dropped = received+n.Received, dropped+n.Dropped+n.Oversized
		return true
	})
	ch <- prometheus.MustNewConstMetric(c.received, prometheus.CounterValue, float64(received))
	ch <- prometheus.MustNewConstMetric(c.dropped, prometheus.CounterValue, float64(dropped))
	ch <- prometheus.MustNewConstMetric(c.disagreed, prometheus.CounterValue, float64(disagreements.total.Load()))
}

func (c *collector) collectCounters(ch chan<- prometheus.Metric, n *dotforward.Counters) {
	n.Each(func(q dotforward.Count) bool {
		ch <- prometheus.MustNewConstMetric(c.queries, prometheus.CounterValue, float64(q.Queries),
			q.Transport.String(), q.Type, q.Rcode, q.Outcome.String())
		return true
	})
	latency := n.Latency()
	ch <- histogram(c.waits, latency[:])
	ch <- prometheus.MustNewConstMetric(c.refetches, prometheus.CounterValue, float64(n.Refetches()))
	ch <- prometheus.MustNewConstMetric(c.shed, prometheus.CounterValue, float64(n.Shed()))
}

func (c *collector) collectUpstream(ch chan<- prometheus.Metric, server string, s upstream.Stats) {
	up := 0.0
	if s.Up {
		up = 1
	}
	ch <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, up, server)
	ch <- prometheus.MustNewConstMetric(c.inFlight, prometheus.GaugeValue, float64(s.InFlight+s.Queued), server)
	ch <- prometheus.MustNewConstMetric(c.asked, prometheus.CounterValue, float64(s.Queries), server)
	for kind, n := range s.Failures {
		ch <- prometheus.MustNewConstMetric(c.failures, prometheus.CounterValue, float64(n), server, kind)
	}
	ch <- prometheus.MustNewConstMetric(c.connections, prometheus.CounterValue, float64(s.Handshakes-s.Resumed), server, "no")
	ch <- prometheus.MustNewConstMetric(c.connections, prometheus.CounterValue, float64(s.Resumed), server, "yes")
	ch <- histogram(c.latency, s.Latency[:], server)
}

// histogram has buckets of powers of two of microseconds, of which the sum is estimated by their middles.
func histogram(desc *prometheus.Desc, counts []uint64, labels ...string) prometheus.Metric {
	buckets := make(map[float64]uint64, len(counts))
	var n uint64
	sum := 0.0
	for i, c := range counts {
		n += c
		most := math.Ldexp(1e-6, i)
		sum += float64(c) * most * 0.75
		if i < len(counts)-1 {
			buckets[most] = n
		}
	}
	return prometheus.MustNewConstHistogram(desc, n, sum, buckets, labels...)
}
