package cache

import (
	"bytes"
	"slices"
	"time"

	"github.com/whence-project/whence/dotforward/wire"
)

// Stats is what a cache holds and has done.
type Stats struct {
	Entries, Flights    int
	Bytes, MaxBytes     int64 // what answers take, and may take with what finds them
	Hits, Stale, Misses uint64
	Puts                uint64
	Evicted             uint64 // to make room
	Refused             uint64 // answers that do not fit, or whose OPT record cannot be taken out
}

// Stats sums up over the shards.
func (c *Cache) Stats() Stats {
	st := Stats{MaxBytes: int64(len(c.shards)) * shardBytes}
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		st.Entries += s.entries
		st.Flights += len(s.flights)
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

// Entry is what is told of an answer to those who run the cache.
type Entry struct {
	Key   Key
	Hit   // as Get would say; Refetch is whether it would have somebody ask again
	Rcode uint16
	Uses  uint16 // since it was put; it stops at 65535
	Size  int    // in bytes, with all that is kept beside it
}

// each calls f with every entry, the oldest first. The shard is locked.
func (s *shard) each(f func(off int, e *entry)) {
	for off, left := s.tail, s.used; left > 0; {
		e := s.at(off)
		size := int(e.size)
		if e.flags&flagDead == 0 {
			f(off, e)
		}
		left -= size
		if off += size; off == s.end {
			off = 0
		}
	}
}

func (c *Cache) explain(s *shard, off int, e *entry, at int64) Entry {
	judged := *e
	x := Entry{
		Key: Key{Question: bytes.Clone(s.question(off, e)), Space: e.space, DO: e.flags&flagDO != 0, CD: e.flags&flagCD != 0,
			Subnet: bytes.Clone(s.subnet(off, e))},
		Hit: c.judge(&judged, e.age(at)), Rcode: wire.Flags(s.message(off, e)) & 0xf, Uses: e.hits, Size: int(e.size),
	}
	return x
}

// Explain says what Get would say of k. It counts as no use of the answer.
func (c *Cache) Explain(k *Key, now time.Time) (Entry, bool) {
	s, h := c.find(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	off, ok := s.find(h, k)
	if !ok {
		return Entry{}, false
	}
	x := c.explain(s, off, s.at(off), now.UnixMilli())
	return x, x.State != Miss
}

// Find lists answers about name, in wire form and lower case, or about all names at and below it: at most so many, whatever their
// types and keys. It goes through the whole cache, one shard at a time.
func (c *Cache) Find(name []byte, below bool, most int, now time.Time) (found []Entry) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.each(func(off int, e *entry) {
			if len(found) < most && about(s.question(off, e), name, below) {
				if x := c.explain(s, off, e, now.UnixMilli()); x.State != Miss {
					found = append(found, x)
				}
			}
		})
		s.mu.Unlock()
	}
	slices.SortFunc(found, func(a, b Entry) int { return bytes.Compare(a.Key.Question, b.Key.Question) })
	return found
}

// Purge forgets the answers about name, in wire form and lower case, or about all names at and below it, and returns how many there
// were. The root (a zero byte) and all below it is everything.
func (c *Cache) Purge(name []byte, below bool) (n int) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.each(func(off int, e *entry) {
			if about(s.question(off, e), name, below) {
				s.forget(off)
				n++
			}
		})
		s.mu.Unlock()
	}
	return n
}

// about reports whether the question is about name, or a name below it if those count.
func about(question, name []byte, below bool) bool {
	asked := question[:len(question)-4]
	for below && len(asked) > len(name) {
		asked = asked[1+int(asked[0]):]
	}
	return bytes.Equal(asked, name)
}
