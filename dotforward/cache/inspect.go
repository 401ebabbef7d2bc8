package cache

// Stats is what a cache holds and has done.
type Stats struct {
	Entries             int
	Bytes               int64 // of the answers; what finds them is MaxBytes' business
	Hits, Stale, Misses uint64
	Puts                uint64
	Evicted             uint64 // to make room
	Refused             uint64 // too large for the cache
}

// Stats sums up over the shards.
func (c *Cache) Stats() (st Stats) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		st.Entries += s.entries
		st.Bytes += int64(s.used)
		st.Hits += s.hits
		st.Stale += s.stale
		st.Misses += s.misses
		st.Puts += s.puts
		st.Evicted += s.evicted
		st.Refused += s.refused
		s.mu.Unlock()
	}
	return st
}
