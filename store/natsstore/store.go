// Package natsstore is a store that many machines share, over the key-value buckets of NATS JetStream. First sightings are of the
// whole cluster: a name is a first contact once, and its event is one node's to emit. Sightings are counted by each node for itself.
//
// Three buckets are in NATS: the ledger, with a record for each name; the contacts, which say for an hour whose first contacts are
// and which are emitted; and the cache. Each node has a store in a folder of its own beside them (package embedded). Of the ledger
// it is a copy, which follows the bucket as it changes: what was seen anywhere is answered from it without asking NATS, and NATS is
// asked about new names only. Of the cache it has what this node put or fetched: Get reads it alone, and who would otherwise
// do a lookup over again asks NATS ([store.Shared]).
//
// A message that marks a name as forgotten stays for 30 days where NATS is 2.11 or newer, and for good otherwise. A node that was
// away for longer does not hear of it: remove its folder before it comes back.
//
// Nothing waits for NATS but a new name, and that not for long. Where NATS is away, known names are answered, new ones are
// Unknown: they are kept in the folder and claimed when NATS is back, and the event is emitted then. What is put into the cache
// stays on the node. Where NATS has lost its data the nodes give them back: no name that a node knows is a first contact again.
//
// What is not promised: an event may be emitted twice where a node emitted it and then died, stood still or was cut off from NATS
// for longer than [Options.AckWait] before it was marked as done. Events that were not emitted when NATS lost its data are not
// emitted any more. What NATS acknowledges is with the operating system of one server, or of most of three; a single server
// writes it to the disk every two minutes unless its sync_interval says otherwise, and loses in a power cut what came since.
package natsstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/store"
	"github.com/whence-project/whence/store/bus"
	"github.com/whence-project/whence/store/embedded"
)

// Options are the settings of a store. The zero value has the defaults.
type Options struct {
	// Bucket is how the names of the buckets begin: "<Bucket>_ledger", "<Bucket>_contacts" and "<Bucket>_cache". Letters, digits, "-" and "_"; default
	// "whence". Nodes with the same one, in the same account of the same NATS, share a store.
	Bucket string
	// Replicas is how many servers have the buckets when they are made: 1, or 3 (or 5) where NATS is a cluster of as many.
	// Default 1. Buckets that are there are used as they are.
	Replicas int
	// Node is who we are in records and in the log: a word without spaces, at most 64 bytes. Default: the host's name.
	Node string

	// MaxNames is how many names the ledger holds, here and in NATS: 20 million if 0. Beyond, a Claim of a new name says Unknown.
	MaxNames int
	// MaxEvents is how many first contacts of a scope are kept that are not Done: a million if 0. The oldest are dropped beyond.
	MaxEvents int
	// MaxUnclaimed is how many new names are kept while NATS is away, 100,000 if 0, about 150 bytes of memory each. Those beyond are
	// first contacts when they are seen again with NATS there.
	MaxUnclaimed int

	// CacheSize bounds what of the cache is in the folder, keys and values in bytes: 256 MiB if 0.
	CacheSize int64
	// SharedCacheSize bounds the cache's bucket when it is made, in bytes: 1 GiB if 0. What was put first goes first.
	SharedCacheSize int64
	// SharedCacheAge is how long NATS keeps a cached value at most, whatever its own expiry: 30 days if 0.
	SharedCacheAge time.Duration
	// MaxWaiting bounds what waits to be put into NATS's cache, in bytes: 16 MiB if 0. What comes beyond stays on this node.
	MaxWaiting int

	// Wait is how long a Claim of a new name waits for NATS, and a Fetch: 250 ms if 0. Once it was in vain, names are Unknown at once
	// until NATS answers again.
	Wait time.Duration
	// Timeout is how long everything else waits for an answer of NATS before it is asked again: 2 s if 0. A cluster that elects does
	// not answer at all.
	Timeout time.Duration
	// AckWait is after what time a first contact that a node took and did not mark as Done goes to another: 30 s if 0. A node that
	// lives says so meanwhile. It is the bucket's, from whoever made it first.
	AckWait time.Duration

	// Now is the clock that expires what is cached and dates messages, time.Now if nil.
	Now func() time.Time
	// Logger hears what goes wrong and when it is right again. It may be nil.
	Logger *zap.Logger
}

