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

func init() { caddy.RegisterModule(new(Block)) }

// Block is the handler `block`: it does not answer for the names on lists, which are read into memory and watched. An exception
// holds for the lists of the same handler.
type Block struct {
	// Files or globs of lists: hosts files, names one a line, browsers' filters; plain, .gz or .zip. They may be missing; they are
	// taken in when they come. Required, unless there are rules.
	Files []string `json:"files,omitempty"`
	// Files or globs of lists whose names are let through. Default: none.
	AllowFiles []string `json:"allow_files,omitempty"`
	// Rules of its own, as a list has them. Default: none.
	Rules []string `json:"rules,omitempty"`
	// Whether names in lists that say nothing of what is below them stand for that too. Default: for themselves only.
	Subdomains bool `json:"subdomains,omitempty"`
	// How what is blocked is answered: zero (0.0.0.0 and ::), nxdomain or refused. Default: zero.
	Answer string `json:"answer,omitempty"`
	// For how long clients may believe that. Default: 60s.
	TTL caddy.Duration `json:"ttl,omitempty"`
	// The size from which a file is refused, in bytes, packed or unpacked. Default: 256 MiB.
	MaxFileSize int64 `json:"max_file_size,omitempty"`

	heldList[*lists.Blocklist]
	with dotforward.BlockWith
	ttl  uint32
}

// CaddyModule returns the module's registration.
func (*Block) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "dotforward.handlers.block", New: func() caddy.Module { return new(Block) }}
}

// errNoBlock says what to write.
var errNoBlock = errors.New("block takes lists or rules, as in: block ./lists/*.txt")

// Provision takes the lists from the configuration before this one, or makes them. Open reads the files.
func (m *Block) Provision(ctx caddy.Context) error {
	if err := m.provision(ctx); err != nil {
		return fmt.Errorf("block: %w", err)
	}
	return nil
}

func (m *Block) provision(ctx caddy.Context) (err error) {
	if len(m.Files)+len(m.Rules) == 0 {
		return errNoBlock
	}
	if m.with, err = blockWith(m.Answer); err != nil {
		return err
	}
	if m.ttl, err = seconds(m.TTL); err != nil {
		return err
	}
	o := lists.BlockOptions{Rules: strings.Join(m.Rules, "\n"), Subdomains: m.Subdomains, MaxFile: m.MaxFileSize}
	if o.Files, err = absolute(m.Files); err != nil {
		return err
	}
	if o.AllowFiles, err = absolute(m.AllowFiles); err != nil {
		return err
	}
	key := fmt.Sprintf("block %+q %t %d", []any{o.Files, o.AllowFiles, o.Rules}, o.Subdomains, o.MaxFile)
	return m.acquire(ctx, key, func(l *zap.Logger, news func(hotfiles.FileStatus)) (*lists.Blocklist, error) {
		o.Logger, o.News = l, news
		return lists.NewBlocklist(o)
	})
}

// blockWith is how what is blocked is answered; "" is the default.
func blockWith(answer string) (dotforward.BlockWith, error) {
	if answer == "" {
		return dotforward.BlockZero, nil
	}
	return dotforward.ParseBlockWith(answer)
}

// Open reads the files and makes the handler.
func (m *Block) Open(env *Env) (dotforward.Handler, error) {
	l, err := m.open(env.Logger)
	if err != nil {
		return nil, err
	}
	return dotforward.NewBlock(l, m.with, m.ttl), nil
}

// UnmarshalCaddyfile parses the handler.
//
//	block <file|glob…> {
//		allow         <file|glob…>
//		rule          <rule…>
//		subdomains
//		answer        zero|nxdomain|refused
//		ttl           <duration>
//		max_file_size <size>
//	}
func (m *Block) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the handler's name
	m.Files = d.RemainingArgs()
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := m.option(d); err != nil {
			return err
		}
	}
	if len(m.Files)+len(m.Rules) == 0 {
		return d.WrapErr(errNoBlock)
	}
	return nil
}

func (m *Block) option(d *caddyfile.Dispenser) error {
	switch option := d.Val(); option {
	case "allow":
		return args.Some(d, &m.AllowFiles)
	case "rule":
		return args.Some(d, &m.Rules)
	case "subdomains":
		m.Subdomains = true
		return args.None(d)
	case "answer":
		if err := args.One(d, &m.Answer); err != nil {
			return err
		}
		if _, err := blockWith(m.Answer); err != nil {
			return d.WrapErr(err)
		}
		return nil
	case "ttl":
		return durationAboveZero(d, &m.TTL)
	case "max_file_size":
		return args.Size(d, &m.MaxFileSize)
	default:
		return d.Errf("block has no option %q; it has allow, rule, subdomains, answer, ttl and max_file_size", option)
	}
}

// Interface guards
var (
	_ Opener                = (*Block)(nil)
	_ caddy.Provisioner     = (*Block)(nil)
	_ caddy.CleanerUpper    = (*Block)(nil)
	_ caddyfile.Unmarshaler = (*Block)(nil)
)
