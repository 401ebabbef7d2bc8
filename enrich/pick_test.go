package enrich

import (
	"net/netip"
	"slices"
	"testing"
)

func TestPick(t *testing.T) {
	special := NewBuilder(&Origin{Source: "iana", Baseline: true}).Field("iana_name", "Private-Use").Special().Build()
	geo := NewBuilder(&Origin{Source: "mmdb"}).
		Add(Field{Key: "autonomous_system_number", Value: "64496", Canon: ASN, Type: Number}).
		Add(Field{Key: "anycast", Value: "true", Type: Bool}).
		Add(Field{Key: "tag", Value: "a", List: true}).Add(Field{Key: "tag", Value: "b", List: true}).
		Canonical(ASN, "AS64496").Canonical(NameServers, "a.example", "b.example").Canonical(Rank, "17").Build()
	other := NewBuilder(&Origin{Source: "other"}).Field("anycast", "late").Field("other", "x").Build()
	var open, private Record
	open.Reset(AddressOf(netip.MustParseAddr("192.0.2.1")))
	open.Attach(geo, prefix("192.0.2.0/24"))
	open.Attach(other, netip.Prefix{})
	private.Reset(AddressOf(netip.MustParseAddr("10.0.0.1")))
	private.Attach(geo, netip.Prefix{})
	private.Attach(special, prefix("10.0.0.0/8"))
	for _, tt := range []struct {
		r          *Record
		name, text string
		values     []string
		typ        Type
		list       bool
	}{
		{&open, "asn", "AS64496", []string{"AS64496"}, Text, false},
		{&open, "network", "192.0.2.0/24", []string{"192.0.2.0/24"}, Text, false},
		{&open, "name_servers", "a.example,b.example", []string{"a.example", "b.example"}, Text, true},
		{&open, "rank", "17", []string{"17"}, Number, false},
		{&open, "country_code", "", nil, Text, false},
		{&open, "autonomous_system_number", "64496", []string{"64496"}, Number, false},
		{&open, "anycast", "true", []string{"true"}, Bool, false},
		{&open, "tag", "a,b", []string{"a", "b"}, Text, true},
		{&open, "other", "x", []string{"x"}, Text, false},
		{&open, "nothing", "", nil, Text, false},
		{&open, "", "", nil, Text, false},
		{&private, "asn", "", nil, Text, false},
		{&private, "autonomous_system_number", "", nil, Text, false},
		{&private, "anycast", "true", []string{"true"}, Bool, false},
		{&private, "iana_name", "Private-Use", []string{"Private-Use"}, Text, false},
		{new(Record), "network", "", nil, Text, false},
	} {
		p := PickOf(tt.name)
		if got := p.Text(tt.r); got != tt.text {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.text)
		}
		if got := p.Values(tt.r); !slices.Equal(got, tt.values) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.values)
		}
		if p.Type(tt.r) != tt.typ || p.IsList(tt.r) != tt.list {
			t.Errorf("%s: type %v list %v, want %v %v", tt.name, p.Type(tt.r), p.IsList(tt.r), tt.typ, tt.list)
		}
	}
}

func TestKeySets(t *testing.T) {
	asn, both := SetOf(ASN), SetOf(ASN, CountryCode)
	for _, tt := range []struct {
		have, want KeySet
		covers     bool
	}{
		{0, 0, true}, {0, asn, true}, {asn, 0, false}, {asn, asn, true}, {asn, both, false}, {both, asn, true},
		{both, WantOf(PickOf("network")), false}, {both | SetOf(None), WantOf(PickOf("network")), true},
	} {
		if got := tt.have.Covers(tt.want); got != tt.covers {
			t.Errorf("%b covers %b: %v", tt.have, tt.want, got)
		}
	}
	if w := WantOf(PicksOf([]string{"asn", "country_code"})...); w.Covers(both) != true || w.Covers(0) {
		t.Errorf("wanted %b", w)
	}
	if w := WantOf(PicksOf([]string{"asn", "anycast"})...); w != 0 {
		t.Errorf("wanted %b, not everything", w)
	}
}
