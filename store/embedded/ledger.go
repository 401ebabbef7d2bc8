package embedded

import (
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/whence-project/whence/store"
)

const (
	numStripes = 256
	// maxTouched bounds the names whose last sighting is remembered between two flushes, in a stripe: 65,536 in all. Names
	// that are seen often are among the first after each flush.
	maxTouched = 65_536 / numStripes
)

// ledger implements [store.Ledger].
//
// A new name goes to the journal and to its stripe's fresh map. A fold moves the fresh maps to folding, begins a new journal,
// writes what is in folding to the database, and deletes the old journals. So a name is in fresh, in folding or in the database
// from the moment it was claimed, and whoever looks in this order, with the stripe locked, finds it.
//
// Locks are taken in this order: foldMu, a stripe's, tail.mu. A write to the database takes writeMu alone, with foldMu or not.
type ledger struct {
	dir string
	opt *Options
	log *zap.Logger

	seed    maphash.Seed
	stripes [numStripes]stripe
	scopes  scopes
	tail    tail
	known   atomic.Pointer[filter]
	db      *bbolt.DB
	readers readers

	stored                 atomic.Int64 // names in the database
	unfolded               atomic.Int64 // new names that are not there yet
	unknown, eventsDropped atomic.Uint64

	foldMu      sync.Mutex
	batch       *batch     // a fold that has begun and is not done; under foldMu
	nextJournal uint64     // number of; under foldMu
	leftover    bool       // there are journals of an earlier process; under foldMu
	writeMu     sync.Mutex // one write to the database, and what goes with it, at a time
	syncMu      sync.Mutex // a journal is not closed while it is synced

	closed  atomic.Bool
	ending  sync.Once
	endErr  error
	stop    chan struct{}
	foldNow chan struct{}
	running sync.WaitGroup

	noJournal, noFold, noSync, noRoom, dropped fault
}

// stripe is the part of the names in memory whose hashes end alike.
type stripe struct {
	mu                      sync.Mutex
	fresh                   map[key]entry // new since the last fold
	folding                 map[key]entry // new names that a fold is writing; not changed any more
	touched, foldingTouched map[key]touch
}

// key is a name in a scope.
type key struct {
	scope *scope
	name  string
}

// entry is a name that is in the journal and in memory.
type entry struct {
	value
	quiet bool // in the database already: known without a sighting until now
}

func (l *ledger) hash(sc *scope, name string) uint64 { return maphash.String(l.seed, name) ^ sc.salt }

// Claim implements [store.Ledger].
func (l *ledger) Claim(scope, name string, now time.Time) (store.Result, store.Sighting) {
	return l.see(scope, name, now, true)
}

// see sees a name. One that is not there yet is added if it may, and is Unseen otherwise.
func (l *ledger) see(scope, name string, now time.Time, add bool) (store.Result, store.Sighting) {
	if scope == "" || len(scope) > store.MaxScope || name == "" || len(name) > store.MaxName || l.closed.Load() {
		return l.refuse()
	}
	sc := l.scopes.find(scope)
	if sc == nil {
		if !add {
			return store.Unseen, store.Sighting{}
		}
		if sc = l.scopes.intern(scope); sc == nil {
			return l.refuse()
		}
	}
	k, h, ms := key{sc, name}, l.hash(sc, name), millis(now)
	s := &l.stripes[h%numStripes]
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.closed.Load() {
		return l.refuse()
	}
	if e, ok := s.fresh[k]; ok {
		e.touch(touch{last: ms, count: 1})
		s.fresh[k] = e
		return store.Seen, e.sighting(scope, name)
	}
	v, known, err := l.find(s, k, h)
	if err != nil {
		return l.refuse()
	}
	if known && v.first != 0 {
		v.touch(s.touch(k, ms))
		return store.Seen, v.sighting(scope, name)
	}
	if !known && !add {
		return store.Unseen, store.Sighting{}
	}
	return l.add(s, k, ms, known)
}

