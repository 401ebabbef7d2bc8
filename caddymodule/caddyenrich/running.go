package caddyenrich

import (
	"sync"
	"sync/atomic"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/newest"
)

// running are the apps that have started and are not cleaned up. The newest answers.
var running struct {
	mu    sync.Mutex // one change at a time
	stack newest.Stack[*App]
	app   atomic.Pointer[App]
}

// begin has [Running] answer from a, until end.
func (a *App) begin() {
	running.mu.Lock()
	defer running.mu.Unlock()
	withdraw := running.stack.Push(a)
	a.end = func() {
		running.mu.Lock()
		defer running.mu.Unlock()
		withdraw()
		newestRuns()
	}
	newestRuns()
}

// newestRuns is called with running.mu held.
func newestRuns() {
	if !running.stack.Do(running.app.Store) {
		running.app.Store(nil)
	}
}

// Running is a chain of the configuration that started last, "" for the default one; nil where that has none of the name, and where
// none runs. It is for what Caddy provisions before any app, the modules of its logs: they may ask at any time, also while a
// configuration is being loaded, as nothing is locked.
func Running(name string) (chain *enrich.Chain, runs bool) {
	a := running.app.Load()
	if a == nil {
		return nil, false
	}
	if name == "" {
		name = DefaultChain
	}
	return a.chains[name], true
}
