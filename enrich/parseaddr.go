package enrich

import (
	"encoding/binary"
	"math"
	"net/netip"
	"strconv"
	"strings"
)

// parseAddr reads a plain address, without brackets or port, as most lines of a log have it: the quickest way out.
func parseAddr(s string) (netip.Addr, bool) {
	if a, ok := parseQuad(s); ok {
		return a, true
	}
	if len(s) < 2 || strings.IndexByte(s[:min(len(s), 5)], ':') < 0 {
		return netip.Addr{}, false
	}
	a, ok := parseIPv6(s)
	return a.Unmap(), ok
}

// parseQuad reads four decimal numbers and nothing else: no leading zero, which some programs take for octal.
func parseQuad(s string) (netip.Addr, bool) {
	if len(s) < len("0.0.0.0") || len(s) > len("255.255.255.255") {
		return netip.Addr{}, false
	}
	var ip, v uint32
	dots, digits := 0, 0
	for i := range len(s) {
		c := uint32(s[i]) - '0'
		switch {
		case c <= 9:
			if digits > 0 && v == 0 {
				return netip.Addr{}, false
			}
			if v = v*10 + c; v > 255 {
				return netip.Addr{}, false
			}
			digits++
		case s[i] == '.' && digits > 0:
			ip, v, digits = ip<<8|v, 0, 0
			dots++
		default:
			return netip.Addr{}, false
		}
	}
	if dots != 3 || digits == 0 {
		return netip.Addr{}, false
	}
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], ip<<8|v)
	return netip.AddrFrom4(b), true
}

// parseIPv6 reads an IPv6 address and drops its zone (RFC 4007): it means something on one machine only.
func parseIPv6(s string) (netip.Addr, bool) {
	if i := strings.IndexByte(s, '%'); i >= 0 {
		if classify(s[i+1:])&^hostBytes != 0 {
			return netip.Addr{}, false
		}
		s = s[:i]
	}
	a, err := netip.ParseAddr(s)
	return a, err == nil
}

// parsePrefix reads an address, in brackets or not, or the leading numbers of an IPv4 address, and a length. ok says that it
// is meant as a prefix.
func parsePrefix(addr, length string) (sub Subject, reason string, ok bool) {
	a, ok := parseQuad(addr)
	if !ok && strings.Contains(addr, ":") {
		a, ok = parseIPv6(unwrap(addr))
	}
	if !ok && classify(addr)&^(digit|dot) == 0 && addr != "" {
		if reason = numericReason(addr, true); reason != "" {
			return Subject{}, reason, true
		}
		a, ok = parseQuad(addr + strings.Repeat(".0", 3-strings.Count(addr, ".")))
	}
	if !ok {
		return Subject{}, "", false
	}
	n, err := strconv.Atoi(length)
	switch {
	case err != nil || n > a.BitLen():
		return Subject{}, "prefix length " + cut(length, 20) + " is more than " + strconv.Itoa(a.BitLen()), true
	case len(length) > 1 && length[0] == '0':
		return Subject{}, "prefix length " + cut(length, 20) + " has a leading zero", true
	}
	return PrefixOf(netip.PrefixFrom(a, n)), "", true
}

// parseSlash reads a prefix, a reverse name of RFC 2317, or a URL without its scheme if its host is beyond doubt. Anything else
// is a name, such as a path.
func parseSlash(s string) (Subject, string) {
	addr, rest, _ := strings.Cut(s, "/")
	if rest != "" && classify(rest) == digit {
		if sub, reason, ok := parsePrefix(addr, rest); ok {
			return sub, reason
		}
	}
	if _, ok := parseQuad(rest); ok {
		return Subject{}, "write the prefix length, as in /24, in place of a mask"
	}
	if sub, ok := parseReverse(strings.ToLower(strings.TrimSuffix(s, "."))); ok {
		return sub, ""
	}
	if addr != "" && !strings.Contains(s, "/..") {
		sub, reason := parse(addr)
		if reason == "" && (sub.kind == Address || sub.kind == Domain && strings.Contains(addr, ".") && isICANN(sub.name)) {
			return sub, ""
		}
	}
	return wordOf(s)
}

// numericReason says what is wrong with a word of dots and numbers, decimal or hexadecimal, that is no plain IPv4 address. Where
// short is set, fewer than four numbers are right.
func numericReason(s string, short bool) string {
	n := 0
	for label := range strings.SplitSeq(s, ".") {
		v, err := strconv.ParseUint(label, 10, 64)
		switch {
		case label == "":
			return "an IPv4 address with an empty number"
		case isHex(label):
			return cut(label, 20) + " is hexadecimal: write IPv4 addresses as four decimal numbers"
		case len(label) > 1 && label[0] == '0':
			return cut(label, 20) + " could be octal: write IPv4 addresses without leading zeros"
		case err != nil || v > 255:
			return cut(label, 20) + " is more than 255"
		}
		n++
	}
	if n > 4 || n < 4 && !short {
		return "an IPv4 address has four numbers"
	}
	return ""
}

// isNumeric reports whether a label is a number to a program that reads old forms of IPv4 addresses.
func isNumeric(label string) bool { return label != "" && classify(label) == digit || isHex(label) }

func isHex(label string) bool {
	return len(label) > 1 && len(label) <= len("0xffffffff") && label[0] == '0' && label[1]|0x20 == 'x' &&
		strings.Trim(label[2:], hexSet) == ""
}

const hexSet = "0123456789abcdefABCDEF"

// looksIPv6 reports whether a word has only what an IPv6 address has, and is no hardware address, which could be a name.
func looksIPv6(s string) bool {
	s, _, _ = strings.Cut(unwrap(s), "%")
	colons := strings.Count(s, ":")
	mac := len(s) == len("00:00:5e:00:53:00") && colons == 5
	return colons > 1 && !mac && strings.Trim(s, hexSet+":.") == ""
}

// parseAS reads an AS number: decimal, with or without AS or ASN before it, or asdot with it (RFC 5396). ok says that it is
// meant as one.
func parseAS(s string) (sub Subject, reason string, ok bool) {
	num, prefixed := s, false
	if len(s) > 2 && s[0]|0x20 == 'a' && s[1]|0x20 == 's' {
		num, prefixed = s[2:], true
		if num[0]|0x20 == 'n' {
			num = num[1:]
		}
		num = strings.TrimLeft(num, " \t")
	}
	high, low, dotted := strings.Cut(num, ".")
	if classify(high) != digit || dotted && (!prefixed || classify(low) != digit) {
		return Subject{}, "", false
	}
	if len(high) > 1 && high[0] == '0' || len(low) > 1 && low[0] == '0' {
		return Subject{}, "an AS number has no leading zero", true
	}
	limit := uint64(math.MaxUint32)
	if dotted {
		limit = math.MaxUint16
	}
	h, err := strconv.ParseUint(high, 10, 64)
	if err != nil || h > limit {
		return Subject{}, cut(high, 20) + " is more than " + strconv.FormatUint(limit, 10) + ", where AS numbers end", true
	}
	if !dotted {
		return ASOf(uint32(h)), "", true
	}
	l, err := strconv.ParseUint(low, 10, 64)
	if err != nil || l > limit {
		return Subject{}, cut(low, 20) + " is more than 65535, where the half of an AS number ends", true
	}
	return ASOf(uint32(h<<16 | l)), "", true
}
