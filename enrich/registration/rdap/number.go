package rdap

import (
	"net/netip"
	"strconv"
	"strings"
)

// number reads a member that networks (RFC 9083 §5.4) and AS numbers (§5.5) have, or an entity that was asked for itself.
func (d *document) number(name []byte, c *cursor) {
	switch string(name) {
	case "startAddress":
		d.Start = parseAddr(c.text())
	case "endAddress":
		d.End = parseAddr(c.text())
	case "cidr0_cidrs":
		d.readCIDRs(c)
	case "startAutnum":
		d.StartAS, d.asNumber = parseAS(c.text())
	case "endAutnum":
		d.EndAS, _ = parseAS(c.text())
	case "name":
		d.Name = c.text()
	case "type":
		d.Type = c.text()
	case "country":
		d.Country = strings.ToUpper(c.text())
	case "parentHandle":
		d.Parent = c.text()
	case "vcardArray":
		d.self.read(c)
	}
}

// readCIDRs reads the prefixes that the cidr0 extension of the RIRs gives beside first and last address.
func (d *document) readCIDRs(c *cursor) {
	for range c.values() {
		var a netip.Addr
		bits := -1
		for name := range c.members() {
			switch string(name) {
			case "v4prefix", "v6prefix":
				a = parseAddr(c.text())
			case "length":
				if n, err := strconv.Atoi(c.text()); err == nil {
					bits = n
				}
			}
		}
		if p := netip.PrefixFrom(a, bits); p.IsValid() && len(d.cidrs) < maxValues {
			d.cidrs = append(d.cidrs, p.Masked())
		}
	}
}

// finishNumber makes range and prefixes agree: first and last address are what RFC 9083 has, and count where both are there.
func (d *document) finishNumber() {
	if d.EndAS < d.StartAS {
		d.EndAS = d.StartAS
	}
	if d.Class != ClassNetwork {
		d.Start, d.End = netip.Addr{}, netip.Addr{}
		return
	}
	if d.Start.BitLen() != d.End.BitLen() || d.End.Less(d.Start) {
		d.Start, d.End = netip.Addr{}, netip.Addr{}
	}
	if !d.Start.IsValid() && len(d.cidrs) == 1 {
		d.Start, d.End = d.cidrs[0].Addr(), lastOf(d.cidrs[0])
	}
	if d.Start.IsValid() {
		d.Prefixes = cover(d.Start, d.End)
	}
}

// parseAddr is an address without a zone; some servers write a prefix, of which it is the address. Zero for anything else.
func parseAddr(s string) netip.Addr {
	s, _, _ = strings.Cut(s, "/")
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}
	}
	return a.Unmap()
}

func parseAS(s string) (uint32, bool) {
	if len(s) > 2 && strings.EqualFold(s[:2], "AS") {
		s = s[2:]
	}
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil
}

// cover are the fewest prefixes that hold first to last and nothing else, of which there are no more than 254.
func cover(first, last netip.Addr) (list []netip.Prefix) {
	for {
		p := netip.PrefixFrom(first, first.BitLen())
		for p.Bits() > 0 {
			wider := netip.PrefixFrom(first, p.Bits()-1)
			if wider.Masked().Addr() != first || last.Less(lastOf(wider)) {
				break
			}
			p = wider
		}
		list = append(list, p)
		end := lastOf(p)
		if end == last {
			return list
		}
		first = end.Next()
	}
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
