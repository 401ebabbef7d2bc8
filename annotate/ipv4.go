package annotate

import (
	"bytes"
	"strings"
)

// class says what a byte may be part of.
type class uint8

const (
	digit  class = 1 << iota
	hex          // of an IPv6 address
	letter       // of ASCII
	word         // letters, digits, underscore
	host         // of a name: letters, digits, hyphen, underscore, dot
	border       // ends a word: white space, quotes, brackets, separators
)

var classes = func() (t [256]class) {
	for c := range t {
		switch {
		case '0' <= c && c <= '9':
			t[c] = digit | hex | word | host
		case 'a' <= c|0x20 && c|0x20 <= 'z' && c < 0x80:
			t[c] = letter | word | host
			if c|0x20 <= 'f' {
				t[c] |= hex
			}
		case c == '_':
			t[c] = word | host
		case c == '-' || c == '.':
			t[c] = host
		case c <= ' ' || c < 0x80 && strings.IndexByte("\"'`()[]{}<>;,|", byte(c)) >= 0:
			t[c] = border
		}
	}
	return t
}()

func is(c byte, of class) bool { return classes[c]&of != 0 }

// isIPv4 takes the address whose first dot is at i for the next one, if it is one: four numbers, which nothing continues that would
// make them another thing.
func (f *finder) isIPv4(i int) bool {
	b := f.text
	if i+1 == len(b) || !is(b[i-1], digit) || !is(b[i+1], digit) {
		return false
	}
	from := i - 1
	for from > f.from4 && i-from < 3 && is(b[from-1], digit) {
		from--
	}
	if to, v, ok := quad(b, from); ok && f.isAddress4(from, to) {
		f.address = hit{from: from, to: to, v4: v}
		return true
	}
	for i < len(b) && (is(b[i], digit) || b[i] == '.') {
		i++
	}
	f.from4 = i
	return false
}

// quad reads four decimal numbers and the dots between them, from where b has the first. A leading zero, which some programs take
// for octal, makes it none.
func quad(b []byte, from int) (to int, v uint32, ok bool) {
	var n uint32
	digits, dots := 0, 0
	for i := from; ; i++ {
		c := uint32(' ')
		if i < len(b) {
			c = uint32(b[i])
		}
		if d := c - '0'; d <= 9 {
			if n = n*10 + d; n > 255 || n < 10 && digits > 0 { // more digits than the number has: a leading zero
				return 0, 0, false
			}
			digits++
			continue
		}
		if digits == 0 {
			return 0, 0, false
		}
		v = v<<8 | n
		if dots == 3 {
			return i, v, true
		}
		if c != '.' {
			return 0, 0, false
		}
		n, digits = 0, 0
		dots++
	}
}

// isAddress4 tells the address at [from, to) from a part of something longer: a version, an object identifier, a host name.
func (f *finder) isAddress4(from, to int) bool {
	b := f.text
	if to < len(b) {
		c := b[to]
		if is(c, word) || c >= 0x80 {
			return false
		}
		if next := to + 1; next < len(b) && (c == '.' && is(b[next], word) || c == '-' && is(b[next], letter)) {
			return false
		}
	}
	if from == 0 {
		return true
	}
	switch c := b[from-1]; {
	case is(c, word):
		return f.isEscape(from - 1)
	case c == '.', c == '-' && from > 1 && is(b[from-2], letter):
		return false
	case c == ':':
		return !isRevision(b[:from])
	case c == '/':
		return !isProduct(b[:from-1]) || to < len(b) && (b[to] == '(' || b[to] == ':' || b[to] == '/')
	}
	return true
}

// isEscape reports that the letter at i ends an escape in a JSON string, as in "\n192.0.2.1".
func (f *finder) isEscape(i int) bool {
	if !f.escaped || strings.IndexByte("nrtbf", f.text[i]) < 0 {
		return false
	}
	n := 0
	for n < i && f.text[i-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

// isRevision reports that b ends in "rv:" as Mozilla's user agents have it before a version.
func isRevision(b []byte) bool {
	return bytes.HasSuffix(b, []byte("rv:")) && (len(b) == 3 || is(b[len(b)-4], border))
}

// isProduct reports that b ends in the name of a product, so that a slash and a version follow (RFC 9110 §10.1.5). In a path, a
// slash or another mark is before the word; a firewall's interface/address(port) is told by what follows.
func isProduct(b []byte) bool {
	i, letters := len(b), false
	for i > 0 && len(b)-i < 64 && (is(b[i-1], host) || b[i-1] == '+') {
		i--
		letters = letters || is(b[i], letter)
	}
	return letters && (i == 0 || is(b[i-1], border))
}
