package embedded

import "sync/atomic"

// filter is a blocked Bloom filter of the names in the database: it spares most new names the read that would find nothing,
// from a disk perhaps. A name sets 8 bits in one block of 512; at 12 bits a name about 1 in 150 others is taken for known.
type filter struct {
	blocks   []filterBlock
	capacity int
}

type filterBlock [8]atomic.Uint64

const bitsPerName = 12

// newFilter makes a filter for n names, 1.5 bytes each.
func newFilter(n int) *filter {
	return &filter{blocks: make([]filterBlock, n*bitsPerName/512+1), capacity: n}
}

func (f *filter) block(hash uint64) *filterBlock {
	return &f.blocks[(hash>>32)*uint64(len(f.blocks))>>32]
}

// bits are the 6 bits of each of the 8 words that hash sets, from a product that spreads its low half.
func bits(hash uint64) uint64 { return uint64(uint32(hash)) * 0x9e3779b97f4a7c15 }

func (f *filter) add(hash uint64) {
	b, h := f.block(hash), bits(hash)
	for i := range b {
		b[i].Or(1 << (h >> (16 + 6*i) & 63))
	}
}

// has reports whether hash may have been added.
func (f *filter) has(hash uint64) bool {
	b, h := f.block(hash), bits(hash)
	for i := range b {
		if b[i].Load()&(1<<(h>>(16+6*i)&63)) == 0 {
			return false
		}
	}
	return true
}
