package enrich

import (
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Kind is what a Subject is.
type Kind uint8

// The kinds of subject.
const (
	Invalid Kind = iota // the zero Subject
	Address             // an IPv4 or IPv6 address
	Prefix              // a network in CIDR terms
	AS                  // an autonomous system number
	Domain              // a domain name, A-labels, lower case
	Name                // any other word, its case kept
)

var kindNames = [...]string{Invalid: "invalid", Address: "address", Prefix: "prefix", AS: "as", Domain: "domain", Name: "name"}

// String is the kind's name: address, prefix, as, domain or name.
func (k Kind) String() string { return kindNames[k] }

// Subject is what a chain is asked about: a small comparable value, made by [ParseSubject] or one of the Of functions. Two
// subjects that mean the same thing have the same Key.
type Subject struct {
	kind     Kind
	hostBits bool  // a prefix was written with host bits set
	bits     uint8 // prefix length
	asn      uint32
	addr     netip.Addr // unmapped, without zone; a prefix's first address
	name     string     // a domain in A-labels, lower case; a name as it was written
	written  string     // a domain as it was written, where that has upper-case ASCII letters or is a U-label form; else empty
}

// AddressOf is the Subject of an address. IPv4-mapped addresses (RFC 4291 §2.5.5.2) are unmapped and zones dropped.
func AddressOf(a netip.Addr) Subject {
	if !a.IsValid() {
		return Subject{}
	}
	return Subject{kind: Address, addr: a.Unmap().WithZone("")}
}

// PrefixOf is the Subject of a network. Host bits are cleared, which HostBits remembers; an IPv4-mapped network is unmapped.
func PrefixOf(p netip.Prefix) Subject {
	if !p.IsValid() {
		return Subject{}
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	m := p.Masked()
	return Subject{kind: Prefix, addr: m.Addr(), bits: uint8(m.Bits()), hostBits: m.Addr() != p.Addr()}
}

// ASOf is the Subject of an AS number (RFC 6793).
func ASOf(n uint32) Subject { return Subject{kind: AS, asn: n} }

// Kind is what the subject is.
func (s Subject) Kind() Kind { return s.kind }

// IsValid reports whether s is not the zero Subject.
func (s Subject) IsValid() bool { return s.kind != Invalid }

// Addr is the address, a prefix's first address, or the zero Addr.
func (s Subject) Addr() netip.Addr { return s.addr }

// Prefix is the network of a prefix, the single-address network of an address, or the zero Prefix.
func (s Subject) Prefix() netip.Prefix {
	switch s.kind {
	case Address:
		return netip.PrefixFrom(s.addr, s.addr.BitLen())
	case Prefix:
		return netip.PrefixFrom(s.addr, int(s.bits))
	}
	return netip.Prefix{}
}

// ASN is the AS number, 0 for other kinds.
func (s Subject) ASN() uint32 { return s.asn }

// Name is the domain in A-labels (RFC 5890) and lower case without its final dot, or the word of kind Name, else empty.
func (s Subject) Name() string { return s.name }

// Written is a domain or name as it was written. It matters where case or spelling does: a folder of records may hold
// "Example.org" and "example.org".
func (s Subject) Written() string {
	if s.written != "" {
		return s.written
	}
	return s.name
}

// HostBits reports that a prefix was written with host bits set, and that they were cleared.
func (s Subject) HostBits() bool { return s.hostBits }

// Key is s without what only tells how it was written: what caches go by.
func (s Subject) Key() Subject {
	s.written, s.hostBits = "", false
	return s
}

// Registrable is the name under which a domain was registered, by the public suffix list: "example.co.uk" for
// "www.example.co.uk". It is empty for a public suffix itself and for other kinds.
func (s Subject) Registrable() string {
	if s.kind != Domain {
		return ""
	}
	suffix, _ := publicsuffix.PublicSuffix(s.name)
	i := len(s.name) - len(suffix) - 1
	if i <= 0 || s.name[i] != '.' || s.name[i-1] == '.' {
		return ""
	}
	return s.name[1+strings.LastIndexByte(s.name[:i], '.'):]
}

// String is the subject in its canonical form, which ParseSubject accepts: "8.8.8.8", "2001:db8::/32", "AS15169", "example.org".
func (s Subject) String() string { return string(s.AppendTo(nil)) }

// AppendTo appends the canonical form to b.
func (s Subject) AppendTo(b []byte) []byte {
	switch s.kind {
	case Address:
		return s.addr.AppendTo(b)
	case Prefix:
		return s.Prefix().AppendTo(b)
	case AS:
		return strconv.AppendUint(append(b, "AS"...), uint64(s.asn), 10)
	}
	return append(b, s.name...)
}
