package caddyenrich

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/whence-project/whence/caddymodule/internal/args"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/iana"
)

func init() { caddy.RegisterModule(new(IANA)) }

// IANA is the source `iana`: what IANA's registries say about addresses, AS numbers and top-level domains. It is compiled in; files of
// the registries take the place of that, if there are any.
type IANA struct {
	// The folder of such files. It may be missing; they are taken in when they come. Default: none; where they are kept fresh,
	// `whence/iana` in Caddy's data directory.
	Folder string `json:"folder,omitempty"`
	// How often the files are looked at where the file system does not notify of changes. Default: 30s.
	Poll caddy.Duration `json:"poll,omitempty"`
	// How they are kept fresh. `from` is `iana`, the default, or the URL of a folder with the files. Default: nothing is downloaded.
	Update *Update `json:"update,omitempty"`

	held[*iana.Source]
}

// CaddyModule returns the module's registration.
func (*IANA) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "enrich.sources.iana", New: func() caddy.Module { return new(IANA) }}
}

// Provision takes the source from the configuration before this one, or makes it. Open reads the files.
func (m *IANA) Provision(ctx caddy.Context) error {
	o := iana.Options{Poll: time.Duration(m.Poll)}
	if m.Folder != "" {
		var err error
		if o.Folder, err = absolute(m.Folder); err != nil {
			return err
		}
	} else if m.Update != nil {
		o.Folder = filepath.Join(caddy.AppDataDir(), "whence", "iana")
	}
	if m.Update != nil {
		if err := m.keep(ctx, o.Folder); err != nil {
			return fmt.Errorf("iana: %w", err)
		}
	}
	return m.acquire(ctx, fmt.Sprintf("iana %+q", []any{o.Folder, o.Poll}), func(news func(enrich.DataStatus)) *iana.Source {
		o.News = news
		return iana.NewFrom(o)
	})
}

// keep has each of the registries kept fresh in the folder.
func (m *IANA) keep(ctx caddy.Context, folder string) error {
	if m.Update.To != "" || m.Update.SHA256 != "" || m.Update.Member != "" {
		return fmt.Errorf("update: to, sha256 and member are for one file; these are several")
	}
	for _, f := range iana.Files {
		u := *m.Update
		switch from := strings.TrimSuffix(u.From, "/"); {
		case from == "" || from == "iana":
			u.From, u.known = f.URL, "iana"
		case strings.Contains(from, "?"):
			return fmt.Errorf("update: want the URL of a folder, without a query")
		default:
			u.From = from + "/" + f.Name
		}
		if u.Every == 0 {
			u.Every = caddy.Duration(7 * 24 * time.Hour)
		}
		file := filepath.Join(folder, f.Name)
		k, err := newUpkeep(ctx, &u, reader{
			kind: "iana", paths: []string{file}, limit: iana.MaxFile,
			probe: func(ctx context.Context, path string) (enrich.DataStatus, error) { return iana.Probe(ctx, f, path) },
		})
		if err != nil {
			return fmt.Errorf("%s: %w", u.shown(), err)
		}
		m.upkeeps = append(m.upkeeps, k)
	}
	return nil
}

// UnmarshalCaddyfile parses the source.
//
//	iana [<folder>] {
//		poll   <duration>
//		update [iana|<url>] …
//	}
func (m *IANA) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the source's name
	if d.NextArg() {
		m.Folder = d.Val()
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch option := d.Val(); option {
		case "poll":
			err = args.Duration(d, &m.Poll)
		case "update":
			if m.Update != nil {
				return d.Err("update is given twice")
			}
			m.Update, err = parseUpdate(d, false)
		default:
			err = d.Errf("iana has no option %q; it has poll and update", option)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Interface guards
var (
	_ enrich.Source         = (*IANA)(nil)
	_ enrich.Opener         = (*IANA)(nil)
	_ enrich.Closer         = (*IANA)(nil)
	_ enrich.Reporter       = (*IANA)(nil)
	_ caddy.Provisioner     = (*IANA)(nil)
	_ caddy.CleanerUpper    = (*IANA)(nil)
	_ caddyfile.Unmarshaler = (*IANA)(nil)
)
