package whoisclient

import (
	"strings"
	"testing"
	"time"
)

func TestReferral(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "domain: example.org\r\n", ""},
		{"empty", "", ""},
		{"IANA", "% IANA WHOIS server\n\nrefer:        whois.example.org\n\ndomain:       ORG\nwhois:        other.example.org\n", "whois.example.org"},
		{"IANA, of a TLD", "domain:       ORG\n\nwhois:        whois.example.org\n", "whois.example.org"},
		{"no final newline", "Registrar WHOIS Server: whois.example.org", "whois.example.org"},
		{"CR", "a: b\rRegistrar WHOIS Server: whois.example.org\rc: d", "whois.example.org"},
		{"ICANN", "   Registrar WHOIS Server: WHOIS.Example.ORG\r\n   Registrar URL: http://www.example.org\r\n", "whois.example.org"},
		{"two colons", "Registrar WHOIS Server: : whois.example.org\n", "whois.example.org"},
		{"slash", "Registrar WHOIS Server: whois.example.org/\n", "whois.example.org"},
		{"thin", "   Whois Server: whois.example.org\n   Referral URL: http://www.example.org\n", "whois.example.org"},
		{"first of several", "Whois Server: a.example.org\nWhois Server: b.example.org\n", "a.example.org"},
		{"registrar before others", "Whois Server: a.example.org\nRegistrar WHOIS Server: b.example.org\n", "b.example.org"},
		{"ARIN", "ReferralServer:  whois://whois.example.org\n", "whois.example.org"},
		{"ARIN, the last", "ReferralServer: whois://a.example.org\n\nReferralServer: whois://b.example.org:4343/\n", "b.example.org:4343"},
		{"ARIN, the last that is WHOIS", "ReferralServer: whois://a.example.org\nReferralServer: rwhois://b.example.org:4321\n", "a.example.org"},
		{"rwhois", "ReferralServer: rwhois://rwhois.example.org:4321\n", ""},
		{"address", "Whois Server: 192.0.2.43\n", "192.0.2.43"},
		{"IPv6", "Whois Server: [2001:db8::43]:4343\n", "[2001:db8::43]:4343"},
		{"port of something else", "Whois Server: mail.example.org:25\n", ""},
		{"web", "whois: https://www.example.org/whois\n", ""},
		{"web, without scheme", "Registrar WHOIS Server: www.example.org/whois\n", ""},
		{"not available", "Registrar WHOIS Server: not available\n", ""},
		{"not defined", "Whois Server: not defined\nRegistrar WHOIS Server: not.defined\n", ""},
		{"None", "Registrar WHOIS Server: None\n", ""},
		{"name of the registry", "Whois Server: NIC .EXAMPLE\n", ""},
		{"no value", "Registrar WHOIS Server:\n", ""},
		{"value below", "Registrar WHOIS Server:\nwhois.example.org\n", ""},
		{"sentence", "Whois: This information is subject to an Acceptable Use Policy\n", ""},
		{"number", "refer: 2130706433\n", ""},
		{"user", "refer: user@whois.example.org\n", ""},
	} {
		got, ok := Referral(tt.text)
		if got.String() != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: %q, %v, want %q", tt.name, got, ok, tt.want)
		}
	}
}

func TestReferralIsLinear(t *testing.T) {
	for _, unit := range []string{":", "refer:", "refer:\n", "refer: whois.example.org\n", "\r", " ", "ReferralServer: whois://a.test\n", "_"} {
		text := strings.Repeat(unit, 1<<20/len(unit))
		start := time.Now()
		Referral(text)
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("1 MB of %q takes %v", unit, took)
		}
	}
}

func FuzzReferral(f *testing.F) {
	f.Add("refer: whois.example.org")
	f.Add("ReferralServer: whois://[2001:db8::1]:4343/\r\n")
	f.Add("Registrar WHOIS Server: : bücher.test\n")
	f.Add("whois: fe80::1%eth0")
	f.Fuzz(func(t *testing.T, text string) {
		s, ok := Referral(text)
		if ok != (s.Host != "") {
			t.Fatalf("%+v, %v", s, ok)
		}
		if !ok {
			return
		}
		if again, err := ParseServer(s.String()); err != nil || again != s {
			t.Errorf("%q: %+v, %v, want %+v", s.String(), again, err, s)
		}
		if strings.ContainsAny(s.Host, " \r\n\t\x00/@") {
			t.Errorf("host %q", s.Host)
		}
	})
}

func BenchmarkReferral(b *testing.B) {
	text := strings.Repeat("Registry Domain ID: 2336799_DOMAIN_ORG-VRSN\r\nDomain Status: clientTransferProhibited https://icann.org/epp\r\n", 20) +
		"Registrar WHOIS Server: whois.example.org\r\n"
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := Referral(text); !ok {
			b.Fatal("no referral")
		}
	}
}
