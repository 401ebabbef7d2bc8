package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/whence-project/whence/store"
)

// The buckets of cache.db. Entries are by path, which is length of bucket, bucket, key; their values begin with when they
// expire, 8 bytes big endian in milliseconds since 1970. Expiry has the same, turned round: expiry and path, without a value.
var (
	bucketEntries = []byte("entries")
	bucketExpiry  = []byte("expiry")

	metaSize = []byte("size") // of the paths and values in entries
)

const (
	cacheFile    = "cache.db"
	cacheVersion = 1

	never = math.MaxInt64 // expiry of what does not expire: evicted last

	flushAfter = time.Second // that a put may wait in memory
	maxWaiting = 16 << 20    // bytes of puts that wait; more are dropped
	flushSize  = 1 << 20     // bytes of puts that are not made to wait
	sweepEvery = time.Minute
)

// cache implements [store.Cache].
type cache struct {
	path string
	opt  *Options
	db   *bbolt.DB

	mu       sync.Mutex
	waiting  map[string]item // by path
	flushing map[string]item // being written; not changed any more
	size     int             // of both
	closed   bool

	writeMu sync.Mutex
	entries atomic.Int64
	bytes   atomic.Int64 // of paths and values in the database

	hits, misses, puts, expired, evicted, dropped atomic.Uint64

	ending  sync.Once
	endErr  error
	stop    chan struct{}
	wake    chan struct{}
	running sync.WaitGroup
	fault   fault
}

// item is an entry, or that there is none any more.
type item struct {
	value   []byte
	expires int64
	deleted bool
}

