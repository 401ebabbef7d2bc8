package limit

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// ways is how many clients share a set of the table; the one that a new client replaces is chosen among them.
const ways = 8

// Buckets are token buckets, one a client, in a table of fixed size. Where more clients are active than it has room for, a new
// one takes the place of the one in its set that is nearest to having its full burst back: what is forgotten is what matters
// least, so that a flood from many networks does not refill the bucket of one that is being held back. Safe for concurrent use.
type Buckets struct {
	seed  maphash.Seed
	start time.Time
	mask  uint64
	sets  []bucketSet
}

type bucketSet struct {
	mu sync.Mutex
	// full is when each client has its whole burst again, in ns since start: the theoretical arrival time of the generic cell
	// rate algorithm (ITU-T I.371). It does not depend on the burst, so that rates can change under it.
	full [ways]int64
	key  [ways]key
}

type key struct{ hi, lo uint64 }

func keyOf(a netip.Addr) key {
	b := a.As16()
	return key{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// NewBuckets makes a table for about n clients, 24 bytes each, at least 8. The clock starts at now.
func NewBuckets(n int, now time.Time) *Buckets {
	size := 1
	for size*ways < n {
		size *= 2
	}
	return &Buckets{seed: maphash.MakeSeed(), start: now, mask: uint64(size - 1), sets: make([]bucketSet, size)}
}

// Allow takes a token of client's bucket, the first address of its network (see [Network.Of]), and reports whether there was
// one. A refused event costs the client nothing.
func (b *Buckets) Allow(client netip.Addr, r Rate, now time.Time) bool {
	if r.IsZero() {
		return true
	}
	interval, tolerance := r.interval()
	k, t := keyOf(client), int64(now.Sub(b.start))
	s := &b.sets[maphash.Comparable(b.seed, k)&b.mask]
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.find(k)
	if s.key[i] != k {
		s.key[i], s.full[i] = k, t
	}
	full := max(s.full[i], t)
	if full-t > tolerance {
		return false
	}
	s.full[i] = full + interval
	return true
}

// find is the place of k, or the place that k is to take.
func (s *bucketSet) find(k key) int {
	oldest := 0
	for i := range s.key {
		if s.key[i] == k {
			return i
		}
		if s.full[i] < s.full[oldest] {
			oldest = i
		}
	}
	return oldest
}
