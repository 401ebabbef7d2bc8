package iana

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/whence-project/whence/enrich"
)

func lookup(t testing.TB, subject string) *enrich.Record {
	t.Helper()
	s, err := enrich.ParseSubject(subject)
	if err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
	return enrich.NewChain("", enrich.Link{Name: "iana", Source: New()}).Answer(context.Background(), s, 0)
}

// text is the fields of the record as "key=value" lines.
func text(r *enrich.Record) string {
	var b strings.Builder
	for _, p := range r.Parts() {
		for _, f := range p.Fragment.Fields() {
			b.WriteString(f.Key + "=" + f.Value + "\n")
		}
	}
	return b.String()
}

func TestAddWhole(t *testing.T) {
	for _, test := range []struct{ subject, want string }{
		{"8.8.8.8", `iana_block=8.0.0.0/8
iana_designation=Administered by ARIN
iana_status=LEGACY
iana_date=1992-12
meaning=allocated before the regional registries existed, now administered by ARIN
registry=ARIN
registry_whois=whois.arin.net
registry_rdap=https://rdap.arin.net/registry/
`},
		{"192.168.1.1", `iana_block=192.168.0.0/16
special_purpose=Private-Use
iana_date=1996-02
meaning=private network: the address means something inside one site only
rfc=RFC 1918
globally_reachable=false
`},
		{"2001:4860:4860::8888", `iana_block=2001:4800::/23
iana_designation=ARIN
iana_status=ALLOCATED
registry=ARIN
registry_whois=whois.arin.net
registry_rdap=https://rdap.arin.net/registry/
`},
		{"AS15169", `asn=AS15169
iana_block=AS13312-AS15359
iana_designation=Assigned by ARIN
registry=ARIN
registry_whois=whois.arin.net
registry_rdap=https://rdap.arin.net/registry/
`},
		{"AS64512", `asn=AS64512
iana_block=AS64512-AS65534
special_purpose=Private Use
meaning=means something between neighbouring networks only; not to be seen beyond them
rfc=RFC 6996
`},
		{"www.example.org", `tld=org
tld_status=delegated
registry_whois=whois.pir.org
registry_rdap=https://rdap.publicinterestregistry.org/rdap/
`},
		{"printer.local", `tld=local
tld_status=special-use
meaning=names of the local link, by multicast DNS
rfc=RFC 6762
`},
		{"example.gr", `tld=gr
tld_status=delegated
meaning=its registry offers neither RDAP nor WHOIS
`},
	} {
		if got := text(lookup(t, test.subject)); got != test.want {
			t.Errorf("%s:\n%swant\n%s", test.subject, got, test.want)
		}
	}
}

