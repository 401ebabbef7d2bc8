package caddyenrichhttp

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/caddystore"
	"github.com/whence-project/whence/caddymodule/internal/events"
	"github.com/whence-project/whence/caddymodule/internal/firstcontacts"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/contacts"
	"github.com/whence-project/whence/store"
)

// DefaultScope is where the ledger keeps what is observed, unless another scope is named.
const DefaultScope = "http"

// taken are the scopes of domain_stats and of the forwarder. Those tell of their first contacts themselves.
var taken = []string{"stats", "dns"}

func checkScope(scope string) error {
	switch {
	case len(scope) > store.MaxScope:
		return fmt.Errorf("observe: a scope of more than %d bytes", store.MaxScope)
	case slices.Contains(taken, scope):
		return fmt.Errorf("observe: the scope %s is that of another door; choose another name", scope)
	}
	return nil
}

// observer has the ledger see what requests are about.
type observer struct {
	scope  string
	door   *door
	store  *caddystore.App
	logger *zap.Logger
	events *events.Emitter

	once   sync.Once
	err    error
	ledger store.Ledger
	hold   *firstcontacts.Hold
}

// observerOf has the store opened in Start.
func observerOf(ctx caddy.Context, d *door, scope string) (*observer, error) {
	app, err := ctx.App("store")
	if err != nil {
		return nil, err
	}
	o := &observer{scope: scope, door: d, store: app.(*caddystore.App), logger: ctx.Logger()}
	if o.events, err = events.For(ctx); err != nil {
		return nil, err
	}
	o.store.OnStart(func(store.Store) error { return o.open() })
	return o, nil
}

// open has first contacts told from now on. Requests may come before the store's Start, since apps start in no particular order; then
// they do it.
func (o *observer) open() error {
	o.once.Do(func() {
		s, err := o.store.Store()
		if err != nil {
			o.err = err
			return
		}
		if !o.door.open() {
			o.err = o.door.err
			return
		}
		use := contacts.Use{Chain: o.door.chain, Offline: true}
		firstcontacts.Tell(&use, o.logger.Named("first_contact"), o.events)
		if o.hold, o.err = firstcontacts.Acquire(s.Ledger(), o.store.Dir, o.scope, o.logger, use); o.err == nil {
			o.ledger = s.Ledger()
		}
	})
	return o.err
}

// observe has the ledger see an address, or a name as it was registered.
func (o *observer) observe(s enrich.Subject, now time.Time) {
	name := ""
	switch s.Kind() {
	case enrich.Address:
		name = s.String()
	case enrich.Domain:
		if name = s.Registrable(); name == "" {
			name = s.Name()
		}
	default:
		return
	}
	if o.open() != nil {
		return
	}
	if result, _ := o.ledger.Claim(o.scope, name, now); result == store.First {
		o.hold.Wake()
	}
}

// release lets the emitter go. Requests that are being served see what they see still.
func (o *observer) release() error {
	if o == nil {
		return nil
	}
	o.once.Do(func() { o.err = errors.New("the configuration has ended") })
	return o.hold.Release()
}
