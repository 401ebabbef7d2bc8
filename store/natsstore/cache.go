package natsstore

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"go.uber.org/zap"

	"github.com/whence-project/whence/store"
)

// cache implements [store.Shared]. What is put is in the folder at once and in the bucket soon after.
type cache struct {
	s        *Store
	subjects subjects
	local    store.Cache
	id       string // of this process: what it said itself it need not hear

	mu      sync.Mutex
	waiting map[key]item // key.scope is the bucket
	size    int
	last    uint64        // number of the item that came last
	moved   chan struct{} // closed, and made anew, when some no longer wait
	closed  bool
	wake    chan struct{}
	idle    chan struct{} // closed, and made anew, when nothing waits

	shared, unshared, fetched, missed atomic.Uint64
}

// item is a value that waits to be shared, or that there is none any more.
type item struct {
	value   []byte
	expires time.Time
	deleted bool
	number  uint64 // in the order in which they came
}

func (i item) size(k key) int { return len(i.value) + len(k.scope) + len(k.name) }

func newCache(s *Store) *cache {
	return &cache{
		s: s, subjects: subjects{s.opt.Bucket + "_cache"}, local: s.local.Cache(), id: nuid.Next(),
		waiting: make(map[key]item), wake: make(chan struct{}, 1), moved: make(chan struct{}), idle: make(chan struct{}),
	}
}

// Get implements [store.Cache]: from the folder.
func (c *cache) Get(bucket, key string) ([]byte, time.Time, bool) { return c.local.Get(bucket, key) }

// Put implements [store.Cache].
func (c *cache) Put(bucket, k string, value []byte, expires time.Time) {
	c.local.Put(bucket, k, value, expires)
	if c.isShared(bucket, k) && len(value) <= store.MaxValue && (expires.IsZero() || expires.After(c.s.opt.Now())) {
		c.enqueue(key{bucket, k}, item{value: value, expires: expires})
	}
}

// Delete implements [store.Cache].
func (c *cache) Delete(bucket, k string) {
	c.local.Delete(bucket, k)
	if c.isShared(bucket, k) {
		c.enqueue(key{bucket, k}, item{deleted: true})
	}
}

func (c *cache) isShared(bucket, k string) bool {
	return valid(bucket, k) && !strings.HasSuffix(bucket, store.NodeBucket)
}

// enqueue has an item shared. Where too much waits it is not.
func (c *cache) enqueue(k key, it item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old, replaced := c.waiting[k]
	size := c.size + it.size(k)
	if replaced {
		size -= old.size(k)
	}
	if c.closed || size > c.s.opt.MaxWaiting {
		c.unshared.Add(1)
		return
	}
	c.last++
	if it.number = c.last; replaced {
		it.number = old.number // who waits for that one waits for this in its place
	}
	c.waiting[k], c.size = it, size
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Fetch implements [store.Shared]. Of what is here and what NATS has, it is what lasts longer.
func (c *cache) Fetch(ctx context.Context, bucket, k string) ([]byte, time.Time, bool) {
	value, expires, ok := c.local.Get(bucket, k)
	link := c.s.state.link.Load()
	if link == nil || link.slow.Load() || !c.isShared(bucket, k) || c.isWaiting(key{bucket, k}) {
		return value, expires, ok
	}
	wait, cancel := context.WithTimeout(ctx, c.s.opt.Wait)
	defer cancel()
	msg, err := link.cache.GetLastMsgForSubject(wait, c.subject(bucket, k))
	if err != nil || isMarker(msg.Header) {
		c.missed.Add(1)
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) && ctx.Err() == nil {
			link.slow.Store(true)
		}
		return value, expires, ok
	}
	it, err := unpack(msg.Data)
	if err != nil {
		c.s.log.Debug("a value in the cache in NATS cannot be read", zap.String("bucket", bucket), zap.String("key", k), zap.Error(err))
	}
	if err != nil || !it.expires.IsZero() && !it.expires.After(c.s.opt.Now()) ||
		ok && (expires.IsZero() || !it.expires.IsZero() && !it.expires.After(expires)) {
		c.missed.Add(1)
		return value, expires, ok
	}
	c.fetched.Add(1)
	c.local.Put(bucket, k, it.value, it.expires)
	return it.value, it.expires, true
}

func (c *cache) isWaiting(k key) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.waiting[k]
	return ok
}

// Settle implements [store.Shared].
func (c *cache) Settle(ctx context.Context) error {
	c.mu.Lock()
	last := c.last
	c.mu.Unlock()
	t := time.NewTicker(250 * time.Millisecond)
	defer t.Stop()
	for {
		waits, moved := c.waits(last)
		if !waits {
			return nil
		}
		if c.s.state.link.Load() == nil {
			return ErrAway
		}
		select {
		case <-moved:
		case <-t.C: // NATS may have gone meanwhile
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// waits reports that something waits that came before or with the item of that number. moved is closed when it may be otherwise.
func (c *cache) waits(last uint64) (yes bool, moved <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, it := range c.waiting {
		if it.number <= last {
			return true, c.moved
		}
	}
	return false, nil
}

func (c *cache) subject(bucket, k string) string {
	b := appendToken([]byte(c.subjects.prefix()), bucket)
	return string(appendKey(append(b, '.'), k))
}

// parse takes a subject apart.
func (c *cache) parse(subject string) (k key, ok bool) {
	rest, ok := strings.CutPrefix(subject, c.subjects.prefix())
	if !ok {
		return k, false
	}
	token, name, _ := strings.Cut(rest, ".")
	bucket, ok1 := parseKey(token)
	name, ok2 := canonical(name)
	return key{bucket, name}, ok1 && ok2 && valid(bucket, name)
}

// Sweep implements [store.Cache]: NATS drops by itself.
func (c *cache) Sweep(ctx context.Context) (int, error) { return c.local.Sweep(ctx) }

// Buckets implements [store.BucketReporter]: of the folder.
func (c *cache) Buckets(ctx context.Context) ([]store.BucketStatus, error) {
	if r, ok := c.local.(store.BucketReporter); ok {
		return r.Buckets(ctx)
	}
	return nil, errors.ErrUnsupported
}

// Status implements [store.Cache]: of the folder.
func (c *cache) Status() store.CacheStatus {
	s := c.local.Status()
	if s.Error == "" {
		s.Error, s.Since = c.s.state.text()
	}
	return s
}

// Interface guards
var (
	_ store.Shared         = (*cache)(nil)
	_ store.BucketReporter = (*cache)(nil)
)
