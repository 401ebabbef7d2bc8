package iana

import (
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/gaissmai/bart"

	"github.com/whence-project/whence/enrich"
)

// Registry is a regional Internet registry (RIR).
type Registry struct {
	ID    string // afrinic, apnic, arin, lacnic or ripencc
	Name  string // as it writes itself: "RIPE NCC"
	Whois string // its WHOIS server
	RDAP  string // base URL of its RDAP service (RFC 9224), ends in a slash
}

var registries = []*Registry{
	{"afrinic", "AFRINIC", "whois.afrinic.net", "https://rdap.afrinic.net/rdap/"},
	{"apnic", "APNIC", "whois.apnic.net", "https://rdap.apnic.net/"},
	{"arin", "ARIN", "whois.arin.net", "https://rdap.arin.net/registry/"},
	{"lacnic", "LACNIC", "whois.lacnic.net", "https://rdap.lacnic.net/rdap/"},
	{"ripencc", "RIPE NCC", "whois.ripe.net", "https://rdap.db.ripe.net/"},
}

// The states of a block, in IANA's words (see the notes of the IPv4 address space registry).
const (
	Allocated   = "ALLOCATED"   // given to the registry to allocate from
	Legacy      = "LEGACY"      // given out before there were regional registries, now administered by one
	Reserved    = "RESERVED"    // kept by the IETF
	Unallocated = "UNALLOCATED" // given to no registry when the tables were made
)

// Block is a block of addresses in IANA's registries. What a registry does not say is empty.
type Block struct {
	Prefix      netip.Prefix
	Designation string    // whom or what the address space registry designates the block to
	Status      string    // Allocated, Legacy, Reserved or Unallocated; empty for special-purpose blocks within others
	Date        string    // when it was designated or allocated, YYYY-MM
	Ended       string    // when a special purpose ended, YYYY-MM
	Purpose     string    // name of its special purpose (RFC 6890)
	Meaning     string    // what it is for, in a few words of ours
	RFC         []string  // "RFC 1918"
	Reachable   string    // globally reachable (RFC 8190): "true", "false", "n/a"
	Special     bool      // no country, and no AS, since it is not globally reachable or reserved
	Registry    *Registry // the RIR to ask about it, nil where there is none
}

// ASBlock is a block of AS numbers in IANA's registries. What a registry does not say is empty.
type ASBlock struct {
	First, Last uint32
	Purpose     string    // name of its special purpose (RFC 7249)
	Meaning     string    // what it is for, in a few words of ours
	RFC         []string  // "RFC 6996"
	Special     bool      // no network of the Internet has such a number
	Assignee    *Registry // the RIR that IANA assigned the block to, nil for none
	Registry    *Registry // the RIR that answers for the number, which may have taken it over; nil for none
}

// RDAP is the base URLs of the RDAP services that may know the number, in the order to ask them (RFC 9224).
func (b ASBlock) RDAP() []string {
	switch {
	case b.Registry == nil:
		return nil
	case b.Registry == b.Assignee:
		return []string{b.Registry.RDAP}
	}
	return []string{b.Registry.RDAP, b.Assignee.RDAP}
}

// TLD is a top-level domain.
type TLD struct {
	Name    string   // A-label, lower case, no dot
	Whois   string   // its WHOIS server, empty where none is known
	RDAP    []string // base URLs of its RDAP service (RFC 9224), nil where none is known
	Special bool     // a special-use name (RFC 6761): the DNS does not have it
	Meaning string   // what a special-use name is for
	RFC     []string // "RFC 6762"
}

// Tables are the registries. They do not change, and are safe for concurrent use. Get those that are compiled in with [Load].
type Tables struct {
	newer     map[string]string // while they are read: what takes the place of the files compiled in
	addresses bart.Table[*block]
	blocks    int // in addresses
	as        []asRange
	asSpecial []asRange
	asMoved   []asRange
	tlds      map[string]*tld
	noTLD     *enrich.Fragment
	data      []enrich.DataStatus
}

type block struct {
	Block
	origin   *enrich.Origin
	fragment *enrich.Fragment
	embeds   embedding
}

type asRange struct {
	ASBlock
	origin *enrich.Origin
}

type tld struct {
	TLD
	origin   *enrich.Origin
	fragment atomic.Pointer[enrich.Fragment] // made when first asked for
}

// Address is the most specific block that has the address. It is false for the zero Addr alone.
func (t *Tables) Address(a netip.Addr) (Block, bool) {
	if b, ok := t.addresses.Lookup(a.Unmap().WithZone("")); ok {
		return b.Block, true
	}
	return Block{}, false
}

// Prefix is the most specific block that has all of the network, false where that is spread over several.
func (t *Tables) Prefix(p netip.Prefix) (Block, bool) {
	if b, ok := t.addresses.LookupPrefix(p); ok {
		return b.Block, true
	}
	return Block{}, false
}

// AS is the block that the AS number is in. It is false where IANA has assigned the number to no registry and no special
// purpose; the block is then all the numbers around it that are as free.
func (t *Tables) AS(n uint32) (ASBlock, bool) {
	r, ok := t.findAS(n)
	return r.ASBlock, ok
}

func (t *Tables) findAS(n uint32) (r asRange, ok bool) {
	if found := find(t.as, n); found != nil {
		r = *found
	}
	if moved := find(t.asMoved, n); moved != nil {
		r.Registry, r.Meaning = moved.Registry, "taken over from "+r.Assignee.Name+" by "+moved.Registry.Name
	}
	if special := find(t.asSpecial, n); special != nil {
		registry := r.Registry
		r = *special
		if !r.Special {
			r.Registry, r.Assignee = registry, registry
		}
	}
	return r, r.Registry != nil || r.Purpose != ""
}

// find is the range that has n, nil where none has. The ranges are in ascending order and do not overlap.
func find(ranges []asRange, n uint32) *asRange {
	i, _ := slices.BinarySearchFunc(ranges, n, func(r asRange, n uint32) int {
		if r.Last < n {
			return -1
		}
		return 1
	})
	if i < len(ranges) && ranges[i].First <= n {
		return &ranges[i]
	}
	return nil
}

// TLD is the top-level domain of a domain name: of its last label. It is false where neither the root zone nor the registry of
// special-use names had it when the tables were made.
func (t *Tables) TLD(domain string) (TLD, bool) {
	if d, ok := t.tlds[lastLabel(strings.ToLower(strings.TrimSuffix(domain, ".")))]; ok {
		return d.TLD, true
	}
	return TLD{}, false
}

func lastLabel(domain string) string { return domain[strings.LastIndexByte(domain, '.')+1:] }
