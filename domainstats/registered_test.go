package domainstats

import (
	"strings"
	"testing"

	"github.com/whence-project/whence/enrich"
)

// registries is a world with the answers that a source of registrations gives.
var registries = world{
	fields: map[string][]field{
		"full.com": {
			f("registration", "registered"), f("registration_via", "rdap"), f("registration_server", "rdap.example"),
			f("domain_name", "full.com"), f("whois_server", "whois.registrar.example"), f("referral_url", "https://registrar.example"),
			f("updated", "2020-07-01T10:00:00Z"), f("created", "2019-08-04T04:00:00Z"), f("expires", "2025-08-03T04:00:00Z"),
			f("registrar", "Example Registrar, Inc."), f("status", "client hold", "client transfer prohibited"),
			f("registrant_name", "Jo O'Neil"), f("registrant_organization", "Example"), f("registrant_address", "1 Main St"),
			f("registrant_city", "Bethesda"), f("registrant_state", "MD"), f("registrant_postal_code", "20814"),
			f("registrant_country", "US"), f("registrant_email", "jo@example.org"), f("admin_name", "Admin"),
			f("name_servers", "a.example.net", "b.example.net"), f("dnssec", "unsigned"),
			f("emails", "jo@example.org", "abuse@registrar.example"), f("redacted", "tech_name"),
		},
		"free.com":      {f("registration", "available"), f("registration_via", "rdap"), f("rank", "7")},
		"kept.com":      {f("registration", "reserved"), f("registration_via", "whois"), f("status", "reserved")},
		"none.gr":       {f("registration", "unsupported")},
		"throttled.com": {f("registration", "throttled")},
		"asked.com":     {f("registration", "throttled")},
		"blocked.com":   {f("registration", "blocked")},
		"garbled.com":   {f("registration", "error")},
		"stale.com":     {f("registration", "registered"), f("registration_via", "whois"), f("created", "2020-10-01T00:00:00Z")},
		"mine.com":      {f("registration", "unsupported")},
	},
	notes: map[string]enrich.Note{
		"none.gr":   {Kind: enrich.Failed, Text: "no RDAP or WHOIS server is known for the top-level domain gr"},
		"asked.com": {Kind: enrich.Throttled, Text: "whois.example: ask again in 50 s"},
		"stale.com": {Kind: enrich.Stale, Text: "as of yesterday"},
		"free.com":  {Kind: enrich.Stale, Text: "as of yesterday"},
		"late.com":  {Kind: enrich.Unfetched, Text: "being looked up"},
	},
}

// own are the operator's own records, which know more of one name than the registries.
var own = world{fields: map[string][]field{"mine.com": {f("created", "2019-01-01T00:00:00Z")}}}

func newRegisteredAPI(t testing.TB, format Format) *API {
	return newAPI(t, func(o *Options) {
		o.Format = format
		o.Chain = enrich.NewChain("", enrich.Link{Name: "own", Source: own}, enrich.Link{Name: "registration", Source: registries})
	})
}

