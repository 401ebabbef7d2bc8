package lists

import (
	"bytes"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

const (
	maxName  = 255 // bytes of a name on the wire (RFC 1035 §2.3.4)
	maxLabel = 63
)

// AppendName appends the wire form of a name, in lower case, its final root label included. It takes what lists have: letters,
// digits, hyphens and underscores, a final dot or none, U-labels as IDNA2008 looks them up; it reports false for anything else,
// and for the root.
func AppendName(dst []byte, text []byte) ([]byte, bool) {
	if n := len(text); n > 1 && text[n-1] == '.' {
		text = text[:n-1]
	}
	start := len(dst)
	dst = append(dst, 0)
	length := start // where the length of the label at hand is
	for _, c := range text {
		switch {
		case c == '.':
			if !closeLabel(dst, length) {
				return dst[:start], false
			}
			length = len(dst)
			c = 0
		case 'A' <= c && c <= 'Z':
			c |= 0x20
		case c >= 0x80:
			return appendULabels(dst[:start], text)
		case c < '0' && c != '-' || c > '9' && c < 'a' && c != '_' || c > 'z':
			return dst[:start], false
		}
		dst = append(dst, c)
	}
	if !closeLabel(dst, length) || len(dst)-start+1 > maxName {
		return dst[:start], false
	}
	return append(dst, 0), true
}

func closeLabel(dst []byte, length int) bool {
	n := len(dst) - length - 1
	dst[length] = byte(n)
	return 0 < n && n <= maxLabel
}

func appendULabels(dst, text []byte) ([]byte, bool) {
	if !utf8.Valid(text) {
		return dst, false
	}
	ascii, err := idna.Lookup.ToASCII(string(text))
	if err != nil || !isASCII(ascii) {
		return dst, false
	}
	return AppendName(dst, []byte(ascii))
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}

// nameText is a wire name as lists have it, without a final dot. It trusts the name.
func nameText(wire []byte) string {
	var b strings.Builder
	for len(wire) > 0 && wire[0] != 0 {
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.Write(wire[1 : 1+wire[0]])
		wire = wire[1+wire[0]:]
	}
	return b.String()
}

// nameLen is the length of the wire name that b starts with, 0 where there is none.
func nameLen(b []byte) int {
	for i := 0; i < len(b) && i < maxName; i += 1 + int(b[i]) {
		if b[i] == 0 {
			return i + 1
		}
		if b[i] > maxLabel {
			return 0
		}
	}
	return 0
}

// labels is the number of labels before the root of the wire name that b is; 0 where it is the root, or no name.
func labels(b []byte) int {
	n := 0
	for i := 0; i < len(b) && i < maxName; n++ {
		length := int(b[i])
		if length == 0 {
			if i+1 != len(b) {
				return 0
			}
			return n
		}
		if length > maxLabel {
			return 0
		}
		i += 1 + length
	}
	return 0
}

// isUnder reports whether name is parent or lies under it, both on the wire.
func isUnder(name, parent []byte) bool {
	for len(name) >= len(parent) && len(name) > 1 {
		if bytes.Equal(name, parent) {
			return true
		}
		name = name[1+name[0]:]
	}
	return false
}

// addressOf is the address that text is, in the forms that hosts files have. Only what looks like one is parsed, as lists have
// many names.
func addressOf(text []byte) (netip.Addr, bool) {
	if len(text) == 0 || len(text) > 64 {
		return netip.Addr{}, false
	}
	last := text[len(text)-1]
	if bytes.IndexByte(text, ':') < 0 && (last < '0' || last > '9' || text[0] < '0' || text[0] > '9') {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(string(text))
	return a, err == nil
}
