package caddywhois

import (
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/whence-project/whence/layer4whois"
)

// audit returns what the engine calls for each query: it counts, and writes a line of the logger's logger "access".
func audit(logger *zap.Logger) func(*layer4whois.Access) {
	log := logger.Named("access")
	counters := queryCounters()
	return func(a *layer4whois.Access) {
		if cs := counters[a.Dialect]; int(a.Outcome) < len(cs) {
			cs[a.Outcome].Inc()
		}
		metrics.bytes.Add(float64(a.Bytes))
		if a.Outcome == layer4whois.Bulk {
			metrics.bulkLines.Add(float64(a.Lines))
		} else {
			metrics.seconds.Observe(a.Duration.Seconds())
		}
		if entry := log.Check(zapcore.InfoLevel, "query"); entry != nil {
			entry.Write(zap.Inline((*accessFields)(a)))
		}
	}
}

// queryCounters are the counters of each dialect, by outcome.
func queryCounters() map[string][]prometheus.Counter {
	counters := make(map[string][]prometheus.Counter)
	for _, dialect := range layer4whois.Dialects() {
		for _, outcome := range layer4whois.Outcomes() {
			counters[dialect.Name()] = append(counters[dialect.Name()],
				metrics.queries.WithLabelValues(dialect.Name(), outcome.String()))
		}
	}
	return counters
}

// accessFields are the fields of an access line. They go to the encoder without a list of fields in between, which would be
// most of what a line costs beside writing it.
type accessFields layer4whois.Access

// MarshalLogObject writes the fields that docs/whois.md lists.
func (f *accessFields) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	client := "-"
	if f.Client.IsValid() {
		client = f.Client.Addr().Unmap().String()
	}
	enc.AddString("client_ip", client)
	enc.AddUint16("client_port", f.Client.Port())
	enc.AddString("query", f.Query)
	if f.Subject.IsValid() {
		enc.AddString("subject", f.Subject.String())
	}
	enc.AddString("dialect", f.Dialect)
	enc.AddString("outcome", f.Outcome.String())
	enc.AddInt("bytes", f.Bytes)
	enc.AddDuration("duration", f.Duration)
	if f.Error != 0 {
		enc.AddInt("error", f.Error)
	}
	if f.Outcome == layer4whois.Bulk {
		enc.AddInt("lines", f.Lines)
		enc.AddInt("found", f.Found)
		enc.AddInt("errors", f.Errors)
	}
	return nil
}
