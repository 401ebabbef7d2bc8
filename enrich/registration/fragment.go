package registration

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration/whoisreply"
)

// The canonical fields that the source may add.
var canonical = enrich.SetOf(enrich.Registrar, enrich.Created, enrich.Updated, enrich.Expires, enrich.NameServers, enrich.RegStatus,
	enrich.CountryCode)

// fragment writes an answer in the order that RDAP response profiles and WHOIS servers of gTLDs have: docs/fields.md.
func (a *Answer) fragment() *enrich.Fragment {
	return a.fragmentOf(&enrich.Origin{Source: "registration", Name: a.Server})
}

func (a *Answer) fragmentOf(o *enrich.Origin) *enrich.Fragment {
	w := writer{enrich.NewBuilder(o)}
	if !a.Asked.IsZero() {
		w.b.AsOf(a.Asked)
	}
	w.text("registration", a.Class.String())
	w.text("registration_via", a.Via)
	w.text("registration_server", a.Server)
	w.text("registrar_server", a.Second)
	w.text("registration_reason", a.Reason)
	if len(a.Networks) > 0 || a.Range != "" {
		w.number(a)
	} else {
		w.domain(a)
	}
	w.canonical(enrich.RegStatus, a.Status...)
	emails, redacted := w.contacts(a)
	w.canonical(enrich.NameServers, a.NameServers...)
	w.text("dnssec", a.DNSSEC)
	w.list("emails", emails)
	w.list("redacted", redacted)
	return w.b.Build()
}

// writer writes fields that have a value.
type writer struct{ b *enrich.Builder }

func (w writer) text(key, value string) {
	if value != "" {
		w.b.Field(key, value)
	}
}

func (w writer) list(key string, values []string) {
	for _, v := range values {
		w.b.Add(enrich.Field{Key: key, Value: v, List: true})
	}
}

func (w writer) canonical(k enrich.Key, values ...string) {
	list := k == enrich.NameServers || k == enrich.RegStatus
	for _, v := range values {
		if v != "" {
			w.b.Add(enrich.Field{Key: k.String(), Value: v, Canon: k, List: list})
		}
	}
	w.b.Canonical(k, values...)
}

func (w writer) time(k enrich.Key, t time.Time) {
	if !t.IsZero() {
		w.canonical(k, t.UTC().Format(time.RFC3339))
	}
}

func (w writer) domain(a *Answer) {
	w.text("domain_name", a.Name)
	w.text("registry_domain_id", a.ID)
	w.text("whois_server", a.WhoisServer)
	w.text("referral_url", a.ReferralURL)
	w.times(a)
	w.canonical(enrich.Registrar, a.Registrar)
	w.text("registrar_iana_id", a.RegistrarID)
	w.text("abuse_email", a.Abuse.Email)
	w.text("abuse_phone", a.Abuse.Phone)
}

func (w writer) times(a *Answer) {
	w.time(enrich.Updated, a.Updated)
	w.time(enrich.Created, a.Created)
	w.time(enrich.Expires, a.Expires)
}

// number writes what is known of a network or an AS number.
func (w writer) number(a *Answer) {
	w.text("registration_range", a.Range)
	w.text("registration_name", a.Name)
	w.text("registration_handle", a.ID)
	w.text("registration_type", a.Type)
	w.text("parent_handle", a.Parent)
	w.canonical(enrich.CountryCode, countryCode(a.Country))
	w.text("whois_server", a.WhoisServer)
	w.times(a)
	w.text("abuse_email", a.Abuse.Email)
	w.text("abuse_phone", a.Abuse.Phone)
}

// countryCode is s where that is an ISO 3166-1 alpha-2 code, else empty.
func countryCode(s string) string {
	if s = strings.ToUpper(s); len(s) == 2 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z' && s != "ZZ" {
		return s
	}
	return ""
}

// contacts writes who is beside the registration, and returns all their addresses, and the names of the fields that are withheld.
func (w writer) contacts(a *Answer) (emails, redacted []string) {
	for _, role := range [...]struct {
		name string
		c    *contact
	}{
		{"registrant", &a.Registrant}, {"admin", &a.Admin}, {"tech", &a.Tech}, {"billing", &a.Billing}, {"abuse", &a.Abuse},
	} {
		for _, f := range role.c.fields() {
			if role.name != "abuse" {
				w.text(role.name+"_"+f.name, *f.value)
			}
			if role.c.Redacted&f.bit != 0 && *f.value == "" {
				redacted = append(redacted, role.name+"_"+f.name)
			}
		}
		if e := role.c.Email; e != "" && !slices.Contains(emails, e) {
			emails = append(emails, e)
		}
	}
	return emails, redacted
}

// contactField is a field of a contact with the end of its name.
type contactField struct {
	name  string
	value *string
	bit   whoisreply.ContactFields
}

func (c *contact) fields() [9]contactField {
	return [...]contactField{
		{"name", &c.Name, whoisreply.ContactName},
		{"organization", &c.Organization, whoisreply.ContactOrganization},
		{"address", &c.Address, whoisreply.ContactAddress},
		{"city", &c.City, whoisreply.ContactCity},
		{"state", &c.State, whoisreply.ContactState},
		{"postal_code", &c.PostalCode, whoisreply.ContactPostalCode},
		{"country", &c.Country, whoisreply.ContactCountry},
		{"email", &c.Email, whoisreply.ContactEmail},
		{"phone", &c.Phone, whoisreply.ContactPhone},
	}
}

// network is the network of an answer that has the subject, the zero Prefix where it is about something else.
func (a *Answer) network(s enrich.Subject) netip.Prefix {
	if p := s.Prefix(); p.IsValid() {
		for _, n := range a.Networks {
			if n.Bits() <= p.Bits() && n.Contains(p.Addr()) {
				return n
			}
		}
	}
	return netip.Prefix{}
}
