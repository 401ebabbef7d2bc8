package caddyenrich

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

func init() { httpcaddyfile.RegisterGlobalOption("enrich", parseGlobalOption) }

// parseGlobalOption parses a chain. The option may be repeated with other names.
//
//	enrich [<name>] {
//		<source> [<args…>] {
//			…
//		}
//	}
func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	app := new(App)
	if existing != nil {
		if err := json.Unmarshal(existing.(httpcaddyfile.App).Value, app); err != nil {
			return nil, err
		}
	}
	if app.Chains == nil {
		app.Chains = make(map[string]*Chain)
	}
	if err := app.parseChain(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "enrich", Value: caddyconfig.JSON(app, nil)}, nil
}

func (a *App) parseChain(d *caddyfile.Dispenser) error {
	d.Next() // the option's name
	name := DefaultChain
	if d.NextArg() {
		name = d.Val()
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	if _, ok := a.Chains[name]; ok {
		return d.Errf("the enrichment chain %q is defined twice", name)
	}
	chain := new(Chain)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		source := d.Val()
		mod, err := unmarshalSource(d, source)
		if err != nil {
			return err
		}
		chain.SourcesRaw = append(chain.SourcesRaw, caddyconfig.JSONModuleObject(mod, "source", source, nil))
	}
	if len(chain.SourcesRaw) == 0 {
		return d.Errf("the enrichment chain %q has no sources; write one a line, as in: enrich { iana }", name)
	}
	a.Chains[name] = chain
	return nil
}

// unmarshalSource parses the source at the dispenser's cursor, with an error that tells what there is for one that is unknown.
func unmarshalSource(d *caddyfile.Dispenser, source string) (caddyfile.Unmarshaler, error) {
	const namespace = "enrich.sources"
	if _, err := caddy.GetModule(namespace + "." + source); err != nil {
		known := ""
		for _, m := range caddy.GetModules(namespace) {
			known += " " + m.ID.Name()
		}
		return nil, d.Errf("no enrichment source is named %q; this binary has:%s", source, known)
	}
	return caddyfile.UnmarshalModule(d, namespace+"."+source)
}

// noBlock is for sources that take neither arguments nor a block.
func noBlock(d *caddyfile.Dispenser) error {
	d.Next()
	name := d.Val()
	if d.NextArg() {
		return d.ArgErr()
	}
	if d.NextBlock(d.Nesting()) {
		return d.Errf("%s has no option %q: it takes none", name, d.Val())
	}
	return nil
}
