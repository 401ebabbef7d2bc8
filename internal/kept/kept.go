// Package kept is a bounded cache for what is cheap to make again: a fixed number of places, each taken by whichever key came
// last. It has no lock, no goroutine and no bookkeeping, so that a flood of keys that are asked once costs next to nothing.
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

// New makes a cache of 2^bits places. Each takes 8 bytes while it is empty.
func New[K comparable, V any](bits uint) *Cache[K, V] {
	return &Cache[K, V]{places: make([]atomic.Pointer[entry[K, V]], 1<<bits), mask: 1<<bits - 1}
}

// Get is the value kept for key. The caller brings the hash, the same for the same key and even in its low bits.
func (c *Cache[K, V]) Get(hash uint64, key K) (v V, ok bool) {
	if e := c.places[hash&c.mask].Load(); e != nil && e.key == key {
		return e.value, true
	}
	return v, false
}

// Put keeps value for key, in the place of whatever had it.
func (c *Cache[K, V]) Put(hash uint64, key K, value V) {
	c.places[hash&c.mask].Store(&entry[K, V]{key, value})
}
