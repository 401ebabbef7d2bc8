package whoisreply

import (
	"strings"
	"unicode"
)

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
	if c == nil || f < fName || strings.Trim(v, "-. ") == "" {
		return
	}
	v = v[:min(len(v), maxValue)]
	switch {
	case f == fName:
		v = withoutCode(v)
	case f == fOrganization && !strings.ContainsFunc(v, unicode.IsLetter): // a company's number
		return
	case f == fEmail && strings.ContainsAny(v, " ,;"):
		v = firstMail(v)
	case f == fGiven, f == fFamily:
		c.named(f, v)
		return
	}
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
		*to += "\n" + v // until splitAddress
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
	"non-public", "hidden upon", "hidden!", "hidden due", "hidden for", "is hidden", "private person", "non divulgué",
	"diffusion restreinte", "nicht veröffentlicht", "not available from registry", "can not be publicly disclosed", "not published",
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
func (p *parser) contactNamed(e entry, key, v string) {
	if p.inObject {
		return
	}
	if isHandle(v) || strings.HasSuffix(strings.ToLower(key), "code") {
		if p.handles[e.role] == "" {
			p.handles[e.role] = v
		}
		p.pending, p.of = fName, e.role
		return
	}
	c := p.contact(e.role)
	if c.Name != "" && !isASCII(c.Name) && isASCII(v) { // the same once more, in Latin letters
		*c = Contact{}
	}
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
	return strings.ContainsAny(s, "_0123456789") || strings.Contains(s, "-") && strings.ToUpper(s) == s
}

// isCode reports whether s, in the place of a name, is a handle: capitals and several digits, "EXA001748-TEST".
func isCode(s string) bool {
	digits := 0
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c):
			digits++
		case c < 'A' || c > 'Z', c == '-':
			if c != '-' {
				return false
			}
		}
	}
	return digits > 2 && len(s) > 5
}

// withoutCode is a name without the handle in parentheses behind it.
func withoutCode(s string) string {
	i := strings.LastIndex(s, " (")
	if i > 0 && strings.HasSuffix(s, ")") {
		if code := s[i+2 : len(s)-1]; strings.Contains(code, "-") && isHandle(code) && strings.ContainsAny(code, "0123456789") {
			return trim(s[:i])
		}
	}
	return s
}

// firstMail is the first mail address in a value that has several, or words beside it; the value where it has none.
func firstMail(v string) string {
	for word := range strings.FieldsFuncSeq(v, func(r rune) bool { return r == ' ' || r == ',' || r == ';' }) {
		if strings.IndexByte(word, '@') > 0 {
			return strings.Trim(word, "()<>")
		}
	}
	return v
}

// named puts a name together that the reply has in two parts.
func (c *Contact) named(f field, v string) {
	switch {
	case redacted(v):
		c.Redacted |= ContactName
	case c.Name == "":
		c.Name = v
	case len(c.Name)+len(v) > maxValue: // a name has two parts, not thousands
	case f == fGiven:
		c.Name = v + " " + c.Name
	default:
		c.Name += " " + v
	}
}

// contactLine takes a line of a contact that is written like the head of a letter.
func (p *parser) contactLine(s string) {
	c := p.contact(p.of)
	if c == nil {
		return
	}
	s, kind := numberLine(s)
	if kind == fPhone {
		c.set(fPhone, s)
	}
	if kind != noField || c.Name == "" && isCode(s) {
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
	case p.pending == fName && c.Name == "" && c.Organization == "":
		c.set(fName, s)
	case isPhone(s): // the second is the fax
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
				if *c = p.object; name != "" { // beside the handle the domain itself has the name
					c.Name = name
				}
			}
		}
	} else if p.inObject && !p.owned && p.handles[ofRegistrant] == "" && p.reply.Registrant == (Contact{}) {
		p.reply.Registrant, p.owned = p.object, true // the first object is nobody's: the owner's
	}
	p.object, p.handle, p.inObject = Contact{}, "", false
}

// numberLine takes the word off a line that says it is a telephone number or a fax: "(Tel) 603-555", "tel: +359 2 555".
func numberLine(s string) (number string, kind field) {
	if !strings.ContainsAny(s, "0123456789") || len(s) > 60 {
		return s, noField
	}
	low := strings.ToLower(s)
	for _, w := range [...]struct {
		word string
		kind field
	}{{"(tel)", fPhone}, {"tel.", fPhone}, {"tel:", fPhone}, {"phone:", fPhone}, {"(fax)", fHandle}, {"fax:", fHandle}, {"fax.", fHandle}} {
		if strings.HasPrefix(low, w.word) {
			return trim(strings.TrimLeft(s[len(w.word):], ": ")), w.kind
		}
	}
	return s, noField
}

// finishContacts puts contacts together, now that the class is known: a description of the registration is the registrant's where
// the reply has no other, but of a name that is not registered it says something else.
func (p *parser) finishContacts() {
	r := &p.reply
	if r.Registrant.Name == "" && r.Registrant.Organization == "" && r.Class == Registered && p.descr.Name != "" {
		d := p.descr
		d.Email, d.Phone = r.Registrant.Email, r.Registrant.Phone
		r.Registrant = d
	}
	for _, role := range [...]role{ofRegistrant, ofAdmin, ofTech, ofBilling} {
		p.contact(role).splitAddress()
	}
}

// contactObject takes the name that begins an object, where it is none: the object's handle, or whose contact it is.
func (p *parser) contactObject(v string) bool {
	for _, h := range p.handles {
		if h != "" && strings.EqualFold(h, v) {
			p.handle = h
			return true
		}
	}
	if e := lookup(v); e != nil && e.field == fRole && e.heading && p.object == (Contact{}) {
		p.section, p.opened, p.used, p.inObject = e.role, true, true, false
		return true
	}
	return false
}

// aside takes what a line says beside the fields: a page, which is the registrar's where the registrar is spoken of, and a
// description.
func (p *parser) aside(e entry, l *line) {
	switch {
	case e.field == fDescr && p.section == ofDomain && !p.inObject:
		if p.descr.Name == "" {
			p.descr.Name = l.value
		} else {
			p.descr.set(fAddress, l.value)
		}
	case e.field == fURL && (p.section == ofRegistrar || p.after == fRegistrar):
		p.referral(l.value)
	}
}

// loose takes a line without a key in the midst of lines with keys, where its form says what it is.
func (p *parser) loose(s string) {
	switch c := p.contact(p.section); {
	case p.section == ofRegistrar && (strings.HasPrefix(s, "http") || strings.HasPrefix(s, "www.")):
		p.referral(s)
	case c != nil && p.opened && strings.IndexByte(s, '@') > 0 && !strings.Contains(s, " "):
		c.set(fEmail, s)
	}
}

// referral takes the registrar's page.
func (p *parser) referral(v string) {
	if w, _ := nextWord(v); p.reply.ReferralURL == "" && (strings.HasPrefix(w, "http") || isHost(w)) {
		p.reply.ReferralURL = w
	}
}
