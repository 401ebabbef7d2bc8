package cache

import (
	"unsafe"

	"github.com/whence-project/whence/dotforward/wire"
)

// entry is the head of what is kept of one answer. Behind it lie the message, whose question is part of the key, the places of its
// TTLs, and the client's subnet. It has no pointers, since it lies where the garbage collector does not look.
type entry struct {
	size    uint32 // in the ring, with all that lies behind; a multiple of align
	flags   uint8
	verdict uint8
	hits    uint16
	stored  int64 // Unix milliseconds
	hash    uint32
	life    uint32 // seconds of freshness

	generation uint32
	space      uint32
	retry      uint32 // the age in seconds from which somebody may be told to refetch
	upstream   uint16
	ede        uint16
	length     uint16 // of the message
	question   uint16 // its length, with type and class
	ttls       uint16 // how many
	subnet     uint8
	kind       wire.Kind
}

const (
	align     = 8
	entryHead = int(unsafe.Sizeof(entry{}))
)

const (
	flagDO   uint8 = 1 << iota
	flagCD         // these two are part of the key
	flagUsed       // since the ring last came by
	flagDead       // nothing points to it, it only takes room
)

func entrySize(ttls, subnet, length int) int {
	return (entryHead + (length+1)&^1 + 2*ttls + subnet + align - 1) &^ (align - 1)
}

// age is how many whole seconds the entry is old. One from the future, since the clock was set back, is as old as can be: nobody
// knows how old it is. What time servers do to a clock is forgiven.
func (e *entry) age(now int64) uint32 {
	ms := now - e.stored
	if ms < -forgiven {
		return maxSeconds
	}
	return uint32(min(max(ms, 0)/1000, maxSeconds))
}

const forgiven = 60_000 // ms

// at is the entry at off. The ring has room for a whole head behind its end, so that fillers there can be looked at.
func (s *shard) at(off int) *entry { return (*entry)(unsafe.Pointer(&s.ring[off])) }

// message is the first behind the head, since that is where the processor can look for it before it has read the head.
func (s *shard) message(off int, e *entry) []byte {
	off += entryHead
	return s.ring[off : off+int(e.length)]
}

func (s *shard) offsets(off int, e *entry) []uint16 {
	off += entryHead + (int(e.length)+1)&^1
	return unsafe.Slice((*uint16)(unsafe.Pointer(&s.ring[off])), e.ttls)
}

func (s *shard) subnet(off int, e *entry) []byte {
	off += entryHead + (int(e.length)+1)&^1 + 2*int(e.ttls)
	return s.ring[off : off+int(e.subnet)]
}

func (s *shard) question(off int, e *entry) []byte {
	off += entryHead + wire.HeaderLen
	return s.ring[off : off+int(e.question)]
}

// matches reports whether the entry at off is the answer to k.
func (s *shard) matches(off int, k *Key) bool {
	e := s.at(off)
	return e.space == k.Space && e.flags&(flagDO|flagCD) == k.flags() && int(e.subnet) == len(k.Subnet) &&
		int(e.question) == len(k.Question) && string(s.question(off, e)) == string(k.Question) &&
		(len(k.Subnet) == 0 || string(s.subnet(off, e)) == string(k.Subnet))
}
