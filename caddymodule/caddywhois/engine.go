package caddywhois

import (
	"context"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/caddyenrich"
	"github.com/whence-project/whence/caddymodule/internal/prom"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/layer4whois"
)

// Engine answers WHOIS queries on connections that somebody else accepts. [layer4whois.Server.ServeConn] takes one.
type Engine struct {
	*layer4whois.Server

	ctx     caddy.Context
	logger  *zap.Logger
	chain   *enrich.Chain
	clients string // key of the state; empty when it was released
}

// NewEngine makes the engine that the settings describe, on a chain of the configuration's app "enrich". It is called while its
// owner is provisioned: nothing is opened before Open. What is known about clients (connections, limits) is kept for the engine of
// the next configuration that names the same clients; Release lets it go.
func (s *Settings) NewEngine(ctx caddy.Context, clients string) (*Engine, error) {
	e := &Engine{ctx: ctx, logger: ctx.Logger()}
	app, err := ctx.App("enrich")
	if err != nil {
		return nil, err
	}
	if e.chain, err = app.(*caddyenrich.App).Chain(s.Enrich); err != nil {
		return nil, err
	}
	if err := prom.Register(ctx, metrics.queries, metrics.bytes, metrics.bulkLines, metrics.seconds, live); err != nil {
		return nil, err
	}
	o, err := s.options()
	if err != nil {
		return nil, err
	}
	if o.State, err = e.acquireState(clients); err != nil {
		return nil, err
	}
	o.Chain, o.Logger, o.Access = e.chain, e.logger, audit(e.logger)
	if e.Server, err = layer4whois.New(o); err != nil {
		_ = e.Release()
		return nil, err
	}
	return e, nil
}

// Open opens the chain, for those who are asked before the app "enrich" has started. It is idempotent.
func (e *Engine) Open() error { return e.chain.Open(e.ctx) }

// grace is how long connections may finish when their configuration ends.
const grace = 10 * time.Second

// Drain lets the connections finish: beside a reload, or, before the process ends, until they have or the grace period is over.
func (e *Engine) Drain() {
	if caddy.Exiting() {
		e.drain()
	} else {
		go e.drain()
	}
}

func (e *Engine) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := e.Shutdown(ctx); err != nil {
		e.logger.Info("connections were cut when their configuration ended", zap.Error(err))
	}
}

var states = caddy.NewUsagePool()

// clientState is what engines know about their clients. It is kept over reloads: they refill no bucket.
type clientState struct{ *layer4whois.State }

// Destruct has the counts stay.
func (c clientState) Destruct() error {
	live.End(c.State)
	return nil
}

func (e *Engine) acquireState(clients string) (*layer4whois.State, error) {
	v, _, err := states.LoadOrNew(clients, func() (caddy.Destructor, error) {
		c := clientState{layer4whois.NewState()}
		live.Begin(c.State)
		return c, nil
	})
	if err != nil {
		return nil, err
	}
	e.clients = clients
	return v.(clientState).State, nil
}

// Release forgets the clients, unless another engine has them. It is idempotent, and has nothing to do for a nil engine.
func (e *Engine) Release() error {
	if e == nil || e.clients == "" {
		return nil
	}
	_, err := states.Delete(e.clients)
	e.clients = ""
	return err
}
