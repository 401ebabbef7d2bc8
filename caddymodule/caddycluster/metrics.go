package caddycluster

import "github.com/prometheus/client_golang/prometheus"

// collector reads the nodes in the pool, which outlive a configuration.
type collector struct{ connected, reconnects, workers, errands, leases *prometheus.Desc }

var metrics = &collector{
	connected: prometheus.NewDesc("caddy_whence_nats_connected", "Whether there is a connection to NATS: 1 or 0.", nil, nil),
	reconnects: prometheus.NewDesc("caddy_whence_nats_reconnects_total",
		"Connections to NATS that were made after the first.", nil, nil),
	workers: prometheus.NewDesc("caddy_whence_workers", "Lookup workers that were heard of, up or down.", []string{"state"}, nil),
	errands: prometheus.NewDesc("caddy_whence_worker_errands_total",
		"Lookups that this machine did for others: answered, failed, or declined as it was not its turn at the registry.", []string{"outcome"}, nil),
	leases: prometheus.NewDesc("caddy_whence_worker_leases",
		"Operators of registries whom this machine asks in the place of all that share a limit.", nil, nil),
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.connected, c.reconnects, c.workers, c.errands, c.leases} {
		ch <- d
	}
}

// Collect adds up what the nodes have counted; there are two for a moment in a reload that changes their settings.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	up := make(map[string]bool)
	var done, failed, declined, reconnects uint64
	connected, leases := 0, 0
	nodes.Range(func(_, v any) bool {
		n := v.(*node)
		if n.Node == nil {
			return true
		}
		for _, w := range n.Workers() {
			up[w.Name] = up[w.Name] || w.Up
		}
		d, f, x := n.Served()
		done, failed, declined = done+d, failed+f, declined+x
		st := n.bus.Status()
		if reconnects += st.Reconnects; st.Connected {
			connected = 1
		}
		leases = max(leases, len(n.Leases()))
		return true
	})
	states := map[string]int{"up": 0, "down": 0}
	for _, is := range up {
		states[map[bool]string{true: "up", false: "down"}[is]]++
	}
	for state, count := range states {
		ch <- prometheus.MustNewConstMetric(c.workers, prometheus.GaugeValue, float64(count), state)
	}
	for outcome, count := range map[string]uint64{"answered": done, "failed": failed, "declined": declined} {
		ch <- prometheus.MustNewConstMetric(c.errands, prometheus.CounterValue, float64(count), outcome)
	}
	ch <- prometheus.MustNewConstMetric(c.connected, prometheus.GaugeValue, float64(connected))
	ch <- prometheus.MustNewConstMetric(c.reconnects, prometheus.CounterValue, float64(reconnects))
	ch <- prometheus.MustNewConstMetric(c.leases, prometheus.GaugeValue, float64(leases))
}
