package score

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/whence-project/whence/enrich/registration/whoisreply"
)

//go:embed contacts.jsonl
var contactFile []byte

// withheld is what a label says of a field that the reply has and does not tell.
const withheld = "REDACTED"

// contactLabel is what a reader of a reply found about the people behind a name. The reply itself is in the samples, known by its set and id; the
// checksum keeps the label from being held against a reply that was changed since.
type contactLabel struct {
	Set, ID     string
	CRC32       string
	Registrant  map[string]string
	Admin       map[string]string
	Tech        map[string]string
	WhoisServer string `json:"whois_server"`
	DNSSEC      string
	ReferralURL string `json:"referral_url"`
}

// Contacts are the labels of contacts by [Sample.Key].
type Contacts map[string]*contactLabel

// ReadContacts is the labels of contacts that come with this package. They were written by hand, from reading the replies. In a contact that is
// written like the head of a letter the name is the first line; city, state, postal code and country are labelled where the form of
// a line tells them.
func ReadContacts() (Contacts, error) {
	labels := Contacts{}
	dec := json.NewDecoder(bytes.NewReader(contactFile))
	for dec.More() {
		var l contactLabel
		if err := dec.Decode(&l); err != nil {
			return nil, fmt.Errorf("contacts.jsonl: label %d: %w", len(labels)+1, err)
		}
		labels[l.Set+" "+l.ID] = &l
	}
	return labels, nil
}

// Key names a sample among all.
func (s *Sample) Key() string { return s.Set + " " + s.ID }

// contactFields are the fields of a contact, by the labels' names, with the bit that says that one is withheld.
var contactFields = []struct {
	label, name string
	bit         whoisreply.ContactFields
	value       func(*whoisreply.Contact) string
	same        func(want []string, got string) bool
}{
	{"name", "name", whoisreply.ContactName, func(c *whoisreply.Contact) string { return c.Name }, equalName},
	{"organization", "organization", whoisreply.ContactOrganization, func(c *whoisreply.Contact) string { return c.Organization }, equalName},
	{"address", "address", whoisreply.ContactAddress, func(c *whoisreply.Contact) string { return c.Address }, sameName},
	{"city", "city", whoisreply.ContactCity, func(c *whoisreply.Contact) string { return c.City }, equalName},
	{"state", "state", whoisreply.ContactState, func(c *whoisreply.Contact) string { return c.State }, equalName},
	{"postal_code", "postal code", whoisreply.ContactPostalCode, func(c *whoisreply.Contact) string { return c.PostalCode }, equalName},
	{"country", "country", whoisreply.ContactCountry, func(c *whoisreply.Contact) string { return c.Country }, equalName},
	{"email", "e-mail", whoisreply.ContactEmail, func(c *whoisreply.Contact) string { return c.Email }, equalName},
	{"phone", "phone", whoisreply.ContactPhone, func(c *whoisreply.Contact) string { return c.Phone }, samePhone},
}

// ContactFields are what is scored of contacts, in the order of reports. "invented" are the registrant's fields that the parser found
// and the reader did not: the share that is not.
var ContactFields = func() (names []string) {
	for _, of := range []string{"registrant ", "contact "} {
		for _, f := range contactFields {
			names = append(names, of+f.name)
		}
	}
	return append(names, "redacted", "whois server", "dnssec", "referral url", "nothing invented")
}()

func equalName(want []string, got string) bool {
	return len(want) == 1 && letters(want[0]) == letters(got)
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

func samePhone(want []string, got string) bool {
	return len(want) == 1 && digits(want[0]) == digits(got)
}

// AddContacts scores the contacts of one reading, if they are labelled.
func (t *Tally) AddContacts(labels Contacts, s *Sample, r *whoisreply.Reply) (misses []Miss) {
	l := labels[s.Key()]
	if l == nil || fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(s.Response))) != l.CRC32 {
		return nil
	}
	check := func(field, want, got string, right bool) {
		if !t.count(field, right) {
			misses = append(misses, Miss{s, field, want, got})
		}
	}
	for _, c := range []struct {
		of    string
		label map[string]string
		got   *whoisreply.Contact
	}{{"registrant ", l.Registrant, &r.Registrant}, {"contact ", l.Admin, &r.Admin}, {"contact ", l.Tech, &r.Tech}} {
		for _, f := range contactFields {
			want, got := c.label[f.label], f.value(c.got)
			switch {
			case want == withheld:
				check("redacted", c.of+f.name, got, got == "" && c.got.Redacted&f.bit != 0)
			case want != "":
				check(c.of+f.name, want, got, f.same([]string{want}, got))
			case c.got == &r.Registrant:
				check("nothing invented", c.of+f.name+": nothing", got, got == "")
			}
		}
	}
	for _, f := range []struct{ name, want, got string }{{"whois server", l.WhoisServer, r.WhoisServer}, {"dnssec", l.DNSSEC, r.DNSSEC},
		{"referral url", l.ReferralURL, r.ReferralURL}} {
		if f.want != "" {
			check(f.name, f.want, f.got, strings.EqualFold(f.want, f.got))
		} else {
			check("nothing invented", f.name+": nothing", f.got, f.got == "")
		}
	}
	return misses
}
