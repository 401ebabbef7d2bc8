package enrich

import (
	"net/netip"
	"strconv"
	"strings"
)

// parseRange reads first-last, the last in full or, in IPv4, as its last number alone. ok says that s is meant as a range.
func parseRange(s string) (first, last netip.Addr, reason string, ok bool) {
	from, to, ok := strings.Cut(s, "-")
	if !ok {
		from, to, ok = strings.Cut(s, "–")
	}
	if !ok {
		return first, last, "", false
	}
	from, to = strings.TrimSpace(from), strings.TrimSpace(to)
	if first, ok = parseAddr(unwrap(from)); !ok {
		return first, last, "", false
	}
	if last, ok = parseAddr(unwrap(to)); !ok && first.Is4() && to != "" && classify(to) == digit {
		n, err := strconv.ParseUint(to, 10, 8)
		if err != nil || len(to) > 1 && to[0] == '0' {
			return first, last, "a range whose end, " + cut(to, 20) + ", is no number up to 255", true
		}
		b := first.As4()
		b[3] = byte(n)
		last, ok = netip.AddrFrom4(b), true
	}
	switch {
	case !ok:
		return first, last, "", false
	case first.Is4() != last.Is4():
		return first, last, "a range from an IPv4 to an IPv6 address", true
	case last.Less(first):
		return first, last, "a range that ends before it starts", true
	}
	return first, last, "", true
}

// appendCover appends the fewest prefixes that hold first to last and nothing else, as subjects.
func appendCover(ss []Subject, first, last netip.Addr) []Subject {
	for {
		p, end := largest(first, last)
		if p.IsSingleIP() {
			ss = append(ss, AddressOf(first))
		} else {
			ss = append(ss, PrefixOf(p))
		}
		if end == last {
			return ss
		}
		first = end.Next()
	}
}

// largest is the shortest prefix that starts at first and ends at last or before, and its last address.
func largest(first, last netip.Addr) (p netip.Prefix, end netip.Addr) {
	p, end = netip.PrefixFrom(first, first.BitLen()), first
	for n := first.BitLen() - 1; n >= 0; n-- {
		q := netip.PrefixFrom(first, n)
		if q.Masked().Addr() != first {
			return p, end
		}
		e := lastOf(q)
		if last.Less(e) {
			return p, end
		}
		p, end = q, e
	}
	return p, end
}

// lastOf is the last address of p.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
