package caddycluster

import "github.com/whence-project/whence/caddymodule/internal/prom"

var (
	connectedNow = prom.Gauge("caddy_whence_nats_connected", "Whether there is a connection to NATS: 1 or 0.")
	reconnects   = prom.Counter("caddy_whence_nats_reconnects_total", "Connections to NATS that were made after the first.")
	workersNow   = prom.Gauge("caddy_whence_workers", "Lookup workers that were heard of, up or down.", "state")
	errandsTotal = prom.Counter("caddy_whence_worker_errands_total",
		"Lookups that this machine did for others: answered, failed, or declined as it was not its turn at the registry.", "outcome")
	leasesNow = prom.Gauge("caddy_whence_worker_leases",
		"Operators of registries whom this machine asks in the place of all that share a limit.")
)

// connections reads the connections in the pool, which outlive a configuration.
var connections = prom.NewLive(func(b *sharedBus, to *prom.Sample) {
	st := b.Status()
	to.SetBool(connectedNow, st.Connected)
	to.Add(reconnects, float64(st.Reconnects))
}, connectedNow, reconnects)

// machines reads the nodes in the pool. In a reload that changes their settings there are two for a moment: the newest says how the
// workers are.
var machines = prom.NewLive(func(n *node, to *prom.Sample) {
	up, down := 0, 0
	for _, w := range n.Workers() {
		if w.Up {
			up++
		} else {
			down++
		}
	}
	to.Set(workersNow, float64(up), "up")
	to.Set(workersNow, float64(down), "down")
	done, failed, declined := n.Served()
	to.Add(errandsTotal, float64(done), "answered")
	to.Add(errandsTotal, float64(failed), "failed")
	to.Add(errandsTotal, float64(declined), "declined")
	to.Set(leasesNow, float64(len(n.Leases())))
}, workersNow, errandsTotal, leasesNow)
