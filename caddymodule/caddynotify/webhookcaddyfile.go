package caddynotify

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/whence-project/whence/caddymodule/internal/args"
)

// UnmarshalCaddyfile parses the handler.
//
//	webhook <url> {
//		method     <method>
//		format     json|slack
//		header     <name> <value>
//		secret     {env.<name>}|{file.<path>}
//		trusted_ca <file…>
//		wait       <duration>
//		every      <duration>
//		limit      <count>/<s|m|h|d>
//		timeout    <duration>
//	}
func (m *Webhook) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the handler's name
	if !d.AllArgs(&m.URL) {
		return d.Err("webhook takes a URL, as in: webhook https://example.org/hook")
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if seen[option] && option != "header" {
			return d.Errf("%s is given twice", option)
		}
		seen[option] = true
		if err := m.option(d, option); err != nil {
			return err
		}
	}
	if err := m.check(); err != nil {
		return d.Errf("webhook: %v", err)
	}
	return nil
}

func (m *Webhook) option(d *caddyfile.Dispenser, option string) error {
	switch option {
	case "method":
		err := args.One(d, &m.Method)
		m.Method = strings.ToUpper(m.Method)
		return err
	case "format":
		return args.One(d, &m.Format)
	case "header":
		var name, value string
		if !d.AllArgs(&name, &value) {
			return d.Err(`header takes a name and a value, as in: header Authorization "Bearer {env.TOKEN}"`)
		}
		if m.Headers == nil {
			m.Headers = make(map[string]string)
		}
		m.Headers[name] = value
		return nil
	case "secret":
		return args.One(d, &m.Secret)
	case "trusted_ca":
		return args.Some(d, &m.TrustedCA)
	}
	known, err := m.Pace.option(d)
	if !known {
		return d.Errf("webhook has no option %q; it has method, format, header, secret, trusted_ca, wait, every, limit and timeout", option)
	}
	return err
}
