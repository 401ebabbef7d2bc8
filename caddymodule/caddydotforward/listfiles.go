package caddydotforward

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/internal/args"
	"github.com/whence-project/whence/caddymodule/internal/events"
	"github.com/whence-project/whence/caddymodule/internal/livelog"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/hotfiles"
)

// list is what package lists keeps in memory: a reload need not read its files again.
type list interface {
	Open() error
	Close() error
	// Refresh looks at the files and lets go of those that are gone.
	Refresh()
	Status() hotfiles.Status
}

var listPool = caddy.NewUsagePool()

// pooledList is a list in the pool. It logs, and tells of its files, as the newest configuration that uses it says.
type pooledList[L list] struct {
	list    L
	loggers livelog.Loggers
	events  events.Newest
	once    sync.Once
	err     error
}

// Destruct closes the list when the last configuration has let it go.
func (p *pooledList[L]) Destruct() error { return p.list.Close() }

// heldList is one configuration's use of a list. A module embeds it.
type heldList[L list] struct {
	pooled   *pooledList[L]
	key      string
	events   *events.Emitter
	withdraw []func()
	release  sync.Once
}

// acquire takes the list of that key from the pool, or has make make it, with a logger and what hears of its files. No file is read
// yet. The key says all that make depends on, and its first word is the handler's.
func (h *heldList[L]) acquire(ctx caddy.Context, key string, make func(*zap.Logger, func(hotfiles.FileStatus)) (L, error)) (err error) {
	if h.events, err = events.For(ctx); err != nil {
		return err
	}
	v, _, err := listPool.LoadOrNew(key, func() (caddy.Destructor, error) {
		p := new(pooledList[L])
		var err error
		handler, _, _ := strings.Cut(key, " ")
		p.list, err = make(p.loggers.Logger(), news("dotforward."+handler, &p.events))
		return p, err
	})
	if err != nil {
		return err
	}
	h.pooled, h.key = v.(*pooledList[L]), key
	return nil
}

// news makes events of what a list says of its files.
func news(source string, to *events.Newest) func(hotfiles.FileStatus) {
	return func(f hotfiles.FileStatus) {
		if f.Error != "" {
			to.Post(events.SourceRefused, events.Refused(source, f.Path, enrich.Clean(f.Error), !f.Loaded.IsZero()))
			return
		}
		to.Post(events.SourceRefreshed, events.Refreshed(source, f.Path, f.Type, f.Built, f.Records))
	}
}

// open reads the files if no configuration has, or else looks at them: a reload is when the operator says that one is gone.
func (h *heldList[L]) open(logger *zap.Logger) (L, error) {
	p, first := h.pooled, false
	h.withdraw = []func(){p.loggers.Push(logger), p.events.Push(h.events)}
	p.once.Do(func() {
		first = true
		p.err = p.list.Open()
	})
	if !first && p.err == nil {
		p.list.Refresh()
	}
	return p.list, p.err
}

// files tells how the files are.
func (h *heldList[L]) files() hotfiles.Status { return h.pooled.list.Status() }

// Cleanup lets the list go. Queries under way may still be answered from it.
func (h *heldList[L]) Cleanup() (err error) {
	if h.pooled == nil {
		return nil
	}
	h.release.Do(func() {
		for _, withdraw := range h.withdraw {
			withdraw()
		}
		_, err = listPool.Delete(h.key)
	})
	return err
}

// absolute resolves placeholders in configured paths, and the paths themselves, so that they mean the same in every configuration.
func absolute(paths []string) (abs []string, err error) {
	repl := caddy.NewReplacer()
	for _, path := range paths {
		if path, err = repl.ReplaceOrErr(path, true, true); err != nil {
			return nil, err
		}
		if path == "" {
			return nil, errors.New("a path is empty")
		}
		if path, err = filepath.Abs(path); err != nil {
			return nil, err
		}
		abs = append(abs, path)
	}
	return abs, nil
}

// seconds are a configured TTL as records have it (RFC 2181 section 8); 0 is the engine's default.
func seconds(ttl caddy.Duration) (uint32, error) {
	d := time.Duration(ttl)
	if d < 0 || d%time.Second != 0 || d/time.Second > math.MaxInt32 {
		return 0, fmt.Errorf("ttl %s: want whole seconds, up to 2147483647", d)
	}
	return uint32(d / time.Second), nil
}

// durationAboveZero reads a duration where 0 would stand for the default, which who writes 0 does not mean.
func durationAboveZero(d *caddyfile.Dispenser, into *caddy.Duration) error {
	option := d.Val()
	if err := args.Duration(d, into); err != nil {
		return err
	}
	if *into == 0 {
		return d.Errf("%s %s: want more than 0", option, d.Val())
	}
	return nil
}
