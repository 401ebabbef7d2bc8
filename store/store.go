// Package store is what Whence remembers: a [Cache], which expires and may lose, and a [Ledger] of first sightings, which must
// not lose. They are two things because they promise different things. Package embedded keeps both in a folder of this machine,
// package natsstore shares them among many.
package store

import (
	"context"
	"errors"
	"iter"
	"time"
)

// Store is a Cache and a Ledger with one life.
type Store interface {
	Cache() Cache
	Ledger() Ledger
	// Close writes out what is still in memory and lets the store go. It is idempotent. Calls made after it find nothing.
	Close() error
}

// What a store accepts. More is refused: cut names would meet each other.
const (
	MaxName   = 1024    // bytes of a name, a cache key; at least 1
	MaxScope  = 64      // bytes of a scope, a cache bucket; at least 1
	MaxScopes = 64      // scopes in a ledger: they are the doors', no client chooses one
	MaxValue  = 4 << 20 // bytes of a cached value
)

// Errors that a store returns. Others are the engine's: a disk that is full, a server that is away.
var (
	ErrClosed = errors.New("the store is closed")
	ErrFull   = errors.New("the ledger holds as many names as it may")
	ErrName   = errors.New("an empty or overlong name, scope or key")
)

// Result is what a Ledger says of a name.
type Result uint8

const (
	// Unknown: the ledger cannot tell now, or cannot promise. Nothing is changed, so a later Claim is asked the same. A ledger that
	// is shared and cannot be asked may remember the name, and claim it later without an answer: its event comes then.
	Unknown Result = iota
	// First: this Claim was the first sighting. No other Claim of the name in the scope is told so, ever.
	First
	// Seen: the name was seen before, or imported.
	Seen
	// Unseen: a Lookup found that the name was not seen yet.
	Unseen
)

// String is the result's word.
func (r Result) String() string {
	if int(r) < len(resultNames) {
		return resultNames[r]
	}
	return "invalid"
}

var resultNames = [...]string{"unknown", "first", "seen", "unseen"}

// Sighting is what a Ledger knows of a name. Times are UTC, in whole milliseconds. Only First is promised; Last and Count
// are written now and then, and what was not written is lost with the process.
type Sighting struct {
	Scope, Name string
	First       time.Time // zero: known without having been seen
	Last        time.Time // zero: known without having been seen
	Count       uint64    // sightings, approximate
	Event       uint64    // number of the first contact, for [Ledger.Done]; 0 but in what Claim (First) and Pending return
}

// Ledger keeps first sightings, of each scope for itself. Names are any bytes and compared as they are: lower case is the
// door's business. It is safe for concurrent use.
type Ledger interface {
	// Claim sees name at now. The first Claim of a name in a scope gets First, exactly one however many ask, also over restarts
	// and kill -9: the claim is with the operating system before the answer. Every other gets Seen with what is known, or
	// Unknown. A name that was imported as known gets Seen, and now as its First. It does not wait for a disk. The name in the
	// answer is the caller's own string.
	Claim(scope, name string, now time.Time) (Result, Sighting)
	// Lookup is what a Claim would find: Seen, Unseen or Unknown. It changes nothing.
	Lookup(scope, name string) (Result, Sighting)

	// Pending are up to max first contacts of scope that are not Done, with numbers above after, in the order of their numbers.
	// Each First is one, from before its Claim answers; import makes none. They outlive the process. An emitter emits what
	// Pending tells and then calls Done: one that dies between the two emits again, with the same number.
	//
	// Where many machines share the ledger, each first contact is given to one of them, whoever claimed it, and to another only
	// where that one is gone: then it comes late, with a number below others that were told before. An emitter that has
	// marked all that it was told begins at 0 again. Pending may wait for the network there, and for nothing else.
	Pending(scope string, after uint64, max int) ([]Sighting, error)
	// Done marks first contacts that Pending told as emitted, for good once it returns nil. Numbers that are not pending are ignored.
	Done(events ...uint64) error

	// Import adds names with their First, Last and Count, or as known without a first contact where First is zero. Of a name
	// that is there already the earlier First stays. Added and known count the names that were new and those that were there;
	// those are in the ledger for good also where an error ended the import: ctx's, ErrFull, ErrName, the engine's.
	Import(ctx context.Context, scope string, names iter.Seq[Sighting]) (added, known int, err error)
	// Forget removes names from scope, their pending first contacts too, and returns how many there were. Their next Claim
	// is First again.
	Forget(ctx context.Context, scope string, names ...string) (int, error)
	// ForgetPrefix is Forget of the names that begin with prefix; of all names if it is empty.
	ForgetPrefix(ctx context.Context, scope, prefix string) (int, error)
	// All are the names of scope after the one given ("" for all), in the order of their bytes. A name claimed meanwhile may
	// be missing. An error is the last element.
	All(ctx context.Context, scope, after string) iter.Seq2[Sighting, error]

	// Scopes are the scopes with names, sorted. They must not be changed.
	Scopes() []string
	// Len is the number of names in scope.
	Len(scope string) int
	Status() LedgerStatus
}

