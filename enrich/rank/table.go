package rank

import (
	"cmp"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"iter"
	"math"
	"math/bits"
	"slices"
	"strings"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/kept"
)

// The names of a list lie one behind the other in chunks, each as its rank (4 bytes), its length (1 byte) and its bytes; no name
// is spread over two chunks, and a length of 0 ends a chunk. So a list grows without being copied.
const (
	chunkBits = 20
	chunkSize = 1 << chunkBits
	maxChunks = 1 << (32 - chunkBits) // places of names are 32 bits wide
	head      = 5                     // bytes before a name
	maxName   = 253                   // bytes of a name (RFC 1035 §2.3.4, in text)
)

// keepBits says how many fragments are kept of each list: a network asks for a few thousand names most of the time.
const keepBits = 12

// seed is secret, so that nobody can choose names that fall on one place of the hash tables.
var seed = maphash.MakeSeed()

func hashOf(name string) uint64 { return maphash.String(seed, name) }

// list is one file's names with their ranks. It is immutable but for the fragments that it keeps.
type list struct {
	name    string // for rank_list
	licence string
	format  string
	chunks  [][]byte
	groups  []group
	count   int
	sorted  bool // the file had the names in the order of their ranks
	bytes   int64
	bad     int // lines that were not understood
	origin  *enrich.Origin
	kept    *kept.Cache[key, *enrich.Fragment]
}

// group is a bucket of the hash table, one line of the processor's cache. Names that find theirs full are in the next.
type group struct {
	tags   [groupSize]uint8  // of the hash, 0 where the place is free
	places [groupSize]uint32 // where the names are
	_      [4]byte
}

const (
	groupSize = 12
	groupFill = 8 // names a group on average; with 8 of 12, one in 14 overflows
)

// spread is the group that a hash belongs to, and its tag there.
func (l *list) spread(hash uint64) (g uint64, tag uint8) {
	g, _ = bits.Mul64(hash, uint64(len(l.groups)))
	return g, uint8(hash)%255 + 1
}

// key is what a fragment of a list is made of.
type key struct {
	place uint32
	exact bool
}

// builder takes in names and makes the hash table when all are there.
type builder struct {
	chunks [][]byte
	used   int // bytes of the last chunk
	count  int
	sorted bool
	last   uint32
}

var errTooLarge = errors.New("more names than a list can hold")

// add takes in a name of 1 to 253 bytes.
func (b *builder) add(rank uint32, name []byte) error {
	need := head + len(name)
	if len(b.chunks) == 0 || b.used+need > chunkSize {
		if len(b.chunks) == maxChunks-1 {
			return errTooLarge
		}
		b.chunks = append(b.chunks, make([]byte, chunkSize))
		b.used = 0
	}
	at := b.chunks[len(b.chunks)-1][b.used:]
	binary.LittleEndian.PutUint32(at, rank)
	at[4] = byte(len(name))
	copy(at[head:], name)
	b.used += need
	b.sorted = (b.sorted || b.count == 0) && rank >= b.last
	b.last = rank
	b.count++
	return nil
}

// build makes the list. Of a name that is there twice, the better rank counts.
func (b *builder) build() *list {
	l := &list{chunks: b.chunks, sorted: b.sorted}
	if n := len(l.chunks); n > 0 {
		l.chunks[n-1] = slices.Clone(l.chunks[n-1][:b.used]) // a list of ten names is small
	}
	l.groups = make([]group, b.count/groupFill+1)
	for place, name := range l.places() {
		if have, found := l.place(maphash.Bytes(seed, name), name, place); found {
			l.better(have, place)
			continue
		}
		l.count++
	}
	l.kept = kept.New[key, *enrich.Fragment](uint(min(keepBits, bits.Len(uint(l.count)))))
	return l
}

