package layer4whois

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration/whoisreply"
)

// registry adds the same fragment to every domain, and what the server wrote to who asks for it.
type registry struct{ fragment *enrich.Fragment }

func (g registry) Add(q *enrich.Query, r *enrich.Record) enrich.Verdict {
	r.Attach(g.fragment, netip.Prefix{})
	if q.Raw {
		r.Attach(enrich.NewBuilder(&enrich.Origin{Source: "registration"}).Verbatim("domain: EXAMPLE\r\n").Build(), netip.Prefix{})
	}
	return enrich.Next
}

// pairs makes a registration of keys and values; canonical ones are mapped.
func pairs(kv ...string) *enrich.Fragment {
	b := enrich.NewBuilder(&enrich.Origin{Source: "registration"}).AsOf(time.Now().Add(-90 * time.Second))
	for i := 0; i < len(kv); i += 2 {
		k := enrich.KeyOf(kv[i])
		b.Add(enrich.Field{Key: kv[i], Value: kv[i+1], Canon: k}).Canonical(k, kv[i+1])
	}
	return b.Build()
}

// TestRegistrationIsReadAsARegistrys has answers about domains read by the parser of registries' replies.
func TestRegistrationIsReadAsARegistrys(t *testing.T) {
	rank := pairs("rank", "7")
	for _, tt := range []struct {
		fragment *enrich.Fragment
		class    whoisreply.Class
		want     string
	}{
		{
			pairs("registration", "registered", "registration_via", "rdap", "registration_server", "rdap.example",
				"domain_name", "example.org", "whois_server", "whois.registrar.example", "updated", "2024-03-02T00:00:00Z",
				"created", "1999-01-02T03:04:05Z", "expires", "2030-01-02T03:04:05Z", "registrar", "Example Registrar",
				"status", "clientTransferProhibited", "registrant_organization", "Example Ltd", "registrant_postal_code", "10115",
				"name_servers", "ns1.example.org", "dnssec", "unsigned", "emails", "a@example.org", "redacted", "registrant_name"),
			whoisreply.Registered,
			"Domain Name: example.org\r\nRegistrar WHOIS Server: whois.registrar.example\r\nUpdated Date: 2024-03-02T00:00:00Z\r\n" +
				"Creation Date: 1999-01-02T03:04:05Z\r\nRegistry Expiry Date: 2030-01-02T03:04:05Z\r\nRegistrar: Example Registrar\r\n" +
				"Domain Status: clientTransferProhibited https://icann.org/epp#clientTransferProhibited\r\n" +
				"Registrant Organization: Example Ltd\r\nRegistrant Postal Code: 10115\r\nName Server: ns1.example.org\r\n" +
				"DNSSEC: unsigned\r\nRegistrant Name: REDACTED FOR PRIVACY\r\n",
		},
		{
			pairs("registration", "available", "registration_via", "whois", "registration_server", "whois.example", "domain_name", "example.org"),
			whoisreply.Available, "Domain Name: example.org\r\nNo match for example.org: not registered\r\n",
		},
		{
			pairs("registration", "reserved", "registration_server", "whois.example", "domain_name", "example.org"),
			whoisreply.Reserved, "Domain Name: example.org\r\nThe name example.org is reserved by the registry\r\n",
		},
	} {
		chain := enrich.NewChain("", enrich.Link{Name: "rank", Source: registry{rank}}, enrich.Link{Name: "registration", Source: registry{tt.fragment}})
		_, addr := start(t, Options{Chain: chain})
		got := ask(t, addr, "example.org")
		comment, rest, _ := strings.Cut(got, "\r\n")
		if !strings.HasPrefix(comment, "% "+tt.class.String()+", says ") || !strings.Contains(comment, "ago)") {
			t.Errorf("the comment is %q", comment)
		}
		if want := tt.want + "rank: 7\r\ndbstatus: ok - data found\r\n"; rest != want {
			t.Errorf("answer\n%s\nwant\n%s", rest, want)
		}
		if r := whoisreply.Parse(got, "example.org"); r.Class != tt.class {
			t.Errorf("read as %v: %s", r.Class, got)
		}
		if got := ask(t, addr, "--raw example.org"); got != "domain: EXAMPLE\r\n" {
			t.Errorf("raw: %q", got)
		}
	}
}
