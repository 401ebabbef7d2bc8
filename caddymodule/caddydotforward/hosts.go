package caddydotforward

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/internal/args"
	"github.com/whence-project/whence/dotforward"
	"github.com/whence-project/whence/dotforward/lists"
	"github.com/whence-project/whence/internal/hotfiles"
)

func init() { caddy.RegisterModule(new(Hosts)) }

// Hosts is the handler `hosts`: it answers from hosts files, which are read into memory and watched. A name that they have is theirs
// alone: nobody outside is asked for other records of it.
type Hosts struct {
	// Files or globs, plain, .gz or .zip. They may be missing; they are taken in when they come. Required, unless there are records.
	Files []string `json:"files,omitempty"`
	// Records of its own, each an address and names, as a hosts file's line. They come before those of files. Default: none.
	Records []string `json:"records,omitempty"`
	// For how long clients may believe an answer. Default: 60s.
	TTL caddy.Duration `json:"ttl,omitempty"`

	heldList[*lists.Hosts]
}

// CaddyModule returns the module's registration.
func (*Hosts) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "dotforward.handlers.hosts", New: func() caddy.Module { return new(Hosts) }}
}

// errNoHosts says what to write.
var errNoHosts = errors.New("hosts takes files or records, as in: hosts /etc/hosts")

// Provision takes the records from the configuration before this one, or makes them. Open reads the files.
func (m *Hosts) Provision(ctx caddy.Context) error {
	files, err := absolute(m.Files)
	if err != nil {
		return fmt.Errorf("hosts: %w", err)
	}
	if len(files)+len(m.Records) == 0 {
		return errNoHosts
	}
	if _, err := seconds(m.TTL); err != nil {
		return fmt.Errorf("hosts: %w", err)
	}
	o := lists.HostsOptions{Files: files, Records: strings.Join(m.Records, "\n")}
	key := fmt.Sprintf("hosts %+q", []any{files, m.Records})
	err = m.acquire(ctx, key, func(l *zap.Logger, news func(hotfiles.FileStatus)) (*lists.Hosts, error) {
		o.Logger, o.News = l, news
		return lists.NewHosts(o)
	})
	if err != nil {
		return fmt.Errorf("hosts: %w", err)
	}
	return nil
}

// Open reads the files and makes the handler.
func (m *Hosts) Open(env *Env) (dotforward.Handler, error) {
	ttl, err := seconds(m.TTL)
	if err != nil {
		return nil, err
	}
	h, err := m.open(env.Logger)
	if err != nil {
		return nil, err
	}
	return dotforward.NewHosts(h, ttl), nil
}

// UnmarshalCaddyfile parses the handler.
//
//	hosts <file|glob…> {
//		record <address> <name…>
//		ttl    <duration>
//	}
func (m *Hosts) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the handler's name
	m.Files = d.RemainingArgs()
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch option := d.Val(); option {
		case "record":
			var record []string
			if err = args.Some(d, &record); err == nil && len(record) < 2 {
				err = d.Err("record takes an address and names, as in: record 192.0.2.1 printer.example.org")
			}
			m.Records = append(m.Records, strings.Join(record, " "))
		case "ttl":
			err = durationAboveZero(d, &m.TTL)
		default:
			err = d.Errf("hosts has no option %q; it has record and ttl", option)
		}
		if err != nil {
			return err
		}
	}
	if len(m.Files)+len(m.Records) == 0 {
		return d.WrapErr(errNoHosts)
	}
	return nil
}

// Interface guards
var (
	_ Opener                = (*Hosts)(nil)
	_ caddy.Provisioner     = (*Hosts)(nil)
	_ caddy.CleanerUpper    = (*Hosts)(nil)
	_ caddyfile.Unmarshaler = (*Hosts)(nil)
)
