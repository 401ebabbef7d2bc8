package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"maps"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/whence-project/whence/store"
)

// removeBatch bounds the entries that a transaction removes.
const removeBatch = 4096

// flush writes what waits to the database and makes room. Where the write fails all waits on.
func (c *cache) flush() error {
	if err := c.write(); err != nil {
		return err
	}
	if c.bytes.Load() <= c.opt.CacheSize {
		return nil
	}
	// A little more room than needed, so that it need not be made each time.
	_, err := c.removeAll(context.Background(), func(w *cacheWriter) []byte {
		if w.size <= c.opt.CacheSize-c.opt.CacheSize/16 {
			return nil
		}
		path, _ := w.soonest()
		w.evicted++
		return path
	})
	return err
}

func (c *cache) write() error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	c.mu.Lock()
	items := c.waiting
	if len(items) == 0 {
		c.mu.Unlock()
		return nil
	}
	c.flushing, c.waiting = items, make(map[string]item)
	size := c.size
	c.mu.Unlock()
	err := c.update(func(w *cacheWriter) error {
		for _, path := range slices.Sorted(maps.Keys(items)) { // neighbours are on one page
			if err := w.put([]byte(path), items[path]); err != nil {
				return err
			}
		}
		return nil
	})
	c.fault.settle(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flushing = nil
	c.size -= size
	if err != nil {
		for path, it := range c.waiting { // what came meanwhile is newer
			items[path] = it
		}
		c.waiting, c.size = items, 0
		for path, it := range items {
			c.size += len(path) + len(it.value)
		}
	}
	return err
}

// update is a write transaction, with writeMu held.
func (c *cache) update(fn func(w *cacheWriter) error) error {
	var w cacheWriter
	err := c.db.Update(func(tx *bbolt.Tx) error {
		w = cacheWriter{entries: tx.Bucket(bucketEntries), expiry: tx.Bucket(bucketExpiry), number: c.entries.Load(), size: c.bytes.Load()}
		if err := fn(&w); err != nil {
			return err
		}
		return putNumber(tx.Bucket(bucketMeta), metaSize, uint64(w.size))
	})
	if err != nil {
		return err
	}
	c.entries.Store(w.number)
	c.bytes.Store(w.size)
	c.expired.Add(uint64(w.expired))
	c.evicted.Add(uint64(w.evicted))
	return nil
}

// cacheWriter changes entries, their expiry and their count in a transaction.
type cacheWriter struct {
	entries, expiry  *bbolt.Bucket
	number, size     int64
	expired, evicted int
	last             []byte // in expiry, all before it is gone
}

func (w *cacheWriter) put(path []byte, it item) error {
	if err := w.remove(path); err != nil || it.deleted {
		return err
	}
	expires := binary.BigEndian.AppendUint64(nil, uint64(it.expires))
	if err := w.expiry.Put(append(bytes.Clone(expires), path...), nil); err != nil {
		return err
	}
	w.number++
	w.size += int64(len(path) + len(it.value))
	return w.entries.Put(path, append(expires, it.value...))
}

// remove removes the entry at path if there is one.
func (w *cacheWriter) remove(path []byte) error {
	v := w.entries.Get(path)
	if v == nil {
		return nil
	}
	w.number--
	w.size -= int64(len(path) + len(v) - 8)
	if err := w.expiry.Delete(append(bytes.Clone(v[:8]), path...)); err != nil {
		return err
	}
	return w.entries.Delete(path)
}

// soonest is the path of the entry that expires first, with its expiry; nil if there is none.
func (w *cacheWriter) soonest() (path []byte, expires int64) {
	// From where the last one was: bbolt walks over pages that were emptied until it has committed.
	k, _ := w.expiry.Cursor().Seek(w.last)
	if k == nil {
		return nil, 0
	}
	w.last = bytes.Clone(k)
	return bytes.Clone(k[8:]), int64(binary.BigEndian.Uint64(k))
}

// Sweep implements [store.Cache].
func (c *cache) Sweep(ctx context.Context) (int, error) {
	now := c.opt.Now().UnixMilli()
	return c.removeAll(ctx, func(w *cacheWriter) []byte {
		path, expires := w.soonest()
		if path == nil || expires > now {
			return nil
		}
		w.expired++
		return path
	})
}

// Purge implements [store.Cache].
func (c *cache) Purge(ctx context.Context, bucket, prefix string) (int, error) {
	if bucket == "" || len(bucket) > store.MaxScope {
		return 0, store.ErrName
	}
	start := []byte(string(rune(len(bucket))) + bucket + prefix)
	if err := c.flush(); err != nil {
		return 0, err
	}
	return c.removeAll(ctx, func(w *cacheWriter) []byte {
		k, _ := w.entries.Cursor().Seek(start)
		if !bytes.HasPrefix(k, start) {
			return nil
		}
		return bytes.Clone(k)
	})
}

// removeAll removes the entries that next finds, one after another until it finds none.
func (c *cache) removeAll(ctx context.Context, next func(w *cacheWriter) []byte) (total int, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return total, err
		}
		n, err := c.removeSome(next)
		total += n
		if err != nil || n < removeBatch {
			return total, err
		}
	}
}

func (c *cache) removeSome(next func(w *cacheWriter) []byte) (n int, err error) {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	if c.isClosed() {
		return 0, store.ErrClosed
	}
	if c.nothing(next) {
		return 0, nil
	}
	err = c.update(func(w *cacheWriter) error {
		for n = 0; n < removeBatch; n++ {
			path := next(w)
			if path == nil {
				return nil
			}
			if err := w.remove(path); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// nothing looks without writing whether there is anything to remove: a commit is an fsync.
func (c *cache) nothing(next func(w *cacheWriter) []byte) (none bool) {
	_ = c.db.View(func(tx *bbolt.Tx) error {
		none = next(&cacheWriter{entries: tx.Bucket(bucketEntries), expiry: tx.Bucket(bucketExpiry), size: c.bytes.Load()}) == nil
		return nil
	})
	return none
}

func (c *cache) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}
