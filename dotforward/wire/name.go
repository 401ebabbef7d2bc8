package wire

import (
	"bytes"
	"encoding/binary"
)

const (
	maxName     = 255
	maxLabel    = 63
	maxPointers = 126 // a name of 255 bytes has at most 127 labels, so that no honest one follows more
)

// questionName is where the name at off ends, which must not be compressed: there is nothing before a question to point to.
func questionName(msg []byte, off int) (end int, ok bool) {
	for start := off; off < len(msg); {
		c := int(msg[off])
		off++
		if c == 0 {
			return off, off-start <= maxName
		}
		if c > maxLabel {
			return 0, false
		}
		off += c
	}
	return 0, false
}

// skipName is where the name at off ends. Compression pointers are followed, to know that the name is one; each must point to a
// name that ends before the labels that the pointer ends, so that there is no loop and nothing is read in two ways.
func skipName(msg []byte, off int) (end int, ok bool) {
	length, pointers := 1, 0
	for start, limit := off, len(msg); off < limit; {
		c := int(msg[off])
		off++
		switch {
		case c == 0:
			if pointers == 0 {
				end = off
			}
			return end, true
		case c <= maxLabel:
			off += c
			if length += c + 1; length > maxName {
				return 0, false
			}
		case c >= 0xc0:
			if off >= limit {
				return 0, false
			}
			target := (c&^0xc0)<<8 | int(msg[off])
			if pointers == 0 {
				end = off + 1
			}
			if pointers++; pointers > maxPointers || target >= start || target < HeaderLen {
				return 0, false
			}
			off, limit, start = target, start, target
		default: // 0x40 and 0x80 are reserved
			return 0, false
		}
	}
	return 0, false
}

// lowerWord turns the upper-case ASCII letters among 8 bytes into lower case, leaving all others.
func lowerWord(x uint64) uint64 {
	const ones = 0x0101010101010101
	low7 := x & (0x7f * ones)
	upper := (low7 + (0x80-'A')*ones) &^ (low7 + (0x7f-'Z')*ones) &^ x & (0x80 * ones)
	return x | upper>>2
}

// Lower writes name, in wire form, into dst with its letters in lower case, as names are compared (RFC 4343), and returns how many
// bytes that were. The lengths of labels stand below the letters and are not touched. It writes up to 7 bytes beyond the name.
func Lower(dst, name []byte) int {
	n := copy(dst, name)
	i := 0
	for ; i+8 <= len(dst) && i < n; i += 8 {
		binary.LittleEndian.PutUint64(dst[i:], lowerWord(binary.LittleEndian.Uint64(dst[i:])))
	}
	for ; i < n; i++ {
		if c := dst[i]; c-'A' < 26 {
			dst[i] = c | 0x20
		}
	}
	return n
}

// SameQuestion reports whether msg asks or answers key, a question as [Query.Key] has it. Letters match in either case.
func SameQuestion(msg, key []byte) bool {
	n := len(key) - 4 // type and class are compared as they are
	if n < 1 || len(msg) < HeaderLen+len(key) || count(msg, qdcount) != 1 {
		return false
	}
	name, rest := msg[HeaderLen:HeaderLen+n], msg[HeaderLen+n:HeaderLen+n+4]
	if !bytes.Equal(rest, key[n:]) {
		return false
	}
	i := 0
	for ; i+8 <= n; i += 8 {
		if lowerWord(binary.LittleEndian.Uint64(name[i:])) != binary.LittleEndian.Uint64(key[i:]) {
			return false
		}
	}
	for ; i < n; i++ {
		c := name[i]
		if c-'A' < 26 {
			c |= 0x20
		}
		if c != key[i] {
			return false
		}
	}
	return true
}
