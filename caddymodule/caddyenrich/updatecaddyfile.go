package caddyenrich

import (
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/whence-project/whence/caddymodule/internal/args"
)

// inline are the options that may stand on the line of update.
var inline = []string{"every", "to", "token", "basic_auth", "sha256", "member"}

// parseUpdate parses the option update of a source. Where nothing says from where, for the source iana, it is IANA.
//
//	update [<preset>|<url>] [every <duration>] [to <file>] [token <text>] [basic_auth <user> <password>] [sha256 <sum>|<url>] [member <name>] {
//		every      <duration>
//		to         <file>
//		token      <text>
//		basic_auth <user> <password>
//		header     <name> <value>
//		sha256     <sum>|<url>
//		member     <name>
//		max_size   <size>
//		timeout    <duration>
//		allow_networks <prefix…>
//		source     <address…>
//		proxy      <url> [<host…>]
//		bootstrap  tls://<address>[:<port>] [<name>]
//		trusted_ca <file…>
//	}
func parseUpdate(d *caddyfile.Dispenser, fromNeeded bool) (*Update, error) {
	u, seen := new(Update), make(map[string]bool)
	more := d.NextArg()
	if more && !slices.Contains(inline, d.Val()) {
		u.From = d.Val()
		more = d.NextArg()
	} else if fromNeeded {
		return nil, d.Err("update takes a preset or a URL, as in: update tranco every 24h")
	}
	for ; more; more = d.NextArg() {
		if !slices.Contains(inline, d.Val()) {
			return nil, d.Errf("update: %q is none of every, to, token, basic_auth, sha256 and member; other options stand in its block", d.Val())
		}
		if err := u.option(d, seen); err != nil {
			return nil, err
		}
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch d.Val() {
		case "allow_networks", "source", "trusted_ca", "proxy", "bootstrap":
			err = u.Egress.option(d)
		default:
			if err = u.option(d, seen); err == nil {
				err = args.None(d)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return u, nil
}

// option parses an option and as many arguments as it has.
func (u *Update) option(d *caddyfile.Dispenser, seen map[string]bool) error {
	option := d.Val()
	if seen[option] && option != "header" {
		return d.Errf("update: %s is given twice", option)
	}
	seen[option] = true
	text := map[string]*string{"to": &u.To, "token": &u.Token, "sha256": &u.SHA256, "member": &u.Member}[option]
	switch {
	case text != nil:
		return nextArg(d, text)
	case option == "basic_auth":
		if err := nextArg(d, &u.User); err != nil {
			return err
		}
		return nextArg(d, &u.Password)
	case option == "header":
		return u.header(d)
	case option == "every":
		return nextDuration(d, option, &u.Every)
	case option == "timeout":
		return nextDuration(d, option, &u.Timeout)
	case option == "max_size":
		return args.Size(d, &u.MaxSize)
	}
	return d.Errf("update has no option %q; it has every, to, token, basic_auth, header, sha256, member, max_size, timeout, allow_networks, "+
		"source, proxy, bootstrap and trusted_ca", option)
}

func (u *Update) header(d *caddyfile.Dispenser) error {
	var name, value string
	if err := nextArg(d, &name); err != nil {
		return err
	}
	if u.Headers == nil {
		u.Headers = make(map[string]string)
	}
	err := nextArg(d, &value)
	u.Headers[name] = value
	return err
}

// nextArg reads one argument, and leaves the rest.
func nextArg(d *caddyfile.Dispenser, into *string) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	*into = d.Val()
	return nil
}

// nextDuration reads one argument as a duration above 0, and leaves the rest.
func nextDuration(d *caddyfile.Dispenser, option string, into *caddy.Duration) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	v, err := caddy.ParseDuration(d.Val())
	if err != nil || v <= 0 {
		return d.Errf("%s %s: no duration above 0, as in 24h", option, d.Val())
	}
	*into = caddy.Duration(v)
	return nil
}
