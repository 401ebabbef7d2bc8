package enrich

import (
	"net/netip"
	"slices"
	"testing"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func TestRecordWhereSourcesMeet(t *testing.T) {
	special := NewBuilder(&Origin{Source: "iana", Baseline: true}).Field("block", "Private-Use").Canonical(ASN, "AS0").Special().Build()
	geo := fragment("mmdb", "asn", "AS64496", "country_code", "DE", "registry", "ripencc")
	other := fragment("mmdb", "asn", "AS64497", "country", "Example", "registrar", "Example Registrar")
	for _, tt := range []struct {
		name     string
		add      func(r *Record)
		asn      string
		code     string
		registry string
		network  netip.Prefix
		found    bool
	}{
		{"nothing", func(*Record) {}, "", "", "", netip.Prefix{}, false},
		{"first wins", func(r *Record) {
			r.Attach(geo, prefix("192.0.2.0/24"))
			r.Attach(other, prefix("192.0.0.0/16"))
		}, "AS64496", "DE", "ripencc", prefix("192.0.2.0/24"), true},
		{"most specific network, whoever has it", func(r *Record) {
			r.Attach(other, prefix("192.0.0.0/16"))
			r.Attach(geo, prefix("192.0.2.0/24"))
			r.Attach(geo, netip.Prefix{})
		}, "AS64497", "DE", "ripencc", prefix("192.0.2.0/24"), true},
		{"special-purpose block first", func(r *Record) {
			r.Attach(special, prefix("10.0.0.0/8"))
			r.Attach(geo, prefix("10.1.0.0/16"))
		}, "AS0", "", "ripencc", prefix("10.1.0.0/16"), true},
		{"special-purpose block last", func(r *Record) {
			r.Attach(geo, prefix("10.1.0.0/16"))
			r.Attach(special, prefix("10.0.0.0/8"))
		}, "AS0", "", "ripencc", prefix("10.1.0.0/16"), true},
		{"compiled-in facts alone are nothing found", func(r *Record) {
			r.Attach(special, prefix("10.0.0.0/8"))
		}, "AS0", "", "", prefix("10.0.0.0/8"), false},
		{"a network known to hold nothing", func(r *Record) {
			r.Cover(prefix("127.0.0.0/8"))
			r.Cover(netip.Prefix{})
			r.Cover(prefix("0.0.0.0/0"))
		}, "", "", "", prefix("127.0.0.0/8"), false},
	} {
		var r Record
		r.Reset(AddressOf(netip.MustParseAddr("192.0.2.1")))
		tt.add(&r)
		if r.Value(ASN) != tt.asn || r.Value(CountryCode) != tt.code || r.Value(Registry) != tt.registry {
			t.Errorf("%s: %s %s %s, want %s %s %s", tt.name, r.Value(ASN), r.Value(CountryCode), r.Value(Registry), tt.asn, tt.code, tt.registry)
		}
		if r.Network() != tt.network || r.Found() != tt.found {
			t.Errorf("%s: network %v found %v, want %v %v", tt.name, r.Network(), r.Found(), tt.network, tt.found)
		}
	}
}

func TestRecordSuppresses(t *testing.T) {
	special := NewBuilder(&Origin{Source: "iana"}).Field("block", "Loopback").Special().Build()
	geo, plain := fragment("mmdb", "country", "Example"), fragment("records", "owner", "Example")
	var r Record
	r.Reset(Subject{})
	r.Attach(geo, netip.Prefix{})
	if r.Special() || !r.Intact(geo) || r.Suppresses(geo, Country) {
		t.Error("suppressed without a special-purpose block")
	}
	r.Attach(special, netip.Prefix{})
	r.Attach(plain, netip.Prefix{})
	if !r.Special() || r.Intact(geo) || !r.Intact(plain) || !r.Intact(special) {
		t.Errorf("special %v, intact: %v %v %v", r.Special(), r.Intact(geo), r.Intact(plain), r.Intact(special))
	}
	for _, k := range append(Keys(), None) {
		want := slices.Contains([]Key{ASN, ASName, ASDomain, CountryCode, Country, ContinentCode, Continent}, k)
		if r.Suppresses(geo, k) != want || r.Suppresses(special, k) {
			t.Errorf("%v: suppressed %v, of the block itself %v", k, r.Suppresses(geo, k), r.Suppresses(special, k))
		}
	}
}

// setter is a source that works out what it says.
type setter struct{ say func(r *Record) }

func (s setter) Add(_ *Query, r *Record) Verdict { s.say(r); return Next }

func TestRecordSet(t *testing.T) {
	chain := NewChain("",
		Link{"first", setter{func(r *Record) {
			r.Set("nothing")
			r.Set("site", "Berlin\r\nHall\x00 2")
			r.Set("name_servers", "a.example.org", "b.example.org")
			r.Set("rank", "7")
			r.Set("rank", "8")
		}}},
		Link{"mixed", setter{func(r *Record) {
			r.Set("a", "1")
			r.Attach(fragment("test", "b", "2"), netip.Prefix{})
			r.Set("c", "3")
		}}},
		Link{"silent", setter{func(r *Record) { r.Set("nothing") }}})
	r := chain.Answer(ctx, DomainOf("example.org"), 0)
	if got, want := sources(r), "first mixed mixed mixed"; got != want {
		t.Fatalf("parts of %q, want %q", got, want)
	}
	want := []Field{
		{Key: "site", Value: "Berlin Hall 2"},
		{Key: "name_servers", Value: "a.example.org", Canon: NameServers, List: true},
		{Key: "name_servers", Value: "b.example.org", Canon: NameServers, List: true},
		{Key: "rank", Value: "7", Canon: Rank},
		{Key: "rank", Value: "8", Canon: Rank},
	}
	p := r.Parts()[0]
	if !slices.Equal(p.Fragment.Fields(), want) || p.Fragment.Origin().Source != "first" {
		t.Errorf("fields of %s: %+v, want %+v", p.Fragment.Origin().Source, p.Fragment.Fields(), want)
	}
	if ns := r.Values(NameServers); !slices.Equal(ns, []string{"a.example.org", "b.example.org"}) || r.Value(Rank) != "7" {
		t.Errorf("name servers %q, rank %q", ns, r.Value(Rank))
	}
	if !r.Found() || r.Values(RegStatus) != nil {
		t.Errorf("found %v, status %q", r.Found(), r.Values(RegStatus))
	}
}

func TestRecordIsUsedAgain(t *testing.T) {
	var r Record
	full := NewChain("", Link{"a", setter{func(r *Record) {
		r.Attach(NewBuilder(&Origin{}).Field("asn", "AS1").Canonical(ASN, "AS1").Special().Build(), prefix("192.0.2.0/24"))
		r.Set("rank", "1")
		r.Note(Stale, "two\nlines")
	}}})
	full.Lookup(ctx, &Query{Subject: ASOf(64496)}, &r)
	if n := r.Notes(); len(n) != 1 || n[0] != (Note{"a", Stale, "two lines"}) || n[0].Kind.String() != "stale" {
		t.Errorf("notes %v", n)
	}
	NewChain("").Lookup(ctx, &Query{Subject: ASOf(64497)}, &r)
	if r.Subject() != ASOf(64497) || len(r.Parts()) != 0 || len(r.Notes()) != 0 || r.Network().IsValid() || r.Special() || r.Found() ||
		r.Value(ASN) != "" || r.Value(Rank) != "" || r.MissText() != "" {
		t.Errorf("left from the query before: %s", r.AppendJSON(nil))
	}
}

func TestLookupDoesNotAllocate(t *testing.T) {
	chain := NewChain("",
		Link{"iana", &static{fragment: fragment("iana", "registry", "ripencc"), network: prefix("192.0.0.0/8")}},
		Link{"mmdb", &static{fragment: fragment("mmdb", "asn", "AS64496", "country_code", "DE"), network: prefix("192.0.2.0/24")}})
	var r Record
	q := Query{Subject: subject(t, "192.0.2.1")}
	chain.Lookup(ctx, &q, &r)
	if n := testing.AllocsPerRun(100, func() {
		chain.Lookup(ctx, &q, &r)
		_, _ = r.Value(ASN), r.Value(Registry)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkLookup(b *testing.B) {
	chain := NewChain("",
		Link{"iana", &static{fragment: fragment("iana", "registry", "ripencc"), network: prefix("192.0.0.0/8")}},
		Link{"mmdb", &static{fragment: fragment("mmdb", "asn", "AS64496", "country_code", "DE"), network: prefix("192.0.2.0/24")}})
	var r Record
	q := Query{Subject: subject(b, "192.0.2.1")}
	b.ReportAllocs()
	for b.Loop() {
		chain.Lookup(ctx, &q, &r)
	}
}

// TestFoundIgnoresSuppressed: a database that knows nothing about 192.0.2.0/24 but a country it invented has no data.
func TestFoundIgnoresSuppressed(t *testing.T) {
	special := NewBuilder(&Origin{Source: "iana", Baseline: true}).Field("special_purpose", "Documentation").Special().Build()
	db := &Origin{Source: "mmdb"}
	invented := NewBuilder(db).Add(Field{Key: "country_code", Value: "US", Canon: CountryCode}).Canonical(CountryCode, "US").Build()
	own := NewBuilder(db).Add(Field{Key: "country_code", Value: "US", Canon: CountryCode}).Canonical(CountryCode, "US").
		Field("site", "Berlin").Build()
	for _, test := range []struct {
		name  string
		parts []*Fragment
		want  bool
	}{
		{"the registry alone", []*Fragment{special}, false},
		{"a country beside it", []*Fragment{special, invented}, false},
		{"a country without it", []*Fragment{invented}, true},
		{"a field of the operator's beside it", []*Fragment{special, own}, true},
	} {
		var r Record
		r.Reset(ASOf(64496))
		for _, f := range test.parts {
			r.Attach(f, netip.Prefix{})
		}
		if got := r.Found(); got != test.want {
			t.Errorf("%s: found %v, want %v", test.name, got, test.want)
		}
	}
}
