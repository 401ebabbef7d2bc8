package annotate

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"unsafe"
)

// maxIPv6 is the length of the longest IPv6 address in text, without a zone.
const maxIPv6 = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")

// isIPv6 takes the address that has its first colon at i for the next one, if it is one (RFC 4291 §2.2). Times of day and hardware
// addresses have colons too, but no two together, and not enough.
func (f *finder) isIPv6(i int) bool {
	const most = 7 // colons where no two are together, six where an IPv4 address is the end
	b := f.text
	to, colons := i, 0
	for to < len(b) && to-i <= maxIPv6 && (is(b[to], hex) || b[to] == ':' || b[to] == '.') {
		if b[to] == ':' {
			if colons++; to > i && b[to-1] == ':' {
				colons += most
			}
		}
		to++
	}
	from, start := i, f.from6
	if f.from6 = to; colons < most-1 {
		return false
	}
	for from > start && is(b[from-1], hex) {
		from--
	}
	return f.parse6(from, to)
}

// parse6 takes the text's [from, to), what an address could be made of, for the next address if it is one.
func (f *finder) parse6(from, to int) bool {
	b := f.text
	for to > from && b[to-1] == '.' {
		to--
	}
	if to-from > 2 && b[to-1] == ':' && b[to-2] != ':' {
		to-- // what follows the address
	}
	if to-from > 2 && b[from] == ':' && b[from+1] != ':' {
		from++ // what is before it
	} else if from > 0 && (b[from-1] == ':' || is(b[from-1], word) && !f.isEscape(from-1)) {
		return false
	}
	if to < len(b) && (is(b[to], word) || b[to] >= 0x80) || to+1 < len(b) && b[to] == '.' && is(b[to+1], word) {
		return false
	}
	if to-from < 2 || to-from > maxIPv6 {
		return false
	}
	if s := b[from:to]; !bytes.Contains(s, []byte("::")) {
		if n := bytes.Count(s, []byte(":")); n != 7 && (n != 6 || bytes.IndexByte(s, '.') < 0) {
			return false // before the parser, which makes an error of it
		}
	}
	a, err := netip.ParseAddr(unsafe.String(&b[from], to-from))
	if err != nil || !a.Is6() {
		return false
	}
	f.address = hit{from: from, to: f.zone(to), is6: true}
	if a = a.Unmap(); a.Is4() {
		q := a.As4()
		f.address.v4, f.address.is6 = binary.BigEndian.Uint32(q[:]), false
		return true
	}
	q := a.As16()
	f.address.hi, f.address.lo = binary.BigEndian.Uint64(q[:8]), binary.BigEndian.Uint64(q[8:])
	return true
}

// zone is the end of the zone (RFC 4007 §11) that begins at i, i where none does.
func (f *finder) zone(i int) int {
	b := f.text
	if i+1 >= len(b) || b[i] != '%' || !is(b[i+1], word) {
		return i
	}
	for i++; i < len(b) && is(b[i], host); i++ {
	}
	for b[i-1] == '.' {
		i--
	}
	return i
}
