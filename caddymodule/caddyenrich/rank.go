package caddyenrich

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/whence-project/whence/caddymodule/internal/args"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/rank"
)

func init() { caddy.RegisterModule(new(Rank)) }

// Rank is the source `rank`: the position of a domain in lists of popular names. They are read into memory and watched.
type Rank struct {
	// Files or globs, plain, .gz or .zip. They may be missing; they are taken in when they come. Required.
	Files []string `json:"files,omitempty"`
	// What the list is called in answers. Default: the file's name.
	Name string `json:"name,omitempty"`
	// What the list's licence asks to be shown. Default: nothing.
	Attribution string `json:"attribution,omitempty"`
	// The size from which a file is refused, in bytes, unpacked. Default: that of docs/rank.md.
	MaxFileSize int64 `json:"max_file_size,omitempty"`
	// How often the files are looked at where the file system does not notify of changes. Default: 30s.
	Poll caddy.Duration `json:"poll,omitempty"`
	// Where files come from, and how they are kept fresh. Default: nothing is downloaded.
	Updates []*Update `json:"updates,omitempty"`

	held[*rank.Source]
}

// CaddyModule returns the module's registration.
func (*Rank) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "enrich.sources.rank", New: func() caddy.Module { return new(Rank) }}
}

// Provision takes the source from the configuration before this one, or makes it. Open reads the files.
func (m *Rank) Provision(ctx caddy.Context) error {
	o := rank.Options{Name: m.Name, Attribution: m.Attribution, MaxFile: m.MaxFileSize, Poll: time.Duration(m.Poll)}
	var err error
	if o.Files, err = allAbsolute(m.Files); err != nil {
		return err
	}
	if len(o.Files) == 0 {
		return errors.New("rank: no file is configured")
	}
	if m.upkeeps, err = newUpkeeps(ctx, m.Updates, m.reader(o)); err != nil {
		return err
	}
	o.Terms = termsOf(m.upkeeps)
	key := fmt.Sprintf("rank %+q", []any{o.Files, o.Name, o.Attribution, o.MaxFile, o.Poll, o.Terms})
	return m.acquire(ctx, key, func(news func(enrich.DataStatus)) *rank.Source {
		o.News = news
		return rank.New(o)
	})
}

// reader is how the source reads what o names. It unpacks files itself, so that what is to be one stays as it comes.
func (m *Rank) reader(o rank.Options) reader {
	return reader{
		kind: "rank", paths: o.Files, extensions: []string{".csv", ".txt", ".tsv"}, limit: cmp.Or(o.MaxFile, rank.DefaultMaxFile),
		reads:  func(path string) bool { return matches(o.Files, path, func(string) bool { return false }) },
		packed: func(path string) bool { return filepath.Ext(path) == ".gz" || filepath.Ext(path) == ".zip" },
		probe: func(ctx context.Context, path string) (enrich.DataStatus, error) {
			d, err := rank.Probe(ctx, path, o)
			d.Built = time.Time{} // that is when the file was written, which says nothing of the list in it
			return d, err
		},
	}
}

// Rank is the position of a name in the lists, for the doors that ask for nothing else.
func (m *Rank) Rank(name string) (rank int, list string, exact bool) { return m.engine.Rank(name) }

// Loaded reports whether there is a list.
func (m *Rank) Loaded() bool { return m.engine.Loaded() }

// UnmarshalCaddyfile parses the source.
//
//	rank <file|glob…> {
//		name          <text>
//		attribution   <text>
//		max_file_size <size>
//		poll          <duration>
//		update        <preset>|<url> …
//	}
func (m *Rank) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the source's name
	if m.Files = d.RemainingArgs(); len(m.Files) == 0 {
		return d.Err("rank takes files or globs, as in: rank ./data/top-1m.csv")
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch option := d.Val(); option {
		case "name":
			err = args.One(d, &m.Name)
		case "attribution":
			err = args.One(d, &m.Attribution)
		case "max_file_size":
			err = args.Size(d, &m.MaxFileSize)
		case "poll":
			err = args.Duration(d, &m.Poll)
		case "update":
			var u *Update
			u, err = parseUpdate(d, true)
			m.Updates = append(m.Updates, u)
		default:
			err = d.Errf("rank has no option %q; it has name, attribution, max_file_size, poll and update", option)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Interface guards
var (
	_ enrich.Source         = (*Rank)(nil)
	_ enrich.Opener         = (*Rank)(nil)
	_ enrich.Closer         = (*Rank)(nil)
	_ enrich.Reporter       = (*Rank)(nil)
	_ enrich.Refresher      = (*Rank)(nil)
	_ caddy.Provisioner     = (*Rank)(nil)
	_ caddy.CleanerUpper    = (*Rank)(nil)
	_ caddyfile.Unmarshaler = (*Rank)(nil)
)
