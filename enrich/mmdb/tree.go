package mmdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
)

// A ref is where a step in the search tree leads: the number of a node, or, from leaf on, the number of a record plus one.
type ref = uint32

const (
	leaf ref = 1 << 31
	hole ref = leaf // no record
)

// tree is the search tree of a database (MaxMind DB 2.0), made for lookups: native words instead of packed ones, records
// numbered densely so that what belongs to one is found by index, and the first 16 bits of an address in one step. That is
// twice as fast as walking the file's own tree and looking the record's offset up, and no larger.
type tree struct {
	nodes []ref // two a node: where a 0 and a 1 lead
	v4    ref   // where IPv4 addresses start
	v6    ref   // where IPv6 addresses start
	top4  []jump
	top6  []jump
	only4 bool
}

// jump is where the first topBits bits of an address lead, and how many of them it took.
type jump struct {
	at   ref
	bits uint8
}

// separator is the number of zero bytes between search tree and data section.
const separator = 16

const (
	topBits = 16
	topFrom = 1 << 12 // a tree of fewer nodes is in the processor's cache anyway
)

// census is what a walk over a tree finds out.
type census struct {
	offsets []uint32 // of each record in the data section
	v4, v6  []uint32 // networks that carry the record
}

var (
	errCorrupt = errors.New("the search tree is corrupt: it points outside the file")
	errDeep    = errors.New("the search tree is corrupt: it is deeper than an address is long")
)

// newTree reads the search tree at the beginning of file. recordSize is in bits; dataSize, the length of the data section in
// bytes, bounds what the tree may point to. Every node that an address can reach is walked once.
func newTree(file []byte, nodeCount, recordSize uint, ipVersion uint, dataSize int) (*tree, *census, error) {
	if nodeCount == 0 || nodeCount >= uint(leaf) {
		return nil, nil, fmt.Errorf("the search tree has %d nodes", nodeCount)
	}
	if ipVersion != 4 && ipVersion != 6 {
		return nil, nil, fmt.Errorf("ip_version is %d, neither 4 nor 6", ipVersion)
	}
	t := &tree{only4: ipVersion == 4}
	raw, err := unpack(file, nodeCount, recordSize)
	if err != nil {
		return nil, nil, err
	}
	w := walker{raw: raw, nodeCount: uint32(nodeCount), dataSize: uint64(dataSize)}
	if t.only4 {
		w.reach4 = newBitmap(nodeCount)
		if err := w.walk(0, 32, w.reach4, nil); err != nil {
			return nil, nil, err
		}
		w.reach6 = newBitmap(nodeCount)
	} else if err := w.walkBoth(); err != nil {
		return nil, nil, err
	}
	c := w.convert()
	t.nodes = w.raw
	if !t.only4 {
		for n := 0; n < 96 && t.v4 < leaf; n++ {
			t.v4 = t.nodes[2*t.v4]
		}
	}
	if nodeCount >= topFrom {
		t.top4 = t.shortcut(t.v4)
	}
	if nodeCount >= topFrom && !t.only4 {
		t.top6 = t.shortcut(t.v6)
	}
	return t, c, nil
}

// unpack reads the packed records of the tree as they are.
func unpack(file []byte, nodeCount, recordSize uint) ([]uint32, error) {
	size := uint64(nodeCount) * uint64(recordSize) / 4
	if recordSize != 24 && recordSize != 28 && recordSize != 32 {
		return nil, fmt.Errorf("record_size is %d, none of 24, 28, 32", recordSize)
	}
	if size > uint64(len(file)) {
		return nil, errors.New("the file ends within its search tree")
	}
	raw := make([]uint32, 2*nodeCount)
	b := file[:size]
	switch recordSize {
	case 24:
		for i := range raw {
			raw[i] = uint32(b[3*i])<<16 | uint32(b[3*i+1])<<8 | uint32(b[3*i+2])
		}
	case 28:
		for i := range nodeCount {
			n := b[7*i : 7*i+7]
			raw[2*i] = uint32(n[3]>>4)<<24 | uint32(n[0])<<16 | uint32(n[1])<<8 | uint32(n[2])
			raw[2*i+1] = binary.BigEndian.Uint32(n[3:]) & 0x0fffffff
		}
	case 32:
		for i := range raw {
			raw[i] = binary.BigEndian.Uint32(b[4*i:])
		}
	}
	return raw, nil
}

// walker checks a tree and takes its census.
type walker struct {
	raw            []uint32
	nodeCount      uint32
	dataSize       uint64
	root4          uint32 // may be no node: where the IPv4 space has one record or none
	reach4, reach6 bitmap // nodes that hold IPv4 networks, and all others that are reached
	records        bitmap // offsets that the tree points to
}

// walkBoth walks a tree of IPv6 addresses, in which IPv4 addresses are those of ::/96 and of aliases that point there.
func (w *walker) walkBoth() error {
	for range 96 {
		if w.root4 >= w.nodeCount {
			break
		}
		w.root4 = w.raw[2*w.root4]
	}
	w.reach4, w.reach6 = newBitmap(uint(w.nodeCount)), newBitmap(uint(w.nodeCount))
	if w.root4 < w.nodeCount {
		if err := w.walk(w.root4, 32, w.reach4, nil); err != nil {
			return err
		}
	}
	return w.walk(0, 128, w.reach6, w.reach4)
}

