// Package caddywhois is the app "whois": WHOIS servers (RFC 3912) that answer from an enrichment chain.
package caddywhois

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"

	"github.com/whence-project/whence/caddymodule/internal/ports"
)

func init() { caddy.RegisterModule(new(App)) }

// App runs WHOIS servers.
type App struct {
	// The servers. Default: none.
	Servers []*Server `json:"servers,omitempty"`

	ctx caddy.Context
}

// CaddyModule returns the module's registration.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "whois", New: func() caddy.Module { return new(App) }}
}

// Provision sets the servers up. Nothing listens before Start.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx = ctx
	for i, s := range a.Servers {
		if err := s.provision(ctx); err != nil {
			return fmt.Errorf("whois server %d: %w", i, err)
		}
	}
	return nil
}

// Validate refuses two servers on one address, one of which would never be asked.
func (a *App) Validate() error {
	taken := make(map[string]int)
	for i, s := range a.Servers {
		for _, na := range s.addresses {
			key := ports.Key(na)
			if other, ok := taken[key]; ok {
				return fmt.Errorf("whois servers %d and %d both bind %s", other, i, key)
			}
			taken[key] = i
		}
	}
	return nil
}

// Start has every server listen. What it opened before a failure Cleanup closes.
func (a *App) Start() error {
	for _, s := range a.Servers {
		if err := s.start(a.ctx); err != nil {
			return err
		}
	}
	return nil
}

// Stop gives the sockets to the next configuration, if it has them, and lets connections finish: beside the reload, or until the
// grace period ends if the process is about to.
func (a *App) Stop() error {
	for _, s := range a.Servers {
		s.stop()
	}
	return nil
}

// Cleanup is Stop, for a configuration that failed to start, and forgets the clients if no server has the same addresses.
func (a *App) Cleanup() error {
	errs := []error{a.Stop()}
	for _, s := range a.Servers {
		errs = append(errs, s.engine.Release())
	}
	return errors.Join(errs...)
}

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.Validator    = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
