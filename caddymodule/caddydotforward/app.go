// Package caddydotforward is the app "dotforward": a DNS server that asks others over TLS, on sockets, a cache and upstream connections
// that outlive a reload; the HTTP handler "dns_query", which answers DNS over HTTPS from it; and the guest modules
// "dotforward.handlers.*", of which queries pass.
package caddydotforward

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/caddyenrich"
	"github.com/whence-project/whence/caddymodule/caddystore"
	"github.com/whence-project/whence/caddymodule/internal/events"
	"github.com/whence-project/whence/caddymodule/internal/prom"
	"github.com/whence-project/whence/dotforward"
	"github.com/whence-project/whence/dotforward/cache"
	"github.com/whence-project/whence/enrich"
)

func init() { caddy.RegisterModule(new(App)) }

// App is the forwarder.
type App struct {
	// The addresses to listen on, over UDP and TCP: `host:port`, `udp/host:port`, `tcp/host:port`, or `tls://host:port` for DNS over
	// TLS. An empty host is all addresses, of both families. `fd/n` and `fdgram/n` are a stream and a UDP socket that the process was
	// started with. Default: `:53`.
	Listen []string `json:"listen,omitempty"`
	// The names of the certificate for DNS over TLS, which Caddy manages. Required if an address is `tls://`, unless
	// tls_connection_policies has what is needed.
	Names []string `json:"names,omitempty"`
	// How TLS connections are made. Default: Caddy's own settings.
	TLSPolicies caddytls.ConnectionPolicies `json:"tls_connection_policies,omitempty"`
	// What queries pass, in stages: admit (acl, limit), decide (hosts, block, policy, route), answered (policy on addresses,
	// observe); in a stage in this order. Default: an acl for loopback, private and link-local networks.
	HandlersRaw []json.RawMessage `json:"handlers,omitempty" caddy:"namespace=dotforward.handlers inline_key=handler"`
	// What is kept of answers.
	Cache *Cache `json:"cache,omitempty"`
	// The servers that are asked. Required.
	Forward *Forward `json:"forward"`
	// The enrichment chain that policies ask. Default: `default`.
	Enrich string `json:"enrich,omitempty"`
	// The longest reply over UDP, in bytes. Default: 1232.
	UDPSize int `json:"udp_size,omitempty"`
	// How long upstream servers have for an answer. Default: 4.5s.
	Deadline caddy.Duration `json:"deadline,omitempty"`
	// Tell upstream servers the clients' networks, where clients tell them (RFC 7871).
	PassSubnet bool `json:"pass_subnet,omitempty"`
	// Answer with what came first where a quorum was not reached, not with SERVFAIL.
	AnswerDisagreed bool `json:"answer_disagreed,omitempty"`
	// Log one query in so many; 0 is none. Default: 0.
	LogEvery int `json:"log_every,omitempty"`
	// How long to answer on, as a lame duck, when the process is told to end. Default: not at all.
	LameDuck caddy.Duration `json:"lame_duck,omitempty"`

	ctx        caddy.Context
	logger     *zap.Logger
	addresses  []address
	guests     []any
	usesChain  bool
	usesLedger bool
	chain      *enrich.Chain
	store      *caddystore.App
	events     *events.Emitter

	cancel  context.CancelFunc
	server  *dotforward.Server
	cache   *cache.Cache
	held    []func() error // what Stop lets go, the last first
	stopped sync.Once
	handing sync.RWMutex // held, shared, while a message is handed to server
	left    bool         // another app has taken this one's place; guarded by handing
}

// CaddyModule returns the module's registration.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "dotforward", New: func() caddy.Module { return new(App) }}
}

