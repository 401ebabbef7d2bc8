package egress

import (
	"fmt"
	"net/netip"
	"strings"
)

// RefusedError says that a host must not be dialled.
type RefusedError struct {
	Host string     // as it was asked for
	Addr netip.Addr // its address; the zero Addr where the host itself is refused
	Why  string     // "private use (RFC 1918)"
}

func (e *RefusedError) Error() string {
	if !e.Addr.IsValid() {
		return fmt.Sprintf("%q must not be dialled: %s", e.Host, e.Why)
	}
	if a := e.Addr.String(); a != e.Host {
		return fmt.Sprintf("%q must not be dialled: %s is %s", e.Host, a, e.Why)
	}
	return fmt.Sprintf("%q must not be dialled: %s", e.Host, e.Why)
}

type block struct {
	prefix netip.Prefix
	why    string
}

// notGlobal are the blocks that are not globally reachable by IANA's special-purpose address registries (RFC 6890), multicast, and
// what is not assigned to anybody. The few globally reachable /32s of 192.0.0.0/24 are anycast addresses of the own provider's
// equipment, so the block is refused as a whole.
var notGlobal = []block{
	{netip.MustParsePrefix("0.0.0.0/8"), "this host or network (RFC 791)"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private use (RFC 1918)"},
	{netip.MustParsePrefix("100.64.0.0/10"), "shared address space (RFC 6598)"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback (RFC 1122)"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local (RFC 3927)"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private use (RFC 1918)"},
	{netip.MustParsePrefix("192.0.0.0/24"), "IETF protocol assignments (RFC 6890)"},
	{netip.MustParsePrefix("192.0.2.0/24"), "documentation (RFC 5737)"},
	{netip.MustParsePrefix("192.88.99.0/24"), "6to4 relay anycast (RFC 7526)"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private use (RFC 1918)"},
	{netip.MustParsePrefix("198.18.0.0/15"), "benchmarking (RFC 2544)"},
	{netip.MustParsePrefix("198.51.100.0/24"), "documentation (RFC 5737)"},
	{netip.MustParsePrefix("203.0.113.0/24"), "documentation (RFC 5737)"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast (RFC 5771)"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved (RFC 1112)"},

	{netip.MustParsePrefix("::/128"), "unspecified (RFC 4291)"},
	{netip.MustParsePrefix("::1/128"), "loopback (RFC 4291)"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "local-use IPv4/IPv6 translation (RFC 8215)"},
	{netip.MustParsePrefix("100::/64"), "discard-only (RFC 6666)"},
	{netip.MustParsePrefix("2001::/23"), "IETF protocol assignments (RFC 2928)"},
	{netip.MustParsePrefix("2001:db8::/32"), "documentation (RFC 3849)"},
	{netip.MustParsePrefix("3fff::/20"), "documentation (RFC 9637)"},
	{netip.MustParsePrefix("5f00::/16"), "segment routing (RFC 9602)"},
	{netip.MustParsePrefix("fc00::/7"), "unique local (RFC 4193)"},
	{netip.MustParsePrefix("fe80::/10"), "link-local (RFC 4291)"},
	{netip.MustParsePrefix("fec0::/10"), "site-local (RFC 3879)"},
	{netip.MustParsePrefix("ff00::/8"), "multicast (RFC 4291)"},
}

var (
	globalUnicast = netip.MustParsePrefix("2000::/3") // all that IANA gives out (RFC 4291 §2.4)
	nat64         = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour     = netip.MustParsePrefix("2002::/16")
	teredo        = netip.MustParsePrefix("2001::/32")
)

// reserved says why a, unmapped and without a zone, must not be dialled; "" where it may. Addresses that carry IPv4 addresses are
// judged by those. A NAT64 whose prefix is the operator's own (RFC 6052 §2.2) cannot be told from other addresses.
func reserved(a netip.Addr, allow []netip.Prefix) string {
	for _, p := range allow {
		if p.Contains(a) {
			return ""
		}
	}
	inner, scheme := embedded(a)
	for _, e := range inner {
		if why := reserved(e, allow); why != "" {
			return fmt.Sprintf("%s of %s, %s", scheme, e, why)
		}
	}
	if scheme == "Teredo" || scheme == "NAT64" {
		return ""
	}
	for _, b := range notGlobal {
		if b.prefix.Contains(a) {
			return b.why
		}
	}
	if a.Is6() && !globalUnicast.Contains(a) {
		return "not global unicast (RFC 4291)"
	}
	return ""
}

// embedded are the IPv4 addresses that packets to a may end up at, and how a carries them.
func embedded(a netip.Addr) (inner []netip.Addr, scheme string) {
	if a.Is4() {
		return nil, ""
	}
	b := a.As16()
	at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte(b[i : i+4])) }
	switch {
	case nat64.Contains(a): // RFC 6052
		return []netip.Addr{at(12)}, "NAT64"
	case sixToFour.Contains(a): // RFC 3056
		return []netip.Addr{at(2)}, "6to4"
	case teredo.Contains(a): // RFC 4380 §4: the server, and the client with its bits flipped
		return []netip.Addr{at(4), netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]})}, "Teredo"
	case b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe: // RFC 5214 §6.1
		return []netip.Addr{at(12)}, "ISATAP"
	}
	return nil, ""
}

// localName reports whether name means this machine wherever it is asked about (RFC 6761 §6.3).
func localName(name string) bool {
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}
