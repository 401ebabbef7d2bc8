package args

import (
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/whence-project/whence/internal/limit"
)

// Limit bounds what a client network may do: a token bucket.
type Limit struct {
	// Tokens that come back per interval. Required.
	Rate int `json:"rate"`
	// The interval. Default: 1m.
	Per caddy.Duration `json:"per,omitempty"`
	// The most tokens that a client can have saved. Default: the rate.
	Burst int `json:"burst,omitempty"`
	// How many leading bits make a client of an IPv4 address. Default: 32.
	IPv4Bits int `json:"ipv4_bits,omitempty"`
	// The same for IPv6. Default: 48.
	IPv6Bits int `json:"ipv6_bits,omitempty"`
}

// ParseLimit reads the arguments of the option at the cursor: "50/m burst 200 per 32 48".
func ParseLimit(d *caddyfile.Dispenser) (*Limit, error) {
	option := d.Val()
	return ParseLimitAnd(d, func() error { return d.Errf("%s: %q is neither burst nor per", option, d.Val()) })
}

// ParseLimitAnd is ParseLimit for an option that takes more: other is called at each word that is not the limit's, and reads what
// belongs to it.
func ParseLimitAnd(d *caddyfile.Dispenser, other func() error) (*Limit, error) {
	if !d.NextArg() {
		return nil, d.ArgErr()
	}
	r, err := limit.ParseRate(d.Val())
	if err != nil {
		return nil, d.WrapErr(err)
	}
	l := &Limit{Rate: r.Events, Per: caddy.Duration(r.Per)}
	for d.NextArg() {
		switch d.Val() {
		case "burst":
			if err := NextCount(d, "burst", &l.Burst); err != nil {
				return nil, err
			}
		case "per":
			if err := NextCount(d, "per", &l.IPv4Bits); err != nil {
				return nil, err
			}
			if err := NextCount(d, "per", &l.IPv6Bits); err != nil {
				return nil, err
			}
		default:
			if err := other(); err != nil {
				return nil, err
			}
		}
	}
	return l, nil
}

// Engine is the limit as engines take it; a nil Limit is none.
func (l *Limit) Engine() (limit.Rate, *limit.Network, error) {
	if l == nil {
		return limit.Rate{}, nil, nil
	}
	r := limit.Rate{Events: l.Rate, Per: time.Duration(l.Per), Burst: l.Burst}
	if r.Events <= 0 {
		return r, nil, fmt.Errorf("a rate of %d", l.Rate)
	}
	if r.Per == 0 {
		r.Per = time.Minute
	}
	if r.Burst == 0 {
		r.Burst = r.Events
	}
	n := &limit.Network{Bits4: l.IPv4Bits, Bits6: l.IPv6Bits}
	if n.Bits4 == 0 {
		n.Bits4 = 32
	}
	if n.Bits6 == 0 {
		n.Bits6 = 48
	}
	return r, n, nil
}
