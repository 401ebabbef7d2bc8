package lists

import (
	"hash/maphash"
	"math/bits"
)

// table finds the entries of a name among those of several files. It is built once and then only read.
type table struct {
	groups []group
	chunks []chunk // of all files
	owner  []uint16
	count  int
}

// group is a bucket of the hash table, one line of the processor's cache. Entries that find theirs full are in the next.
type group struct {
	tags   [groupSize]uint8  // of the hash, 0 where the place is free
	places [groupSize]uint32 // where the entries are
	_      [4]byte
}

const (
	groupSize = 12
	groupFill = 8 // entries a group on average; with 8 of 12, one in 14 overflows
)

// seed is secret, so that nobody can choose names that fall on one place of the tables.
var seed = maphash.MakeSeed()

// newTable makes a table with room for the entries of these files, and takes their chunks; it puts no entry in.
func newTable(arenas []*arena) (*table, error) {
	t := new(table)
	n := 0
	for i, a := range arenas {
		n += a.count
		for _, c := range a.chunks {
			t.chunks = append(t.chunks, c)
			t.owner = append(t.owner, uint16(i))
		}
	}
	if len(t.chunks) > maxChunks || len(arenas) > 1<<16 {
		return nil, errTooLarge
	}
	t.groups = make([]group, n/groupFill+1)
	return t, nil
}

// entry is what is at a place.
func (t *table) entry(place uint32) entry {
	return entry(t.chunks[place>>chunkBits].data[place&(chunkSize-1):])
}

// ownerOf is the index of the file that an entry is in.
func (t *table) ownerOf(place uint32) int { return int(t.owner[place>>chunkBits]) }

// lineOf is the line of the file that an entry is in.
func (t *table) lineOf(place uint32) int {
	return t.chunks[place>>chunkBits].line + t.entry(place).line()
}

// probe walks the entries of one name, in the order in which they were put in.
type probe struct {
	group uint64
	slot  int
	tag   uint8
}

func (t *table) probe(name []byte) probe {
	hash := maphash.Bytes(seed, name)
	g, _ := bits.Mul64(hash, uint64(len(t.groups)))
	return probe{group: g, tag: uint8(hash)%255 + 1}
}

// next is the next entry of the name, not ok where there is none; p is then where one can be put.
func (t *table) next(p *probe, name []byte) (place uint32, ok bool) {
	for {
		g := &t.groups[p.group]
		for i := p.slot; i < groupSize; i++ {
			switch g.tags[i] {
			case 0:
				p.slot = i
				return 0, false
			case p.tag:
				if place := g.places[i]; t.entry(place).is(name) {
					p.slot = i + 1
					return place, true
				}
			}
		}
		p.slot = 0
		if p.group++; p.group == uint64(len(t.groups)) {
			p.group = 0
		}
	}
}

// put puts an entry where p, at its end, has found room.
func (t *table) put(p probe, place uint32) {
	t.groups[p.group].tags[p.slot], t.groups[p.group].places[p.slot] = p.tag, place
	t.count++
}