// Provision reads the settings. Nothing listens, and nobody is asked, before Start.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx, a.logger = ctx, ctx.Logger()
	if a.Forward == nil {
		return errors.New("dotforward: no upstream server; name one, as in: forward tls://1.1.1.1 cloudflare-dns.com")
	}
	if err := a.Forward.check(false); err != nil {
		return fmt.Errorf("dotforward: forward: %w", err)
	}
	if err := a.parseAddresses(ctx); err != nil {
		return fmt.Errorf("dotforward: %w", err)
	}
	if err := a.loadHandlers(ctx); err != nil {
		return err
	}
	var err error
	if a.events, err = events.For(ctx); err != nil {
		return err
	}
	if a.usesChain || a.Forward.Policy == "quorum" {
		app, err := ctx.App("enrich")
		if err != nil {
			return err
		}
		if a.chain, err = app.(*caddyenrich.App).Chain(a.Enrich); err != nil {
			return err
		}
	}
	if a.usesLedger {
		app, err := ctx.App("store")
		if err != nil {
			return err
		}
		a.store = app.(*caddystore.App)
		a.store.OnStart(nil)
	}
	return prom.Register(ctx, collectors...)
}

// Start opens what the server needs, takes over what the configuration before this one has, and answers.
func (a *App) Start() error {
	env, err := a.env()
	if err != nil {
		return err
	}
	handlers, err := a.openHandlers(env)
	if err != nil {
		return err
	}
	p, err := env.Pool(a.Forward)
	if err != nil {
		return fmt.Errorf("forward: %w", err)
	}
	if a.cache, err = a.acquireCache(); err != nil {
		return err
	}
	state, err := a.acquireState()
	if err != nil {
		return err
	}
	o := dotforward.Options{
		Cache: a.cache, Pool: p.Pool, Handlers: handlers, State: state, UDPSize: a.UDPSize, Deadline: time.Duration(a.Deadline),
		StaleWait: a.Cache.staleWait(), PassSubnet: a.PassSubnet, AnswerDisagreed: a.AnswerDisagreed, OnPanic: a.onPanic,
	}
	if a.LogEvery > 0 {
		o.Log, o.LogEvery = a.logQuery, a.LogEvery
	}
	if a.server, err = dotforward.New(o); err != nil {
		return err
	}
	a.hold(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		return a.server.Close(ctx)
	})
	withdraw := emitters.Push(a.events)
	current.set(a)
	a.hold(func() error { current.unset(a); withdraw(); return nil })
	return a.listen()
}

// env is what the handlers work with.
func (a *App) env() (env Env, err error) {
	running, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	var working sync.WaitGroup
	a.hold(func() error { cancel(); working.Wait(); return nil })
	env = Env{Context: a.ctx, Running: running, Go: working.Go, Logger: a.logger, Chain: a.chain, Emit: a.events.Post, Pool: a.pool,
		State: a.keep, contacts: a.contacts}
	if a.chain != nil {
		if err := a.chain.Open(a.ctx); err != nil {
			return env, err
		}
	}
	if a.store != nil {
		s, err := a.store.Store()
		if err != nil {
			return env, err
		}
		env.Ledger = s.Ledger()
	}
	return env, nil
}

// hold has Stop call release. What is held last is released first.
func (a *App) hold(release func() error) { a.held = append(a.held, release) }

// grace is how long queries under way may take when their configuration ends.
const grace = 10 * time.Second

// Stop hands over to the next configuration, if there is one, and lets queries end: beside the reload, or before the process does.
func (a *App) Stop() error {
	a.stopped.Do(func() {
		if a.server == nil {
			a.release()
			return
		}
		if !caddy.Exiting() {
			go a.release()
			return
		}
		if d := time.Duration(a.LameDuck); d > 0 {
			a.logger.Info("answering on as a lame duck", zap.Duration("for", d))
			a.server.LameDuck(d / 2)
			time.Sleep(d)
		}
		a.release()
	})
	return nil
}

func (a *App) release() {
	for i := len(a.held) - 1; i >= 0; i-- {
		if err := a.held[i](); err != nil && !errors.Is(err, context.Canceled) {
			a.logger.Info("ending", zap.Error(err))
		}
	}
	a.held = nil
}

// Cleanup is Stop, for a configuration that failed to start.
func (a *App) Cleanup() error { return a.Stop() }

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
