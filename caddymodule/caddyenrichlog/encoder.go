package caddyenrichlog

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/logging"
	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"

	"github.com/whence-project/whence/caddymodule/internal/args"
)

func init() { caddy.RegisterModule(new(Encoder)) }

// Encoder adds what a chain knows beside fields of an entry that hold an address or a name, and has another encoder write it.
type Encoder struct {
	// The encoder that writes the entries. Default: `json`, and on a terminal `console`.
	WrappedRaw json.RawMessage `json:"wrap,omitempty" caddy:"namespace=caddy.logging.encoders inline_key=format"`
	// The fields of entries beside which others are added; one within an object is written as object>field. They are text: an
	// address, a name, either with a port, a URL. Default: request>client_ip.
	Fields []string `json:"fields,omitempty"`
	Settings

	zapcore.Encoder `json:"-"` // the one that writes
	enricher        *enricher
	root            *node
	isDefault       bool // nothing was said of what writes
	ctx             caddy.Context
}

// CaddyModule returns the module's registration.
func (*Encoder) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.logging.encoders.enrich", New: func() caddy.Module { return new(Encoder) }}
}

// Provision makes the encoder that writes.
func (e *Encoder) Provision(ctx caddy.Context) error {
	e.ctx, e.enricher = ctx, newEnricher(e.Settings)
	if len(e.Fields) == 0 {
		e.Fields = []string{"request>client_ip"}
	}
	e.root = tree(e.Fields, e.enricher.leaf)
	if e.WrappedRaw == nil {
		e.isDefault = true
		return e.wrap(new(logging.JSONEncoder))
	}
	mod, err := ctx.LoadModule(e, "WrappedRaw")
	if err != nil {
		return fmt.Errorf("loading the encoder that writes: %w", err)
	}
	e.Encoder = mod.(zapcore.Encoder)
	return nil
}

// wrap has one of Caddy's own encoders write.
func (e *Encoder) wrap(own interface {
	zapcore.Encoder
	caddy.Provisioner
}) error {
	e.Encoder = own
	return own.Provision(e.ctx)
}

// ConfigureDefaultFormat writes for people where the log goes to a terminal and nothing else was said.
func (e *Encoder) ConfigureDefaultFormat(wo caddy.WriterOpener) error {
	if !e.isDefault {
		if c, ok := e.Encoder.(caddy.ConfiguresFormatterDefault); ok {
			return c.ConfigureDefaultFormat(wo)
		}
		return nil
	}
	if caddy.IsWriterStandardStream(wo) && term.IsTerminal(int(os.Stderr.Fd())) {
		return e.wrap(new(logging.ConsoleEncoder))
	}
	return nil
}

// Clone is an encoder for more fields.
func (e *Encoder) Clone() zapcore.Encoder { return &entry{e.Encoder.Clone(), e.enricher, e.root} }

// EncodeEntry writes an entry.
func (e *Encoder) EncodeEntry(ent zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	return (&entry{e.Encoder, e.enricher, e.root}).EncodeEntry(ent, fields)
}

// UnmarshalCaddyfile parses the format.
//
//	format enrich {
//		wrap   <format>
//		fields <field…>
//		add    <field…>
//		chain  <chain>
//		object [<suffix>]
//	}
func (e *Encoder) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the format's name
	if err := args.None(d); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if seen[option] {
			return d.Errf("%s is given twice", option)
		}
		seen[option] = true
		if err := e.parseOption(d, option); err != nil {
			return err
		}
	}
	return nil
}

func (e *Encoder) parseOption(d *caddyfile.Dispenser, option string) error {
	switch option {
	case "wrap":
		return e.parseWrap(d)
	case "fields":
		return args.Some(d, &e.Fields)
	}
	known, err := e.parse(d, option)
	if err == nil && !known {
		err = d.Errf("the format enrich has no option %q; it has wrap, fields, add, chain and object", option)
	}
	return err
}

func (e *Encoder) parseWrap(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	name := d.Val()
	mod, err := caddyfile.UnmarshalModule(d, "caddy.logging.encoders."+name)
	if err != nil {
		return err
	}
	enc, ok := mod.(zapcore.Encoder)
	if !ok {
		return d.Errf("%s is no format", name)
	}
	e.WrappedRaw = caddyconfig.JSONModuleObject(enc, "format", name, nil)
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner                = (*Encoder)(nil)
	_ caddy.ConfiguresFormatterDefault = (*Encoder)(nil)
	_ zapcore.Encoder                  = (*Encoder)(nil)
	_ caddyfile.Unmarshaler            = (*Encoder)(nil)
)
