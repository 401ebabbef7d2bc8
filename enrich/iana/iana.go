// Package iana is the source that says what IANA's registries say: what a special-purpose block is for and by which RFC, which
// regional registry an address block or AS number belongs to, which RDAP and WHOIS servers know more of it, and of a domain's
// top level. The tables are compiled in, so that every address has an answer before the first database is there.
package iana

import (
	"net/netip"

	"github.com/whence-project/whence/enrich"
)

//go:generate go -C ../.. run ./enrich/iana/gen

// Source is the source "iana". It has no settings, and all Sources share their data.
type Source struct{ t *Tables }

// New returns the source. The first call in a process reads the tables, see [Load].
func New() *Source { return &Source{Load()} }

// Add adds the most specific block that has the subject, or what is known of a domain's top level.
func (s *Source) Add(q *enrich.Query, r *enrich.Record) enrich.Verdict {
	switch q.Subject.Kind() {
	case enrich.Address:
		if b, ok := s.t.addresses.Lookup(q.Subject.Addr()); ok {
			attach(r, b, q.Subject)
		}
	case enrich.Prefix:
		if b, ok := s.t.addresses.LookupPrefix(q.Subject.Prefix()); ok {
			attach(r, b, q.Subject)
		} else {
			r.Note(enrich.Info, "more than one block of IANA's registries is in "+q.Subject.String())
		}
	case enrich.AS:
		as, _ := s.t.findAS(q.Subject.ASN())
		r.Attach(as.build(q.Subject.ASN()), netip.Prefix{})
	case enrich.Domain:
		if q.Want != 0 {
			break // a top-level domain has no canonical field
		}
		r.Attach(s.t.tldFragment(q.Subject.Name()), netip.Prefix{})
	}
	return enrich.Next
}

func attach(r *enrich.Record, b *block, s enrich.Subject) {
	if b.embeds != nowhere {
		if more := b.embeds.fields(s.Prefix()); more != nil {
			r.Attach(b.build(more...), b.Prefix)
			return
		}
	}
	r.Attach(b.fragment, b.Prefix)
}

func (t *Tables) tldFragment(domain string) *enrich.Fragment {
	d, ok := t.tlds[lastLabel(domain)]
	if !ok {
		return t.noTLD
	}
	f := d.fragment.Load()
	if f == nil {
		f = d.build()
		if !d.fragment.CompareAndSwap(nil, f) {
			f = d.fragment.Load()
		}
	}
	return f
}

// Status names the registries and their dates.
func (s *Source) Status() enrich.Status {
	t := s.t
	return enrich.Status{
		Kind: "iana", Generation: 1, Records: t.blocks + len(t.as) + len(t.asSpecial) + len(t.tlds), Data: t.data,
	}
}

var (
	_ enrich.Source   = (*Source)(nil)
	_ enrich.Reporter = (*Source)(nil)
)
