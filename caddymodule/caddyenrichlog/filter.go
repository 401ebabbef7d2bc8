package caddyenrichlog

import (
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/logging"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

func init() { caddy.RegisterModule(new(Filter)) }

// Filter adds what a chain knows beside a field that holds an address or a name, and leaves the field as it is. It is for text.
type Filter struct {
	Settings

	enricher *enricher
	last     atomic.Pointer[leaf] // a filter sees fields of one name
}

// CaddyModule returns the module's registration.
func (*Filter) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.logging.encoders.filter.enrich", New: func() caddy.Module { return new(Filter) }}
}

// Provision reads the settings.
func (f *Filter) Provision(caddy.Context) error {
	f.enricher = newEnricher(f.Settings)
	return nil
}

// Filter returns the field and what is added to it.
func (f *Filter) Filter(in zapcore.Field) zapcore.Field {
	if in.Type != zapcore.StringType {
		return in
	}
	l := f.last.Load()
	if l == nil || l.key != in.Key {
		l = f.enricher.leaf(in.Key)
		f.last.Store(l)
	}
	return zap.Inline(zapcore.ObjectMarshalerFunc(func(enc zapcore.ObjectEncoder) error {
		enc.AddString(in.Key, in.String)
		f.enricher.add(enc, l, in.String)
		return nil
	}))
}

// UnmarshalCaddyfile parses the filter.
//
//	enrich [<field…>] {
//		add    <field…>
//		chain  <chain>
//		object [<suffix>]
//	}
func (f *Filter) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the filter's name
	f.Add = d.RemainingArgs()
	seen := map[string]bool{"add": len(f.Add) > 0}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if seen[option] {
			return d.Errf("%s is given twice", option)
		}
		seen[option] = true
		known, err := f.parse(d, option)
		if err != nil {
			return err
		}
		if !known {
			return d.Errf("the filter enrich has no option %q; it has add, chain and object", option)
		}
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner      = (*Filter)(nil)
	_ logging.LogFieldFilter = (*Filter)(nil)
	_ caddyfile.Unmarshaler  = (*Filter)(nil)
)
