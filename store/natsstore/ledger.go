package natsstore

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/whence-project/whence/store"
	"github.com/whence-project/whence/store/embedded"
)

// ledger implements [store.Ledger].
//
// The bucket is what is true: a record is made there once, and who makes it has the first contact. The folder's ledger is the copy.
// A name that was seen while NATS was away is in the copy too, with a first contact that is pending there; it is unclaimed until it
// is in the bucket, and then the one in the folder is done: events are the bucket's.
type ledger struct {
	s        *Store
	subjects subjects
	local    store.Ledger
	copy     *embedded.Store // of which local is the ledger
	follow   *follower
	events   *events

	mu        sync.Mutex
	flights   map[key]*flight
	unclaimed map[key]uint64 // number of the first contact in the folder; 0 while it is made
	nFlights  atomic.Int64
	waiting   atomic.Int64  // unclaimed names
	wake      chan struct{} // there are unclaimed names
	fixes     chan fix

	closed  atomic.Bool
	unknown atomic.Uint64
	full    atomic.Bool // the bucket refuses new names
	dropped atomic.Uint64
}

// key is a name in a scope.
type key struct{ scope, name string }

// flight is a claim under way in NATS, for all who want it.
type flight struct {
	done chan struct{}
	ok   bool // the name is in the copy; set when done is closed
}

func newLedger(s *Store) (*ledger, error) {
	l := &ledger{
		s: s, subjects: subjects{s.opt.Bucket + "_ledger"}, local: s.local.Ledger(), copy: s.local,
		flights: make(map[key]*flight), unclaimed: make(map[key]uint64), wake: make(chan struct{}, 1), fixes: make(chan fix, maxFixes),
	}
	l.events = newEvents(l)
	var err error
	if l.follow, err = newFollower(s); err != nil {
		return nil, err
	}
	return l, l.recall()
}

// recall takes up the names that were not claimed when the folder was closed.
func (l *ledger) recall() error {
	for _, scope := range l.local.Scopes() {
		for after := uint64(0); ; {
			list, err := l.local.Pending(scope, after, pipelined)
			if err != nil {
				return err
			}
			for _, s := range list {
				l.unclaimed[key{scope, s.Name}] = s.Event
				after = s.Event
			}
			if len(list) < pipelined {
				break
			}
		}
	}
	l.waiting.Store(int64(len(l.unclaimed)))
	l.kick()
	return nil
}

func (l *ledger) kick() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// link is the buckets, nil where NATS is away.
func (l *ledger) link() *link { return l.s.state.link.Load() }

// isUnclaimed reports that a name of the copy is not in the bucket, as far as is known.
func (l *ledger) isUnclaimed(k key) bool {
	if l.waiting.Load() == 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.unclaimed[k]
	return ok
}

// Claim implements [store.Ledger]. A name that is new here waits for NATS, up to [Options.Wait], and not at all while NATS is
// away or slow: then it is Unknown, and claimed later, with now as its first sighting.
func (l *ledger) Claim(scope, name string, now time.Time) (store.Result, store.Sighting) {
	if !valid(scope, name) || l.closed.Load() {
		return l.refuse()
	}
	switch r, s := l.copy.See(scope, name, now); r {
	case store.Seen:
		if l.isUnclaimed(key{scope, name}) { // looked for last: it is marked before it is in the copy
			return l.refuse()
		}
		l.seenFirst(s)
		return r, s
	case store.Unseen:
		return l.claimNew(key{scope, name}, now)
	}
	return l.refuse()
}

func valid(scope, name string) bool {
	return scope != "" && len(scope) <= store.MaxScope && name != "" && len(name) <= store.MaxName
}

func (l *ledger) refuse() (store.Result, store.Sighting) {
	l.unknown.Add(1)
	return store.Unknown, store.Sighting{}
}

// seenFirst tells the others of the first sighting of a name that was known without one: it is the only one of a name that is Seen
// for the first time.
func (l *ledger) seenFirst(s store.Sighting) {
	if s.Count == 1 {
		l.fix(fix{key{s.Scope, s.Name}, s.First.UnixMilli()})
	}
}

// Lookup implements [store.Ledger]. It asks the copy alone: a name that another node claimed within the last moments may be
// Unseen. It is Unknown where the copy may lack it.
func (l *ledger) Lookup(scope, name string) (store.Result, store.Sighting) {
	if !valid(scope, name) || l.closed.Load() {
		return store.Unknown, store.Sighting{}
	}
	r, s := l.local.Lookup(scope, name)
	if r == store.Seen && l.isUnclaimed(key{scope, name}) ||
		r == store.Unseen && (l.link() == nil || !l.follow.isSynced()) {
		return store.Unknown, store.Sighting{}
	}
	return r, s
}

// All implements [store.Ledger]: it reads the copy.
func (l *ledger) All(ctx context.Context, scope, after string) iter.Seq2[store.Sighting, error] {
	if l.closed.Load() {
		return func(yield func(store.Sighting, error) bool) { yield(store.Sighting{}, store.ErrClosed) }
	}
	return l.local.All(ctx, scope, after)
}

// Scopes implements [store.Ledger].
func (l *ledger) Scopes() []string { return l.local.Scopes() }

// Len implements [store.Ledger]: it counts the copy.
func (l *ledger) Len(scope string) int { return l.local.Len(scope) }

// roomFor reports that names may come into the scope: there are not as many as there may be, or it is one of them.
func (l *ledger) roomFor(scope string) bool {
	scopes := l.local.Scopes()
	return len(scopes) < store.MaxScopes || slices.Contains(scopes, scope)
}

// errFull is told where NATS has as many names as it may.
var errFull = errors.New("the ledger in NATS is full: new names are unknown; `nats stream edit --max-msgs` makes room")

// Status implements [store.Ledger]. The names are those of the copy, the events those of the cluster, which NATS is asked for; names
// that were imported and that no emitter has passed by yet count as events.
func (l *ledger) Status() store.LedgerStatus {
	s := l.local.Status()
	s.Unknown, s.EventsDropped, s.Events = l.unknown.Load(), l.dropped.Load(), l.events.pending()
	if s.Error != "" {
		return s
	}
	if s.Error, s.Since = l.s.state.text(); s.Error == "" && l.full.Load() {
		s.Error, s.Since = errFull.Error(), l.s.opt.Now()
	}
	return s
}

// settled is a name's unclaimed mark taken away, with the first contact in the folder.
func (l *ledger) settled(k key) error {
	l.mu.Lock()
	event, ok := l.unclaimed[k]
	if ok {
		delete(l.unclaimed, k)
		l.waiting.Add(-1)
	}
	l.mu.Unlock()
	if event == 0 {
		return nil
	}
	return l.local.Done(event)
}

// learn puts a name into the copy that is in the bucket.
func (l *ledger) learn(k key, first int64) store.Result {
	r, s := l.local.Claim(k.scope, k.name, fromMillis(first))
	if r == store.First {
		_ = l.local.Done(s.Event) // where that fails, the name is claimed again later, and found there
	}
	return r
}

// closing gives back what was taken and refuses what comes.
func (l *ledger) closing() {
	l.closed.Store(true)
	l.events.giveBack()
}
