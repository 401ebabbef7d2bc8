package caddydotforward

import (
	"context"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/whence-project/whence/dotforward"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/store"
)

// A guest module of the namespace dotforward.handlers is a [dotforward.Handler] itself, or an [Opener] that makes one when the app
// starts. It may be a caddy.CleanerUpper.

// Opener is a guest module whose handler needs what is there only when the app starts.
type Opener interface {
	// Open makes the handler. It is called once in each configuration, in Start; what it opens the module's Cleanup closes.
	Open(env *Env) (dotforward.Handler, error)
}

// User is a guest module that says in Provision what it will need of the [Env].
type User interface {
	// Uses is called after Provision. A module that does not have it uses neither.
	Uses() (chain, ledger bool)
}

// Env is what handlers work with.
type Env struct {
	Context caddy.Context                          // of the configuration
	Running context.Context                        // done when the server has ended: for what Go runs
	Go      func(f func())                         // runs f, which ends when Running is done; the configuration's end waits for it
	Logger  *zap.Logger                            // the module's
	Chain   *enrich.Chain                          // the one that the app names, open; nil where no handler uses it
	Ledger  store.Ledger                           // nil where no handler uses it
	Emit    func(name string, data map[string]any) // soon, in the order of the calls; it never blocks
	// Pool makes upstream servers, which outlive the configuration.
	Pool func(*Forward) (*pool, error)
	// State keeps a value over reloads: that of the same key, else what make makes.
	State func(key string, make func() any) any

	// contacts has the ledger's first contacts told until the configuration ends, and asks registries about them if new is above 0:
	// below that age of its registration a domain is told as new. Wake says that there was one.
	contacts func(new time.Duration) (wake func(), err error)
}

// loadHandlers loads the guest modules.
func (a *App) loadHandlers(ctx caddy.Context) error {
	if a.HandlersRaw == nil {
		return nil
	}
	mods, err := ctx.LoadModule(a, "HandlersRaw")
	if err != nil {
		return err
	}
	for _, mod := range mods.([]any) {
		_, opens := mod.(Opener)
		if _, handles := mod.(dotforward.Handler); !opens && !handles {
			return fmt.Errorf("module %s is neither a dotforward.Handler nor opens one", mod.(caddy.Module).CaddyModule().ID)
		}
		if u, ok := mod.(User); ok {
			chain, ledger := u.Uses()
			a.usesChain, a.usesLedger = a.usesChain || chain, a.usesLedger || ledger
		}
		a.guests = append(a.guests, mod)
	}
	return nil
}

// openHandlers makes the handlers, in the configuration's order.
func (a *App) openHandlers(env Env) (handlers []dotforward.Handler, err error) {
	for _, mod := range a.guests {
		o, ok := mod.(Opener)
		if !ok {
			handlers = append(handlers, mod.(dotforward.Handler))
			continue
		}
		name := mod.(caddy.Module).CaddyModule().ID.Name()
		one := env
		one.Logger = env.Logger.Named(name)
		h, err := o.Open(&one)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		a.count(h)
		handlers = append(handlers, h)
	}
	return handlers, nil
}
