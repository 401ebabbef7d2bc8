package caddydotforward

import (
	"errors"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/whence-project/whence/caddymodule/internal/args"
	"github.com/whence-project/whence/dotforward"
)

func init() { caddy.RegisterModule(new(Observe)) }

// Observe is the handler `observe`: names that were answered with NOERROR are made known to the ledger of first sightings, beside the
// queries, and first contacts become log lines and events.
type Observe struct {
	// Keep each name in full. Default: the name that it was registered under.
	PerName bool `json:"per_name,omitempty"`
	// How many names may wait for the ledger; more are left out. Default: 8192.
	Queue int `json:"queue,omitempty"`
	// How often the ledger hears of a name that is asked for all the time. Default: 1m.
	Every caddy.Duration `json:"every,omitempty"`
	// The age of a registration below which a first contact is the event whence_new_domain too. The source registration then asks the
	// registry of each name that is new here, over RDAP. Default: not asked.
	NewDomain caddy.Duration `json:"new_domain,omitempty"`
}

// CaddyModule returns the module's registration.
func (*Observe) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "dotforward.handlers.observe", New: func() caddy.Module { return new(Observe) }}
}

// Uses says that it needs both.
func (*Observe) Uses() (chain, ledger bool) { return true, true }

// Provision reads the settings.
func (m *Observe) Provision(caddy.Context) error {
	if m.Queue < 0 || m.Every < 0 || m.NewDomain < 0 {
		return errors.New("observe: queue, every and new_domain cannot be below 0")
	}
	return nil
}

// Open makes the handler, and has names claimed, and first contacts told, until the server has ended.
func (m *Observe) Open(env *Env) (dotforward.Handler, error) {
	wake, err := env.contacts(time.Duration(m.NewDomain))
	if err != nil {
		return nil, err
	}
	o := dotforward.NewObserve(dotforward.ObserveOptions{
		Ledger: env.Ledger, PerName: m.PerName, Queue: m.Queue, Every: time.Duration(m.Every), FirstContact: wake,
	})
	env.Go(func() { o.Run(env.Running) })
	return o, nil
}

// UnmarshalCaddyfile parses the handler.
//
//	observe {
//		per_name
//		queue      <count>
//		every      <duration>
//		new_domain <duration>
//	}
func (m *Observe) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the handler's name
	if err := args.None(d); err != nil {
		return err
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch option := d.Val(); option {
		case "per_name":
			m.PerName = true
			err = args.None(d)
		case "queue":
			err = args.Count(d, &m.Queue)
		case "every":
			err = durationAboveZero(d, &m.Every)
		case "new_domain":
			err = durationAboveZero(d, &m.NewDomain)
		default:
			err = d.Errf("observe has no option %q; it has per_name, queue, every and new_domain", option)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Interface guards
var (
	_ Opener                = (*Observe)(nil)
	_ User                  = (*Observe)(nil)
	_ caddy.Provisioner     = (*Observe)(nil)
	_ caddyfile.Unmarshaler = (*Observe)(nil)
)
