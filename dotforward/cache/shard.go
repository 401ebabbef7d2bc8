package cache

import (
	"math/bits"
	"sync"
	"unsafe"
)

const (
	ways        = 8 // slots of a bucket: a line of the processor's cache
	maxShards   = 64
	slotBytes   = 8
	perSlot     = 96 // bytes of the cache for which there is a slot, so that few buckets are ever full
	secondLives = 16 // how many used entries one Put may carry on, before it takes room from whom it meets
)

// shard is a part of the cache with a lock of its own. Entries lie in a ring, in the order they came; where there is no room for
// another, the oldest goes, unless it was used since the ring came by and is fresh: that one is carried on to the front.
type shard struct {
	mu    sync.Mutex
	slots []uint64 // buckets of ways: the upper half of the hash, and the place in the ring in units of align, from 1 on
	mask  uint64   // of buckets
	ring  []byte
	end   int // of the ring; behind it there is room for one more head

	head, tail, used int // used tells a full ring from an empty one
	entries          int

	hits, stale, misses, puts, evicted, refused uint64

	_ [64]byte // another processor's shard is not in this one's lines
}

// newShards lays out maxBytes: for each shard its slots, then its ring.
func newShards(maxBytes int64) (memory []byte, shards []shard, err error) {
	n := min(1<<(bits.Len64(uint64(maxBytes/minBytes))-1), maxShards)
	each := int(maxBytes) / n &^ (ways*slotBytes - 1)
	buckets := min(1<<bits.Len64(uint64(each/perSlot/ways-1)), 1<<24) // the bits of a hash that an entry keeps
	index := buckets * ways * slotBytes
	if memory, err = allocate(each * n); err != nil {
		return nil, nil, err
	}
	shards = make([]shard, n)
	for i := range shards {
		s, part := &shards[i], memory[i*each:(i+1)*each:(i+1)*each]
		s.slots = unsafe.Slice((*uint64)(unsafe.Pointer(&part[0])), buckets*ways)
		s.mask = uint64(buckets - 1)
		s.ring = part[index:]
		s.end = (len(s.ring) - entryHead) &^ (align - 1)
	}
	return memory, shards, nil
}

func (s *shard) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slots, s.ring, s.end = nil, nil, 0
	s.head, s.tail, s.used, s.entries = 0, 0, 0, 0
}

// bucket is the slots where an entry with the hash can be; none in a shard that was closed.
func (s *shard) bucket(h uint64) []uint64 {
	if s.slots == nil {
		return nil
	}
	i := (h >> 8 & s.mask) * ways
	return s.slots[i : i+ways : i+ways]
}

func slotOf(h uint64, off int) uint64 { return h&^(1<<32-1) | uint64(off/align+1) }
func placeOf(slot uint64) int         { return int(uint32(slot)-1) * align }

func (s *shard) find(h uint64, k *Key) (off int, ok bool) {
	for _, slot := range s.bucket(h) {
		if slot>>32 == h>>32 && slot != 0 {
			if off := placeOf(slot); s.matches(off, k) {
				return off, true
			}
		}
	}
	return 0, false
}

// place makes room for an entry of size for k, in the place of the one that there is if that fits, and points to it. Only its size
// is set.
func (s *shard) place(h uint64, k *Key, size int, now int64) (off int, ok bool) {
	if size > s.end/4 {
		s.refused++
		return 0, false
	}
	if off, ok := s.find(h, k); ok {
		if had := int(s.at(off).size); had >= size && had-size <= 64 {
			return off, true
		}
		s.forget(off)
	}
	off = s.reserve(size, now)
	s.at(off).size = uint32(size)
	s.point(h, off)
	s.entries++
	return off, true
}

// point has a slot point to off, if need be in place of an entry that was not used, or else of any.
func (s *shard) point(h uint64, off int) {
	b := s.bucket(h)
	victim := -1
	for i, slot := range b {
		if slot == 0 {
			b[i] = slotOf(h, off)
			return
		}
		if victim < 0 && s.at(placeOf(slot)).flags&flagUsed == 0 {
			victim = i
		}
	}
	if victim < 0 {
		victim = int(h>>3) % ways
	}
	s.forget(placeOf(b[victim]))
	s.evicted++
	b[victim] = slotOf(h, off)
}

// slot is the slot that points to off, nil if there is none.
func (s *shard) slot(off int) *uint64 {
	b := s.bucket(uint64(s.at(off).hash))
	for i := range b {
		if b[i] != 0 && placeOf(b[i]) == off {
			return &b[i]
		}
	}
	return nil
}

// forget leaves the entry at off in the ring, with nothing that points to it.
func (s *shard) forget(off int) {
	if slot := s.slot(off); slot != nil {
		*slot = 0
		s.entries--
	}
	s.at(off).flags = flagDead
}

// reserve takes size bytes of the ring, from the oldest entries if there is no other room.
func (s *shard) reserve(size int, now int64) (off int) {
	for lives := secondLives; ; {
		if off, ok := s.fit(size); ok {
			return off
		}
		s.evict(now, &lives)
	}
}

// fit takes size bytes at the head of the ring, if they are free. Where the end of the ring is too near, a filler takes the rest.
func (s *shard) fit(size int) (off int, ok bool) {
	if s.used == 0 {
		s.head, s.tail = 0, 0
	}
	switch {
	case s.used > 0 && s.head <= s.tail: // the free bytes lie between them
		if size > s.tail-s.head {
			return 0, false
		}
	case size > s.end-s.head:
		if size > s.tail {
			return 0, false
		}
		if rest := s.end - s.head; rest > 0 {
			filler := s.at(s.head)
			filler.size, filler.flags = uint32(rest), flagDead
			s.used += rest
		}
		s.head = 0
	}
	off = s.head
	s.head += size
	s.used += size
	if s.head == s.end {
		s.head = 0
	}
	return off, true
}

// evict takes the oldest entry out of the ring. One that is worth another life is put in again at the head, where its own room is
// enough for it if there is no other.
func (s *shard) evict(now int64, lives *int) {
	off := s.tail
	e := s.at(off)
	size := int(e.size)
	s.tail += size
	s.used -= size
	if s.tail == s.end {
		s.tail = 0
	}
	if e.flags&flagDead != 0 {
		return
	}
	slot := s.slot(off)
	if e.flags&flagUsed != 0 && e.age(now) < e.life && *lives > 0 && s.used > 0 {
		if to, ok := s.fit(size); ok {
			*lives--
			copy(s.ring[to:to+size], s.ring[off:off+size])
			s.at(to).flags &^= flagUsed
			*slot = slotOf(*slot, to)
			return
		}
	}
	*slot = 0
	s.entries--
	s.evicted++
}
