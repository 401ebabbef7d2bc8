package caddydotforward

import (
	"github.com/whence-project/whence/caddymodule/internal/prom"
	"github.com/whence-project/whence/dotforward"
)

// The collectors read what outlives configurations, and the handlers, which do not.
var (
	queriesTotal = prom.Counter("caddy_whence_dns_queries_total",
		"Queries, by transport, type, response code and where the reply came from.", "transport", "type", "rcode", "outcome")
	waits = prom.Histogram("caddy_whence_dns_wait_seconds",
		"How long queries waited that the cache had no answer to.")
	refetchesTotal = prom.Counter("caddy_whence_dns_refetches_total",
		"Answers that were asked for again though there was one: popular ones ahead of time, and stale ones.")
	shedTotal = prom.Counter("caddy_whence_dns_shed_total",
		"Queries that were answered SERVFAIL since too many were waiting.")
	disagreementsTotal = prom.Counter("caddy_whence_dns_disagreements_total",
		"Quorums in which upstream servers said different things.")
)

// queries are what servers have counted.
var queries = prom.NewLive(func(s *dotforward.State, to *prom.Sample) {
	n := s.Counters()
	n.Each(func(q dotforward.Count) bool {
		to.Add(queriesTotal, float64(q.Queries), q.Transport.String(), q.Type, q.Rcode, q.Outcome.String())
		return true
	})
	latency := n.Latency()
	to.AddDurations(waits, latency[:])
	to.Add(refetchesTotal, float64(n.Refetches()))
	to.Add(shedTotal, float64(n.Shed()))
}, queriesTotal, waits, refetchesTotal, shedTotal)

// quorums count in the whole process.
var quorums = prom.NewReader(func(to *prom.Sample) {
	to.Add(disagreementsTotal, float64(disagreements.total.Load()))
}, disagreementsTotal)

var (
	upstreamUp = prom.Gauge("caddy_whence_dns_upstream_up",
		"Whether an upstream server is up.", "server")
	upstreamUnderWay = prom.Gauge("caddy_whence_dns_upstream_queries_under_way",
		"Queries that wait for an upstream server.", "server")
	upstreamQueries = prom.Counter("caddy_whence_dns_upstream_queries_total",
		"Queries sent to an upstream server.", "server")
	upstreamFailures = prom.Counter("caddy_whence_dns_upstream_failures_total",
		"What went wrong with an upstream server, by kind.", "server", "kind")
	upstreamConnections = prom.Gauge("caddy_whence_dns_upstream_connections",
		"Connections to an upstream server that take queries.", "server")
	upstreamHandshakes = prom.Counter("caddy_whence_dns_upstream_handshakes_total",
		"TLS handshakes with an upstream server, by whether they resumed a session.", "server", "resumed")
	upstreamSeconds = prom.Histogram("caddy_whence_dns_upstream_seconds",
		"How long an upstream server took to answer.", "server")
)

// servers are the upstream servers.
var servers = prom.NewLive(func(u shared, to *prom.Sample) {
	s, server := u.Stats(), u.String()
	to.SetBool(upstreamUp, s.Up, server)
	to.Add(upstreamUnderWay, float64(s.InFlight+s.Queued), server)
	to.Add(upstreamQueries, float64(s.Queries), server)
	for kind, n := range s.Failures {
		to.Add(upstreamFailures, float64(n), server, kind)
	}
	to.Add(upstreamConnections, float64(s.Conns), server)
	to.Add(upstreamHandshakes, float64(s.Handshakes-s.Resumed), server, "no")
	to.Add(upstreamHandshakes, float64(s.Resumed), server, "yes")
	to.AddDurations(upstreamSeconds, s.Latency[:], server)
}, upstreamUp, upstreamUnderWay, upstreamQueries, upstreamFailures, upstreamConnections, upstreamHandshakes, upstreamSeconds)

var (
	cacheEntries = prom.Gauge("caddy_whence_dns_cache_entries",
		"Answers in the cache.")
	cacheBytes = prom.Gauge("caddy_whence_dns_cache_bytes",
		"What the answers take, with what finds them.")
	cacheMax = prom.Gauge("caddy_whence_dns_cache_max_bytes",
		"What they may take.")
	cacheLookups = prom.Counter("caddy_whence_dns_cache_lookups_total",
		"Lookups in the cache: hit, stale or miss. A query may make several.", "result")
	cachePuts = prom.Counter("caddy_whence_dns_cache_puts_total",
		"Answers that were put into the cache.")
	cacheEvicted = prom.Counter("caddy_whence_dns_cache_evicted_total",
		"Answers that were evicted to make room.")
)

// cached is the caches.
var cached = prom.NewLive(func(c *answers, to *prom.Sample) {
	s := c.Stats()
	to.Add(cacheEntries, float64(s.Entries))
	to.Add(cacheBytes, float64(s.Bytes))
	to.Add(cacheMax, float64(s.MaxBytes))
	to.Add(cacheLookups, float64(s.Hits), "hit")
	to.Add(cacheLookups, float64(s.Stale), "stale")
	to.Add(cacheLookups, float64(s.Misses), "miss")
	to.Add(cachePuts, float64(s.Puts))
	to.Add(cacheEvicted, float64(s.Evicted))
}, cacheEntries, cacheBytes, cacheMax, cacheLookups, cachePuts, cacheEvicted)
