package caddycluster

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/whence-project/whence/caddymodule/caddystore"
	"github.com/whence-project/whence/caddymodule/internal/args"
	"github.com/whence-project/whence/caddymodule/internal/cluster"
	"github.com/whence-project/whence/caddymodule/internal/status"
	"github.com/whence-project/whence/store"
	"github.com/whence-project/whence/store/natsstore"
)

func init() { caddy.RegisterModule(new(Engine)) }

// Engine is a store that many machines share, over the app nats. Its folder is this machine's copy.
type Engine struct {
	app *App
}

// CaddyModule returns the module's registration.
func (*Engine) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "store.engines.nats", New: func() caddy.Module { return new(Engine) }}
}

// Provision finds the app nats.
func (e *Engine) Provision(ctx caddy.Context) error {
	app, err := cluster.Of(ctx)
	if err != nil {
		return err
	}
	if app == nil {
		return errNoApp
	}
	e.app = app.(*App)
	return nil
}

// UnmarshalCaddyfile takes no arguments: the folder is the store's.
func (*Engine) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return args.None(d)
}

// Key tells it from one on another NATS.
func (e *Engine) Key() string {
	_ = e.app.resolve() // an error is that of Open
	return fmt.Sprintf("%s %s %s %d", e.app.secret, e.app.Name, e.app.Prefix, e.app.Replicas)
}

// Open opens this machine's part of the store. It does not wait for NATS.
func (e *Engine) Open(dir string, o caddystore.EngineOptions) (store.Store, error) {
	b, err := e.app.acquireBus()
	if err != nil {
		return nil, err
	}
	s, err := natsstore.Open(dir, b.Bus, natsstore.Options{
		Bucket: e.app.Prefix, Replicas: e.app.Replicas, Node: e.app.Name, MaxNames: o.MaxNames, CacheSize: o.CacheSize, Logger: o.Logger,
	})
	if err != nil {
		return nil, errors.Join(err, b.release())
	}
	return &sharedStore{s, b}, nil
}

// sharedStore is the store with its hold on the connection, which may be longer than a configuration's.
type sharedStore struct {
	*natsstore.Store
	bus *sharedBus
}

// Close closes the store, and lets the connection go.
func (s *sharedStore) Close() error { return errors.Join(s.Store.Close(), s.bus.release()) }

// Report implements [caddystore.Reporter].
func (s *sharedStore) Report() (value any, problems []status.Problem, away bool) {
	st := s.Status()
	add := func(format string, args ...any) {
		problems = append(problems, status.Problem{Level: status.Warning, Where: "store/nats", Text: fmt.Sprintf(format, args...)})
	}
	switch {
	case !st.Ready && st.Error != "":
		add("the shared store cannot be reached, and what is on this machine serves on: %s", st.Error)
	case !st.Ready:
		add("the shared store has not been reached yet, and what is on this machine serves on")
	case st.Slow:
		add("NATS does not answer in time: new names are unknown until it does")
	}
	if st.Unclaimed > 0 {
		add("%d new names wait to be claimed when NATS is back", st.Unclaimed)
	}
	return st, problems, !st.Ready || st.Slow
}

// Interface guards
var (
	_ caddystore.Engine     = (*Engine)(nil)
	_ caddystore.Reporter   = (*sharedStore)(nil)
	_ caddy.Provisioner     = (*Engine)(nil)
	_ caddyfile.Unmarshaler = (*Engine)(nil)
)
