package caddydomainstats

import (
	"github.com/whence-project/whence/caddymodule/internal/prom"
	"github.com/whence-project/whence/domainstats"
)

var (
	answersTotal = prom.Counter("caddy_whence_domain_stats_answers_total",
		"Answers, by route and outcome.", "route", "outcome")
	contactsTotal = prom.Counter("caddy_whence_domain_stats_first_contacts_total",
		"First contacts that were answered.")
	refusedTotal = prom.Counter("caddy_whence_domain_stats_new_names_refused_total",
		"New names that were not claimed since their client had used up new_names.")
	linesTotal = prom.Counter("caddy_whence_domain_stats_bulk_lines_total",
		"Lines of posted lists that were answered.")
	streams = prom.Gauge("caddy_whence_domain_stats_streams",
		"Streams that are open: lists that are posted, and first contacts.")
)

// metrics reads the states in the pool, which outlive a configuration.
var metrics = prom.NewLive(func(s *domainstats.State, to *prom.Sample) {
	s.Answers(func(route, outcome string, n uint64) { to.Add(answersTotal, float64(n), route, outcome) })
	to.Add(contactsTotal, float64(s.FirstContacts()))
	to.Add(refusedTotal, float64(s.Refused()))
	to.Add(linesTotal, float64(s.BulkLines()))
	to.Add(streams, float64(s.Streams()))
}, answersTotal, contactsTotal, refusedTotal, linesTotal, streams)