// What is not registered, or not known, has no dates in any format, and the alert says which of the two it is.
func TestNotRegistered(t *testing.T) {
	c, b := newRegisteredAPI(t, FormatC), newRegisteredAPI(t, FormatB)
	for name, want := range map[string]string{
		"free.com":      "No whois record for free.com",
		"kept.com":      "No whois record for kept.com: the name is reserved",
		"none.gr":       "No whois or support for TLD gr ",
		"throttled.com": "Nothing is known of throttled.com: its registry asks to wait",
		"asked.com":     "whois.example: ask again in 50 s",
		"blocked.com":   "Nothing is known of blocked.com: its registry does not answer us",
		"garbled.com":   "Nothing is known of garbled.com: its registry's answer cannot be read",
		"late.com":      "being looked up",
	} {
		body := get(t, c, "/www."+name)
		if want := `{"alerts":["YOUR-FIRST-CONTACT","` + want + `"],"category":"ERROR","seen_by_isc":"ERROR","seen_by_web":"ERROR",`; !strings.HasPrefix(body, want) {
			t.Errorf("format C, %s: %s, want %s", name, body, want)
		}
		body = get(t, b, "/"+name)
		if want := `{"seen_by_web": "ERROR", "seen_by_isc": "ERROR", "seen_by_you": "` + seenText +
			`", "category": "ERROR", "alerts": ["YOUR-FIRST-CONTACT", "` + want + `"]}`; body != want {
			t.Errorf("format B, %s: %s, want %s", name, body, want)
		}
		for _, path := range []string{"/domain/", "/domain/creation_date/", "/domain/status/alexa/", "/domain/domain_name/registration/", "/created/"} {
			if strings.HasPrefix(path, "/domain/d") && name == "late.com" {
				continue // nobody says anything of it: the name itself is a field
			}
			want := "No whois record for " + name
			switch name {
			case "throttled.com", "asked.com", "blocked.com", "garbled.com", "late.com":
				want = "" // nobody has said that there is none
			}
			if body := get(t, c, path+name); body != want {
				t.Errorf("%s%s: %q, want %q", path, name, body, want)
			}
		}
	}
	for name, want := range map[string]string{
		"stale.com": `{"alerts":["YOUR-FIRST-CONTACT"],"category":"NEW","seen_by_isc":"WHOIS","seen_by_web":"Thu, 01 Oct 2020`,
		"mine.com":  `{"alerts":["YOUR-FIRST-CONTACT"],"category":"NEW","seen_by_isc":"LOCAL","seen_by_web":"Tue, 01 Jan 2019`,
	} {
		if body := get(t, c, "/"+name); !strings.HasPrefix(body, want) {
			t.Errorf("%s: %s", name, body)
		}
	}
}

const recordOfFull = `{'address': '1 Main St',
 'admin_name': 'Admin',
 'city': 'Bethesda',
 'country': 'US',
 'creation_date': datetime.datetime(2019, 8, 4, 4, 0),
 'dnssec': 'unsigned',
 'domain_name': 'full.com',
 'emails': ['jo@example.org', 'abuse@registrar.example'],
 'expiration_date': datetime.datetime(2025, 8, 3, 4, 0),
 'name': "Jo O'Neil",
 'name_servers': ['a.example.net', 'b.example.net'],
 'org': 'Example',
 'redacted': 'tech_name',
 'referral_url': 'https://registrar.example',
 'registrant_email': 'jo@example.org',
 'registrar': 'Example Registrar, Inc.',
 'registration': 'registered',
 'registration_server': 'rdap.example',
 'registration_via': 'rdap',
 'state': 'MD',
 'status': ['client hold', 'client transfer prohibited'],
 'updated_date': datetime.datetime(2020, 7, 1, 10, 0),
 'whois_server': 'whois.registrar.example',
 'zipcode': '20814'}`

// Format A has its own names for what the source of registrations knows; the source's own are answered too.
func TestContactFields(t *testing.T) {
	a := newRegisteredAPI(t, FormatA)
	for fields, want := range map[string]string{
		"name/org/address/city/state/zipcode/country":  "Jo O'Neil; Example; 1 Main St; Bethesda; MD; 20814; US; ",
		"whois_server/referral_url/dnssec/domain_name": "whois.registrar.example; https://registrar.example; unsigned; full.com; ",
		"emails*/name_servers/status":                  "['jo@example.org', 'abuse@registrar.example']; b.example.net; client transfer prohibited; ",
		"registrant_city/Registrant_Email/admin_name":  "Bethesda; jo@example.org; Admin; ",
		"creation_date/updated_date/expiration_date":   "2019-08-04 04:00:00; 2020-07-01 10:00:00; 2025-08-03 04:00:00; ",
		"tech_name/city": "no field named tech_name found; Bethesda; ",
		"registration/registration_via/registrar/admin*": "registered; rdap; Example Registrar, Inc.; no field named admin found; ",
	} {
		if got := get(t, a, "/domain/"+fields+"/full.com"); got != want {
			t.Errorf("%s:\n got %q\nwant %q", fields, got, want)
		}
	}
	if got := get(t, a, "/domain/full.com"); got != recordOfFull {
		t.Errorf("got %s", got)
	}
}
