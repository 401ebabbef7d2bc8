// Package prom registers collectors that outlive configurations, and has the kinds that Whence's metrics are made of. Caddy has a new
// registry for each configuration; the collectors, which read what the process has counted, are registered in every one.
package prom

import (
	"errors"
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// known are the collectors that were registered in this process.
var known struct {
	mu  sync.Mutex
	all []prometheus.Collector
}

// Register adds package-level collectors to the configuration's registry, and with them all that an earlier configuration had: what
// was counted is not forgotten when nothing counts any more, nor when a configuration fails before all of its modules were
// provisioned, whose registry Caddy's admin endpoint shows from then on. It is for Provision; a second module of the same
// configuration finds them there.
func Register(ctx caddy.Context, collectors ...prometheus.Collector) error {
	return register(ctx.GetMetricsRegistry(), collectors)
}

func register(registry prometheus.Registerer, collectors []prometheus.Collector) error {
	known.mu.Lock()
	defer known.mu.Unlock()
	for _, c := range collectors {
		if !slices.Contains(known.all, c) {
			known.all = append(known.all, c)
		}
	}
	for _, c := range known.all {
		err := registry.Register(c)
		if are := (prometheus.AlreadyRegisteredError{}); err != nil && !errors.As(err, &are) {
			return err
		}
	}
	return nil
}

// Collectors are all that were registered in this process: for the test that holds the documents against them.
func Collectors() []prometheus.Collector {
	known.mu.Lock()
	defer known.mu.Unlock()
	return slices.Clone(known.all)
}
