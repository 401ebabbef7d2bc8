package caddydotforward

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/whence-project/whence/caddymodule/internal/args"
)

func init() { httpcaddyfile.RegisterGlobalOption("dotforward", parseGlobalOption) }

// parseGlobalOption parses the forwarder.
//
//	dotforward {
//		bind      <address…>
//		names     <name…>
//		enrich    <chain>
//		<handler> [<args…>] { … }
//		cache     [<size>] { … }
//		forward   <upstream> [<name>] { … }
//		udp_size  <bytes>
//		deadline  <duration>
//		pass_subnet
//		answer_disagreed
//		log       [<one query in so many>]
//		lame_duck <duration>
//	}
func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	d.Next() // the option's name
	if existing != nil {
		return nil, d.Err("dotforward is there twice; one takes any number of addresses")
	}
	if d.NextArg() {
		return nil, d.ArgErr()
	}
	a := new(App)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := a.option(d); err != nil {
			return nil, err
		}
	}
	if a.Forward == nil {
		return nil, d.Err("no upstream server; name one, as in: forward tls://1.1.1.1 cloudflare-dns.com")
	}
	return httpcaddyfile.App{Name: "dotforward", Value: caddyconfig.JSON(a, nil)}, nil
}

func (a *App) option(d *caddyfile.Dispenser) (err error) {
	switch option := d.Val(); option {
	case "bind":
		return args.Some(d, &a.Listen)
	case "names":
		return args.Some(d, &a.Names)
	case "enrich":
		return args.One(d, &a.Enrich)
	case "cache":
		a.Cache, err = parseCache(d)
		return err
	case "forward":
		if a.Forward != nil {
			return d.Err("forward is there twice; write further servers into its block, as in: to tls://9.9.9.9 dns.quad9.net")
		}
		a.Forward = new(Forward)
		return parseForward(d, a.Forward, d.RemainingArgs())
	case "udp_size":
		return args.Count(d, &a.UDPSize)
	case "deadline":
		return args.Duration(d, &a.Deadline)
	case "lame_duck":
		return args.Duration(d, &a.LameDuck)
	case "pass_subnet":
		a.PassSubnet = true
		return args.None(d)
	case "answer_disagreed":
		a.AnswerDisagreed = true
		return args.None(d)
	case "log":
		if a.LogEvery = 1; d.CountRemainingArgs() == 0 {
			return nil
		}
		return args.Count(d, &a.LogEvery)
	default:
		return a.handler(d, option)
	}
}

// handler parses a guest module at the cursor.
func (a *App) handler(d *caddyfile.Dispenser, name string) error {
	const namespace = "dotforward.handlers"
	if _, err := caddy.GetModule(namespace + "." + name); err != nil {
		known := ""
		for _, m := range caddy.GetModules(namespace) {
			known += " " + m.ID.Name()
		}
		return d.Errf("dotforward has no option and no handler %q; it has bind, names, enrich, cache, forward, udp_size, deadline, "+
			"pass_subnet, answer_disagreed, log and lame_duck, and this binary has the handlers:%s", name, known)
	}
	mod, err := caddyfile.UnmarshalModule(d, namespace+"."+name)
	if err != nil {
		return err
	}
	a.HandlersRaw = append(a.HandlersRaw, caddyconfig.JSONModuleObject(mod, "handler", name, nil))
	return nil
}
