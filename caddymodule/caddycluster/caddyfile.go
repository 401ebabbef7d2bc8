package caddycluster

import (
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/whence-project/whence/caddymodule/internal/args"
	"github.com/whence-project/whence/caddymodule/internal/cluster"
)

func init() { httpcaddyfile.RegisterGlobalOption("nats", parseGlobalOption) }

// parseGlobalOption parses the connection to NATS.
//
//	nats <url…> {
//		creds              <file>
//		nkey               <file>
//		user               <name> [<password>]
//		token              <token>
//		trusted_ca         <file…>
//		client_certificate <certificate> <key>
//		name               <node>
//		prefix             <word>
//		replicas           1|3|5
//	}
func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	d.Next() // the option's name
	if existing != nil {
		return nil, d.Err("nats is given twice; servers of one cluster stand in one line")
	}
	app := new(App)
	at := d.NewFromNextSegment()
	at.Next()
	if app.Servers = at.RemainingArgs(); len(app.Servers) == 0 {
		return nil, at.Err("nats takes at least one server, as in: nats nats://127.0.0.1:4222")
	}
	for nesting := at.Nesting(); at.NextBlock(nesting); {
		if err := app.option(at); err != nil {
			return nil, err
		}
	}
	if err := app.checkShape(); err != nil {
		return nil, d.Errf("nats: %v", err)
	}
	return httpcaddyfile.App{Name: cluster.AppName, Value: caddyconfig.JSON(app, nil)}, nil
}

func (a *App) option(d *caddyfile.Dispenser) error {
	switch option := d.Val(); option {
	case "creds":
		return args.One(d, &a.Creds)
	case "nkey":
		return args.One(d, &a.NKey)
	case "token":
		return args.One(d, &a.Token)
	case "name":
		return a.word(d, &a.Name)
	case "prefix":
		return a.word(d, &a.Prefix)
	case "trusted_ca":
		return args.Some(d, &a.TrustedCA)
	case "replicas":
		return a.parseReplicas(d)
	case "user":
		switch rest := d.RemainingArgs(); len(rest) {
		case 2:
			a.User, a.Password = rest[0], rest[1]
		case 1:
			a.User = rest[0]
		default:
			return d.Err("user takes a name and a password, as in: user whence {file./etc/whence/nats-password}")
		}
		return nil
	case "client_certificate":
		c := new(Certificate)
		if !d.AllArgs(&c.Certificate, &c.Key) {
			return d.Err("client_certificate takes two files: the certificate and its key")
		}
		a.ClientCertificate = c
		return nil
	default:
		return d.Errf("nats has no option %q; it has creds, nkey, user, token, trusted_ca, client_certificate, name, prefix and replicas", option)
	}
}

func (a *App) word(d *caddyfile.Dispenser, into *string) error {
	option := d.Val()
	if err := args.One(d, into); err != nil {
		return err
	}
	if !word.MatchString(*into) {
		return d.Errf("%s %q: want letters, digits, - and _, at most 64", option, *into)
	}
	return nil
}

func (a *App) parseReplicas(d *caddyfile.Dispenser) error {
	if err := args.Count(d, &a.Replicas); err != nil {
		return err
	}
	if a.Replicas != 1 && a.Replicas != 3 && a.Replicas != 5 {
		return d.Errf("replicas %d: 1, or 3 (or 5) where NATS is a cluster of as many", a.Replicas)
	}
	return nil
}
