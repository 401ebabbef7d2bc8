package enrich

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

const (
	maxDomain = 253 // octets of a domain name in text, without its final dot (RFC 1035 §2.3.4)
	maxLabel  = 63  // octets of a label
)

// lookup maps U-labels to A-labels as a client that looks a name up does (RFC 5891 §5, UTS 46). What ASCII may be in a label is
// checked here, since underscores and hyphens in odd places are in use.
var lookup = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false),
	idna.StrictDomainName(false), idna.CheckHyphens(false))

// DomainOf is the Subject of a domain name that the caller has from the wire or a file: in A-labels, in any case, with or
// without the final dot, in the presentation form of RFC 1035 §5.1 if it has odd bytes. It checks no more than length and that
// all is printable ASCII without white space, and returns the zero Subject otherwise. It may retain name.
func DomainOf(name string) Subject {
	name = strings.TrimSuffix(name, ".")
	m := classify(name)
	if name == "" || len(name) > maxDomain || m&(control|space|high) != 0 {
		return Subject{}
	}
	if m&upper == 0 {
		return Subject{kind: Domain, name: name}
	}
	return Subject{kind: Domain, name: strings.ToLower(name), written: name}
}

// NameOf is the Subject of kind Name of a word of at most 255 bytes that is printable and without white space, or the zero
// Subject. It retains word.
func NameOf(word string) Subject {
	if word == "" || len(word) > maxName || nameReason(word) != "" {
		return Subject{}
	}
	return Subject{kind: Name, name: word}
}

func wordOf(s string) (Subject, string) {
	if reason := nameReason(s); reason != "" {
		return Subject{}, reason
	}
	return Subject{kind: Name, name: strings.Clone(s)}, ""
}

func nameReason(s string) string {
	if len(s) > maxName {
		return "longer than " + strconv.Itoa(maxName) + " bytes"
	}
	for _, r := range s {
		if r == ' ' || !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return "contains a character that cannot be shown"
		}
	}
	return ""
}

// parseName reads a domain, a reverse name, or any other word.
func parseName(s string, m class) (Subject, string) {
	if s[0] == '.' && strings.LastIndexByte(s, '.') == 0 && m&^hostBytes == 0 && isTLD(strings.ToLower(s[1:])) {
		s = s[1:] // ".com", as top-level domains are written
	}
	if s[0] == '.' || m&^(hostBytes|high) != 0 {
		return wordOf(s)
	}
	if t, ok := strings.CutSuffix(s, "."); ok && t[len(t)-1] != '.' {
		return parse(t)
	}
	if m&high != 0 {
		return parseULabels(s)
	}
	name := s
	if m&upper != 0 {
		name = strings.ToLower(s)
	}
	dot := strings.LastIndexByte(name, '.')
	switch last := name[dot+1:]; {
	case isNumeric(last) && isNumericAll(name):
		return Subject{}, numericReason(name, false)
	case dot < 0 && !isTLD(name), isNumeric(last):
		return wordOf(s)
	}
	if sub, ok := parseReverse(name); ok {
		return sub, ""
	}
	if reason := domainReason(name); reason != "" {
		return Subject{}, reason
	}
	if name == s {
		return Subject{kind: Domain, name: strings.Clone(s)}, ""
	}
	return Subject{kind: Domain, name: name, written: strings.Clone(s)}, ""
}

// parseULabels reads a word with other than ASCII characters: what it is mapped to, if that is more than a word.
func parseULabels(s string) (Subject, string) {
	ascii, err := lookup.ToASCII(s)
	if err == nil && ascii != "" && classify(ascii)&^hostBytes == 0 {
		sub, reason := parse(ascii)
		switch {
		case sub.kind == Name:
			return wordOf(s)
		case sub.kind == Domain && nameReason(s) == "": // nothing invisible is remembered
			sub.written = strings.Clone(s)
		}
		return sub, reason
	}
	if strings.Contains(s, ".") {
		return Subject{}, "not a domain name (RFC 5891)"
	}
	return wordOf(s)
}