func TestAdd(t *testing.T) {
	for _, test := range []struct {
		subject, network, registry string
		special                    bool
		want                       string // a field
	}{
		{"1.1.1.1", "1.0.0.0/8", "apnic", false, "iana_designation=APNIC"},
		{"17.0.0.1", "17.0.0.0/8", "arin", false, "iana_designation=Apple Computer Inc."},
		{"41.0.0.1", "41.0.0.0/8", "afrinic", false, "registry_rdap=https://rdap.afrinic.net/rdap/"},
		{"25.1.2.3", "25.0.0.0/8", "ripencc", false, "meaning=allocated before the regional registries existed, now administered by RIPE NCC"},
		{"::ffff:200.1.2.3", "200.0.0.0/8", "lacnic", false, "registry_whois=whois.lacnic.net"},

		// Not globally reachable: the more specific block decides.
		{"0.0.0.0", "0.0.0.0/32", "", true, "special_purpose=This host on this network"},
		{"0.1.2.3", "0.0.0.0/8", "", true, "rfc=RFC 791"},
		{"100.64.1.1", "100.64.0.0/10", "", true, "rfc=RFC 6598"},
		{"100.63.255.255", "100.0.0.0/8", "arin", false, "iana_status=ALLOCATED"},
		{"192.0.0.1", "192.0.0.0/29", "", true, "rfc=RFC 7335"},
		{"192.0.0.128", "192.0.0.0/24", "", true, "rfc=RFC 6890"},
		{"192.0.0.171", "192.0.0.171/32", "", true, "rfc=RFC 7050"},
		{"192.0.1.1", "192.0.0.0/8", "arin", false, "iana_status=LEGACY"},
		{"192.88.99.2", "192.88.99.2/32", "", true, "rfc=RFC 6751"},
		{"203.0.113.9", "203.0.113.0/24", "", true, "globally_reachable=false"},
		{"250.1.2.3", "240.0.0.0/4", "", true, "rfc=RFC 1112"},
		{"255.255.255.255", "255.255.255.255/32", "", true, "special_purpose=Limited Broadcast"},
		{"::1", "::1/128", "", true, "special_purpose=Loopback Address"},
		{"fe80::1%eth0", "fe80::/10", "", true, "special_purpose=Link-Local Unicast"},
		{"fd00::1", "fc00::/7", "", true, "rfc=RFC 4193"},
		{"2001:db8::1", "2001:db8::/32", "", true, "rfc=RFC 3849"},
		{"3fff:fff::1", "3fff::/20", "", true, "rfc=RFC 9637"},
		{"5f00::1", "5f00::/16", "", true, "rfc=RFC 9602"},
		{"100::1", "100::/64", "", true, "rfc=RFC 6666"},
		{"100:0:0:1::1", "100:0:0:1::/64", "", true, "rfc=RFC 9780"},
		{"64:ff9b:1::1", "64:ff9b:1::/48", "", true, "rfc=RFC 8215"},

		// Multicast and reserved space has neither country nor AS.
		{"224.0.0.1", "224.0.0.0/24", "", true, "special_purpose=Local Network Control Block"},
		{"225.0.0.1", "224.0.0.0/4", "", true, "rfc=RFC 5771"},
		{"239.1.2.3", "239.0.0.0/8", "", true, "rfc=RFC 2365"},
		{"ff02::1", "ff00::/8", "", true, "special_purpose=Multicast"},
		{"4000::1", "4000::/3", "", true, "iana_designation=Reserved by IETF"},
		{"fec0::1", "fec0::/10", "", true, "rfc=RFC 3879"},
		{"2001:10::1", "2001:10::/28", "", true, "iana_ended=2014-03"},

		// Special, but reachable or said to be neither: databases may know more.
		{"192.0.0.9", "192.0.0.9/32", "", false, "globally_reachable=true"},
		{"192.31.196.1", "192.31.196.0/24", "arin", false, "rfc=RFC 7535"},
		{"192.88.99.1", "192.88.99.0/24", "arin", false, "iana_ended=2015-03"},
		{"2620:4f:8000::1", "2620:4f:8000::/48", "arin", false, "rfc=RFC 7534"},
		{"2001:1::3", "2001:1::3/128", "", false, "rfc=RFC 9665"},
		{"2a00::1", "2a00::/12", "ripencc", false, "iana_status=ALLOCATED"},
		{"3000::1", "2000::/3", "", false, "iana_status=UNALLOCATED"},
		{"3ffe::1", "3ffe::/16", "", false, "iana_ended=2006-06"},

		// IPv6 that stands for IPv4.
		{"64:ff9b::808:808", "64:ff9b::/96", "", false, "embedded_ipv4=8.8.8.8"},
		{"2002:c000:204::1", "2002::/16", "", false, "embedded_ipv4=192.0.2.4"},
		{"2002:c000:204::/48", "2002::/16", "", false, "embedded_ipv4=192.0.2.4"},
		{"2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001::/32", "", false, "embedded_ipv4=192.0.2.45"},
		{"2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001::/32", "", false, "teredo_server=65.54.227.120"},
		{"::192.0.2.4", "::/96", "", true, "embedded_ipv4=192.0.2.4"},

		// Networks: the block must have all of them.
		{"8.8.8.0/24", "8.0.0.0/8", "arin", false, "iana_block=8.0.0.0/8"},
		{"192.0.0.0/16", "192.0.0.0/8", "arin", false, "iana_block=192.0.0.0/8"},
		{"192.0.0.0/24", "192.0.0.0/24", "", true, "special_purpose=IETF Protocol Assignments"},
		{"10.1.0.0/16", "10.0.0.0/8", "", true, "rfc=RFC 1918"},
		{"2000::/3", "2000::/3", "", false, "iana_status=UNALLOCATED"},

		{"example.nosuchtld", "", "", false, "tld_status=not delegated"},

		{"AS0", "", "", true, "rfc=RFC 7607"},
		{"AS112", "", "arin", false, "rfc=RFC 7534"},
		{"AS278", "", "lacnic", false, "meaning=taken over from ARIN by LACNIC"},
		{"AS23456", "", "", true, "special_purpose=AS_TRANS"},
		{"AS64496", "", "", true, "rfc=RFC 5398"},
		{"AS65534", "", "", true, "rfc=RFC 6996"},
		{"AS65535", "", "", true, "rfc=RFC 7300"},
		{"AS65551", "", "", true, "rfc=RFC 5398"},
		{"AS65552", "", "", false, "iana_block=AS65552-AS131071"},
		{"AS131072", "", "apnic", false, "iana_designation=Assigned by APNIC"},
		{"AS4199999999", "", "", false, "iana_status=UNALLOCATED"},
		{"AS4200000000", "", "", true, "rfc=RFC 6996"},
		{"AS4294967294", "", "", true, "special_purpose=Private Use"},
		{"AS4294967295", "", "", true, "rfc=RFC 7300"},
	} {
		r := lookup(t, test.subject)
		network := ""
		if r.Network().IsValid() {
			network = r.Network().String()
		}
		if network != test.network || r.Value(enrich.Registry) != test.registry || r.Special() != test.special {
			t.Errorf("%s: network %s, registry %q, special %t, want %s, %q, %t", test.subject,
				network, r.Value(enrich.Registry), r.Special(), test.network, test.registry, test.special)
		}
		if !strings.Contains("\n"+text(r), "\n"+test.want+"\n") {
			t.Errorf("%s: no %s in\n%s", test.subject, test.want, text(r))
		}
		if r.Found() {
			t.Errorf("%s: counts as data of the operator's", test.subject)
		}
		if r.Subject().Kind() == enrich.AS && r.Value(enrich.ASN) != test.subject {
			t.Errorf("%s: canonical asn is %q", test.subject, r.Value(enrich.ASN))
		}
	}
}