// LedgerStatus is how a Ledger is.
type LedgerStatus struct {
	Names         int       `json:"names"`
	MaxNames      int       `json:"max_names"`      // at which Claim of a new name says Unknown
	Unfolded      int       `json:"unfolded"`       // names in the journal only
	Events        int       `json:"events"`         // first contacts not Done
	EventsDropped uint64    `json:"events_dropped"` // first contacts that nobody fetched, beyond what is kept; since the start
	Unknown       uint64    `json:"unknown"`        // claims answered Unknown since the start
	Bytes         int64     `json:"bytes"`          // on disk
	Error         string    `json:"error,omitempty"`
	Since         time.Time `json:"error_since,omitzero"`
}

// Cache keeps values until they expire, and may lose them before. It is safe for concurrent use. Keys are any bytes.
type Cache interface {
	// Get is the value, which the caller may keep but not change, and when it expires.
	Get(bucket, key string) (value []byte, expires time.Time, ok bool)
	// Put keeps value, which must not be changed any more, until expires; a zero time is never. A caller that serves stale
	// values writes its own freshness into the value. It never waits for a disk; what cannot be kept is dropped.
	Put(bucket, key string, value []byte, expires time.Time)
	Delete(bucket, key string)
	// Purge deletes the keys of bucket that begin with prefix, all if it is empty, and returns how many it found.
	Purge(ctx context.Context, bucket, prefix string) (int, error)
	// Sweep deletes what has expired. The cache does so itself now and then.
	Sweep(ctx context.Context) (int, error)
	Status() CacheStatus
}

// BucketReporter is a [Cache] that can tell how its buckets are.
type BucketReporter interface {
	// Buckets are the buckets with entries, sorted by name. It goes through all of the cache, which is for an operator to ask and
	// not for a metric.
	Buckets(ctx context.Context) ([]BucketStatus, error)
}

// BucketStatus is how a bucket of a [Cache] is.
type BucketStatus struct {
	Bucket  string `json:"bucket"`
	Entries int    `json:"entries"`
	Expired int    `json:"expired"` // of them, those that the next sweep deletes
	Size    int64  `json:"size"`    // of keys and values, in bytes
}

// Shared is a Cache that other machines fill too. Its Get answers from what this one has, as it must not wait.
type Shared interface {
	Cache
	// Fetch is a Get that asks where the others put, too, and waits for that, not for long and not longer than ctx lasts. It is for
	// who would otherwise do the work over again, and is not for a source's Add.
	Fetch(ctx context.Context, bucket, key string) (value []byte, expires time.Time, ok bool)
	// Settle waits until what was put before the call is where the others find it. It is for who promises them that it is; what can
	// never be shared, as it is too large or too much waited, is not waited for. The error is ctx's, or that the others
	// cannot be reached: then it is shared later.
	Settle(ctx context.Context) error
}

// NodeBucket is how the name of a bucket ends that is of one machine alone. A Shared does not share it.
const NodeBucket = ".state"

// CacheStatus is how a Cache is. The counters are since the start.
type CacheStatus struct {
	Entries int       `json:"entries"`
	Size    int64     `json:"size"`     // of keys and values, in bytes
	MaxSize int64     `json:"max_size"` // at which what expires soonest is evicted
	Bytes   int64     `json:"bytes"`    // on disk
	Hits    uint64    `json:"hits"`
	Misses  uint64    `json:"misses"`
	Puts    uint64    `json:"puts"`
	Expired uint64    `json:"expired"`
	Evicted uint64    `json:"evicted"`
	Dropped uint64    `json:"dropped"` // puts that could not be kept
	Error   string    `json:"error,omitempty"`
	Since   time.Time `json:"error_since,omitzero"`
}
