package caddyenrich

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/whence-project/whence/caddymodule/internal/args"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/records"
)

func init() { caddy.RegisterModule(new(Records)) }

// Records is the source `records`: the operator's own records, a folder with one text file a name. It is read into memory and
// watched.
type Records struct {
	// The folder. It may be missing; it is taken in when it comes. Required.
	Dir string `json:"dir,omitempty"`
	// The largest file that is taken, in bytes. Default: 65536.
	MaxFileSize int64 `json:"max_file_size,omitempty"`
	// How many files are taken. Default: 100000.
	MaxFiles int `json:"max_files,omitempty"`

	held[*records.Source]
}

// CaddyModule returns the module's registration.
func (*Records) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "enrich.sources.records", New: func() caddy.Module { return new(Records) }}
}

// Provision takes the source from the configuration before this one, or makes it. Open reads the folder.
func (m *Records) Provision(ctx caddy.Context) error {
	dir, err := absolute(m.Dir)
	if err != nil {
		return err
	}
	o := records.Options{Dir: dir, MaxFileSize: m.MaxFileSize, MaxFiles: m.MaxFiles}
	return m.acquire(ctx, fmt.Sprintf("records %+q", []any{o.Dir, o.MaxFileSize, o.MaxFiles}), func(news func(enrich.DataStatus)) *records.Source {
		o.News = news
		return records.New(o)
	})
}

// UnmarshalCaddyfile parses the source.
//
//	records <folder> {
//		max_file_size <size>
//		max_files     <count>
//	}
func (m *Records) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the source's name
	if !d.AllArgs(&m.Dir) {
		return d.Err("records takes one folder, as in: records ./records")
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch option := d.Val(); option {
		case "max_file_size":
			err = args.Size(d, &m.MaxFileSize)
		case "max_files":
			err = args.Count(d, &m.MaxFiles)
		default:
			err = d.Errf("records has no option %q; it has max_file_size and max_files", option)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// absolute resolves placeholders in a configured path, and the path itself, so that it means the same in every configuration.
func absolute(path string) (string, error) {
	path, err := caddy.NewReplacer().ReplaceOrErr(path, true, true)
	if err != nil {
		return "", err
	}
	if path == "" {
		return "", errors.New("no path is configured")
	}
	return filepath.Abs(path)
}

// allAbsolute is absolute of each path.
func allAbsolute(paths []string) (abs []string, err error) {
	for _, p := range paths {
		if p, err = absolute(p); err != nil {
			return nil, err
		}
		abs = append(abs, p)
	}
	return abs, nil
}

// Interface guards
var (
	_ enrich.Source         = (*Records)(nil)
	_ enrich.Opener         = (*Records)(nil)
	_ enrich.Closer         = (*Records)(nil)
	_ enrich.Reporter       = (*Records)(nil)
	_ enrich.Refresher      = (*Records)(nil)
	_ caddy.Provisioner     = (*Records)(nil)
	_ caddy.CleanerUpper    = (*Records)(nil)
	_ caddyfile.Unmarshaler = (*Records)(nil)
)