// isNumericAll reports whether a dotted word can only be meant as an IPv4 address: every label, as far as it is there, is a number.
func isNumericAll(name string) bool {
	for label := range strings.SplitSeq(name, ".") {
		if label != "" && !isNumeric(label) {
			return false
		}
	}
	return true
}

// domainReason says what is wrong with a domain of hostBytes, if anything. Hyphens at the ends of a label and underscores, which
// RFC 1123 §2.1 has no room for, are in the lists of the most used names.
func domainReason(name string) string {
	if len(name) > maxDomain {
		return "a domain name is no longer than " + strconv.Itoa(maxDomain) + " bytes"
	}
	for label := range strings.SplitSeq(name, ".") {
		switch n := len(label); {
		case n == 0:
			return "a domain name with an empty label"
		case n > maxLabel:
			return "a label of a domain name is no longer than " + strconv.Itoa(maxLabel) + " bytes"
		}
	}
	return ""
}

// isICANN reports whether name ends in a suffix of the public suffix list's ICANN division: whether it is a name of the
// public DNS.
func isICANN(name string) bool {
	_, icann := publicsuffix.PublicSuffix(name)
	return icann
}

// isTLD reports whether a label is a top-level domain. Some are in the list only through what is below them (*.np).
func isTLD(label string) bool { return isICANN(label) || isICANN("0."+label) }

// parseReverse reads a name below in-addr.arpa or ip6.arpa, in lower case, as the address or prefix it stands for. Names that
// stand for none, such as a delegation's own, are domains.
func parseReverse(name string) (Subject, bool) {
	if s, ok := strings.CutSuffix(name, ".in-addr.arpa"); ok {
		return reverseIPv4(s)
	}
	if s, ok := strings.CutSuffix(name, ".ip6.arpa"); ok {
		return reverseIPv6(s)
	}
	return Subject{}, false
}

func reverseIPv4(s string) (Subject, bool) {
	length := 0
	if first, rest, ok := strings.Cut(s, "/"); ok { // RFC 2317: first/length.c.b.a
		l, rest, _ := strings.Cut(rest, ".")
		n, err := strconv.Atoi(l)
		if err != nil || n < 25 || n > 31 || len(l) != 2 || strings.Count(rest, ".") != 2 {
			return Subject{}, false
		}
		s, length = first+"."+rest, n
	}
	var b [4]byte
	n := 0
	for s != "" {
		i := strings.LastIndexByte(s, '.')
		v, err := strconv.ParseUint(s[i+1:], 10, 8)
		if err != nil || n == 4 || s[i+1] == '0' && len(s)-i > 2 || i == 0 {
			return Subject{}, false
		}
		b[n] = byte(v)
		n++
		s = s[:max(i, 0)]
	}
	a := netip.AddrFrom4(b)
	switch {
	case n == 0:
		return Subject{}, false
	case length > 0:
		return PrefixOf(netip.PrefixFrom(a, length)), true
	case n == 4:
		return AddressOf(a), true
	}
	return PrefixOf(netip.PrefixFrom(a, n*8)), true
}

func reverseIPv6(s string) (Subject, bool) {
	var b [16]byte
	if len(s)%2 == 0 || len(s) > 63 {
		return Subject{}, false
	}
	n := (len(s) + 1) / 2
	for i := range n {
		at := len(s) - 1 - 2*i
		v, err := strconv.ParseUint(s[at:at+1], 16, 8)
		if err != nil || at > 0 && s[at-1] != '.' {
			return Subject{}, false
		}
		b[i/2] |= byte(v) << (4 - 4*(i%2))
	}
	a := netip.AddrFrom16(b)
	if n == 32 {
		return AddressOf(a), true
	}
	return PrefixOf(netip.PrefixFrom(a, n*4)), true
}
