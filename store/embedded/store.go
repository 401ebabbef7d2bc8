// Package embedded keeps a store in a folder of this machine: the ledger in a journal that is folded into a bbolt database, the
// cache in another.
package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/store"
)

// Options are the settings of a store. The zero value has the defaults.
type Options struct {
	// MaxNames is how many names the ledger holds, 20 million if 0. Beyond, a Claim of a new name says Unknown: what was seen is
	// never forgotten to make room, as it would be a first contact again.
	MaxNames int
	// MaxEvents is how many first contacts that are not Done are kept, a million if 0. The oldest are dropped beyond.
	MaxEvents int
	// CacheSize bounds the keys and values of the cache, in bytes, 256 MiB if 0. What expires soonest is evicted beyond.
	CacheSize int64
	// FoldNames is how many new names are collected in the journal, and in memory, before they are folded into the database,
	// 65,536 if 0. Four times as many may wait; beyond, a Claim of a new name says Unknown.
	FoldNames int
	// FlushEvery is how often last sightings and counts are written, and a journal that did not fill is folded; 5 minutes if 0.
	FlushEvery time.Duration
	// SyncEvery is how soon a claim is synced to the disk, which is what a power cut may cost; 100 ms if 0, and what the disk
	// takes for it comes on top.
	SyncEvery time.Duration
	// Now is the clock that expires what is cached and dates messages, time.Now if nil.
	Now func() time.Time
	// Logger hears what goes wrong and when it is right again, each once. It may be nil.
	Logger *zap.Logger

	maxUnfolded   int                             // names that may wait to be folded
	createJournal func(name string) (file, error) // for tests
}

func (o Options) withDefaults() *Options {
	set(&o.MaxNames, 20_000_000)
	set(&o.MaxEvents, 1_000_000)
	set(&o.CacheSize, 256<<20)
	set(&o.FoldNames, 65_536)
	set(&o.maxUnfolded, 4*o.FoldNames)
	set(&o.FlushEvery, 5*time.Minute)
	set(&o.SyncEvery, 100*time.Millisecond)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.createJournal == nil {
		o.createJournal = createFile
	}
	return &o
}

func set[T int | int64 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Store is a store in a folder.
type Store struct {
	dir    string
	lock   *os.File
	ledger *ledger
	cache  *cache
	close  sync.Once
	err    error
}

var _ store.Store = (*Store)(nil)

// Open opens the store in folder dir, which is made if it is missing, and locks it: a second one gets an [InUseError]. Files that
// are damaged are moved aside with a loud line in the log; files of a newer version are a [VersionError]. What a killed process
// left is taken up again.
func Open(dir string, options Options) (*Store, error) {
	opt := options.withDefaults()
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the store in %s: %w", dir, err)
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, lock: lock}
	if s.ledger, err = openLedger(dir, opt); err != nil {
		lock.Close()
		return nil, fmt.Errorf("opening the store in %s: %w", dir, err)
	}
	if s.cache, err = openCache(dir, opt); err != nil {
		err = errors.Join(err, s.ledger.close())
		lock.Close()
		return nil, fmt.Errorf("opening the store in %s: %w", dir, err)
	}
	return s, nil
}

// Cache is the store's cache.
func (s *Store) Cache() store.Cache { return s.cache }

// Ledger is the store's ledger.
func (s *Store) Ledger() store.Ledger { return s.ledger }

// See is [store.Ledger]'s Claim of a name that may not be added: Unseen where it is not in the ledger. It is for a ledger that is a
// copy of another one.
func (s *Store) See(scope, name string, now time.Time) (store.Result, store.Sighting) {
	return s.ledger.see(scope, name, now, false)
}

// Flush writes what is in memory to the databases and returns when it is on the disk.
func (s *Store) Flush() error { return errors.Join(s.ledger.fold(), s.cache.flush()) }

// Close flushes the store and unlocks the folder. What could not be written to the databases is still in the journal, but for
// last sightings, counts and what was cached last. It is idempotent.
func (s *Store) Close() error {
	s.close.Do(func() {
		s.err = errors.Join(s.ledger.close(), s.cache.close())
		// The lock goes last, and with the file: whoever gets it finds everything closed.
		s.lock.Close()
	})
	return s.err
}
