package cache

import (
	"sync"
	"unsafe"
)

const (
	shardBytes  = 1 << 20 // of a shard, slots included
	ways        = 16      // slots of a bucket: a line of the processor's cache
	buckets     = 1 << 10 // of a shard: a slot for every 64 bytes, so that few buckets are ever full
	slotBytes   = 4
	indexBytes  = buckets * ways * slotBytes
	placeBits   = 17 // of a slot: a place in the ring in units of align, from 1 on
	placeMask   = 1<<placeBits - 1
	secondLives = 16 // how many used entries one Put may carry on, before it takes room from whom it meets
)

// slot is where an entry is, and 15 bits of its hash so that others need not be looked at; 0 if it is free. It is this small for
// all slots to stay in the processor's cache, so that finding an answer goes to memory for nothing but the answer.
type slot uint32

func tagOf(h uint32) slot           { return slot(h / buckets << placeBits) }
func slotOf(h uint32, off int) slot { return tagOf(h) | slot(off/align+1) }
func (s slot) place() int           { return (int(s&placeMask) - 1) * align }

// shard is a part of the cache with a lock of its own. Entries lie in a ring, in the order they came; where there is no room for
// another, the oldest goes, unless it was used since the ring came by and is fresh: that one is carried on to the front.
type shard struct {
	mu    sync.Mutex
	slots []slot // in buckets of ways; none if the shard is closed
	ring  []byte
	end   int // of the ring; behind it there is room for one more head

	head, tail, used int // used tells a full ring from an empty one
	entries          int

	flights map[uint32]*Flight // by hash

	hits, stale, misses, puts, evicted, refused uint64

	_ [64]byte // another processor's shard is not in this one's lines
}

// newShards lays out maxBytes: for each shard its slots, then its ring.
func newShards(maxBytes int64) (memory []byte, shards []shard, err error) {
	n := int(maxBytes / shardBytes)
	if memory, err = allocate(n * shardBytes); err != nil {
		return nil, nil, err
	}
	shards = make([]shard, n)
	for i := range shards {
		s, part := &shards[i], memory[i*shardBytes:(i+1)*shardBytes:(i+1)*shardBytes]
		s.slots = unsafe.Slice((*slot)(unsafe.Pointer(&part[0])), buckets*ways)
		s.ring = part[indexBytes:]
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
func (s *shard) bucket(h uint32) []slot {
	if s.slots == nil {
		return nil
	}
	i := h % buckets * ways
	return s.slots[i : i+ways : i+ways]
}

func (s *shard) find(h uint32, k *Key) (off int, ok bool) {
	tag := tagOf(h)
	for _, slot := range s.bucket(h) {
		if slot&^placeMask == tag && slot != 0 {
			if off := slot.place(); s.matches(off, k) {
				return off, true
			}
		}
	}
	return 0, false
}

// place makes room for an entry of size for k, in the place of the one that there is if that fits, and points to it. Only its size
// is set.
func (s *shard) place(h uint32, k *Key, size int, now int64) (off int, ok bool) {
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

// point has a slot point to off, if need be in place of the oldest entry of those that were not used, or else of all.
func (s *shard) point(h uint32, off int) {
	b := s.bucket(h)
	victim, least := 0, 2*s.end
	for i, slot := range b {
		if slot == 0 {
			b[i] = slotOf(h, off)
			return
		}
		place := slot.place()
		rank := place - s.tail // how long it has to go yet
		if rank < 0 {
			rank += s.end
		}
		if s.at(place).flags&flagUsed != 0 {
			rank += s.end
		}
		if rank < least {
			victim, least = i, rank
		}
	}
	s.forget(b[victim].place())
	s.evicted++
	b[victim] = slotOf(h, off)
}

// slot is the slot that points to off, nil if there is none.
func (s *shard) slot(off int) *slot {
	b := s.bucket(s.at(off).hash)
	for i := range b {
		if b[i] != 0 && b[i].place() == off {
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
			*slot = slotOf(s.at(to).hash, to)
			return
		}
	}
	*slot = 0
	s.entries--
	s.evicted++
}
