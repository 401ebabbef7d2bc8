// Package kept is a bounded cache for what is cheap to make again: a fixed number of places in pairs, of which a new key takes the
// first and what was there moves to the second. It has no lock, no goroutine and no bookkeeping, so that a flood of keys that are
// asked once costs next to nothing.
package kept

import "sync/atomic"

// Cache keeps values by key. It is safe for concurrent use; get one with [New].
type Cache[K comparable, V any] struct {
	places []atomic.Pointer[entry[K, V]]
	mask   uint64
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

// New makes a cache of 2^bits places, at least two. Each takes 8 bytes while it is empty.
func New[K comparable, V any](bits uint) *Cache[K, V] {
	bits = max(bits, 1)
	return &Cache[K, V]{places: make([]atomic.Pointer[entry[K, V]], 1<<bits), mask: 1<<bits - 1}
}

// Get is the value kept for key. The caller brings the hash, the same for the same key and even in its low bits.
func (c *Cache[K, V]) Get(hash uint64, key K) (v V, ok bool) {
	i := hash & c.mask
	e := c.places[i].Load()
	if e == nil || e.key != key {
		e = c.places[i^1].Load()
	}
	if e != nil && e.key == key {
		return e.value, true
	}
	return v, false
}

// Put keeps value for key, in the place of what came before the last.
func (c *Cache[K, V]) Put(hash uint64, key K, value V) {
	i := hash & c.mask
	if old := c.places[i].Swap(&entry[K, V]{key, value}); old != nil && old.key != key {
		c.places[i^1].Store(old)
	}
}