func openCache(dir string, opt *Options) (*cache, error) {
	c := &cache{
		path: filepath.Join(dir, cacheFile), opt: opt, waiting: make(map[string]item),
		stop: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	c.fault.init(opt, "the cache cannot be written: what is new is kept in memory as far as there is room")
	db, err := openDatabase(c.path, format{
		version: cacheVersion, buckets: [][]byte{bucketEntries, bucketExpiry}, check: c.read,
	}, opt)
	if err != nil {
		return nil, err
	}
	c.db = db
	c.running.Go(c.run)
	return c, nil
}

// read reads all of the database, to see that it is whole.
func (c *cache) read(tx *bbolt.Tx) error {
	entries, expiry := tx.Bucket(bucketEntries), tx.Bucket(bucketExpiry)
	if entries == nil || expiry == nil {
		return fmt.Errorf("%w: a bucket is missing", errDamaged)
	}
	n, size := 0, 0
	err := entries.ForEach(func(k, v []byte) error {
		if len(k) < 3 || len(k) < 2+int(k[0]) || len(v) < 8 {
			return fmt.Errorf("%w: entry %q", errDamaged, k)
		}
		n, size = n+1, size+len(k)+len(v)-8
		return nil
	})
	if err != nil {
		return err
	}
	c.entries.Store(int64(n))
	err = expiry.ForEach(func(k, _ []byte) error {
		n--
		if len(k) < 11 || entries.Get(k[8:]) == nil {
			return fmt.Errorf("%w: expiry %q", errDamaged, k)
		}
		return nil
	})
	if err == nil && (n != 0 || uint64(size) != getNumber(tx.Bucket(bucketMeta), metaSize)) {
		err = fmt.Errorf("%w: entries and expiry differ", errDamaged)
	}
	c.bytes.Store(int64(size))
	return err
}

// pathOf is the key in the database; empty if the bucket or the key is none.
func pathOf(bucket, key string) string {
	if bucket == "" || len(bucket) > store.MaxScope || key == "" || len(key) > store.MaxName {
		return ""
	}
	return string(rune(len(bucket))) + bucket + key // a length below 128 is one byte
}

// Get implements [store.Cache].
func (c *cache) Get(bucket, key string) ([]byte, time.Time, bool) {
	it, ok := c.get(pathOf(bucket, key))
	if !ok || it.deleted || it.expires <= c.opt.Now().UnixMilli() {
		c.misses.Add(1)
		return nil, time.Time{}, false
	}
	c.hits.Add(1)
	if it.expires == never {
		return it.value, time.Time{}, true
	}
	return it.value, fromMillis(it.expires), true
}

func (c *cache) get(path string) (it item, ok bool) {
	if path == "" {
		return it, false
	}
	c.mu.Lock()
	if it, ok = c.waiting[path]; !ok {
		it, ok = c.flushing[path]
	}
	closed := c.closed
	c.mu.Unlock()
	if ok || closed {
		return it, ok && !closed
	}
	// What a flush ends between the two looks is in the database by now.
	err := c.db.View(func(tx *bbolt.Tx) error {
		if v := tx.Bucket(bucketEntries).Get([]byte(path)); len(v) >= 8 {
			it, ok = item{value: append([]byte{}, v[8:]...), expires: int64(binary.BigEndian.Uint64(v))}, true
		}
		return nil
	})
	return it, ok && err == nil
}

// Put implements [store.Cache].
func (c *cache) Put(bucket, key string, value []byte, expires time.Time) {
	path := pathOf(bucket, key)
	if path == "" || len(value) > store.MaxValue || int64(len(path)+len(value)) > c.opt.CacheSize {
		c.dropped.Add(1)
		return
	}
	it := item{value: value, expires: never}
	if !expires.IsZero() {
		it.expires = millis(expires)
	}
	c.put(path, it)
}

// Delete implements [store.Cache].
func (c *cache) Delete(bucket, key string) {
	if path := pathOf(bucket, key); path != "" {
		c.put(path, item{deleted: true})
	}
}

func (c *cache) put(path string, it item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old, replaced := c.waiting[path]
	size := len(path) + len(it.value)
	if replaced {
		size -= len(path) + len(old.value)
	}
	// A deletion must not be dropped for want of room while there is an old value to be found.
	if c.closed || c.size+size > maxWaiting && !it.deleted {
		c.dropped.Add(1)
		return
	}
	if !it.deleted {
		c.puts.Add(1)
	}
	c.waiting[path] = it
	c.size += size
	if c.size >= flushSize || len(c.waiting) == 1 {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

// run flushes what waits and sweeps what has expired.
func (c *cache) run() {
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-sweep.C:
			_, _ = c.Sweep(context.Background())
			continue
		case <-c.wake:
		}
		if !c.pressing() {
			select {
			case <-c.stop:
				return
			case <-time.After(flushAfter):
			}
		}
		if c.flush() != nil {
			select {
			case <-c.stop:
				return
			case <-time.After(retryEvery):
				c.wake <- struct{}{}
			}
		}
	}
}

func (c *cache) pressing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size >= flushSize
}

// close flushes the cache and closes its database.
func (c *cache) close() error {
	c.ending.Do(func() {
		close(c.stop)
		c.running.Wait()
		err := c.flush()
		c.mu.Lock()
		c.closed = true
		c.mu.Unlock()
		c.writeMu.Lock()
		defer c.writeMu.Unlock()
		c.endErr = errors.Join(err, c.db.Close())
	})
	return c.endErr
}

// Status implements [store.Cache].
func (c *cache) Status() store.CacheStatus {
	s := store.CacheStatus{
		Entries: int(c.entries.Load()), Size: c.bytes.Load(), MaxSize: c.opt.CacheSize, Bytes: sizeOf(c.path),
		Hits: c.hits.Load(), Misses: c.misses.Load(), Puts: c.puts.Load(), Expired: c.expired.Load(), Evicted: c.evicted.Load(),
		Dropped: c.dropped.Load(),
	}
	s.Error, s.Since = worst(&c.fault)
	return s
}

func isAside(name string) bool { return strings.Contains(filepath.Base(name), ".corrupt-") }
