package caddynotify

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/whence-project/whence/caddymodule/internal/args"
	"github.com/whence-project/whence/internal/mailer"
)

// UnmarshalCaddyfile parses the handler.
//
//	mail <address…> {
//		server     <host>[:<port>] [starttls|tls|plain]
//		auth       <user> <password> [auto|plain|login|cram-md5|scram-sha-256]
//		from       <address>
//		subject    <text>
//		hello      <name>
//		trusted_ca <file…>
//		wait       <duration>
//		every      <duration>
//		limit      <count>/<s|m|h|d>
//		timeout    <duration>
//	}
func (m *Mail) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the handler's name
	m.To = d.RemainingArgs()
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if seen[option] {
			return d.Errf("%s is given twice", option)
		}
		seen[option] = true
		if err := m.option(d, option); err != nil {
			return err
		}
	}
	if err := m.check(); err != nil {
		return d.Errf("mail: %v", err)
	}
	return nil
}

func (m *Mail) option(d *caddyfile.Dispenser, option string) error {
	switch option {
	case "server":
		return m.parseServer(d)
	case "auth":
		return m.parseAuth(d)
	case "from":
		return args.One(d, &m.From)
	case "subject":
		return args.One(d, &m.Subject)
	case "hello":
		return args.One(d, &m.Hello)
	case "trusted_ca":
		return args.Some(d, &m.TrustedCA)
	}
	known, err := m.Pace.option(d)
	if !known {
		return d.Errf("mail has no option %q; it has server, auth, from, subject, hello, trusted_ca, wait, every, limit and timeout", option)
	}
	return err
}

func (m *Mail) parseServer(d *caddyfile.Dispenser) error {
	list := d.RemainingArgs()
	if len(list) < 1 || len(list) > 2 {
		return d.Err("server takes an address, and how the connection is secured, as in: server smtp.example.org:465 tls")
	}
	m.Server = list[0]
	if len(list) == 2 {
		m.Security = list[1]
	}
	if _, err := mailer.ParseSecurity(m.Security); err != nil {
		return d.Errf("server: %v", err)
	}
	return nil
}

func (m *Mail) parseAuth(d *caddyfile.Dispenser) error {
	list := d.RemainingArgs()
	if len(list) < 2 || len(list) > 3 {
		return d.Err("auth takes a user and a password, as in: auth whence {env.SMTP_PASSWORD}")
	}
	m.User, m.Password = list[0], list[1]
	if len(list) == 3 {
		m.Auth = list[2]
	}
	if _, err := mailer.ParseAuth(m.Auth); err != nil {
		return d.WrapErr(errMechanism) // what is wrong may be a password in the wrong place
	}
	return nil
}
