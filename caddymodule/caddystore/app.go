// Package caddystore is the app "store": what Whence remembers, in a folder of Caddy's data directory unless it is told another.
// It opens the store when something in the configuration uses it, and keeps it open over reloads.
package caddystore

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/internal/livelog"
	"github.com/whence-project/whence/caddymodule/internal/prom"
	"github.com/whence-project/whence/store"
	"github.com/whence-project/whence/store/embedded"
)

func init() { caddy.RegisterModule(new(App)) }

// App is the store: first sightings, which must not be lost, and a cache, which may.
type App struct {
	// The folder. Default: `whence` in Caddy's data directory.
	Dir string `json:"dir,omitempty"`
	// The most names that the ledger holds. Beyond, new names are answered as unknown; nothing is forgotten. Default: 20000000.
	MaxNames int `json:"max_names,omitempty"`
	// The most that the cache holds, in bytes. Default: 256 MiB.
	CacheSize int64 `json:"cache_size,omitempty"`
	// What keeps it: a module of the namespace `store.engines`. Default: a database in the folder, of this machine alone.
	EngineRaw json.RawMessage `json:"engine,omitempty" caddy:"namespace=store.engines inline_key=engine"`

	engine  Engine
	logger  *zap.Logger
	used    bool
	starts  []func(store.Store) error
	mu      sync.Mutex
	open    *opened
	release func()
}

// CaddyModule returns the module's registration.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "store", New: func() caddy.Module { return new(App) }}
}

// Provision resolves the folder. Nothing is opened before Start.
func (a *App) Provision(ctx caddy.Context) error {
	a.logger = ctx.Logger()
	var err error
	if a.Dir, err = Dir(a.Dir); err != nil {
		return err
	}
	if err := prom.Register(ctx, metrics); err != nil || a.EngineRaw == nil {
		return err
	}
	mod, err := ctx.LoadModule(a, "EngineRaw")
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	var ok bool
	if a.engine, ok = mod.(Engine); !ok {
		return fmt.Errorf("store: module %s is no engine", mod.(caddy.Module).CaddyModule().ID)
	}
	return nil
}

// Engine is a guest module of the namespace "store.engines": it keeps the store elsewhere than in the folder alone.
type Engine interface {
	// Open opens the store, whose part on this machine is in folder dir. It waits for nobody.
	Open(dir string, o EngineOptions) (store.Store, error)
	// Key tells the engine from one with other settings.
	Key() string
}

// EngineOptions are the settings of the store. Zeros stand for the engine's defaults.
type EngineOptions struct {
	MaxNames  int
	CacheSize int64 // bytes
	Logger    *zap.Logger
}

// Dir is the folder of the store that is configured as dir, which may be empty.
func Dir(dir string) (string, error) {
	dir, err := caddy.NewReplacer().ReplaceOrErr(dir, true, true)
	if err != nil {
		return "", fmt.Errorf("store: %w", err)
	}
	if dir == "" {
		dir = filepath.Join(caddy.AppDataDir(), "whence")
	}
	return filepath.Abs(dir)
}

// OnStart has the app open the store, and calls f with it when it is open, in Start. It is for other modules to call when they
// are provisioned; f may be nil.
func (a *App) OnStart(f func(store.Store) error) {
	a.used = true
	if f != nil {
		a.starts = append(a.starts, f)
	}
}

// Start opens the store if it is used.
func (a *App) Start() error {
	if !a.used {
		return nil
	}
	s, err := a.Store()
	if err != nil {
		return err
	}
	for _, f := range a.starts {
		if err := f(s); err != nil {
			return err
		}
	}
	return nil
}

var stores = caddy.NewUsagePool()

// opened is a store in the pool.
type opened struct {
	store.Store
	loggers   livelog.Loggers
	engine    string // its key
	maxNames  int
	cacheSize int64
}

// Destruct closes the store when no configuration uses it any more.
func (o *opened) Destruct() error {
	err := o.Close()
	metrics.End(o)
	return err
}

// Store is the store, opened if it is not. It must not be called before Start: apps start in no particular order, so that
// others call it in theirs.
func (a *App) Store() (store.Store, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open != nil {
		return a.open, nil
	}
	// The folder alone is the key: it is locked, so that another store in it could not be opened beside this one.
	v, loaded, err := stores.LoadOrNew(a.Dir, func() (caddy.Destructor, error) {
		o := &opened{engine: a.engineKey(), maxNames: a.MaxNames, cacheSize: a.CacheSize}
		// While it opens, it logs to whom it is opened for.
		withdraw := o.loggers.Push(a.logger)
		defer withdraw()
		var err error
		if o.Store, err = a.openStore(o.loggers.Logger()); err == nil {
			metrics.Begin(o)
		}
		return o, err
	})
	if err != nil {
		return nil, err
	}
	a.open = v.(*opened)
	a.release = a.open.loggers.Push(a.logger)
	if a.open.maxNames != a.MaxNames || a.open.cacheSize != a.CacheSize {
		a.logger.Warn("max_names and cache_size of a store that is open change when the server starts again", zap.String("dir", a.Dir))
	}
	if a.open.engine != a.engineKey() {
		a.logger.Warn("a store that is open stays on its engine, and its connection, until the server starts again", zap.String("dir", a.Dir))
	}
	if !loaded {
		a.logger.Info("store opened", zap.String("dir", a.Dir), zap.Int("names", a.open.Ledger().Status().Names))
	}
	return a.open, nil
}

// engineKey tells engines apart; empty for the folder alone.
func (a *App) engineKey() string {
	if a.engine == nil {
		return ""
	}
	return a.engine.Key()
}

func (a *App) openStore(log *zap.Logger) (store.Store, error) {
	if a.engine != nil {
		return a.engine.Open(a.Dir, EngineOptions{MaxNames: a.MaxNames, CacheSize: a.CacheSize, Logger: log})
	}
	return embedded.Open(a.Dir, embedded.Options{MaxNames: a.MaxNames, CacheSize: a.CacheSize, Logger: log})
}

// Opened is the store if it is open, else nil: whoever only looks at it must not open one that nothing uses.
func (a *App) Opened() store.Store {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open == nil {
		return nil
	}
	return a.open
}

// Stop does nothing: requests that are being finished still claim.
func (a *App) Stop() error { return nil }

// Cleanup lets the store go.
func (a *App) Cleanup() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open == nil {
		return nil
	}
	a.open = nil
	a.release()
	_, err := stores.Delete(a.Dir)
	return err
}

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
