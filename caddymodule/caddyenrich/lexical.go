package caddyenrich

import (
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/whence-project/whence/caddymodule/internal/args"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/lexical"
)

func init() { caddy.RegisterModule(new(Lexical)) }

// Lexical is the source `lexical`: what a name's spelling says: frequency scores, Unicode form, look-alikes, entropy.
type Lexical struct {
	// Frequency tables by name, files in the format of freq.py. The one named "default" takes the place of the table that is
	// compiled in. Default: none.
	Tables map[string]string `json:"tables,omitempty"`
	// How often the files are looked at where the file system does not notify of changes. Default: 30s.
	Poll caddy.Duration `json:"poll,omitempty"`

	held[*lexical.Source]
}

// CaddyModule returns the module's registration.
func (*Lexical) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "enrich.sources.lexical", New: func() caddy.Module { return new(Lexical) }}
}

// Provision takes the source from the configuration before this one, or makes it. Open reads the files.
func (m *Lexical) Provision(ctx caddy.Context) error {
	o := lexical.Options{Tables: make(map[string]string, len(m.Tables)), Poll: time.Duration(m.Poll)}
	for name, file := range m.Tables {
		path, err := absolute(file)
		if err != nil {
			return fmt.Errorf("table %s: %w", name, err)
		}
		o.Tables[name] = path
	}
	return m.acquire(ctx, fmt.Sprintf("lexical %+q", []any{o.Tables, o.Poll}), func(news func(enrich.DataStatus)) *lexical.Source {
		o.News = news
		return lexical.New(o)
	})
}

// Score is the frequency scores of a string by a table, for the doors that score any string.
func (m *Lexical) Score(table, s string) (average, word float64, ok bool) {
	return m.engine.Score(table, s)
}

// UnmarshalCaddyfile parses the source.
//
//	lexical {
//		table <name> <file>
//		poll  <duration>
//	}
func (m *Lexical) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the source's name
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		switch option := d.Val(); option {
		case "table":
			var name, file string
			if !d.AllArgs(&name, &file) {
				return d.ArgErr()
			}
			if _, ok := m.Tables[name]; ok {
				return d.Errf("table %s is given twice", name)
			}
			if m.Tables == nil {
				m.Tables = make(map[string]string)
			}
			m.Tables[name] = file
		case "poll":
			if err := args.Duration(d, &m.Poll); err != nil {
				return err
			}
		default:
			return d.Errf("lexical has no option %q; it has table and poll", option)
		}
	}
	return nil
}

// Interface guards
var (
	_ enrich.Source         = (*Lexical)(nil)
	_ enrich.Opener         = (*Lexical)(nil)
	_ enrich.Closer         = (*Lexical)(nil)
	_ enrich.Reporter       = (*Lexical)(nil)
	_ enrich.Refresher      = (*Lexical)(nil)
	_ caddy.Provisioner     = (*Lexical)(nil)
	_ caddy.CleanerUpper    = (*Lexical)(nil)
	_ caddyfile.Unmarshaler = (*Lexical)(nil)
)