func (o Options) withDefaults() (*Options, error) {
	o.Bucket = cmp.Or(o.Bucket, "whence")
	if strings.Trim(o.Bucket, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" || len(o.Bucket) > 64 {
		return nil, fmt.Errorf("the buckets in NATS cannot begin with %q: letters, digits, - and _ make their names, at most 64", o.Bucket)
	}
	if o.Node == "" {
		o.Node, _ = os.Hostname()
		o.Node = cmp.Or(strings.Join(strings.Fields(o.Node), "-"), "unnamed")
	}
	if len(strings.Fields(o.Node)) != 1 || len(o.Node) > 64 {
		return nil, fmt.Errorf("a node cannot be called %q: a word without spaces is a name, at most 64 bytes", o.Node)
	}
	if o.Replicas < 0 || o.Replicas > 5 {
		return nil, fmt.Errorf("%d replicas: NATS has 1, 3 or 5", o.Replicas)
	}
	set(&o.Replicas, 1)
	set(&o.MaxNames, 20_000_000)
	set(&o.MaxEvents, 1_000_000)
	set(&o.MaxUnclaimed, 100_000)
	set(&o.CacheSize, 256<<20)
	set(&o.SharedCacheSize, 1<<30)
	set(&o.SharedCacheAge, 30*24*time.Hour)
	set(&o.MaxWaiting, 16<<20)
	set(&o.Wait, 250*time.Millisecond)
	set(&o.Timeout, 2*time.Second)
	set(&o.AckWait, 30*time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return &o, nil
}

func set[T int | int64 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// ErrAway says that NATS cannot be asked now.
var ErrAway = errors.New("NATS is away")

// Store is a node's part of a store that many machines share.
type Store struct {
	dir    string
	opt    *Options
	log    *zap.Logger
	bus    *bus.Bus
	local  *embedded.Store
	ledger *ledger
	cache  *cache

	state   state
	stop    context.CancelFunc
	running sync.WaitGroup
	close   sync.Once
	err     error
}

var _ store.Store = (*Store)(nil)

// Open opens the node's part in folder dir, which is made if it is missing, and locked. It does not wait for NATS: what needs it
// says so until the connection of b, which stays the caller's to close, is there. What the folder knows already, from a node that
// was here or from a store on one machine, is shared.
func Open(dir string, b *bus.Bus, options Options) (*Store, error) {
	opt, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	local, err := embedded.Open(dir, embedded.Options{
		MaxNames: opt.MaxNames, MaxEvents: max(opt.MaxUnclaimed, 1_000_000), CacheSize: opt.CacheSize, Now: opt.Now, Logger: opt.Logger,
	})
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, errors.Join(err, local.Close())
	}
	s := &Store{dir: dir, opt: opt, log: opt.Logger, bus: b, local: local}
	s.state.init()
	s.cache = newCache(s)
	if s.ledger, err = newLedger(s); err != nil {
		return nil, errors.Join(err, local.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.running.Go(func() { s.run(ctx) })
	return s, nil
}

// Cache is the store's cache. It is a [store.Shared] too.
func (s *Store) Cache() store.Cache { return s.cache }

// Ledger is the store's ledger.
func (s *Store) Ledger() store.Ledger { return s.ledger }

// Close gives back the first contacts that were taken and not Done, waits a moment for what is on its way to NATS, and closes the
// folder. The connection is left open. It is idempotent.
func (s *Store) Close() error {
	s.close.Do(func() {
		s.ledger.closing()
		s.cache.closing()
		s.stop()
		s.running.Wait()
		names := s.ledger.local.Status().Names
		s.err = s.local.Close()
		if s.err == nil {
			s.err = s.ledger.follow.closed(names)
		}
	})
	return s.err
}
