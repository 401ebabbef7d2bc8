package annotate

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// hit is an address in a text, or what may be a name.
type hit struct {
	from, to int // with its zone, without brackets and port
	v4       uint32
	hi, lo   uint64 // of an IPv6 address
	is6      bool
	isName   bool
}

// addr is the address.
func (h *hit) addr() netip.Addr {
	if !h.is6 {
		return netip.AddrFrom4([4]byte{byte(h.v4 >> 24), byte(h.v4 >> 16), byte(h.v4 >> 8), byte(h.v4)})
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], h.hi)
	binary.BigEndian.PutUint64(b[8:], h.lo)
	return netip.AddrFrom16(b)
}

// finder finds the addresses in a text, from its beginning to its end, and the names if it is told so.
type finder struct {
	text    []byte
	escaped bool // the text is JSON, where a letter may end an escape

	address, name hit // what comes next; from is len(text) where nothing does

	at           int    // where the block of 64 bytes begins that is looked at
	ahead        uint64 // the marks of the block behind it, see marksAt
	todo         uint64 // marks of the block that are yet to be looked at
	from4, from6 int    // where the next address may begin
}

// start begins with a text.
func (f *finder) start(text []byte, names, escaped bool) {
	f.text, f.escaped = text, escaped
	f.at, f.ahead, f.todo, f.from4, f.from6 = -64, marksAt(text, 0), 0, 0, 0
	f.nextAddress()
	f.name.from = len(text)
	if names {
		f.nextName(0)
	}
}

// next is the next address or name, false where there is none. What begins first is what there is: a name may have an address in
// it.
func (f *finder) next() (h hit, ok bool) {
	if h = f.address; f.name.from < h.from {
		h = f.name
	}
	if h.from == len(f.text) {
		return h, false
	}
	f.from4, f.from6 = max(f.from4, h.to), max(f.from6, h.to)
	if f.address.from < h.to {
		f.nextAddress()
	}
	if f.name.from < h.to {
		f.nextName(h.to)
	}
	return h, true
}

// nextAddress finds the next address by the first of its dots or colons, which has another one within five bytes.
func (f *finder) nextAddress() {
	b := f.text
	for {
		for f.todo == 0 {
			if f.at += 64; f.at >= len(b) {
				f.address.from = len(b)
				return
			}
			m, n := f.ahead, marksAt(b, f.at+64)
			f.ahead = n
			f.todo = m & (m>>1 | m>>2 | m>>3 | m>>4 | m>>5 | n<<63 | n<<62 | n<<61 | n<<60 | n<<59)
		}
		i := f.at + bits.TrailingZeros64(f.todo)
		f.todo &= f.todo - 1
		if b[i] == '.' && i > f.from4 && f.isIPv4(i) || b[i] == ':' && i >= f.from6 && f.isIPv6(i) {
			return
		}
	}
}

// marksAt has a bit for each of the 64 bytes from i on that is a dot or a colon, or, as they come with them, * or >.
func marksAt(b []byte, i int) uint64 {
	if i+64 > len(b) {
		var tail [64]byte
		if i >= len(b) {
			return 0
		}
		copy(tail[:], b[i:])
		return marksOf(&tail)
	}
	return marksOf((*[64]byte)(b[i:]))
}

func marksOf(b *[64]byte) uint64 {
	return marksOf8(b[0:8]) | marksOf8(b[8:16])<<8 | marksOf8(b[16:24])<<16 | marksOf8(b[24:32])<<24 |
		marksOf8(b[32:40])<<32 | marksOf8(b[40:48])<<40 | marksOf8(b[48:56])<<48 | marksOf8(b[56:64])<<56
}

// ones has a 1 in each byte of a word.
const ones = 0x0101010101010101

// marksOf8 looks at eight bytes together. Dot and colon are the same but for two bits; without these, and less what they have in
// common, they are 0, the only bytes that 0x7f makes no 0x80 of. The product gathers the bits that say so in its last byte.
func marksOf8(b []byte) uint64 {
	const differ, common, rest = '.' ^ ':', '.' & ':', 0x7f
	w := binary.LittleEndian.Uint64(b)&^(differ*ones) ^ common*ones
	w = (w&(rest*ones)+rest*ones|w)>>7&ones ^ ones
	return w * 0x0102040810204080 >> 56
}

// behind is where an annotation of the text's [from, to) goes: behind it, and behind the brackets that are around it alone.
func behind(text []byte, from, to int) int {
	if from > 0 && to < len(text) && text[from-1] == '[' && text[to] == ']' {
		return to + 1
	}
	return to
}
