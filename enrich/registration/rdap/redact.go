package rdap

import (
	"strings"

	"github.com/whence-project/whence/enrich/registration/whoisreply"
)

// placeholders are parts of what servers write where a value is withheld.
var placeholders = [...]string{"redacted", "not disclosed", "data protected", "statutory masking", "gdpr", "withheld", "non-public",
	"not shown", "not published", "please query the rdds", "not available from registry"}

// redacted reports whether a value says that it is withheld.
func redacted(s string) bool {
	if len(s) < 4 || len(s) > 250 {
		return false
	}
	s = strings.ToLower(s)
	for _, p := range placeholders {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}

// private are the fields that the rules for generic top-level domains have registries withhold of a person.
const private = whoisreply.ContactName | whoisreply.ContactAddress | whoisreply.ContactCity | whoisreply.ContactPostalCode |
	whoisreply.ContactEmail | whoisreply.ContactPhone

const allFields = private | whoisreply.ContactOrganization | whoisreply.ContactState | whoisreply.ContactCountry

// withheldBy is what the title of an entity's remark says to be left out of it. Which fields "some of the data" are is left to
// the reader.
func withheldBy(title string) whoisreply.ContactFields {
	switch strings.ToLower(title) {
	case "redacted for privacy", "data policy":
		return private
	case "email redacted for privacy":
		return whoisreply.ContactEmail
	}
	return 0
}

// withhold notes the fields that have no value on purpose.
func withhold(c *whoisreply.Contact, fields whoisreply.ContactFields) {
	for _, f := range [...]struct {
		field whoisreply.ContactFields
		value string
	}{
		{whoisreply.ContactName, c.Name}, {whoisreply.ContactOrganization, c.Organization}, {whoisreply.ContactAddress, c.Address},
		{whoisreply.ContactCity, c.City}, {whoisreply.ContactState, c.State}, {whoisreply.ContactPostalCode, c.PostalCode},
		{whoisreply.ContactCountry, c.Country}, {whoisreply.ContactEmail, c.Email}, {whoisreply.ContactPhone, c.Phone},
	} {
		if fields&f.field != 0 && f.value == "" {
			c.Redacted |= f.field
		}
	}
}

// redaction is that fields of the contacts of some roles are withheld (RFC 9537).
type redaction struct {
	roles  role
	fields whoisreply.ContactFields
}

// readRedactions reads which fields are withheld by the names that the redactions have, in the words of IANA's registry of them.
// The JSONPath beside is not evaluated: it may speak of what was there before.
func readRedactions(c *cursor) (list []redaction) {
	for range c.values() {
		for name := range c.members() {
			if string(name) != "name" {
				continue
			}
			for name := range c.members() {
				if string(name) != "description" && string(name) != "type" {
					continue
				}
				if r := redactionOf(c.text()); r.roles != 0 && r.fields != 0 && len(list) < maxRedacted {
					list = append(list, r)
				}
			}
		}
	}
	return list
}

// fieldWords are by what a redaction's name tells the field.
var fieldWords = [...]struct {
	word  string
	field whoisreply.ContactFields
}{
	{"email", whoisreply.ContactEmail}, {"e-mail", whoisreply.ContactEmail}, {"postal", whoisreply.ContactPostalCode},
	{"organi", whoisreply.ContactOrganization}, {"street", whoisreply.ContactAddress}, {"address", whoisreply.ContactAddress},
	{"city", whoisreply.ContactCity}, {"state", whoisreply.ContactState}, {"province", whoisreply.ContactState},
	{"country", whoisreply.ContactCountry}, {"phone", whoisreply.ContactPhone}, {"name", whoisreply.ContactName},
}

// redactionOf reads names as "Registrant Name", "Tech Email", "Administrative Contact".
func redactionOf(name string) (r redaction) {
	who, what, _ := strings.Cut(strings.ToLower(name), " ")
	switch {
	case who == "registrant":
		r.roles = registrant
	case strings.HasPrefix(who, "admin"):
		r.roles = admin
	case strings.HasPrefix(who, "tech"):
		r.roles = tech
	case who == "billing":
		r.roles = billing
	default:
		return r
	}
	if what == "contact" || what == "" {
		r.fields = allFields
		return r
	}
	if strings.Contains(what, "fax") || strings.Contains(what, " ext") {
		return r
	}
	for _, f := range fieldWords {
		if strings.Contains(what, f.word) {
			r.fields = f.field
			break
		}
	}
	return r
}

func (d *document) applyRedactions() {
	for _, r := range d.redactions {
		for _, place := range d.contacts() {
			if r.roles&place.role != 0 {
				withhold(place.contact, r.fields)
			}
		}
	}
}
