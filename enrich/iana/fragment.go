package iana

import (
	"net/netip"
	"strconv"

	"github.com/whence-project/whence/enrich"
)

// fields builds a fragment, leaving out what is not known. No key is one that WHOIS clients take for a referral ("whois",
// "refer", "whois server"): they would leave for the server it names.
type fields struct{ *enrich.Builder }

func fieldsOf(o *enrich.Origin) fields { return fields{enrich.NewBuilder(o)} }

func (f fields) text(key, value string) {
	if value != "" {
		f.Field(key, value)
	}
}

func (f fields) list(key string, values []string) {
	for _, v := range values {
		f.Add(enrich.Field{Key: key, Value: v, List: true})
	}
}

func (f fields) reachable(value string) {
	switch value {
	case "true", "false":
		f.Add(enrich.Field{Key: "globally_reachable", Value: value, Type: enrich.Bool})
	default:
		f.text("globally_reachable", value)
	}
}

func (f fields) registry(r *Registry) {
	if r == nil {
		return
	}
	f.Add(enrich.Field{Key: "registry", Value: r.Name, Canon: enrich.Registry})
	f.Canonical(enrich.Registry, r.ID)
	f.Field("registry_whois", r.Whois)
	f.Field("registry_rdap", r.RDAP)
}

// build is the block's fragment, with the further fields that a query has.
func (b *block) build(more ...enrich.Field) *enrich.Fragment {
	f := fieldsOf(b.origin)
	f.Field("iana_block", b.Prefix.String())
	if b.Purpose != "" {
		f.Field("special_purpose", b.Purpose)
	} else {
		f.text("iana_designation", b.Designation)
		f.text("iana_status", b.Status)
	}
	f.text("iana_date", b.Date)
	f.text("iana_ended", b.Ended)
	f.text("meaning", b.Meaning)
	f.list("rfc", b.RFC)
	f.reachable(b.Reachable)
	for _, fd := range more {
		f.Add(fd)
	}
	f.registry(b.Registry)
	if b.Special {
		f.Special()
	}
	return f.Build()
}

// build is the fragment of an AS number in r.
func (r *asRange) build(n uint32) *enrich.Fragment {
	f := fieldsOf(r.origin)
	asn := asName(n)
	f.Add(enrich.Field{Key: "asn", Value: asn, Canon: enrich.ASN})
	f.Canonical(enrich.ASN, asn)
	if r.First == r.Last {
		f.Field("iana_block", asn)
	} else {
		f.Field("iana_block", asName(r.First)+"-"+asName(r.Last))
	}
	switch {
	case r.Purpose != "":
		f.Field("special_purpose", r.Purpose)
	case r.Assignee != nil:
		f.Field("iana_designation", "Assigned by "+r.Assignee.Name)
	default:
		f.Field("iana_status", Unallocated)
	}
	f.text("meaning", r.Meaning)
	f.list("rfc", r.RFC)
	f.registry(r.Registry)
	if r.Special {
		f.Special()
	}
	return f.Build()
}

func asName(n uint32) string { return "AS" + strconv.FormatUint(uint64(n), 10) }

func (d *tld) build() *enrich.Fragment {
	f := fieldsOf(d.origin)
	f.Field("tld", d.Name)
	switch {
	case d.Special:
		f.Field("tld_status", "special-use")
		f.text("meaning", d.Meaning)
		f.list("rfc", d.RFC)
		return f.Build()
	case d.Whois == "" && len(d.RDAP) == 0:
		f.Field("tld_status", "delegated")
		f.Field("meaning", "its registry offers neither RDAP nor WHOIS")
		return f.Build()
	}
	f.Field("tld_status", "delegated")
	f.text("registry_whois", d.Whois)
	if len(d.RDAP) > 0 {
		f.Field("registry_rdap", d.RDAP[0])
	}
	return f.Build()
}

// noTLD is the fragment for names of which no top-level domain exists.
func noTLD(o *enrich.Origin) *enrich.Fragment {
	f := fieldsOf(o)
	f.Field("tld_status", "not delegated")
	f.Field("meaning", "the root zone of "+o.Built.Format("2006-01")+" has no such top-level domain")
	return f.Build()
}

// embedding is where an IPv6 address of a transition technology has the IPv4 address it stands for.
type embedding uint8

const (
	nowhere   embedding = iota
	low32               // the last 32 bits (RFC 6052 §2.2 for a /96, RFC 4291 §2.5.5.1)
	sixToFour           // bits 16 to 47 (RFC 3056 §2)
	teredo              // server in bits 32 to 63, client in the last 32, inverted (RFC 4380 §4)
)

var embeddings = map[netip.Prefix]embedding{
	netip.MustParsePrefix("64:ff9b::/96"): low32,
	netip.MustParsePrefix("::/96"):        low32,
	netip.MustParsePrefix("2002::/16"):    sixToFour,
	netip.MustParsePrefix("2001::/32"):    teredo,
}

// fields are the IPv4 addresses in the first address of p, none where p is too wide to have one.
func (e embedding) fields(p netip.Prefix) []enrich.Field {
	a := p.Addr().As16()
	embedded := func(i int, mask byte) enrich.Field {
		v4 := netip.AddrFrom4([4]byte{a[i] ^ mask, a[i+1] ^ mask, a[i+2] ^ mask, a[i+3] ^ mask})
		return enrich.Field{Key: "embedded_ipv4", Value: v4.String()}
	}
	switch {
	case e == sixToFour && p.Bits() >= 48:
		return []enrich.Field{embedded(2, 0)}
	case e == low32 && p.Bits() == 128:
		return []enrich.Field{embedded(12, 0)}
	case e == teredo && p.Bits() == 128:
		server := embedded(4, 0)
		server.Key = "teredo_server"
		return []enrich.Field{embedded(12, 0xff), server}
	}
	return nil
}
