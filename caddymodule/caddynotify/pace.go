package caddynotify

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/whence-project/whence/caddymodule/internal/args"
	"github.com/whence-project/whence/internal/digest"
	"github.com/whence-project/whence/internal/limit"
)

// Pace is when messages go out. Handlers with the same settings, whatever events they are for, share one pace.
type Pace struct {
	// How long the first event waits for more that belong with it. Default: 10s.
	Wait caddy.Duration `json:"wait,omitempty"`
	// The least time between two messages. Default: 5m.
	Every caddy.Duration `json:"every,omitempty"`
	// How many messages there are at most, as events/time. Default: 6/h.
	Limit string `json:"limit,omitempty"`
	// How long a delivery may take. Default: 30s.
	Timeout caddy.Duration `json:"timeout,omitempty"`
}

// options are the settings as the engine takes them.
func (p *Pace) options() (o digest.Options, err error) {
	o = digest.Options{Wait: time.Duration(p.Wait), Every: time.Duration(p.Every), Timeout: time.Duration(p.Timeout)}
	if o.Wait < 0 || o.Every < 0 || o.Timeout < 0 {
		return o, errors.New("wait, every and timeout cannot be below 0")
	}
	if p.Limit != "" {
		if o.Limit, err = limit.ParseRate(p.Limit); err != nil {
			return o, fmt.Errorf("limit: %w", err)
		}
	}
	return o, nil
}

// option reads an option, if it is one of these.
//
//	wait    <duration>
//	every   <duration>
//	limit   <count>/<s|m|h|d>
//	timeout <duration>
func (p *Pace) option(d *caddyfile.Dispenser) (known bool, err error) {
	switch d.Val() {
	case "wait":
		return true, aboveZero(d, &p.Wait)
	case "every":
		return true, aboveZero(d, &p.Every)
	case "timeout":
		return true, aboveZero(d, &p.Timeout)
	case "limit":
		if err := args.One(d, &p.Limit); err != nil {
			return true, err
		}
		if _, err := limit.ParseRate(p.Limit); err != nil {
			return true, d.WrapErr(err)
		}
		return true, nil
	}
	return false, nil
}

// aboveZero reads a duration where 0 would stand for the default, which who writes 0 does not mean.
func aboveZero(d *caddyfile.Dispenser, into *caddy.Duration) error {
	option := d.Val()
	if err := args.Duration(d, into); err != nil {
		return err
	}
	if *into == 0 {
		return d.Errf("%s %s: want more than 0", option, d.Val())
	}
	return nil
}
