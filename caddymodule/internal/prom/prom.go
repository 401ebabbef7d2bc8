// Package prom registers collectors that outlive configurations: Caddy has a new registry for each, and the collectors, which read
// what the process has counted, are registered in every one.
package prom

import (
	"errors"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// Register adds package-level collectors to the configuration's registry. It is for Provision; a second module of the same
// configuration finds them there.
func Register(ctx caddy.Context, collectors ...prometheus.Collector) error {
	registry := ctx.GetMetricsRegistry()
	for _, c := range collectors {
		err := registry.Register(c)
		if are := (prometheus.AlreadyRegisteredError{}); err != nil && !errors.As(err, &are) {
			return err
		}
	}
	return nil
}
