package egress

import (
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// ParseHost is the host of a URL or of an address to dial in the one form that is compared and dialled: an address as
// [netip.Addr.String] writes it, without brackets and never IPv4-mapped; a name in lower case and A-labels, without the final
// dot. What reads as a number ("2130706433", "0x7f.1", "127.1", "010.0.0.1") is an error: resolvers differ on which address that
// is, and some take it for 127.0.0.1. The error is a [*RefusedError].
func ParseHost(s string) (string, error) {
	host := s
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
		if !strings.Contains(host, ":") {
			return "", &RefusedError{Host: s, Why: "no IPv6 address in the brackets"}
		}
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if !plainZone(a.Zone()) {
			return "", &RefusedError{Host: s, Why: "not the name of a network interface"}
		}
		return a.Unmap().String(), nil
	}
	name := strings.TrimSuffix(host, ".")
	if !isASCII(name) {
		ascii, err := idna.Lookup.ToASCII(name)
		if err != nil {
			return "", &RefusedError{Host: s, Why: "not a host name"}
		}
		name = ascii
	}
	name = strings.ToLower(name)
	if !isName(name) {
		return "", &RefusedError{Host: s, Why: "not a host name"}
	}
	if endsInNumber(name) {
		return "", &RefusedError{Host: s, Why: "a number, but not an address as it is usually written"}
	}
	return name, nil
}

// isName reports whether s is labels of letters, digits, hyphens and underscores (which no host should have, but some do) within
// the sizes of RFC 1035 §2.3.4.
func isName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; !isAlnum(c) && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

// endsInNumber reports whether the last label of name is a number, decimal, octal or hexadecimal. No top-level domain is one, and
// getaddrinfo takes such names for IPv4 addresses.
func endsInNumber(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(last, "0123456789") == ""
}

// plainZone keeps what is no interface's name out of messages and system calls.
func plainZone(zone string) bool {
	for i := range len(zone) {
		if c := zone[i]; !isAlnum(c) && (c < 'A' || c > 'Z') && c != '-' && c != '_' && c != '.' && c != ':' && c != '@' {
			return false
		}
	}
	return len(zone) <= 64
}

func isAlnum(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
