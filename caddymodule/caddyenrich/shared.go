package caddyenrich

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/internal/events"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/newest"
)

// engine is a source that outlives the configuration: it has files in memory which a reload need not read again.
type engine interface {
	enrich.Source
	enrich.Opener
	enrich.Closer
	enrich.Reporter
	enrich.Refresher
	SetLogger(*zap.Logger)
	// Refresh looks at the files and lets go of those that are gone.
	Refresh()
}

var engines = caddy.NewUsagePool()

// shared is an engine in the pool, with the loggers and the emitters of the configurations that use it.
type shared[E engine] struct {
	engine  E
	loggers newest.Stack[*zap.Logger]
	events  events.Newest
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
	if !first && s.err == nil {
		s.engine.Refresh()
	}
	return s.err
}

// held is one configuration's use of an engine. A module embeds it and thereby is the source.
type held[E engine] struct {
	engine   E
	shared   *shared[E]
	key      string
	logger   *zap.Logger
	events   *events.Emitter
	withdraw []func()
	release  sync.Once
	upkeeps  []*Upkeep
}

// acquire takes the engine of that key from the pool, or has make make it, which is given what hears of its data. Nothing is opened
// yet. The key says all that make depends on, and its first word is the source's.
func (h *held[E]) acquire(ctx caddy.Context, key string, make func(news func(enrich.DataStatus)) E) error {
	var err error
	if h.events, err = events.For(ctx); err != nil {
		return err
	}
	v, _, err := engines.LoadOrNew(key, func() (caddy.Destructor, error) {
		s := new(shared[E])
		source, _, _ := strings.Cut(key, " ")
		s.engine = make(news(source, &s.events))
		return s, nil
	})
	if err != nil {
		return err
	}
	h.shared, h.key, h.logger = v.(*shared[E]), key, ctx.Logger()
	h.engine = h.shared.engine
	return nil
}

// news makes events of what a source says of its data.
func news(source string, to *events.Newest) func(enrich.DataStatus) {
	return func(d enrich.DataStatus) {
		if d.Error != "" {
			to.Post(events.SourceRefused, events.Refused(source, d.Path, d.Error, !d.Loaded.IsZero()))
			return
		}
		to.Post(events.SourceRefreshed, events.Refreshed(source, d.Path, d.Type, d.Built, d.Records))
	}
}

// Add is the engine's.
func (h *held[E]) Add(q *enrich.Query, r *enrich.Record) enrich.Verdict { return h.engine.Add(q, r) }

// Status is the engine's, with how its files are kept fresh.
func (h *held[E]) Status() enrich.Status {
	st := h.engine.Status()
	addUpkeeps(&st, h.upkeeps)
	return st
}

// Upkeeps are the files that are kept fresh.
func (h *held[E]) Upkeeps() []*Upkeep { return h.upkeeps }

// RefreshNow asks for newer data where the source says where its files come from, and has the engine read its files.
func (h *held[E]) RefreshNow(ctx context.Context) error {
	return errors.Join(refreshUpkeeps(ctx, h.upkeeps), h.engine.RefreshNow(ctx))
}

// Open opens the engine if no configuration has, and has it log as this one says.
func (h *held[E]) Open(context.Context) error {
	h.withdraw = []func(){h.shared.loggers.Push(h.logger), h.shared.events.Push(h.events)}
	h.engine.SetLogger(h.logger)
	return h.shared.open()
}

// Close lets the engine go; the last configuration that uses it closes it. It is idempotent, and does nothing for a module whose
// Provision failed.
func (h *held[E]) Close() (err error) {
	if h.shared == nil {
		return nil
	}
	h.release.Do(func() {
		for _, k := range h.upkeeps {
			_ = k.stop()
		}
		for _, withdraw := range h.withdraw {
			withdraw()
		}
		if h.withdraw != nil {
			h.shared.loggers.Do(h.engine.SetLogger)
		}
		_, err = engines.Delete(h.key)
	})
	return err
}

// Cleanup is Close, also for a configuration that never came to serve.
func (h *held[E]) Cleanup() error { return h.Close() }
