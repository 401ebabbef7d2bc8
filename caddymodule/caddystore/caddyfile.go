package caddystore

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/whence-project/whence/caddymodule/internal/args"
)

func init() { httpcaddyfile.RegisterGlobalOption("store", parseGlobalOption) }

// parseGlobalOption parses the store.
//
//	store [nats] [<folder>] {
//		max_names  <count>
//		cache_size <size>
//	}
func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	d.Next() // the option's name
	if existing != nil {
		return nil, d.Err("store is given twice")
	}
	app := new(App)
	if d.NextArg() && !app.parseEngine(d.Val()) {
		app.Dir = d.Val()
	} else if d.NextArg() {
		app.Dir = d.Val()
	}
	if d.NextArg() {
		return nil, d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch option := d.Val(); option {
		case "max_names":
			err = args.Count(d, &app.MaxNames)
		case "cache_size":
			err = args.Size(d, &app.CacheSize)
		default:
			err = d.Errf("store has no option %q; it has max_names and cache_size", option)
		}
		if err != nil {
			return nil, err
		}
	}
	return httpcaddyfile.App{Name: "store", Value: caddyconfig.JSON(app, nil)}, nil
}

// parseEngine takes the name of an engine that this binary has; a folder of that name is written as ./nats.
func (a *App) parseEngine(name string) bool {
	if strings.ContainsAny(name, "./{") {
		return false
	}
	if _, err := caddy.GetModule("store.engines." + name); err != nil {
		return false
	}
	a.EngineRaw = caddyconfig.JSONModuleObject(struct{}{}, "engine", name, nil)
	return true
}
