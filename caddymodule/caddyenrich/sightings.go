package caddyenrich

import (
	"context"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/whence-project/whence/caddymodule/caddystore"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/sightings"
)

func init() { caddy.RegisterModule(new(Sightings)) }

// Sightings is the source `sightings`: when this network first and last saw a name, as the store knows it.
type Sightings struct {
	*sightings.Source `json:"-"`
	store             *caddystore.App
}

// CaddyModule returns the module's registration.
func (*Sightings) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "enrich.sources.sightings", New: func() caddy.Module { return new(Sightings) }}
}

// Provision has the store opened in Start.
func (m *Sightings) Provision(ctx caddy.Context) error {
	app, err := ctx.App("store")
	if err != nil {
		return err
	}
	m.Source, m.store = sightings.New(), app.(*caddystore.App)
	m.store.OnStart(nil)
	return nil
}

// Open gives the source the ledger.
func (m *Sightings) Open(context.Context) error {
	s, err := m.store.Store()
	if err == nil {
		m.SetLedger(s.Ledger())
	}
	return err
}

// UnmarshalCaddyfile parses the source.
//
//	sightings
func (m *Sightings) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return noBlock(d) }

// Interface guards
var (
	_ enrich.Source         = (*Sightings)(nil)
	_ enrich.Opener         = (*Sightings)(nil)
	_ enrich.Reporter       = (*Sightings)(nil)
	_ caddy.Provisioner     = (*Sightings)(nil)
	_ caddyfile.Unmarshaler = (*Sightings)(nil)
)
