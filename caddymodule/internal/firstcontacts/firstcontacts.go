// Package firstcontacts makes log lines and events of the first contacts that doors claim in the ledger, and keeps who does so over
// reloads: there is one in the process for each scope of a store.
package firstcontacts

import (
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/internal/events"
	"github.com/whence-project/whence/caddymodule/internal/livelog"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/contacts"
	"github.com/whence-project/whence/internal/newest"
	"github.com/whence-project/whence/store"
)

// DefaultYoung is the age of a registration below which a domain is told as new, where nothing else is configured and registries are
// asked anyway: feeds of newly registered domains go by a month, as most of those that are registered for abuse are used within it.
const DefaultYoung = 30 * 24 * time.Hour

// Tell has first contacts, and those of them that are new domains, made a line in the log and an event.
func Tell(use *contacts.Use, log *zap.Logger, emitter *events.Emitter) {
	use.Emit = func(c *contacts.Contact) bool {
		created := c.Record.Value(enrich.Created)
		if !emitter.Emit(events.FirstContact, map[string]any{
			"name": c.Name, "scope": c.Scope, "first_seen": stamp(c.First), "created": created,
			"event": c.Event, "status": strings.Join(c.Record.Values(enrich.RegStatus), " "),
		}) {
			return false
		}
		log.Info("first contact", zap.String("name", c.Name), zap.String("scope", c.Scope), zap.Time("first_seen", c.First),
			zap.String("created", created), zap.Uint64("event", c.Event))
		return true
	}
	use.EmitNew = func(c *contacts.Contact) bool {
		age := int(c.First.Sub(c.Created).Hours() / 24)
		if !emitter.Emit(events.NewDomain, map[string]any{
			"name": c.Domain, "scope": c.Scope, "first_seen": stamp(c.First), "created": stamp(c.Created), "age_days": age,
			"registrar": c.Record.Value(enrich.Registrar), "event": c.Event,
		}) {
			return false
		}
		log.Info("new domain", zap.String("name", c.Domain), zap.String("scope", c.Scope), zap.Time("first_seen", c.First),
			zap.Time("created", c.Created), zap.Int("age_days", age), zap.Uint64("event", c.Event))
		return true
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

var pool = caddy.NewUsagePool()

// entry is an emitter in the pool. It asks and tells as the newest configuration says.
type entry struct {
	*contacts.Emitter
	uses    newest.Stack[contacts.Use]
	loggers livelog.Loggers
}

// Destruct ends the emitter.
func (e *entry) Destruct() error { return e.Close() }

// Hold is a configuration's hold on the emitter of a scope.
type Hold struct {
	entry    *entry
	key      string
	withdraw []func()
	once     sync.Once
}

// Acquire has the first contacts of a scope emitted as use says, until Release. Dir tells stores apart. It is for Start.
func Acquire(ledger store.Ledger, dir, scope string, logger *zap.Logger, use contacts.Use) (*Hold, error) {
	key := dir + "\x00" + scope
	v, _, err := pool.LoadOrNew(key, func() (caddy.Destructor, error) {
		e := new(entry)
		var err error
		e.Emitter, err = contacts.New(contacts.Options{Ledger: ledger, Scope: scope, Logger: e.loggers.Logger()})
		return e, err
	})
	if err != nil {
		return nil, err
	}
	e := v.(*entry)
	h := &Hold{entry: e, key: key, withdraw: []func(){e.loggers.Push(logger), e.uses.Push(use)}}
	e.Use(use)
	return h, nil
}

// Wake tells that there was a claim. It does not block.
func (h *Hold) Wake() { h.entry.Wake() }

// Release lets the emitter go. It is idempotent, and does nothing for nil.
func (h *Hold) Release() (err error) {
	if h == nil {
		return nil
	}
	h.once.Do(func() {
		for _, withdraw := range h.withdraw {
			withdraw()
		}
		if !h.entry.uses.Do(h.entry.Use) {
			h.entry.Use(contacts.Use{}) // nothing is emitted until there is a configuration again
		}
		_, err = pool.Delete(h.key)
	})
	return err
}
