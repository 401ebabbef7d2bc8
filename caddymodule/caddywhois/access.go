package caddywhois

import (
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/whence-project/whence/layer4whois"
)

// audit returns what the engine calls for each query: it counts, and writes a line of the logger whois.access.
func (s *Server) audit() func(*layer4whois.Access) {
	log := s.logger.Named("access")
	counters := make(map[[2]string]prometheus.Counter)
	for _, dialect := range layer4whois.Dialects() {
		for _, outcome := range layer4whois.Outcomes() {
			key := [2]string{dialect.Name(), outcome.String()}
			counters[key] = metrics.queries.WithLabelValues(key[:]...)
		}
	}
	return func(a *layer4whois.Access) {
		if c := counters[[2]string{a.Dialect, a.Outcome.String()}]; c != nil {
			c.Inc()
		}
		metrics.bytes.Add(float64(a.Bytes))
		if a.Outcome == layer4whois.Bulk {
			metrics.bulkLines.Add(float64(a.Lines))
		} else {
			metrics.seconds.Observe(a.Duration.Seconds())
		}
		if entry := log.Check(zapcore.InfoLevel, "query"); entry != nil {
			entry.Write(fields(a)...)
		}
	}
}

func fields(a *layer4whois.Access) []zap.Field {
	fs := make([]zap.Field, 0, 12)
	client := "-"
	if a.Client.IsValid() {
		client = a.Client.Addr().Unmap().String()
	}
	fs = append(fs, zap.String("client_ip", client), zap.Uint16("client_port", a.Client.Port()), zap.String("query", a.Query))
	if a.Subject.IsValid() {
		fs = append(fs, zap.String("subject", a.Subject.String()))
	}
	fs = append(fs, zap.String("dialect", a.Dialect), zap.String("outcome", a.Outcome.String()), zap.Int("bytes", a.Bytes),
		zap.Duration("duration", a.Duration))
	if a.Error != 0 {
		fs = append(fs, zap.Int("error", a.Error))
	}
	if a.Outcome == layer4whois.Bulk {
		fs = append(fs, zap.Int("lines", a.Lines), zap.Int("found", a.Found), zap.Int("errors", a.Errors))
	}
	return fs
}
