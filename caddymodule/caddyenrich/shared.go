package caddyenrich

import (
	"context"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/newest"
)

// engine is a source that outlives the configuration: it has files in memory which a reload need not read again.
type engine interface {
	enrich.Source
	enrich.Opener
	enrich.Closer
	enrich.Reporter
	SetLogger(*zap.Logger)
}

var engines = caddy.NewUsagePool()

// shared is an engine in the pool, with the loggers of the configurations that use it.
type shared[E engine] struct {
	engine  E
	loggers newest.Stack[*zap.Logger]
	once    sync.Once
	err     error
}

// Destruct closes the engine when the last configuration has let it go.
func (s *shared[E]) Destruct() error { return s.engine.Close() }

// open opens the engine, or has the one that is open look at its files, of which those that are gone are let go: a reload is
// when the operator says so.
func (s *shared[E]) open() error {
	first := false
	s.once.Do(func() {
		first = true
		// The engine outlives the configuration that opens it, and so must not end with its context.
		s.err = s.engine.Open(context.Background())
	})
	if r, ok := any(s.engine).(interface{ Refresh() }); ok && !first && s.err == nil {
		r.Refresh()
	}
	return s.err
}

// hold is one configuration's use of an engine. The module that embeds the engine has Open, Close and Cleanup go through it.
type hold[E engine] struct {
	*shared[E]
	key      string
	logger   *zap.Logger
	withdraw func()
	release  sync.Once
}

// acquire takes the engine of that key from the pool, or has make make it. Nothing is opened yet. The key says all that make
// depends on.
func acquire[E engine](key string, logger *zap.Logger, make func() E) (*hold[E], error) {
	v, _, err := engines.LoadOrNew(key, func() (caddy.Destructor, error) { return &shared[E]{engine: make()}, nil })
	if err != nil {
		return nil, err
	}
	return &hold[E]{shared: v.(*shared[E]), key: key, logger: logger}, nil
}

// Open opens the engine if no configuration has, and has it log as this one says.
func (h *hold[E]) Open(context.Context) error {
	h.withdraw = h.loggers.Push(h.logger)
	h.engine.SetLogger(h.logger)
	return h.open()
}

// Close lets the engine go. It is idempotent, and does nothing for a module whose Provision failed.
func (h *hold[E]) Close() (err error) {
	if h == nil {
		return nil
	}
	h.release.Do(func() {
		if h.withdraw != nil {
			h.withdraw()
			h.loggers.Do(h.engine.SetLogger)
		}
		_, err = engines.Delete(h.key)
	})
	return err
}
