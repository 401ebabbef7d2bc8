package caddydomainstats

import (
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/whence-project/whence/caddymodule/internal/firstcontacts"
	"github.com/whence-project/whence/caddymodule/internal/livelog"
	"github.com/whence-project/whence/domainstats"
	"github.com/whence-project/whence/internal/newest"
	"github.com/whence-project/whence/store"
)

// What outlives a configuration: counters and the buckets of clients, and the feeds of first contacts.
var (
	states = caddy.NewUsagePool()
	feeds  = caddy.NewUsagePool()
)

// sharedState is a configuration's hold on the state of an API.
type sharedState struct {
	*domainstats.State
	key  string
	once sync.Once
}

type stateEntry struct{ *domainstats.State }

// Destruct has nothing to close; what was counted is kept.
func (e stateEntry) Destruct() error {
	metrics.End(e.State)
	return nil
}

func acquireState(key string) (*sharedState, error) {
	v, _, err := states.LoadOrNew(key, func() (caddy.Destructor, error) {
		e := stateEntry{domainstats.NewState()}
		metrics.Begin(e.State)
		return e, nil
	})
	if err != nil {
		return nil, err
	}
	return &sharedState{State: v.(stateEntry).State, key: key}, nil
}

func (s *sharedState) release() (err error) {
	if s != nil {
		s.once.Do(func() { _, err = states.Delete(s.key) })
	}
	return err
}

// feedHold is a configuration's hold on the feed of a scope, of which there is one in the process.
type feedHold struct {
	*domainstats.Feed
	entry    *feedEntry
	key      string
	withdraw []func()
	once     sync.Once
}

// feedEntry is a feed in the pool. It asks and tells as the newest configuration says.
type feedEntry struct {
	*domainstats.Feed
	uses    newest.Stack[domainstats.FeedUse]
	loggers livelog.Loggers
}

// Destruct ends the feed.
func (f *feedEntry) Destruct() error { return f.Close() }

func acquireFeed(h *Handler, st store.Store) (*feedHold, error) {
	key := h.store.Dir + "\x00" + h.Scope
	v, _, err := feeds.LoadOrNew(key, func() (caddy.Destructor, error) {
		e := new(feedEntry)
		feed, err := domainstats.NewFeed(domainstats.FeedOptions{Ledger: st.Ledger(), Scope: h.Scope, Logger: e.loggers.Logger()})
		e.Feed = feed
		return e, err
	})
	if err != nil {
		return nil, err
	}
	e := v.(*feedEntry)
	use := domainstats.FeedUse{Chain: h.chain, Young: firstcontacts.DefaultYoung}
	if h.NewDomain != nil {
		use.Young = time.Duration(*h.NewDomain)
	}
	firstcontacts.Tell(&use, h.logger.Named("first_contact"), h.events)
	f := &feedHold{Feed: e.Feed, entry: e, key: key}
	f.withdraw = []func(){e.loggers.Push(h.logger), e.uses.Push(use)}
	e.Use(use)
	return f, nil
}

func (f *feedHold) release() (err error) {
	if f == nil {
		return nil
	}
	f.once.Do(func() {
		for _, withdraw := range f.withdraw {
			withdraw()
		}
		if !f.entry.uses.Do(f.Use) {
			f.Use(domainstats.FeedUse{}) // nothing is emitted until there is a configuration again
		}
		_, err = feeds.Delete(f.key)
	})
	return err
}
