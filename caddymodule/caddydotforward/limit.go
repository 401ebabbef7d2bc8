package caddydotforward

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/whence-project/whence/caddymodule/internal/args"
	"github.com/whence-project/whence/dotforward"
)

func init() { caddy.RegisterModule(new(Limit)) }

// Limit is the handler `limit`: how much a client network may ask. What is known of clients is kept over reloads, as long as the
// rate and what makes a client stay the same, in memory that does not grow with their number.
type Limit struct {
	args.Limit
	// For how long a client that was over its rate is not served at all. Default: it is served as its rate allows.
	Block caddy.Duration `json:"block,omitempty"`
	// Drop what is too much. Default: it is answered REFUSED.
	Drop bool `json:"drop,omitempty"`
}

// CaddyModule returns the module's registration.
func (*Limit) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "dotforward.handlers.limit", New: func() caddy.Module { return new(Limit) }}
}

// Provision reads the settings.
func (m *Limit) Provision(caddy.Context) error {
	_, err := m.options()
	return err
}

func (m *Limit) options() (o dotforward.LimitOptions, err error) {
	rate, client, err := m.Engine()
	switch {
	case err != nil:
		return o, fmt.Errorf("limit: %w", err)
	case rate.Per < 0 || rate.Burst < 0 || m.Block < 0:
		return o, errors.New("limit: per, burst and block cannot be below 0")
	case client.Bits4 < 0 || client.Bits4 > 32 || client.Bits6 < 0 || client.Bits6 > 128:
		return o, fmt.Errorf("limit: a client of /%d in IPv4, /%d in IPv6: want 1 to 32, 1 to 128", client.Bits4, client.Bits6)
	}
	return dotforward.LimitOptions{Rate: rate, Network: *client, BlockFor: time.Duration(m.Block), Silent: m.Drop}, nil
}

// Open makes the handler.
func (m *Limit) Open(env *Env) (dotforward.Handler, error) {
	o, err := m.options()
	if err != nil {
		return nil, err
	}
	// Two limits in one configuration must not take from the same buckets, and so the rate is in the key.
	key := fmt.Sprintf("limit %+v %+v", o.Rate, o.Network)
	now := time.Now()
	o.State = env.State(key, func() any {
		return dotforward.NewLimitState(dotforward.DefaultLimitClients, now)
	}).(*dotforward.LimitState)
	return dotforward.NewLimit(o, now)
}

// UnmarshalCaddyfile parses the handler.
//
//	limit <count>/<s|m|h|d> [burst <count>] [per <IPv4 bits> <IPv6 bits>] [block <duration>] [drop|refuse]
func (m *Limit) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the handler's name
	if d.CountRemainingArgs() == 0 {
		return d.Err("limit takes a rate, as in: limit 50/s burst 200")
	}
	l, err := args.ParseLimitAnd(d, func() error {
		switch word := d.Val(); word {
		case "block":
			if !d.NextArg() {
				return d.ArgErr()
			}
			v, err := caddy.ParseDuration(d.Val())
			if err != nil || v <= 0 {
				return d.Errf("block %s: no duration above 0, as in 5m", d.Val())
			}
			m.Block = caddy.Duration(v)
		case "drop", "refuse":
			m.Drop = word == "drop"
		default:
			return d.Errf("limit: %q is none of burst, per, block, drop and refuse", word)
		}
		return nil
	})
	if err != nil {
		return err
	}
	m.Limit = *l
	if d.NextBlock(d.Nesting()) {
		return d.Err("limit has no block; what it takes is in its line")
	}
	return nil
}

// Interface guards
var (
	_ Opener                = (*Limit)(nil)
	_ caddy.Provisioner     = (*Limit)(nil)
	_ caddyfile.Unmarshaler = (*Limit)(nil)
)
