package caddyenrichhttp

import (
	"strings"
	"testing"

	"github.com/whence-project/whence/enrich"
)

func TestPlaceholders(t *testing.T) {
	for _, tt := range []struct {
		name, body, client, target, want string
	}{
		{"client", "enrich\nrespond \"{enrich.asn} {enrich.country_code} {enrich.network}\"", "192.0.2.1", "/", "AS64496 DE 192.0.2.0/24"},
		{"client, IPv6", "enrich\nrespond \"{enrich.asn} {enrich.network}\"", "2001:db8::ff", "/", "AS64497 2001:db8::/120"},
		{"mapped", "enrich\nrespond {enrich.network}", "::ffff:192.0.2.1", "/", "192.0.2.0/24"},
		{"a source's own fields", "enrich\nrespond \"{enrich.tier} {enrich.tag} {enrich.nothing}.\"", "192.0.2.1", "/", "1 a,b ."},
		{"a chain", "enrich lan\nrespond \"{enrich.asn}{enrich.iana_block}\"", "192.0.2.1", "/", "192.0.2.0/24"},
		{"a value", "enrich {query.ip}\nrespond \"{enrich.country_code} {enrich.network}\"", "192.0.2.1", "/?ip=192.0.2.200", "FR 192.0.2.0/24"},
		{"a value of another kind", "enrich {query.ip}\nrespond \"{enrich.rank}{enrich.asn}\"", "192.0.2.1", "/?ip=example.org:443", "17"},
		{"a value that cannot be read", "enrich {query.ip}\nrespond \"{enrich.asn}{enrich.json}.\"", "192.0.2.1", "/?ip=010.0.0.1", "."},
		{"no value", "enrich {query.ip}\nrespond \"{enrich.asn}.\"", "192.0.2.1", "/", "."},
		{"chain and value", "enrich {query.ip} lan\nrespond {enrich.iana_block}", "192.0.2.1", "/?ip=10.1.2.3", "10.0.0.0/8"},
		{"several", "enrich\nenrich {query.ip} {\nas subject\n}\nrespond \"{enrich.country_code} {enrich.subject.country_code}\"",
			"192.0.2.1", "/?ip=192.0.2.200", "DE FR"},
		{"the last of one name", "enrich lan\nenrich\nrespond {enrich.country_code}", "192.0.2.1", "/", "DE"},
		{"a value of another answer", "enrich\nenrich {enrich.asn} {\nas system\nwait 10s\n}\nrespond {enrich.system.as_name}", "192.0.2.1", "/", "Fetched Networks"},
		{"values in a circle", "enrich {enrich.b.asn} {\nas a\n}\nenrich {enrich.a.asn} {\nas b\n}\nrespond \"{enrich.a.asn}.\"", "192.0.2.1", "/", "."},
		{"a value that changes", "enrich {vars.ip}\nroute {\nvars ip 192.0.2.1\nvars a {enrich.country_code}\nvars ip 192.0.2.200\nrespond \"{vars.a} {enrich.country_code}\"\n}",
			"192.0.2.1", "/", "DE FR"},
		{"map", "enrich\nmap {enrich.country_code} {word} {\nDE Guten_Tag\ndefault Hello\n}\nrespond {word}", "192.0.2.1", "/", "Guten_Tag"},
		{"an error page", "enrich\nroute {\nerror 404\n}\nhandle_errors {\nrespond {enrich.country_code}\n}", "192.0.2.200", "/", "FR"},
		{"templates", "enrich\ntemplates {\nmime text/plain\n}\nheader Content-Type text/plain\nrespond \"{{placeholder `enrich.asn`}}\"", "192.0.2.1", "/", "AS64496"},
		{"nothing for this request", "@x path /x\nenrich @x\nrespond \"{enrich.asn}.\"", "192.0.2.1", "/", "{enrich.asn}."},
		{"another name", "enrich {\nas a\n}\nrespond \"{enrich.asn}{enrich.a.asn}\"", "192.0.2.1", "/", "{enrich.asn}AS64496"},
		{"json", "enrich lan\nrespond {enrich.json}", "10.0.0.1", "/", `{"subject":"10.0.0.1","kind":"address","network":"10.0.0.0/8"`},
	} {
		if got := ask(site(t, tt.body), from(tt.client, tt.target)); got != tt.want && (tt.name != "json" || !strings.HasPrefix(got, tt.want)) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestTrustedProxies(t *testing.T) {
	s := site(t, "enrich\nrespond {enrich.country_code}")
	for _, tt := range []struct{ proxy, forwarded, want string }{
		{"192.0.2.250", "192.0.2.1", "DE"},
		{"192.0.2.249", "192.0.2.1", "FR"}, // not trusted: it is the client
		{"192.0.2.250", "2001:db8::1", "DE"},
	} {
		if got := ask(s, from(tt.proxy, "/", "X-Forwarded-For", tt.forwarded)); got != tt.want {
			t.Errorf("%s over %s: %q, want %q", tt.forwarded, tt.proxy, got, tt.want)
		}
	}
}

// TestOneLookup counts how often chains are asked.
func TestOneLookup(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       int64
	}{
		{"nothing is used", "enrich\nrespond x", 0},
		{"several fields", "enrich\nrespond \"{enrich.asn} {enrich.country_code} {enrich.as_name} {enrich.network}\"", 1},
		{"matchers beside it", "@de enrich country_code DE\n@de2 {\nenrich asn AS64496\nenrich country_code *\n}\nenrich\nheader @de X-A b\nheader @de2 X-B c\nrespond {enrich.asn}", 1},
		{"headers and the log", "log\nenrich {\nheaders\nlog\n}\nrespond {enrich.asn}", 1},
		{"no access log", "enrich {\nlog\n}\nrespond x", 0},
		{"two subjects", "enrich\nenrich 192.0.2.{query.n} {\nas other\n}\nrespond \"{enrich.asn} {enrich.other.asn} {enrich.asn} {enrich.other.asn}\"", 2},
		{"the same subject", "enrich\nenrich {client_ip} {\nas other\n}\nrespond \"{enrich.asn} {enrich.other.asn}\"", 1},
		{"two chains", "enrich\nenrich lan {\nas other\n}\nrespond \"{enrich.asn} {enrich.other.asn}\"", 1},
	} {
		s := site(t, tt.body)
		for range 2 {
			lookups.Store(0)
			ask(s, from("192.0.2.1", "/?n=9"))
			if got := lookups.Load(); got != tt.want {
				t.Errorf("%s: %d lookups, want %d", tt.name, got, tt.want)
			}
		}
	}
}

// TestWantsWhatIsUsed holds that sources are asked for what requests have used, and not for more.
func TestWantsWhatIsUsed(t *testing.T) {
	const registered = "created"
	s := site(t, "enrich {query.ip}\n@"+registered+" path /"+registered+"\nrespond @"+registered+" {enrich.created}\nrespond {enrich.asn}")
	want := func(target string, created bool) {
		t.Helper()
		ask(s, from("192.0.2.1", target+"?ip=example.org"))
		q := enrichQuery(wants.Load())
		if q.wantsCreated() != created {
			t.Errorf("%s: wanted %b", target, wants.Load())
		}
	}
	want("/", false)
	want("/"+registered, true)
	want("/", true) // learnt
}

func TestWaits(t *testing.T) {
	fetched.Clear()
	patient := site(t, "@x enrich {query.as} as_name Fetched*\nheader @x X y\nenrich {query.as} {\nwait 10s\n}\nrespond \"{enrich.as_name}.\"")
	hasty := site(t, "enrich {query.as}\nrespond \"{enrich.as_name}.\"")
	if got := ask(hasty, from("192.0.2.1", "/?as=AS64500")); got != "." {
		t.Errorf("without wait: %q", got)
	}
	if got := ask(patient, from("192.0.2.1", "/?as=AS64501")); got != "Fetched Networks." {
		t.Errorf("with wait: %q", got)
	}
}

type enrichQuery uint64

func (q enrichQuery) wantsCreated() bool { return q&enrichQuery(enrich.SetOf(enrich.Created)) != 0 }
