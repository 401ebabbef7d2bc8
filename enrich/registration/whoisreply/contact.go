package whoisreply

import "strings"

// contactOf is whose contact a field belongs to: the key says so, or the section does. Outside of any it is the registrant's.
func (p *parser) contactOf(e entry) role {
	switch {
	case e.role != ofDomain && e.role != ofOther:
		return e.role
	case e.role == ofOther:
		return ofOther
	case p.inObject:
		return numRoles
	case p.section == ofDomain:
		return ofRegistrant
	}
	return p.section
}

// contact is the contact of r, nil where a Reply has none; numRoles is the object being read.
func (p *parser) contact(r role) *Contact {
	switch r {
	case ofRegistrant:
		return &p.reply.Registrant
	case ofAdmin:
		return &p.reply.Admin
	case ofTech:
		return &p.reply.Tech
	case ofBilling:
		return &p.reply.Billing
	case numRoles:
		return &p.object
	}
	return nil
}

// set sets a field that is not set yet; the lines of an address are joined.
func (c *Contact) set(f field, v string) {
	if c == nil || v == "" || v == "-" || f < fName {
		return
	}
	v = v[:min(len(v), maxValue)]
	bit := ContactFields(1) << (f - fName)
	if redacted(v) {
		c.Redacted |= bit
		return
	}
	to := c.at(f)
	switch {
	case *to == "":
		*to = v
	case f == fAddress && len(*to) < maxValue/2:
		*to += ", " + v
	}
}

// at is the place of a field.
func (c *Contact) at(f field) *string {
	switch f {
	case fName:
		return &c.Name
	case fOrganization:
		return &c.Organization
	case fAddress:
		return &c.Address
	case fCity:
		return &c.City
	case fState:
		return &c.State
	case fPostalCode:
		return &c.PostalCode
	case fCountry:
		return &c.Country
	case fEmail:
		return &c.Email
	}
	return &c.Phone
}

// withheld are the beginnings and parts of what registries write in place of a value.
var withheld = [...]string{"redacted", "not disclosed", "data protected", "statutory masking", "gdpr", "withheld", "not shown",
	"non-public", "hidden upon", "not available from registry", "can not be publicly disclosed", "not published",
	"select request email", "please query the rdds", "personal data", "visit whois.", "not provided",
	"webbased whois", "web based whois", "web-based whois"}

// redacted reports whether a value says that it is withheld.
func redacted(v string) bool {
	if len(v) < 4 || len(v) > 160 {
		return false
	}
	var b [160]byte
	for i := range len(v) {
		if b[i] = v[i]; v[i] >= 'A' && v[i] <= 'Z' {
			b[i] |= 0x20
		}
	}
	for _, w := range withheld {
		if strings.Contains(string(b[:len(v)]), w) {
			return true
		}
	}
	return false
}

// contactNamed takes a key that names a contact, with its name or its handle.
func (p *parser) contactNamed(e entry, v string) {
	if isHandle(v) {
		if p.handles[e.role] == "" {
			p.handles[e.role] = v
		}
		return
	}
	c := p.contact(e.role)
	if c.Name == "" {
		c.set(fName, v)
	}
	p.pending, p.of = fAddress, e.role
}

// isHandle reports whether s is written like a registry's number of a contact.
func isHandle(s string) bool {
	if strings.ContainsAny(s, " \t@.,") || s == "" {
		return false
	}
	return strings.ContainsAny(s, "-_0123456789")
}

// contactLine takes a line of a contact that is written like the head of a letter.
func (p *parser) contactLine(s string) {
	c := p.contact(p.of)
	if c == nil {
		return
	}
	if at := strings.IndexByte(s, '@'); at > 0 {
		for word := range strings.FieldsSeq(s) {
			if strings.IndexByte(word, '@') > 0 {
				c.set(fEmail, strings.Trim(word, "()<>,;"))
			}
		}
		if s = trim(s[:strings.LastIndexByte(s[:at], ' ')+1]); s == "" || c.Name != "" {
			return
		}
	}
	switch {
	case c.Name == "" && c.Organization == "":
		c.set(fName, s)
	case c.Phone == "" && isPhone(s):
		c.set(fPhone, s)
	default:
		c.set(fAddress, s)
	}
	p.pending = fAddress
}

// isPhone reports whether s is a number in the international form.
func isPhone(s string) bool {
	digits := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case isDigit(c):
			digits++
		case c == '+' && i == 0, c == ' ', c == '.', c == '-', c == '(', c == ')', c == '/':
		default:
			return digits >= 7 && (s[i:] == "(Phone)")
		}
	}
	return digits >= 7
}

// endObject gives a contact object to the roles that named its handle.
func (p *parser) endObject() {
	if p.inObject && p.handle != "" {
		for _, r := range [...]role{ofRegistrant, ofAdmin, ofTech, ofBilling} {
			if p.handles[r] == p.handle {
				c := p.contact(r)
				name := c.Name
				if *c = p.object; c.Name == "" {
					c.Name = name
				}
			}
		}
	}
	p.object, p.handle, p.inObject = Contact{}, "", false
}
