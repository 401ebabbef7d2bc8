package caddyenrich

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/iana"
)

func init() { caddy.RegisterModule(new(IANA)) }

// IANA is the source `iana`: what IANA's registries say about addresses, AS numbers and top-level domains. It is compiled in,
// and has no settings.
type IANA struct{ *iana.Source }

// CaddyModule returns the module's registration.
func (*IANA) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "enrich.sources.iana", New: func() caddy.Module { return new(IANA) }}
}

// Provision sets the source up.
func (m *IANA) Provision(caddy.Context) error {
	m.Source = iana.New()
	return nil
}

// UnmarshalCaddyfile parses the source.
//
//	iana
func (m *IANA) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return noBlock(d) }

// Interface guards
var (
	_ enrich.Source         = (*IANA)(nil)
	_ enrich.Reporter       = (*IANA)(nil)
	_ caddy.Provisioner     = (*IANA)(nil)
	_ caddyfile.Unmarshaler = (*IANA)(nil)
)
