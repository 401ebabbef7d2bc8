package mmdb

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/whence-project/whence/enrich"
)

// system is what a database holds about one AS, over all of its networks. Names are kept as the number of a record that has
// them, which takes a tenth of the memory.
type system struct {
	asn       uint32
	v4, v6    uint32 // networks
	named     int32  // record with the name that most networks carry, -1 for none
	domain    int32
	countries string // country codes of two letters each, most networks first
}

// systems is the index of a database by AS number, in order.
type systems []system

// find returns what is known of an AS, nil for nothing.
func (s systems) find(asn uint32) *system {
	i, ok := slices.BinarySearchFunc(s, asn, func(e system, n uint32) int { return cmp.Compare(e.asn, n) })
	if !ok {
		return nil
	}
	return &s[i]
}

// tally counts the networks of each value of a field, and remembers a record that has it. It is a slice, as an AS has a
// handful of values; those that come after maxTally are not counted.
type tally []count

type count struct {
	value    string
	record   int32
	networks uint64
}

const maxTally = 256

func (t *tally) add(value string, record int, networks uint64) {
	if value == "" {
		return
	}
	for i := range *t {
		if c := &(*t)[i]; c.value == value {
			c.networks += networks
			return
		}
	}
	if len(*t) < maxTally {
		*t = append(*t, count{value, int32(record), networks})
	}
}

// rank sorts the values, the one that most networks carry first; those that as many carry in the order of the alphabet.
func (t tally) rank() tally {
	slices.SortFunc(t, func(a, b count) int {
		return cmp.Or(cmp.Compare(b.networks, a.networks), strings.Compare(a.value, b.value))
	})
	return t
}

// first is a record with the value that most networks carry, -1 where there is no value.
func (t tally) first() int32 {
	if len(t) == 0 {
		return -1
	}
	return t.rank()[0].record
}

// systemCounts is the index in the making.
type systemCounts map[uint32]*systemCount

type systemCount struct {
	v4, v6                    uint32
	names, domains, countries tally
}

// add counts the record that f has just flattened.
func (s systemCounts) add(f *flattener, record int, v4, v6 uint32) {
	asn := f.best[enrich.ASN]
	if asn == "" {
		return
	}
	n, err := strconv.ParseUint(asn[len("AS"):], 10, 32)
	if err != nil {
		return
	}
	c := s[uint32(n)]
	if c == nil {
		c = new(systemCount)
		s[uint32(n)] = c
	}
	c.v4 += v4
	c.v6 += v6
	networks := uint64(v4) + uint64(v6)
	c.names.add(f.best[enrich.ASName], record, networks)
	c.domains.add(f.best[enrich.ASDomain], record, networks)
	c.countries.add(f.best[enrich.CountryCode], record, networks)
}

// index makes the index of what was counted.
func (s systemCounts) index() systems {
	index := make(systems, 0, len(s))
	for n, c := range s {
		e := system{asn: n, v4: c.v4, v6: c.v6, named: c.names.first(), domain: c.domains.first()}
		var codes []byte
		for _, country := range c.countries.rank() {
			codes = append(codes, country.value...)
		}
		e.countries = string(codes)
		index = append(index, e)
	}
	slices.SortFunc(index, func(a, b system) int { return cmp.Compare(a.asn, b.asn) })
	return index
}

// system is what the database says about an AS, nil for nothing, and whether that has been made just now and kept.
func (db *database) system(asn uint32) (f *enrich.Fragment, made bool) {
	s := db.systems.find(asn)
	if s == nil {
		return nil, false
	}
	k := db.kept.Load()
	if f, ok := k.systems.Load(asn); ok {
		return f.(*enrich.Fragment), false
	}
	f = db.describe(s)
	if have, ok := k.systems.LoadOrStore(asn, f); ok {
		return have.(*enrich.Fragment), false
	}
	k.bytes.Add(estimate(f))
	return f, true
}

// maxCountries is how many countries of an AS are listed. The networks of a few are in nearly all, most of them with one network.
const maxCountries = 12

// describe makes the fragment of an AS.
func (db *database) describe(s *system) *enrich.Fragment {
	b := enrich.NewBuilder(db.origin)
	add := func(k enrich.Key, v string) {
		if v != "" {
			b.Add(enrich.Field{Key: k.String(), Value: v, Canon: k}).Canonical(k, v)
		}
	}
	add(enrich.ASN, "AS"+strconv.FormatUint(uint64(s.asn), 10))
	add(enrich.ASName, db.canonicalOf(s.named, enrich.ASName))
	add(enrich.ASDomain, db.canonicalOf(s.domain, enrich.ASDomain))
	for i := 0; i+2 <= min(len(s.countries), 2*maxCountries); i += 2 {
		cc := s.countries[i : i+2]
		b.Add(enrich.Field{Key: "countries", Value: cc, Canon: enrich.CountryCode, List: true})
		b.Canonical(enrich.CountryCode, cc)
	}
	if n := len(s.countries) / 2; n > maxCountries {
		b.Add(enrich.Field{Key: "countries_total", Value: strconv.Itoa(n), Canon: enrich.CountryCode, Type: enrich.Number})
	}
	b.Add(enrich.Field{Key: "networks_ipv4", Value: strconv.FormatUint(uint64(s.v4), 10), Type: enrich.Number})
	b.Add(enrich.Field{Key: "networks_ipv6", Value: strconv.FormatUint(uint64(s.v6), 10), Type: enrich.Number})
	return b.Build()
}

// canonicalOf is a canonical field of a record, read afresh; empty for record -1.
func (db *database) canonicalOf(record int32, k enrich.Key) string {
	if record < 0 {
		return ""
	}
	if f := db.build(int(record)); f != nil {
		return f.Value(k)
	}
	return ""
}
