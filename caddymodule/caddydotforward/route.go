package caddydotforward

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/whence-project/whence/dotforward"
	"github.com/whence-project/whence/dotforward/upstream"
)

func init() { caddy.RegisterModule(new(Route)) }

// Route is the handler `route`: zones that other servers are asked about. Of the zones of one route that a name is in, the longest
// decides; of several routes the first that has one.
type Route struct {
	// The zones, each with all below it; `.` is every name. Required.
	Zones []string `json:"zones"`
	// The servers, which may be without encryption here, and which of them is asked.
	Forward
}

// CaddyModule returns the module's registration.
func (*Route) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "dotforward.handlers.route", New: func() caddy.Module { return new(Route) }}
}

// Uses says that a quorum needs the chain, which knows the origin AS of addresses.
func (m *Route) Uses() (chain, ledger bool) { return m.Policy == "quorum" && !m.Exact, false }

// errNoZone says what to write.
var errNoZone = errors.New("route takes zones, as in: route corp.example.org { to tcp://192.0.2.53 }")

// Provision reads the settings.
func (m *Route) Provision(caddy.Context) error {
	if len(m.Zones) == 0 {
		return errNoZone
	}
	// The names are looked at here, the servers opened in Start.
	if _, err := m.route(new(upstream.Pool)); err != nil {
		return fmt.Errorf("route: %w", err)
	}
	if err := m.check(true); err != nil {
		return fmt.Errorf("route %s: %w", m.Zones[0], err)
	}
	return nil
}

func (m *Route) route(p *upstream.Pool) (*dotforward.Route, error) {
	var zones []dotforward.Zone
	for _, name := range m.Zones {
		zones = append(zones, dotforward.Zone{Name: name, Pool: p})
	}
	return dotforward.NewRoute(zones...)
}

// Open makes the handler. The servers are the app's, which lets them go when queries have been answered.
func (m *Route) Open(env *Env) (dotforward.Handler, error) {
	p, err := env.Pool(&m.Forward)
	if err != nil {
		return nil, err
	}
	return m.route(p.Pool)
}

// UnmarshalCaddyfile parses the handler.
//
//	route <zone…> {
//		to <upstream> [<name>]
//		… the options of forward
//	}
func (m *Route) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the handler's name
	if m.Zones = d.RemainingArgs(); len(m.Zones) == 0 {
		return d.WrapErr(errNoZone)
	}
	return parseForward(d, &m.Forward, nil)
}

// Interface guards
var (
	_ Opener                = (*Route)(nil)
	_ User                  = (*Route)(nil)
	_ caddy.Provisioner     = (*Route)(nil)
	_ caddyfile.Unmarshaler = (*Route)(nil)
)
