package bootstrap

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich/registration/whoisclient"
)

var t0 = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func at(t time.Time) func() time.Time { return func() time.Time { return t } }

// text is what s says in a line: RDAP, WHOIS with its query and charset, suffix and origin.
func text(s Services) string {
	whois := "-"
	if s.Whois.Host != "" {
		whois = s.Whois.String()
		for _, more := range []string{s.Whois.Query, s.Whois.Charset} {
			if more != "" {
				whois += "(" + more + ")"
			}
		}
	}
	rdap := "-"
	if len(s.RDAP) > 0 {
		rdap = strings.Join(s.RDAP, ",")
	}
	return fmt.Sprintf("%s %s %q %s", rdap, whois, s.Suffix, s.Origin)
}

// with is a Bootstrap that has fetched files of these services.
func with(t testing.TB, o Options, services map[int]string) *Bootstrap {
	t.Helper()
	b := New(o)
	for file, s := range services {
		r, err := parseFile(file, document10(s))
		if err != nil {
			t.Fatal(err)
		}
		b.install(file, held{registry: r, checked: t0})
	}
	return b
}

func document10(services string) []byte {
	return []byte(`{"version":"1.0","publication":"2026-01-02T03:04:05Z","services":[` + services + `]}`)
}

func TestDomainCompiled(t *testing.T) {
	b := New(Options{Compiled: true})
	for _, tt := range []struct{ name, want string }{
		{"example.com", `https://rdap.verisign.com/com/v1/ whois.verisign-grs.com(domain =%s) "com" compiled`},
		{"example.name", `https://tld-rdap.verisign.com/name/v1/ whois.nic.name(domain=%s) "name" compiled`},
		{"EXAMPLE.De.", `https://rdap.denic.de/ whois.denic.de(-T dn,ace %s) "de" compiled`},
		{"example.co.jp", `- whois.jprs.jp(%s/e)(iso-2022-jp) "jp" compiled`},
		{"example.dk", `- whois.dk-hostmaster.dk(--show-handles %s) "dk" compiled`},
		{"example.kr", `- whois.kr(euc-kr) "kr" compiled`},
		{"example.io", `https://rdap.identitydigital.services/rdap/ whois.nic.io "io" compiled`},
		{"example.kg", `http://rdap.cctld.kg/ whois.kg(windows-1251) "kg" compiled`},
		{"пример.рф", `- whois.tcinet.ru "xn--p1ai" compiled`},
		{"de", `https://rdap.denic.de/ whois.denic.de(-T dn,ace %s) "de" compiled`},
		// Web only, or for those who are known to the registry.
		{"example.es", `- - "es" compiled`},
		{"example.gr", `- - "gr" compiled`},
		{"example.com.vn", `- - "vn" compiled`},
		{"example.ph", `- - "ph" compiled`},
		{"example.com.uy", `- - "com.uy" compiled`},
		// Zones whose names the registry above does not have.
		{"example.co.za", `- coza-whois.registry.net.za "co.za" compiled`},
		{"example.uk.com", `- whois.centralnic.com "uk.com" compiled`},
		{"www.example.uk.com", `- whois.centralnic.com "uk.com" compiled`},
		{"uk.com", `https://rdap.verisign.com/com/v1/ whois.verisign-grs.com(domain =%s) "com" compiled`},
		{"example.al.eu.org", `- whois.eu.org "eu.org" compiled`},
		{"example.eu.org", `- whois.eu.org "eu.org" compiled`},
		{"example.pp.ua", `- whois.pp.ua "pp.ua" compiled`},
		{"example.ac.uk", `- whois.ja.net "ac.uk" compiled`},
		{"trust.nhs.uk", `- - "nhs.uk" compiled`},
		{"example.co.uk", `https://rdap.nominet.uk/uk/ whois.nic.uk "uk" compiled`},
		// Nobody's business but the zone's owner's.
		{"example.github.io", `- - "" `},
		{"github.io", `https://rdap.identitydigital.services/rdap/ whois.nic.io "io" compiled`},
		// No such top-level domain, or none of the DNS.
		{"example.nosuchtld", `- - "" `},
		{"printer.local", `- - "" `},
		{"", `- - "" `},
		{".", `- - "" `},
		{"a..", `- - "" `},
	} {
		if got := text(b.Domain(tt.name)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestKnown(t *testing.T) {
	b := with(t, Options{Compiled: true, Overrides: []Override{{Suffix: "fr", None: true}}}, map[int]string{
		fileDNS: `[["newtld","gr"],["https://rdap.example/"]]`,
	})
	for name, want := range map[string]bool{
		"example.de": true, "example.mil": true, "EXAMPLE.NEWTLD.": true, "example.gr": true, // its registry has RDAP by now
		"example.nosuchtld": false, "printer.local": false, "example.test": false, "": false,
		"example.fr": false, "example.es": false, "trust.nhs.uk": false, "example.github.io": false,
	} {
		if got := b.Known(name); got != want {
			t.Errorf("%s: known %t", name, got)
		}
	}
	if New(Options{}).Known("example.de") {
		t.Error("known without tables")
	}
}

func TestFetchedDomains(t *testing.T) {
	b := with(t, Options{Compiled: true}, map[int]string{fileDNS: `
 [["com","DE.","xn--p1ai","newtld","es"],["http://rdap.example/a","https://rdap.example/a","https://b.example"]],
 [["co.newtld","example.com"],["https://deep.example/"]],
 [["gov.uk"],["https://gov.example/"]]`})
	const a = "https://rdap.example/a/,https://b.example/"
	for _, tt := range []struct{ name, want string }{
		{"example.org", `- whois.pir.org "org" compiled`}, // it was taken out of the file
		{"www.example.com", `https://deep.example/ - "example.com" iana`},
		{"example.com", `https://deep.example/ - "example.com" iana`},
		{"example2.com", a + ` whois.verisign-grs.com(domain =%s) "com" iana`},
		{"myexample.com", a + ` whois.verisign-grs.com(domain =%s) "com" iana`},
		{"example.de", a + ` whois.denic.de(-T dn,ace %s) "de" iana`},
		{"пример.рф", a + ` whois.tcinet.ru "xn--p1ai" iana`},
		{"example.newtld", a + ` - "newtld" iana`},
		{"example.co.newtld", `https://deep.example/ - "co.newtld" iana`},
		{"example.es", a + ` - "es" iana`},
		{"example.io", `https://rdap.identitydigital.services/rdap/ whois.nic.io "io" compiled`},
		{"example.uk.com", `- whois.centralnic.com "uk.com" compiled`},
		{"example.gov.uk", `https://gov.example/ - "gov.uk" iana`},
	} {
		if got := text(b.Domain(tt.name)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	own := with(t, Options{}, map[int]string{fileDNS: `[["com"],["https://rdap.example/"]]`})
	if got, want := text(own.Domain("example.com")), `https://rdap.example/ - "com" iana`; got != want {
		t.Errorf("without the tables: %s", got)
	}
	if got, want := text(own.Domain("example.de")), `- - "" `; got != want {
		t.Errorf("without the tables: %s", got)
	}
}

func TestOverrides(t *testing.T) {
	o := Options{Compiled: true, Overrides: []Override{
		{Suffix: "UK.", RDAP: []string{"https://rdap.test/uk"}},
		{Suffix: "uk", None: true}, // the first counts
		{Suffix: "co.uk", Whois: &whoisclient.Server{Host: "whois.test", Port: 4343}},
		{Suffix: "fr", None: true},
		{Suffix: "com", Whois: &whoisclient.Server{Host: "whois.denic.de"}},
		{Suffix: "test", RDAP: []string{"http://rdap.test:8080/"}, Whois: &whoisclient.Server{Host: "whois.denic.de", Query: "%s"}},
		{Suffix: "github.io", Whois: &whoisclient.Server{Host: "whois.github.test"}},
	}}
	b := New(o)
	for _, tt := range []struct{ name, want string }{
		{"example.uk", `https://rdap.test/uk/ whois.nic.uk "uk" configured`},
		{"example.co.uk", `https://rdap.test/uk/ whois.test:4343 "co.uk" configured`},
		{"example.ltd.uk", `https://rdap.test/uk/ whois.nic.uk "uk" configured`},
		{"example.fr", `- - "fr" configured`},
		{"example.com", `https://rdap.verisign.com/com/v1/ whois.denic.de(-T dn,ace %s) "com" configured`},
		{"example.test", `http://rdap.test:8080/ whois.denic.de(%s) "test" configured`},
		{"example.github.io", `- whois.github.test "github.io" configured`},
		{"example.de", `https://rdap.denic.de/ whois.denic.de(-T dn,ace %s) "de" compiled`},
	} {
		if got := text(b.Domain(tt.name)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	o.Overrides = append(o.Overrides, Override{Suffix: "*", RDAP: []string{"https://all.test/"}})
	b = New(o)
	for _, tt := range []struct{ name, want string }{
		{"example.de", `https://all.test/ whois.denic.de(-T dn,ace %s) "*" configured`},
		{"example.nosuchtld", `https://all.test/ - "*" configured`},
		{"example.uk", `https://rdap.test/uk/ whois.nic.uk "uk" configured`},
		{"example.fr", `- - "fr" configured`},
	} {
		if got := text(b.Domain(tt.name)); got != tt.want {
			t.Errorf("with *: %s: %s, want %s", tt.name, got, tt.want)
		}
	}
	b = New(Options{Compiled: true, Overrides: []Override{{Suffix: "*", None: true}}})
	if got := text(b.Domain("example.de")); got != `- - "*" configured` || b.Known("example.de") {
		t.Errorf("nobody for all: %s", got)
	}
}

func TestPrefix(t *testing.T) {
	compiled := New(Options{Compiled: true})
	fetched := with(t, Options{Compiled: true}, map[int]string{
		fileIPv4: `[["8.0.0.0/8"],["https://rdap.arin.net/registry/","http://rdap.arin.net/registry/"]],[["8.8.0.0/16","198.51.100.0/24"],["https://rdap.example"]]`,
		fileIPv6: `[["2001:4400::/23"],["https://rdap.example/"]]`,
	})
	const arin = "https://rdap.arin.net/registry/ whois.arin.net "
	for _, tt := range []struct{ prefix, compiled, fetched string }{
		{"8.8.8.8/32", arin + `"8.0.0.0/8" compiled`, `https://rdap.example/ - "8.8.0.0/16" iana`},
		{"8.8.8.8/8", arin + `"8.0.0.0/8" compiled`, arin + `"8.0.0.0/8" iana`},
		{"::ffff:8.9.0.0/112", arin + `"8.0.0.0/8" compiled`, arin + `"8.0.0.0/8" iana`},
		{"8.0.0.0/7", `- - "" `, `- - "" `},
		{"2001:4400::1/128", `https://rdap.apnic.net/ whois.apnic.net "2001:4400::/23" compiled`, `https://rdap.example/ - "2001:4400::/23" iana`},
		{"10.0.0.0/8", `- - "" `, `- - "" `},
		{"198.51.100.7/32", `- - "" `, `- - "" `},
		{"2001:db8::/32", `- - "" `, `- - "" `},
		{"9.9.9.9/32", arin + `"9.0.0.0/8" compiled`, `- - "" `},
	} {
		p := netip.MustParsePrefix(tt.prefix)
		if got := text(compiled.Prefix(p)); got != tt.compiled {
			t.Errorf("%s, compiled: %s, want %s", p, got, tt.compiled)
		}
		if got := text(fetched.Prefix(p)); got != tt.fetched {
			t.Errorf("%s, fetched: %s, want %s", p, got, tt.fetched)
		}
	}
	if got := text(compiled.Prefix(netip.Prefix{})); got != `- - "" ` {
		t.Errorf("zero Prefix: %s", got)
	}
	if got := text(New(Options{}).Prefix(netip.MustParsePrefix("8.8.8.8/32"))); got != `- - "" ` {
		t.Errorf("without tables: %s", got)
	}
}

func TestAS(t *testing.T) {
	compiled := New(Options{Compiled: true})
	fetched := with(t, Options{Compiled: true}, map[int]string{
		fileASN: `[["1-1876","13312-15359","65000-65010"],["https://rdap.arin.net/registry/"]],[["2043"],["https://rdap.example/"]]`,
	})
	const arin, lacnic = "https://rdap.arin.net/registry/", "https://rdap.lacnic.net/rdap/"
	for _, tt := range []struct {
		n                 uint32
		compiled, fetched string
	}{
		{15169, arin + ` whois.arin.net "13312-15359" compiled`, arin + ` whois.arin.net "13312-15359" iana`},
		{278, lacnic + "," + arin + ` whois.lacnic.net "1-1876" compiled`, lacnic + "," + arin + ` whois.lacnic.net "1-1876" iana`},
		{2043, `https://rdap.db.ripe.net/ whois.ripe.net "2043" compiled`, `https://rdap.example/ - "2043" iana`},
		{65001, `- - "" `, `- - "" `},
		{0, `- - "" `, `- - "" `},
		{4199999999, `- - "" `, `- - "" `},
	} {
		if got := text(compiled.AS(tt.n)); got != tt.compiled {
			t.Errorf("AS%d, compiled: %s, want %s", tt.n, got, tt.compiled)
		}
		if got := text(fetched.AS(tt.n)); got != tt.fetched {
			t.Errorf("AS%d, fetched: %s, want %s", tt.n, got, tt.fetched)
		}
	}
}

func TestTag(t *testing.T) {
	compiled := New(Options{Compiled: true})
	fetched := with(t, Options{Compiled: true}, map[int]string{fileTags: `[["a@example.org"],["TEST"],["https://rdap.example"]]`})
	for _, tt := range []struct{ handle, compiled, fetched string }{
		{"ABC-1-arin", `https://rdap.arin.net/registry/ - "ARIN" compiled`, `- - "" `},
		{"ABC-test", `- - "" `, `https://rdap.example/ - "TEST" iana`},
		{"ARIN", `- - "" `, `- - "" `},
		{"-ARIN", `- - "" `, `- - "" `},
		{"ABC-", `- - "" `, `- - "" `},
	} {
		if got := text(compiled.Tag(tt.handle)); got != tt.compiled {
			t.Errorf("%s, compiled: %s, want %s", tt.handle, got, tt.compiled)
		}
		if got := text(fetched.Tag(tt.handle)); got != tt.fetched {
			t.Errorf("%s, fetched: %s, want %s", tt.handle, got, tt.fetched)
		}
	}
	if got := text(New(Options{}).Tag("ABC-ARIN")); got != `- - "" ` {
		t.Errorf("without tables: %s", got)
	}
}
