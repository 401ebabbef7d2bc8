// Package args reads the arguments of Caddyfile options. Each function reads all that is left of the line, and its errors name the
// option, what was wrong with the value, and what would be right.
package args

import (
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"
)

// None is for an option that is a switch.
func None(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

// One reads one argument.
func One(d *caddyfile.Dispenser, into *string) error {
	if !d.AllArgs(into) {
		return d.ArgErr()
	}
	return nil
}

// Some reads one argument or more, and appends them.
func Some(d *caddyfile.Dispenser, into *[]string) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.ArgErr()
	}
	*into = append(*into, args...)
	return nil
}

// Duration reads a duration of 0 or more, in Caddy's units, days among them.
func Duration(d *caddyfile.Dispenser, into *caddy.Duration) error {
	option := d.Val()
	var arg string
	if !d.AllArgs(&arg) {
		return d.ArgErr()
	}
	v, err := caddy.ParseDuration(arg)
	if err != nil || v < 0 {
		return d.Errf("%s %s: no duration, as in 30s", option, arg)
	}
	*into = caddy.Duration(v)
	return nil
}

// Count reads a number above 0.
func Count(d *caddyfile.Dispenser, into *int) error {
	if err := NextCount(d, d.Val(), into); err != nil {
		return err
	}
	return None(d)
}

// NextCount reads the next argument of option as a number above 0, and leaves the rest.
func NextCount(d *caddyfile.Dispenser, option string, into *int) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	n, err := strconv.Atoi(d.Val())
	if err != nil || n <= 0 {
		return d.Errf("%s %s: not a number above 0", option, d.Val())
	}
	*into = n
	return nil
}

// Size reads a number of bytes above 0, with a unit if it has one.
func Size(d *caddyfile.Dispenser, into *int64) error {
	option := d.Val()
	var arg string
	if !d.AllArgs(&arg) {
		return d.ArgErr()
	}
	n, err := humanize.ParseBytes(arg)
	if err != nil || n == 0 || n > 1<<62 {
		return d.Errf("%s %s: no size above 0, as in 64MiB", option, arg)
	}
	*into = int64(n)
	return nil
}
