package caddyenrich

import (
	"github.com/whence-project/whence/caddymodule/internal/prom"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration"
	"github.com/whence-project/whence/enrich/registration/bootstrap"
)

var (
	sourceRecords = prom.Gauge("caddy_whence_source_records",
		"Records that a source has in memory.", "chain", "source")
	sourceError = prom.Gauge("caddy_whence_source_last_error_timestamp_seconds",
		"When a source last failed to take data in.", "chain", "source")
	fileServes = prom.Gauge("caddy_whence_source_file_ok",
		"Whether a source's file serves as it is now: 0 where it is missing, or was refused.", "chain", "source", "file")
	fileRecords = prom.Gauge("caddy_whence_source_file_records",
		"Records of a source's file.", "chain", "source", "file")
	fileBytes = prom.Gauge("caddy_whence_source_file_bytes",
		"Size of a source's file.", "chain", "source", "file")
	fileBuilt = prom.Gauge("caddy_whence_source_file_built_timestamp_seconds",
		"When the data of a source's file were made, by their own word.", "chain", "source", "file")
	fileLoaded = prom.Gauge("caddy_whence_source_file_loaded_timestamp_seconds",
		"When a source's file was read.", "chain", "source", "file")
)

// sources tells of the newest configuration's sources.
var sources = prom.NewReader(func(to *prom.Sample) {
	app := running.app.Load()
	if app == nil {
		return
	}
	for name, chain := range app.chains {
		for _, s := range chain.Status() {
			readSource(name, &s, to)
		}
	}
}, sourceRecords, sourceError, fileServes, fileRecords, fileBytes, fileBuilt, fileLoaded)

func readSource(chain string, s *enrich.SourceStatus, to *prom.Sample) {
	to.Set(sourceRecords, float64(s.Records), chain, s.Name)
	to.SetTime(sourceError, s.ErrorTime, chain, s.Name)
	for _, d := range s.Data {
		file := d.Path
		if file == "" {
			file = d.Type // compiled in
		}
		to.SetBool(fileServes, d.Error == "", chain, s.Name, file)
		to.Set(fileRecords, float64(d.Records), chain, s.Name, file)
		to.Set(fileBytes, float64(d.Bytes), chain, s.Name, file)
		to.SetTime(fileBuilt, d.Built, chain, s.Name, file)
		to.SetTime(fileLoaded, d.Loaded, chain, s.Name, file)
	}
	if d, ok := s.Detail.(*registration.Detail); ok {
		readRegistries(chain, s.Name, d.Bootstrap, to)
	}
}

// readRegistries tells of the files that say which registry has what.
func readRegistries(chain, source string, files []bootstrap.FileStatus, to *prom.Sample) {
	for _, f := range files {
		to.SetBool(fileServes, f.Error == "", chain, source, f.File)
		to.Set(fileRecords, float64(f.Records), chain, source, f.File)
		to.SetTime(fileBuilt, f.Publication, chain, source, f.File)
		to.SetTime(fileLoaded, f.Fetched, chain, source, f.File)
	}
}

var (
	lookupsTotal = prom.Counter("caddy_whence_registration_lookups_total",
		"Questions to the source registration: answered from the cache (hit), with an old answer (stale), or not at once (miss).", "result")
	queriesTotal = prom.Counter("caddy_whence_registration_queries_total",
		"Queries to registries, by protocol and outcome.", "protocol", "outcome")
	lookupsUnderWay = prom.Gauge("caddy_whence_registration_lookups_under_way",
		"Lookups that wait for a registry or for their turn.")
	preloadNames = prom.Gauge("caddy_whence_registration_preload_names",
		"Names to preload, and of those the ones that are done.", "state")
)

// registrations reads the sources in the pool, which outlive a configuration.
var registrations = prom.NewLive(func(s *lookups, to *prom.Sample) {
	fresh, stale, misses := s.Lookups()
	to.Add(lookupsTotal, float64(fresh), "hit")
	to.Add(lookupsTotal, float64(stale), "stale")
	to.Add(lookupsTotal, float64(misses), "miss")
	s.Queries(func(via, outcome string, n uint64) { to.Add(queriesTotal, float64(n), via, outcome) })
	to.Add(lookupsUnderWay, float64(s.UnderWay()))
	if p := s.Preloading(); p != nil {
		to.Add(preloadNames, float64(p.Names), "names")
		to.Add(preloadNames, float64(p.Done), "done")
	}
}, lookupsTotal, queriesTotal, lookupsUnderWay, preloadNames)