// better gives the name at place have the rank at place other, if that is better.
func (l *list) better(have, other uint32) {
	h, o := l.at(have), l.at(other)
	if r := binary.LittleEndian.Uint32(o); r < binary.LittleEndian.Uint32(h) {
		binary.LittleEndian.PutUint32(h, r)
		l.sorted = false
	}
	binary.LittleEndian.PutUint32(o, 0) // no rank: not one of Top's
}

// at is the chunk from a name's head on.
func (l *list) at(place uint32) []byte { return l.chunks[place>>chunkBits][place&(chunkSize-1):] }

// places are all names as they lie.
func (l *list) places() iter.Seq2[uint32, []byte] {
	return func(yield func(uint32, []byte) bool) {
		for c, chunk := range l.chunks {
			for at := 0; at+head <= len(chunk) && chunk[at+4] != 0; {
				end := at + head + int(chunk[at+4])
				if !yield(uint32(c<<chunkBits|at), chunk[at+head:end]) {
					return
				}
				at = end
			}
		}
	}
}

// is reports whether the name at place is name.
func (l *list) is(place uint32, name string) bool {
	e := l.at(place)
	return int(e[4]) == len(name) && string(e[head:head+len(name)]) == name
}

// place puts a name into the table, or tells where it is already.
func (l *list) place(hash uint64, name []byte, place uint32) (have uint32, found bool) {
	for g, tag := l.spread(hash); ; g = (g + 1) % uint64(len(l.groups)) {
		group := &l.groups[g]
		for i, t := range group.tags {
			switch {
			case t == 0:
				group.tags[i], group.places[i] = tag, place
				return place, false
			case t == tag && l.is(group.places[i], string(name)):
				return group.places[i], true
			}
		}
	}
}

// find looks a name up; rank is 0 where the list does not have it.
func (l *list) find(hash uint64, name string) (rank, place uint32) {
	for g, tag := l.spread(hash); ; g = (g + 1) % uint64(len(l.groups)) {
		group := &l.groups[g]
		for i, t := range group.tags {
			if t == 0 {
				return 0, 0
			}
			if t == tag && l.is(group.places[i], name) {
				return binary.LittleEndian.Uint32(l.at(group.places[i])), group.places[i]
			}
		}
	}
}

// top are the n best names in the order of their ranks.
func (l *list) top(n int) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		if n <= 0 {
			return
		}
		if !l.sorted {
			l.topUnsorted(n, yield)
			return
		}
		for place, name := range l.places() {
			rank := binary.LittleEndian.Uint32(l.at(place))
			if rank == 0 {
				continue
			}
			if !yield(int(rank), string(name)) {
				return
			}
			if n--; n == 0 {
				return
			}
		}
	}
}

func (l *list) topUnsorted(n int, yield func(int, string) bool) {
	type ranked struct{ rank, place uint32 }
	all := make([]ranked, 0, l.count)
	for place := range l.places() {
		if rank := binary.LittleEndian.Uint32(l.at(place)); rank != 0 {
			all = append(all, ranked{rank, place})
		}
	}
	slices.SortFunc(all, func(a, b ranked) int { return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.place, b.place)) })
	for _, r := range all[:min(n, len(all))] {
		e := l.at(r.place)
		if !yield(int(r.rank), string(e[head:head+int(e[4])])) {
			return
		}
	}
}

// clampRank is a rank as 32 bits; a longer one is no rank.
func clampRank(n uint64) (uint32, bool) { return uint32(n), n > 0 && n <= math.MaxUint32 }

// listName is what a file is called as a list: its name without what only says how it is packed.
func listName(base string) string {
	for {
		cut := base
		for _, ext := range []string{".gz", ".zip", ".csv", ".tsv", ".txt"} {
			if len(cut) > len(ext) && strings.EqualFold(cut[len(cut)-len(ext):], ext) {
				cut = cut[:len(cut)-len(ext)]
			}
		}
		if cut == base {
			return base
		}
		base = cut
	}
}