// add adds a name that is new, or known without a sighting, with its stripe locked.
func (l *ledger) add(s *stripe, k key, ms int64, known bool) (store.Result, store.Sighting) {
	if !known && l.crowded() {
		return l.refuse()
	}
	k.name = cloned(k.name)
	event, err := l.tail.claim(k, ms, !known)
	if err != nil {
		l.noJournal.report(err)
		return l.refuse()
	}
	l.noJournal.clear()
	e := entry{value{first: ms, last: ms, count: 1}, known}
	s.fresh[k] = e
	sighting := e.sighting(k.scope.name, k.name)
	if known {
		return store.Seen, sighting
	}
	k.scope.unfolded.Add(1)
	if l.unfolded.Add(1) >= int64(l.opt.FoldNames) {
		l.kick()
	}
	sighting.Event = event
	return store.First, sighting
}

// crowded reports, and logs once, that there is no room for a new name.
func (l *ledger) crowded() bool {
	unfolded := l.unfolded.Load()
	if l.stored.Load()+unfolded >= int64(l.opt.MaxNames) {
		l.noRoom.report(store.ErrFull)
		return true
	}
	// The journal may go on while the database cannot be written; then names would pile up in memory.
	if unfolded >= int64(l.opt.maxUnfolded) {
		l.noRoom.report(errBacklog)
		return true
	}
	return false
}

var errBacklog = errors.New("they come faster than they are written to the database")

func (l *ledger) refuse() (store.Result, store.Sighting) {
	l.unknown.Add(1)
	return store.Unknown, store.Sighting{}
}

// find looks for a name that is not in fresh, with its stripe locked, so that a fold cannot end between the two looks.
func (l *ledger) find(s *stripe, k key, h uint64) (value, bool, error) {
	if e, ok := s.folding[k]; ok {
		return e.value, true, nil
	}
	if !l.known.Load().has(h) {
		return value{}, false, nil
	}
	r, err := l.readers.get()
	if err != nil {
		return value{}, false, err
	}
	v, ok := r.find(k.scope, k.name)
	if t := s.foldingTouched[k]; ok && (t.tx == 0 || r.tx.ID() < t.tx) {
		v.touch(t)
	}
	l.readers.put(r)
	return v, ok, nil
}

// touch counts a sighting and returns what is not written of the name.
func (s *stripe) touch(k key, ms int64) touch {
	t, ok := s.touched[k]
	if !ok {
		if len(s.touched) >= maxTouched {
			return touch{last: ms, count: 1}
		}
		k.name = cloned(k.name)
	}
	t.last = max(t.last, ms)
	t.count++
	s.touched[k] = t
	return t
}

// Lookup implements [store.Ledger].
func (l *ledger) Lookup(scope, name string) (store.Result, store.Sighting) {
	if scope == "" || len(scope) > store.MaxScope || name == "" || len(name) > store.MaxName || l.closed.Load() {
		return store.Unknown, store.Sighting{}
	}
	sc := l.scopes.find(scope)
	if sc == nil {
		return store.Unseen, store.Sighting{}
	}
	k, h := key{sc, name}, l.hash(sc, name)
	s := &l.stripes[h%numStripes]
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.fresh[k]; ok {
		return store.Seen, e.sighting(scope, name)
	}
	v, ok, err := l.find(s, k, h)
	if err != nil {
		return store.Unknown, store.Sighting{}
	}
	if !ok {
		return store.Unseen, store.Sighting{}
	}
	v.touch(s.touched[k])
	return store.Seen, v.sighting(scope, name)
}

// Scopes implements [store.Ledger].
func (l *ledger) Scopes() []string { return l.scopes.names() }

// Len implements [store.Ledger].
func (l *ledger) Len(scope string) int {
	sc := l.scopes.find(scope)
	if sc == nil {
		return 0
	}
	return int(sc.stored.Load() + sc.unfolded.Load())
}
