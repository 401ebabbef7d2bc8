package caddystore

import (
	"github.com/whence-project/whence/caddymodule/internal/prom"
)

var (
	names = prom.Gauge("caddy_whence_store_names",
		"Names whose first sighting is known, by scope.", "scope")
	maxNames = prom.Gauge("caddy_whence_store_names_max",
		"The most names that are kept; beyond, first contacts are not known.")
	unfolded = prom.Gauge("caddy_whence_store_names_unfolded",
		"Names that are in the journal and not in the database yet.")
	pending = prom.Gauge("caddy_whence_store_first_contacts_pending",
		"First contacts that nobody has emitted yet.")
	lostContacts = prom.Counter("caddy_whence_store_first_contacts_dropped_total",
		"First contacts that were dropped since nobody emitted them.")
	unknownClaims = prom.Counter("caddy_whence_store_claims_unknown_total",
		"Sightings of which the store could not tell whether they were the first.")
	ledgerBytes = prom.Gauge("caddy_whence_store_ledger_bytes",
		"Size of journal and database on the disk.")
	cacheEntries = prom.Gauge("caddy_whence_store_cache_entries",
		"Entries in the cache.")
	cacheBytes = prom.Gauge("caddy_whence_store_cache_bytes",
		"Size of keys and values in the cache.")
	cacheMax = prom.Gauge("caddy_whence_store_cache_max_bytes",
		"The size at which entries are evicted.")
	cacheLookups = prom.Counter("caddy_whence_store_cache_lookups_total",
		"Lookups in the cache, by whether there was an entry: hit or miss.", "result")
	cachePuts = prom.Counter("caddy_whence_store_cache_puts_total",
		"Entries that were put into the cache.")
	cacheRemoved = prom.Counter("caddy_whence_store_cache_removed_total",
		"Entries that went: expired, evicted to make room, or dropped before they could be kept.", "reason")
	works = prom.Gauge("caddy_whence_store_ok",
		"Whether the store can do all that it is asked: 0 where a disk is full, or as many names are kept as may be.", "part")
)

// metrics reads the stores in the pool, which outlive a configuration.
var metrics = prom.NewLive(func(o *opened, to *prom.Sample) {
	o.readLedger(to)
	o.readCache(to)
}, names, maxNames, unfolded, pending, lostContacts, unknownClaims, ledgerBytes, cacheEntries, cacheBytes, cacheMax, cacheLookups,
	cachePuts, cacheRemoved, works)

func (o *opened) readLedger(to *prom.Sample) {
	l := o.Ledger()
	for _, scope := range l.Scopes() {
		to.Add(names, float64(l.Len(scope)), scope)
	}
	s := l.Status()
	to.Set(maxNames, float64(s.MaxNames))
	to.Add(unfolded, float64(s.Unfolded))
	to.Add(pending, float64(s.Events))
	to.Add(lostContacts, float64(s.EventsDropped))
	to.Add(unknownClaims, float64(s.Unknown))
	to.Add(ledgerBytes, float64(s.Bytes))
	to.SetBool(works, s.Error == "", "ledger")
}

func (o *opened) readCache(to *prom.Sample) {
	s := o.Cache().Status()
	to.Add(cacheEntries, float64(s.Entries))
	to.Add(cacheBytes, float64(s.Size))
	to.Set(cacheMax, float64(s.MaxSize))
	to.Add(cacheLookups, float64(s.Hits), "hit")
	to.Add(cacheLookups, float64(s.Misses), "miss")
	to.Add(cachePuts, float64(s.Puts))
	for reason, n := range map[string]uint64{"expired": s.Expired, "evicted": s.Evicted, "dropped": s.Dropped} {
		to.Add(cacheRemoved, float64(n), reason)
	}
	to.SetBool(works, s.Error == "", "cache")
}
