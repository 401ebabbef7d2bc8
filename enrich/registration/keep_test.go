package registration

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration/whoisreply"
)

func TestHowLongAnswersAreKept(t *testing.T) {
	asked := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return asked.Add(-d) }
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name string
		ttl  time.Duration
		a    Answer
		want time.Duration
	}{
		{"registered", day, Answer{Class: whoisreply.Registered, Created: ago(400 * day), Expires: asked.Add(300 * day)}, day},
		{"nothing known of it", day, Answer{Class: whoisreply.Registered}, day},
		{"registered last week", day, Answer{Class: whoisreply.Registered, Created: ago(7 * day)}, 6 * time.Hour},
		{"ends in an hour", day, Answer{Class: whoisreply.Registered, Expires: asked.Add(time.Hour)}, time.Hour},
		{"ends in a second", day, Answer{Class: whoisreply.Registered, Expires: asked.Add(time.Second)}, minTTL},
		{"has ended", day, Answer{Class: whoisreply.Registered, Expires: ago(time.Hour)}, day},
		{"for ever", -1, Answer{Class: whoisreply.Registered, Created: ago(7 * day)}, -1},
		{"a minute", time.Minute, Answer{Class: whoisreply.Registered, Created: ago(7 * day)}, time.Minute},
		{"free", day, Answer{Class: whoisreply.Available}, time.Hour},
		{"free, for ever", -1, Answer{Class: whoisreply.Available}, time.Hour},
		{"reserved", 7 * day, Answer{Class: whoisreply.Reserved}, day},
	} {
		s := New(Options{TTL: tt.ttl})
		if tt.a.Asked = asked; s.ttl(&tt.a) != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, s.ttl(&tt.a), tt.want)
		}
	}
}

func whole() *Answer {
	day := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	c := contact{"Jane", "Org", "Street 1", "City", "ST", "123", "DE", "jane@example.test", "+49.1", whoisreply.ContactName}
	return &Answer{
		Class: whoisreply.Registered, Via: "rdap", Server: "rdap.test", Second: "rdap.registrar.test", Asked: day, Fault: Timeout, Reason: "slow",
		Name: "example.test", ID: "D1", Registrar: "R", RegistrarID: "7", Created: day, Updated: day, Expires: day,
		NameServers: []string{"ns1.test", "ns2.test"}, Status: []string{"ok"}, WhoisServer: "whois.test", ReferralURL: "https://r.test",
		DNSSEC: "unsigned", Registrant: c, Admin: c, Tech: c, Billing: c, Abuse: c,
		Range: "a - b", Type: "t", Country: "DE", Parent: "p",
	}
}

func TestAnswersSurviveTheCache(t *testing.T) {
	for c := whoisreply.Error; c <= whoisreply.Unsupported; c++ {
		a := whole()
		a.Class = c
		fresh := a.Asked.Add(time.Hour)
		b, err := encode(a, fresh)
		if err != nil {
			t.Fatal(err)
		}
		got, gotFresh, err := decode(b)
		if err != nil || !reflect.DeepEqual(got, a) || !gotFresh.Equal(fresh) {
			t.Errorf("%v: got %+v, %v, %v", c, got, gotFresh, err)
		}
	}
	for _, bad := range []string{"", "{", `{"v":2,"class":"registered"}`, `{"v":1,"class":"free"}`, "[]"} {
		if a, _, err := decode([]byte(bad)); err == nil {
			t.Errorf("%q is read as %+v", bad, a)
		}
	}
}

// TestFieldsAreDocumented holds the names of docs/registration.md against what fragments have.
func TestFieldsHaveTheirForm(t *testing.T) {
	a := whole()
	a.Range = ""
	f := a.fragment()
	seen := map[string]int{}
	for _, fd := range f.Fields() {
		seen[fd.Key]++
	}
	for key, n := range map[string]int{
		"registration": 1, "registration_via": 1, "registration_server": 1, "registrar_server": 1, "registration_reason": 1, "domain_name": 1,
		"registry_domain_id": 1, "registrar": 1, "registrar_iana_id": 1, "created": 1, "updated": 1, "expires": 1, "name_servers": 2, "status": 1,
		"dnssec": 1, "registrant_name": 1, "admin_city": 1, "tech_postal_code": 1, "billing_email": 1, "abuse_email": 1, "emails": 1,
		"whois_server": 1, "referral_url": 1,
	} {
		if seen[key] != n {
			t.Errorf("%d fields %s, want %d", seen[key], key, n)
		}
	}
	if f.Fields()[0].Key != "registration" {
		t.Errorf("the first field is %s", f.Fields()[0].Key)
	}
	if got := f.Value(enrich.Created) + f.Value(enrich.RegStatus) + strings.ReplaceAll(f.Value(enrich.NameServers), "\n", " "); got != "2026-11-21T00:00:00Zokns1.test ns2.test" {
		t.Errorf("canonical: %q", got)
	}
	if a.Registrant.Name = ""; !strings.Contains(fields(a.fragment()), "redacted: registrant_name") {
		t.Errorf("what is withheld is not said: %s", fields(a.fragment()))
	}
}

func fields(f *enrich.Fragment) string {
	var b strings.Builder
	for _, fd := range f.Fields() {
		b.WriteString(fd.Key + ": " + fd.Value + "\n")
	}
	return b.String()
}
