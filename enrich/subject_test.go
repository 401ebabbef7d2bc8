package enrich

import (
	"net/netip"
	"strings"
	"testing"
)

func TestSubjectOf(t *testing.T) {
	addr := netip.MustParseAddr
	for _, tt := range []struct {
		got      Subject
		kind     Kind
		want     string
		prefix   string
		hostBits bool
	}{
		{AddressOf(addr("192.0.2.1")), Address, "192.0.2.1", "192.0.2.1/32", false},
		{AddressOf(addr("::ffff:192.0.2.1")), Address, "192.0.2.1", "192.0.2.1/32", false},
		{AddressOf(addr("fe80::1%eth0")), Address, "fe80::1", "fe80::1/128", false},
		{AddressOf(netip.Addr{}), Invalid, "", "", false},
		{PrefixOf(prefix("192.0.2.0/24")), Prefix, "192.0.2.0/24", "192.0.2.0/24", false},
		{PrefixOf(prefix("192.0.2.1/24")), Prefix, "192.0.2.0/24", "192.0.2.0/24", true},
		{PrefixOf(prefix("2001:db8::1/32")), Prefix, "2001:db8::/32", "2001:db8::/32", true},
		{PrefixOf(prefix("::ffff:192.0.2.0/120")), Prefix, "192.0.2.0/24", "192.0.2.0/24", false},
		{PrefixOf(prefix("::ffff:192.0.2.1/120")), Prefix, "192.0.2.0/24", "192.0.2.0/24", true},
		{PrefixOf(prefix("::/0")), Prefix, "::/0", "::/0", false},
		{PrefixOf(netip.Prefix{}), Invalid, "", "", false},
		{ASOf(4294967295), AS, "AS4294967295", "", false},
		{DomainOf("Example.ORG."), Domain, "example.org", "", false},
		{DomainOf(`a\.b.example.org`), Domain, `a\.b.example.org`, "", false},
		{DomainOf("localhost"), Domain, "localhost", "", false},
		{DomainOf("."), Invalid, "", "", false},
		{DomainOf("a b.example.org"), Invalid, "", "", false},
		{DomainOf("a\n.example.org"), Invalid, "", "", false},
		{DomainOf("müller.de"), Invalid, "", "", false},
		{DomainOf(strings.Repeat("a.", 127)), Domain, strings.Repeat("a.", 126) + "a", "", false},
		{DomainOf(strings.Repeat("a.", 128)), Invalid, "", "", false},
		{NameOf("Customer-7"), Name, "Customer-7", "", false},
		{NameOf(""), Invalid, "", "", false},
		{NameOf("two words"), Invalid, "", "", false},
		{NameOf("a\x00"), Invalid, "", "", false},
		{NameOf(strings.Repeat("x", 256)), Invalid, "", "", false},
	} {
		s := tt.got
		if s.Kind() != tt.kind || s.String() != tt.want || s.HostBits() != tt.hostBits || s.IsValid() != (tt.kind != Invalid) {
			t.Errorf("%v %q, host bits %v, want %v %q, %v", s.Kind(), s, s.HostBits(), tt.kind, tt.want, tt.hostBits)
		}
		if p := s.Prefix(); p.IsValid() != (tt.prefix != "") || p.IsValid() && p.String() != tt.prefix {
			t.Errorf("%q: prefix %v, want %q", s, p, tt.prefix)
		}
	}
	if s := ASOf(64496); s.ASN() != 64496 || s.Addr().IsValid() || s.Name() != "" {
		t.Errorf("%+v", s)
	}
}

func TestSubjectsThatMeanTheSameHaveOneKey(t *testing.T) {
	for _, same := range [][]string{
		{"192.0.2.1", "::ffff:192.0.2.1", "[192.0.2.1]:80", "1.2.0.192.in-addr.arpa", "http://192.0.2.1/"},
		{"192.0.2.0/24", "192.0.2.77/24", "192.0.2/24", "192.0.2.0-255", "2.0.192.in-addr.arpa"},
		{"AS65546", "as1.10", "65546"},
		{"müller.de", "MÜLLER.de.", "xn--mller-kva.de", "XN--MLLER-KVA.DE", "https://müller.de/"},
	} {
		want := subject(t, same[0]).Key()
		for _, in := range same {
			if got := subject(t, in).Key(); got != want {
				t.Errorf("%q: key %+v, want %+v", in, got, want)
			}
		}
	}
	if a, b := subject(t, "Customer"), subject(t, "customer"); a.Key() == b.Key() {
		t.Error("the case of a name does not matter, and should")
	}
}

func TestWritten(t *testing.T) {
	for in, want := range map[string]string{
		"example.org":                "example.org",
		"Example.Org.":               "Example.Org",
		"Müller.de":                  "Müller.de",
		"https://Example.ORG/x":      "Example.ORG",
		"exam\u00adple.org":          "example.org", // a soft hyphen is not shown
		"Customer-7":                 "Customer-7",
		"Info":                       "Info", // a top-level domain, and perhaps a record's name
		"8.8.8.8":                    "",
		"hxxp://Example[.]ORG:80/x":  "Example.ORG",
		"User.Name@Mail.Example.org": "Mail.Example.org",
	} {
		if got := subject(t, in).Written(); got != want {
			t.Errorf("%q: written %q, want %q", in, got, want)
		}
	}
}

func TestRegistrable(t *testing.T) {
	for in, want := range map[string]string{
		"example.org":          "example.org",
		"a.b.example.org":      "example.org",
		"www.example.co.uk":    "example.co.uk",
		"co.uk":                "",
		"com":                  "",
		"a.b.unlisted":         "b.unlisted",
		"www.ck":               "www.ck", // an exception to *.ck
		"a.b.ck":               "a.b.ck",
		"xn--mller-kva.de":     "xn--mller-kva.de",
		"www.me.github.io":     "me.github.io",
		"_dmarc.example.co.jp": "example.co.jp",
	} {
		if got := DomainOf(in).Registrable(); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
	for _, s := range []Subject{{}, ASOf(1), NameOf("a/b"), DomainOf("a..com"), DomainOf(".com"), subject(t, "8.8.8.8")} {
		if got := s.Registrable(); got != "" {
			t.Errorf("%q: %q, want none", s, got)
		}
	}
	// What is left is the error that the list's library makes of every name while it looks whether that is an address.
	s := DomainOf("www.example.co.uk")
	if n := testing.AllocsPerRun(100, func() { s.Registrable() }); n > 1 {
		t.Errorf("%v allocations, want at most 1", n)
	}
}
