package caddydotforward

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/whence-project/whence/caddymodule/internal/prom"
	"github.com/whence-project/whence/dotforward"
	"github.com/whence-project/whence/internal/hotfiles"
)

var (
	packetsTotal = prom.Counter("caddy_whence_dns_packets_total",
		"Packets read from UDP sockets.")
	packetsDropped = prom.Counter("caddy_whence_dns_packets_dropped_total",
		"Packets that the kernel had no room for, or that were too long.")
	packetErrors = prom.Counter("caddy_whence_dns_packet_errors_total",
		"Reads from UDP sockets, and replies over them, that failed.", "direction")
)

// sockets are the UDP sockets.
var sockets = prom.NewLive(func(g group, to *prom.Sample) {
	n := g.Counters()
	to.Add(packetsTotal, float64(n.Received))
	to.Add(packetsDropped, float64(n.Dropped+n.Oversized))
	to.Add(packetErrors, float64(n.ReadErrors), "read")
	to.Add(packetErrors, float64(n.SendErrors), "send")
}, packetsTotal, packetsDropped, packetErrors)

var (
	connections = prom.Gauge("caddy_whence_dns_connections",
		"Connections of clients that are open, over TCP and TLS.")
	connectionsTotal = prom.Counter("caddy_whence_dns_connections_total",
		"Connections of clients: accepted; refused since there were too many; evicted, idle, to let another in.", "outcome")
	connectionsCut = prom.Counter("caddy_whence_dns_connections_cut_total",
		"Connections of clients that were closed: idle for too long, not reading (slow), or speaking no DNS (malformed).", "reason")
	handshakesTotal = prom.Counter("caddy_whence_dns_handshakes_total",
		"TLS handshakes of clients: full, resumed or failed.", "outcome")
)

// clients are the connections over TCP and TLS.
var clients = prom.NewLive(func(c streamed, to *prom.Sample) {
	s := c.Stats()
	to.Add(connections, float64(s.Open))
	to.Add(connectionsTotal, float64(s.Accepted), "accepted")
	to.Add(connectionsTotal, float64(s.Refused), "refused")
	to.Add(connectionsTotal, float64(s.Evicted), "evicted")
	to.Add(connectionsCut, float64(s.Timeouts), "idle")
	to.Add(connectionsCut, float64(s.Slow), "slow")
	to.Add(connectionsCut, float64(s.Malformed), "malformed")
	to.Add(handshakesTotal, float64(s.Handshakes-s.Resumed), "full")
	to.Add(handshakesTotal, float64(s.Resumed), "resumed")
	to.Add(handshakesTotal, float64(s.HandshakeErrors), "failed")
}, connections, connectionsTotal, connectionsCut, handshakesTotal)

var (
	blockedTotal = prom.Counter("caddy_whence_dns_blocked_total",
		"Queries that block did not answer.")
	limitedTotal = prom.Counter("caddy_whence_dns_limited_total",
		"Queries that limit refused or dropped.")
	policyHits = prom.Counter("caddy_whence_dns_policy_hits_total",
		"Queries that a policy's conditions held for.", "policy")
	unobserved = prom.Counter("caddy_whence_dns_names_unobserved_total",
		"Names that observe left out since too many were waiting.")
	listServes = prom.Gauge("caddy_whence_dns_list_ok",
		"Whether a file of block or hosts serves as it is now: 0 where it is missing, or was refused.", "handler", "file")
	listRecords = prom.Gauge("caddy_whence_dns_list_records",
		"Rules or addresses in a file of block or hosts.", "handler", "file")
	listBuilt = prom.Gauge("caddy_whence_dns_list_built_timestamp_seconds",
		"When a file of block or hosts was written.", "handler", "file")
	listLoaded = prom.Gauge("caddy_whence_dns_list_loaded_timestamp_seconds",
		"When a file of block or hosts was read.", "handler", "file")
)

// handled is what handlers have counted. They belong to one configuration.
var handled = prom.NewLive(func(h dotforward.Handler, to *prom.Sample) {
	switch h := h.(type) {
	case *dotforward.Block:
		to.Add(blockedTotal, float64(h.Blocked()))
		readLists("block", h.Status(), to)
	case *dotforward.Hosts:
		readLists("hosts", h.Status(), to)
	case *dotforward.Limit:
		to.Add(limitedTotal, float64(h.Over()))
	case *dotforward.Policy:
		to.Add(policyHits, float64(h.Hits()), h.Name())
	case *dotforward.Observe:
		to.Add(unobserved, float64(h.Dropped()))
	}
}, blockedTotal, limitedTotal, policyHits, unobserved, listServes, listRecords, listBuilt, listLoaded)

// count has metrics tell of a handler until the server has ended.
func (a *App) count(h dotforward.Handler) {
	switch h.(type) {
	case *dotforward.Block, *dotforward.Hosts, *dotforward.Limit, *dotforward.Policy, *dotforward.Observe:
		handled.Begin(h)
		a.hold(func() error { handled.End(h); return nil })
	}
}

func readLists(handler string, s hotfiles.Status, to *prom.Sample) {
	for _, f := range s.Files {
		to.SetBool(listServes, f.Error == "", handler, f.Path)
		to.Set(listRecords, float64(f.Records), handler, f.Path)
		to.SetTime(listBuilt, f.Built, handler, f.Path)
		to.SetTime(listLoaded, f.Loaded, handler, f.Path)
	}
}

// collectors are all of them.
var collectors = []prometheus.Collector{queries, quorums, servers, cached, sockets, clients, handled}
