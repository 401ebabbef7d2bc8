package caddydotforward

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/internal/args"
	"github.com/whence-project/whence/dotforward"
	"github.com/whence-project/whence/dotforward/cache"
)

// Cache is what is kept of answers.
type Cache struct {
	// Its size in bytes. Default: 64 MiB.
	Size int64 `json:"size,omitempty"`
	// The least and the most that an answer is fresh. Default: its own TTL, a day at most.
	MinTTL caddy.Duration `json:"min_ttl,omitempty"`
	MaxTTL caddy.Duration `json:"max_ttl,omitempty"`
	// The most for answers that say that there is nothing. Default: 1h.
	NegativeTTL caddy.Duration `json:"negative_ttl,omitempty"`
	// How long answers are kept beyond that, for when no server answers; 0 is not at all. Default: 24h.
	Stale *caddy.Duration `json:"stale,omitempty"`
	// How long a client waits for a server where there is an answer that is out of date. Default: 1.8s.
	StaleWait caddy.Duration `json:"stale_wait,omitempty"`
	// The part of its life, in percent, that an answer has left when it is fetched again ahead of time; -1 is never. Default: 10.
	Prefetch int `json:"prefetch,omitempty"`
	// A file that keeps the answers over a restart. Default: none.
	File string `json:"file,omitempty"`
}

func (c *Cache) staleWait() time.Duration {
	if c == nil {
		return 0
	}
	return time.Duration(c.StaleWait)
}

var caches = caddy.NewUsagePool()

// answers is a cache in the pool.
type answers struct {
	*cache.Cache
	file string
	log  *zap.Logger
	stop chan struct{}
}

// Destruct saves the answers, if they are kept in a file, and gives the memory back.
func (c *answers) Destruct() error {
	close(c.stop)
	err := c.save()
	cached.End(c)
	c.Close()
	return err
}

// run ends what waits for an answer that never comes.
func (c *answers) run() {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			c.Expire(now)
		case <-c.stop:
			return
		}
	}
}

func (c *answers) load() {
	f, err := os.Open(c.file)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			c.log.Warn("the answers of before cannot be read", zap.Error(err))
		}
		return
	}
	defer f.Close()
	n, err := c.Load(f, time.Now())
	c.log.Info("answers of before taken in", zap.Int("answers", n), zap.Error(err))
}

// save writes the file anew, under another name first.
func (c *answers) save() error {
	if c.file == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(c.file), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(c.file), ".cache-")
	if err != nil {
		return err
	}
	err = errors.Join(c.Save(f, time.Now()), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), c.file)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// acquireCache takes the cache of the configuration before this one, if it was as large, or makes it.
func (a *App) acquireCache() (*cache.Cache, error) {
	s := a.Cache
	if s == nil {
		s = new(Cache)
	}
	o := cache.Options{
		MaxBytes: s.Size, MinTTL: time.Duration(s.MinTTL), MaxTTL: time.Duration(s.MaxTTL), NegativeMaxTTL: time.Duration(s.NegativeTTL),
		PrefetchAt: s.Prefetch,
	}
	if s.Stale != nil {
		if o.StaleFor = time.Duration(*s.Stale); o.StaleFor == 0 {
			o.StaleFor = -1
		}
	}
	file := s.File
	if file != "" {
		var err error
		if file, err = filepath.Abs(file); err != nil {
			return nil, err
		}
	}
	key := fmt.Sprintf("%+v %q", o, file)
	v, _, err := caches.LoadOrNew(key, func() (caddy.Destructor, error) {
		c, err := cache.New(o)
		if err != nil {
			return nil, err
		}
		one := &answers{Cache: c, file: file, log: a.logger, stop: make(chan struct{})}
		if file != "" {
			one.load()
		}
		go one.run()
		cached.Begin(one)
		return one, nil
	})
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	a.hold(func() error { _, err := caches.Delete(key); return err })
	return v.(*answers).Cache, nil
}

var states = caddy.NewUsagePool()

// kept is a value in the pool of states.
type kept struct{ value any }

// Destruct gives nothing back; what a server has counted is kept.
func (k kept) Destruct() error {
	if s, ok := k.value.(*dotforward.State); ok {
		queries.End(s)
	}
	return nil
}

// keep is the value under key, that of the configuration before this one if it has it.
func (a *App) keep(key string, make func() any) any {
	v, _, _ := states.LoadOrNew(key, func() (caddy.Destructor, error) { return kept{make()}, nil })
	a.hold(func() error { _, err := states.Delete(key); return err })
	return v.(kept).value
}

// acquireState is what one server leaves to the next.
func (a *App) acquireState() (*dotforward.State, error) {
	return a.keep("server", func() any {
		s := dotforward.NewState()
		queries.Begin(s)
		return s
	}).(*dotforward.State), nil
}

// parseCache parses the option.
//
//	cache [<size>] {
//		min_ttl      <duration>
//		max_ttl      <duration>
//		negative_ttl <duration>
//		stale        <duration>
//		stale_wait   <duration>
//		prefetch     <percent>|off
//		file         <path>
//	}
func parseCache(d *caddyfile.Dispenser) (*Cache, error) {
	c := new(Cache)
	if d.CountRemainingArgs() > 0 {
		if err := args.Size(d, &c.Size); err != nil {
			return nil, err
		}
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch option := d.Val(); option {
		case "min_ttl":
			err = args.Duration(d, &c.MinTTL)
		case "max_ttl":
			err = args.Duration(d, &c.MaxTTL)
		case "negative_ttl":
			err = args.Duration(d, &c.NegativeTTL)
		case "stale":
			c.Stale = new(caddy.Duration)
			err = args.Duration(d, c.Stale)
		case "stale_wait":
			err = args.Duration(d, &c.StaleWait)
		case "file":
			err = args.One(d, &c.File)
		case "prefetch":
			if d.CountRemainingArgs() == 1 && d.NextArg() && d.Val() == "off" {
				c.Prefetch = -1
				break
			}
			d.Prev()
			err = args.Count(d, &c.Prefetch)
		default:
			err = d.Errf("cache has no option %q; it has min_ttl, max_ttl, negative_ttl, stale, stale_wait, prefetch and file", option)
		}
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}