func TestAddNetworkOfSeveralBlocks(t *testing.T) {
	for _, subject := range []string{"0.0.0.0/0", "8.0.0.0/7", "224.0.0.0/3", "::/0", "2000::/2"} {
		r := lookup(t, subject)
		if len(r.Parts()) != 0 || r.Network().IsValid() || len(r.Notes()) != 1 || r.Special() {
			t.Errorf("%s: %s, want a note alone", subject, r.AppendJSON(nil))
		}
	}
}

func TestAddSaysNothing(t *testing.T) {
	s, r := New(), new(enrich.Record)
	if v := s.Add(&enrich.Query{}, r); v != enrich.Next || len(r.Parts()) != 0 {
		t.Errorf("of the zero Subject: %d, %s", v, text(r))
	}
}

// Clients of the BSDs and macOS leave for the server that a line of these words names.
func TestNoReferral(t *testing.T) {
	referral := []string{"whois", "refer", "referralserver", "whois server", "registrar whois server", "whois_server", "whois-server"}
	for _, subject := range []string{"8.8.8.8", "10.0.0.1", "2a00::1", "2002::1", "AS15169", "AS0", "example.org", "example.onion"} {
		for _, p := range lookup(t, subject).Parts() {
			for _, f := range p.Fragment.Fields() {
				for _, word := range referral {
					if strings.EqualFold(f.Key, word) || strings.Contains(f.Value, word+":") {
						t.Errorf("%s: field %s: %s is read as a referral", subject, f.Key, f.Value)
					}
				}
			}
		}
	}
}

func TestAddAllocatesNothing(t *testing.T) {
	s, r := New(), new(enrich.Record)
	for _, subject := range []string{"8.8.8.8", "192.0.0.9", "10.0.0.1", "2a00::1", "8.8.8.0/24", "example.org", "example.nosuchtld"} {
		parsed, err := enrich.ParseSubject(subject)
		if err != nil {
			t.Fatal(err)
		}
		q := &enrich.Query{Subject: parsed}
		if n := testing.AllocsPerRun(100, func() { r.Reset(parsed); s.Add(q, r) }); n != 0 {
			t.Errorf("%s: %v allocations", subject, n)
		}
	}
}

func TestStatus(t *testing.T) {
	s := New().Status()
	if s.Kind != "iana" || s.Records < 1900 || len(s.Data) < 10 {
		t.Errorf("%s: %d records, %d registries", s.Kind, s.Records, len(s.Data))
	}
	for _, d := range s.Data {
		if d.Type == "" || d.Built.Year() < 2015 || d.Records == 0 {
			t.Errorf("registry %q of %v has %d records", d.Type, d.Built, d.Records)
		}
	}
}

func TestLookups(t *testing.T) {
	tables := Load()
	if b, ok := tables.Address(netip.MustParseAddr("::ffff:8.8.8.8")); !ok || b.Registry.ID != "arin" {
		t.Errorf("Address of an IPv4-mapped address: %+v, %t", b, ok)
	}
	if b, ok := tables.Address(netip.MustParseAddr("fe80::1%eth0")); !ok || !b.Special {
		t.Errorf("Address with a zone: %+v, %t", b, ok)
	}
	if b, ok := tables.Address(netip.Addr{}); ok {
		t.Errorf("zero Addr: %+v", b)
	}
	if b, ok := tables.Prefix(netip.Prefix{}); ok {
		t.Errorf("zero Prefix: %+v", b)
	}
	if b, ok := tables.AS(278); !ok || strings.Join(b.RDAP(), " ") != "https://rdap.lacnic.net/rdap/ https://rdap.arin.net/registry/" {
		t.Errorf("AS278: %+v, %t, %q", b, ok, b.RDAP())
	}
	if b, ok := tables.AS(70000); ok || b.RDAP() != nil || b.First != 65552 {
		t.Errorf("AS70000: %+v, %t", b, ok)
	}
	for _, name := range []string{"de", "DE", "example.de.", "www.example.de"} {
		if d, ok := tables.TLD(name); !ok || d.Name != "de" || d.Whois != "whois.denic.de" {
			t.Errorf("TLD of %s: %+v, %t", name, d, ok)
		}
	}
	for _, name := range []string{"", ".", "..", "example.nosuchtld", "goo"} {
		if d, ok := tables.TLD(name); ok {
			t.Errorf("TLD of %q: %+v", name, d)
		}
	}
}
