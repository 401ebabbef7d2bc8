package caddyenrich

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/whence-project/whence/internal/update"
)

// The labels are a preset's name or a URL's host, and a path: as the configuration has them.
var (
	updatesTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_whence_updates_total",
		Help: "Times that the origin of a data file was asked for newer data, by what came of it: updated, unchanged, elsewhere, refused, failed.",
	}, []string{"from", "outcome"})
	updateSuccess = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "caddy_whence_update_last_success_timestamp_seconds",
		Help: "When the origin of a data file last said what is current.",
	}, []string{"from", "file"})
)

// observer counts what came of the checks of a file.
func observer(from, file string) func(update.Outcome, error) {
	return func(outcome update.Outcome, err error) {
		updatesTotal.WithLabelValues(from, string(outcome)).Inc()
		if err == nil {
			updateSuccess.WithLabelValues(from, file).SetToCurrentTime()
		}
	}
}