// walk visits each node below root once, in depth-first order, and marks it in reached; what is marked in skip is left out. A
// path longer than depth, or back to a node that it came through, is an error.
func (w *walker) walk(root uint32, depth int, reached, skip bitmap) error {
	if w.records == nil {
		w.records = newBitmap(uint(w.dataSize))
	}
	type step struct {
		node uint32
		side uint32
	}
	if skip != nil && skip.has(root) {
		return nil
	}
	path := make([]step, 1, depth+1)
	path[0] = step{node: root}
	reached.set(root)
	for len(path) > 0 {
		s := &path[len(path)-1]
		if s.side == 2 {
			path = path[:len(path)-1]
			continue
		}
		v := w.raw[2*s.node+s.side]
		s.side++
		switch {
		case v == w.nodeCount:
		case v > w.nodeCount:
			offset := uint64(v) - uint64(w.nodeCount)
			if offset < separator || offset-separator >= w.dataSize {
				return errCorrupt
			}
			w.records.set(uint32(offset - separator))
		case skip != nil && skip.has(v):
		case reached.has(v):
			for _, above := range path {
				if above.node == v {
					return errDeep
				}
			}
		case len(path) == depth:
			return errDeep
		default:
			reached.set(v)
			path = append(path, step{node: v})
		}
	}
	return nil
}

// convert turns the raw records into refs, in place, and counts the networks.
func (w *walker) convert() *census {
	c := &census{offsets: w.records.members()}
	c.v4, c.v6 = make([]uint32, len(c.offsets)), make([]uint32, len(c.offsets))
	rank := w.records.ranks()
	for node := range w.nodeCount {
		in4 := w.reach4.has(node)
		reached := in4 || w.reach6.has(node)
		for i := 2 * node; i < 2*node+2; i++ {
			v := w.raw[i]
			switch {
			case !reached || v == w.nodeCount:
				w.raw[i] = hole
			case v > w.nodeCount:
				n := w.records.rank(rank, v-w.nodeCount-separator)
				w.raw[i] = leaf | (n + 1)
				if in4 {
					c.v4[n]++
				} else {
					c.v6[n]++
				}
			}
		}
	}
	return c
}

// shortcut makes the table of where the first topBits bits lead from root.
func (t *tree) shortcut(root ref) []jump {
	top := make([]jump, 1<<topBits)
	for i := range top {
		at, n := root, uint8(0)
		for ; n < topBits && at < leaf; n++ {
			at = t.nodes[2*at+uint32(i)>>(topBits-1-n)&1]
		}
		top[i] = jump{at, n}
	}
	return top
}

// lookup returns the number of the record for a, or -1, and the network that says so. a is not an IPv4-mapped address. The
// network is the zero Prefix where the database does not cover addresses of that kind.
func (t *tree) lookup(a netip.Addr) (record int, network netip.Prefix) {
	var at ref
	var n int
	if a.Is4() {
		b := a.As4()
		at, n = t.lookup4(binary.BigEndian.Uint32(b[:]))
	} else {
		if t.only4 {
			return -1, netip.Prefix{}
		}
		b := a.As16()
		at, n = t.lookup6(binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:]))
	}
	network, _ = a.Prefix(n)
	if at < leaf {
		at = hole // an IPv4 subtree that an alias puts too deep
	}
	return int(at-leaf) - 1, network
}

func (t *tree) lookup4(a uint32) (at ref, n int) {
	at = t.v4
	if t.top4 != nil {
		j := t.top4[a>>(32-topBits)]
		at, n = j.at, int(j.bits)
	}
	a <<= n
	for ; at < leaf && n < 32; n++ {
		at = t.nodes[2*at+a>>31]
		a <<= 1
	}
	return at, n
}

func (t *tree) lookup6(hi, lo uint64) (at ref, n int) {
	at = t.v6
	if t.top6 != nil {
		j := t.top6[hi>>(64-topBits)]
		at, n = j.at, int(j.bits)
	}
	hi <<= n
	for ; at < leaf && n < 64; n++ {
		at = t.nodes[2*at+uint32(hi>>63)]
		hi <<= 1
	}
	for ; at < leaf && n < 128; n++ {
		at = t.nodes[2*at+uint32(lo>>63)]
		lo <<= 1
	}
	return at, n
}

// bitmap is a set of numbers.
type bitmap []uint64

func newBitmap(n uint) bitmap { return make(bitmap, n/64+1) }

func (b bitmap) set(i uint32)      { b[i/64] |= 1 << (i % 64) }
func (b bitmap) has(i uint32) bool { return b[i/64]&(1<<(i%64)) != 0 }

// members are the numbers in the set, in order.
func (b bitmap) members() []uint32 {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	ms := make([]uint32, 0, n)
	for i, w := range b {
		for ; w != 0; w &= w - 1 {
			ms = append(ms, uint32(i*64+bits.TrailingZeros64(w)))
		}
	}
	return ms
}

// ranks are how many members lie below each word.
func (b bitmap) ranks() []uint32 {
	rs := make([]uint32, len(b))
	n := uint32(0)
	for i, w := range b {
		rs[i] = n
		n += uint32(bits.OnesCount64(w))
	}
	return rs
}

// rank is how many members are less than i.
func (b bitmap) rank(ranks []uint32, i uint32) uint32 {
	return ranks[i/64] + uint32(bits.OnesCount64(b[i/64]&(1<<(i%64)-1)))
}
