package mmdb

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/whence-project/whence/enrich"
)

// warmBatch is how many addresses are walked together. A processor waits for about as many lines of memory at the same time.
const warmBatch = 16

// warmed keeps the compiler from leaving out reads whose results nobody uses.
var warmed atomic.Uint32

// Warm walks the trees for the IPv4 addresses among the subjects in step, and touches the fragments that it comes to: the misses
// of memory overlap, where Add would have one after the other. It builds no fragment.
func (s *Source) Warm(subjects []enrich.Subject) {
	for _, db := range s.current.Load().databases {
		if len(db.tree.nodes) < 2*topFrom {
			continue // it is in the caches anyway
		}
		for batch := subjects; len(batch) > 0; batch = batch[min(warmBatch, len(batch)):] {
			db.warm(batch[:min(warmBatch, len(batch))])
		}
	}
}

func (db *database) warm(subjects []enrich.Subject) {
	var at, rest [warmBatch]uint32
	n := 0
	t := db.tree
	for i := range subjects {
		if a := subjects[i].Addr(); a.Is4() {
			b := a.As4()
			v := binary.BigEndian.Uint32(b[:])
			j := t.top4[v>>(32-topBits)]
			at[n], rest[n] = j.at, v<<j.bits
			n++
		}
	}
	for step, walking := topBits, true; walking && step < 32; step++ {
		walking = false
		for i := range at[:n] {
			if at[i] < leaf {
				at[i] = t.nodes[2*at[i]+rest[i]>>31]
				rest[i] <<= 1
				walking = true
			}
		}
	}
	var fragments [warmBatch]*enrich.Fragment
	k := db.kept.Load()
	for i := range at[:n] {
		if at[i] > leaf {
			fragments[i] = k.records[at[i]-leaf-1].Load()
		}
	}
	if enrich.Touch(fragments[:n]) == 0xff {
		warmed.Store(1)
	}
}

var _ enrich.Warmer = (*Source)(nil)
