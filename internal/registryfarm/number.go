package registryfarm

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Network are what the farm's registries know about a network or an AS number. As with names, everything follows from the number.
type Network struct {
	Handle           string
	Prefix           netip.Prefix // of networks: all of it
	AS               uint32       // of AS numbers
	Name             string
	Country          string
	Type             string
	Created, Updated time.Time
	Organization     string // of the registrant
	AbuseEmail       string
}

// ExpectedNetwork is what is known about the network that an address or prefix is in: blocks of /20 and /40, or p itself where that is
// larger.
func ExpectedNetwork(p netip.Prefix) Network {
	bits := 20
	if p.Addr().Is6() {
		bits = 40
	}
	block, err := p.Addr().Prefix(min(bits, p.Bits()))
	if err != nil {
		return Network{}
	}
	a := block.Addr().As16()
	h := mix(binary.BigEndian.Uint64(a[:8]) ^ mix(binary.BigEndian.Uint64(a[8:])+uint64(block.Bits())))
	n := numberFacts(h)
	n.Prefix = block
	n.Handle, n.Name = "NET-"+strconv.FormatUint(h>>40, 10), "FARM-NET-"+strconv.FormatUint(h>>44, 10)
	n.Type = [...]string{"ALLOCATED PA", "ASSIGNED PI", "DIRECT ALLOCATION"}[h%3]
	return n
}

// ExpectedAS is what is known about an AS number.
func ExpectedAS(as uint32) Network {
	h := mix(uint64(as) + 1<<40)
	n := numberFacts(h)
	n.AS = as
	n.Handle, n.Name, n.Type = "AS"+strconv.FormatUint(uint64(as), 10), "FARM-AS-"+strconv.FormatUint(h>>44, 10), "DIRECT ALLOCATION"
	return n
}

func numberFacts(h uint64) Network {
	f := Facts{}
	d := draw(h)
	f.setTimes(&d)
	f.setRegistrant(&d)
	return Network{
		Created: f.Created, Updated: f.Updated, Country: f.Registrant.Country, Organization: f.Registrant.Organization,
		AbuseEmail: "abuse" + strconv.Itoa(d.below(1000)) + "@carrier.example",
	}
}

// last is the last address of the network.
func (n Network) last() netip.Addr {
	b := n.Prefix.Addr().AsSlice()
	for i := n.Prefix.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// parsePrefix reads an address or a prefix.
func parsePrefix(s string) (netip.Prefix, bool) {
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		return p, err == nil
	}
	a, err := netip.ParseAddr(s)
	return netip.PrefixFrom(a, a.BitLen()), err == nil && a.Zone() == ""
}
