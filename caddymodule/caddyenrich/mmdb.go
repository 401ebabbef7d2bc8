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
	"github.com/whence-project/whence/enrich/mmdb"
)

func init() { caddy.RegisterModule(new(MMDB)) }

// MMDB is the source `mmdb`: databases in the MaxMind DB format, of any schema. They are read into memory and watched.
type MMDB struct {
	// Files, globs, or folders of *.mmdb, answering in this order. What they name may be missing; it is taken in when it
	// comes. Required.
	Files []string `json:"files,omitempty"`
	// The languages in which names are shown, where a database has several; `all` alone is every one. Default: en.
	Languages []string `json:"languages,omitempty"`
	// What the data's licence asks to be shown, where it is not the one that Whence knows for the database's type.
	Attribution string `json:"attribution,omitempty"`
	// The size from which a file is refused unread, in bytes. Default: 4 GiB.
	MaxFileSize int64 `json:"max_file_size,omitempty"`
	// How much memory decoded records may take, in bytes. Default: 64 MiB.
	Cache int64 `json:"cache,omitempty"`
	// How often the files are looked at where the file system does not notify of changes. Default: 30s.
	Poll caddy.Duration `json:"poll,omitempty"`
	// Where files come from, and how they are kept fresh. Default: nothing is downloaded.
	Updates []*Update `json:"updates,omitempty"`

	held[*mmdb.Source]
}

// CaddyModule returns the module's registration.
func (*MMDB) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "enrich.sources.mmdb", New: func() caddy.Module { return new(MMDB) }}
}

// Provision takes the source from the configuration before this one, or makes it. Open reads the files.
func (m *MMDB) Provision(ctx caddy.Context) error {
	o := mmdb.Options{Languages: m.Languages, Attribution: m.Attribution, MaxFile: m.MaxFileSize, Keep: m.Cache,
		Poll: time.Duration(m.Poll)}
	var err error
	if o.Patterns, err = allAbsolute(m.Files); err != nil {
		return err
	}
	if len(o.Patterns) == 0 {
		return errors.New("mmdb: no file is configured")
	}
	if m.upkeeps, err = newUpkeeps(ctx, m.Updates, m.reader(o)); err != nil {
		return err
	}
	o.Terms = termsOf(m.upkeeps)
	key := fmt.Sprintf("mmdb %+q", []any{o.Patterns, o.Languages, o.Attribution, o.MaxFile, o.Keep, o.Poll, o.Terms})
	return m.acquire(ctx, key, func(news func(enrich.DataStatus)) *mmdb.Source {
		o.News = news
		return mmdb.New(o)
	})
}

// reader is how the source reads what o names.
func (m *MMDB) reader(o mmdb.Options) reader {
	isDatabase := func(path string) bool { return filepath.Ext(path) == ".mmdb" }
	return reader{
		kind: "mmdb", paths: o.Patterns, extensions: []string{".mmdb"}, limit: cmp.Or(o.MaxFile, mmdb.DefaultMaxFile),
		reads: func(path string) bool { return matches(o.Patterns, path, isDatabase) },
		probe: func(ctx context.Context, path string) (enrich.DataStatus, error) { return mmdb.Probe(ctx, path, o) },
	}
}

// Warm touches what the next queries will read.
func (m *MMDB) Warm(subjects []enrich.Subject) { m.engine.Warm(subjects) }

// UnmarshalCaddyfile parses the source.
//
//	mmdb <file|glob|folder…> {
//		languages     <code…>|all
//		attribution   <text>
//		max_file_size <size>
//		cache         <size>
//		poll          <duration>
//		update        <preset>|<url> …
//	}
func (m *MMDB) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the source's name
	if m.Files = d.RemainingArgs(); len(m.Files) == 0 {
		return d.Err("mmdb takes files, globs or folders, as in: mmdb ./data/*.mmdb")
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch option := d.Val(); option {
		case "languages":
			err = args.Some(d, &m.Languages)
		case "attribution":
			err = args.One(d, &m.Attribution)
		case "max_file_size":
			err = args.Size(d, &m.MaxFileSize)
		case "cache":
			err = args.Size(d, &m.Cache)
		case "poll":
			err = args.Duration(d, &m.Poll)
		case "update":
			var u *Update
			u, err = parseUpdate(d, true)
			m.Updates = append(m.Updates, u)
		default:
			err = d.Errf("mmdb has no option %q; it has languages, attribution, max_file_size, cache, poll and update", option)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Interface guards
var (
	_ enrich.Source         = (*MMDB)(nil)
	_ enrich.Opener         = (*MMDB)(nil)
	_ enrich.Closer         = (*MMDB)(nil)
	_ enrich.Reporter       = (*MMDB)(nil)
	_ enrich.Refresher      = (*MMDB)(nil)
	_ enrich.Warmer         = (*MMDB)(nil)
	_ caddy.Provisioner     = (*MMDB)(nil)
	_ caddy.CleanerUpper    = (*MMDB)(nil)
	_ caddyfile.Unmarshaler = (*MMDB)(nil)
)
