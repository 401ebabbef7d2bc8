package rdap

import (
	"strings"

	"github.com/whence-project/whence/enrich/registration/whoisreply"
)

// card is what is used of a jCard (RFC 7095), the form in which RDAP writes contacts.
type card struct {
	name, kind, url string
	contact         whoisreply.Contact // without the name
	preferred       bool               // the e-mail address is said to be the one to use
}

// property is what stands before the value of one line of a card.
type property struct {
	name, label, cc  string
	voice, fax, pref bool
}

// read reads ["vcard", [[name, parameters, type, value…], …]].
func (v *card) read(c *cursor) {
	for range c.values() {
		if c.next() != '[' {
			continue
		}
		for range c.values() {
			if c.next() == '[' {
				v.line(c)
			}
		}
	}
}

func (v *card) line(c *cursor) {
	var p property
	for n := range c.values() {
		switch n {
		case 0:
			p.name = strings.ToLower(c.text())
		case 1:
			p.readParameters(c)
		case 2: // the type, which the name tells as well
		case 3:
			v.value(&p, c)
		}
	}
}

func (p *property) readParameters(c *cursor) {
	for name := range c.members() {
		switch string(name) {
		case "type":
			for range c.values() {
				switch strings.ToLower(c.text()) {
				case "voice":
					p.voice = true
				case "fax", "pager":
					p.fax = true
				}
			}
		case "pref":
			p.pref = c.text() == "1"
		case "label":
			p.label = c.raw()
		case "cc": // RFC 8605
			p.cc = c.text()
		}
	}
}

// value takes the value of a property, the first where there are several of a kind.
func (v *card) value(p *property, c *cursor) {
	to := &v.contact
	switch p.name {
	case "fn":
		v.set(&v.name, whoisreply.ContactName, c.text())
	case "kind":
		v.kind = strings.ToLower(c.text())
	case "org":
		v.set(&to.Organization, whoisreply.ContactOrganization, strings.Join(c.texts(4), ", "))
	case "adr":
		v.address(p, c)
	case "tel":
		if p.voice || !p.fax {
			v.phone(c.text())
		}
	case "email":
		s := strings.TrimPrefix(c.text(), "mailto:")
		if strings.IndexByte(s, '@') < 1 && !redacted(s) {
			return // a form on the web, or words about where to ask
		}
		if p.pref && !v.preferred && to.Email != "" && !redacted(s) {
			to.Email = ""
		}
		v.preferred = v.preferred || p.pref
		v.set(&to.Email, whoisreply.ContactEmail, s)
	case "url":
		if v.url == "" {
			v.url = webURL(c.text())
		}
	}
}

// set sets a field that is not set yet, or notes that its value is withheld.
func (v *card) set(to *string, field whoisreply.ContactFields, s string) {
	switch {
	case *to != "" || s == "" || s == "-":
	case redacted(s):
		v.contact.Redacted |= field
	default:
		*to = s
		v.contact.Redacted &^= field
	}
}

// address reads the seven parts of an address (RFC 6350 §6.3.1), each a text or a list. Where they are all empty the label has
// the address in lines, of which nothing tells which is the city.
func (v *card) address(p *property, c *cursor) {
	to := &v.contact
	var lines []string
	for n := range c.values() {
		s := strings.Join(c.texts(8), ", ")
		switch n {
		case 0, 1, 2: // post-office box, extended address, street
			if s != "" {
				lines = append(lines, s)
			}
		case 3:
			v.set(&to.City, whoisreply.ContactCity, s)
		case 4:
			v.set(&to.State, whoisreply.ContactState, s)
		case 5:
			v.set(&to.PostalCode, whoisreply.ContactPostalCode, s)
		case 6:
			if p.cc != "" {
				s = p.cc
			}
			v.set(&to.Country, whoisreply.ContactCountry, s)
		}
	}
	v.set(&to.Country, whoisreply.ContactCountry, p.cc)
	if len(lines) == 0 && to.City == "" && to.PostalCode == "" {
		for line := range strings.Lines(strings.ReplaceAll(p.label, `\n`, "\n")) {
			if line = clean(line); line != "" {
				lines = append(lines, line)
			}
		}
	}
	v.set(&to.Address, whoisreply.ContactAddress, clean(strings.Join(lines, ", ")))
}

// phone takes a telephone number, as text or as a tel URI (RFC 3966), whose extension is written as EPP does (RFC 5733 §2.5).
func (v *card) phone(s string) {
	number, rest, _ := strings.Cut(strings.TrimPrefix(s, "tel:"), ";")
	digits := 0
	for i := range len(number) {
		if '0' <= number[i] && number[i] <= '9' {
			digits++
		}
	}
	if digits < 5 && !redacted(number) { // a piece of one, or nothing
		return
	}
	for rest != "" {
		var part string
		part, rest, _ = strings.Cut(rest, ";")
		if ext, ok := strings.CutPrefix(part, "ext="); ok && ext != "" {
			number += "x" + ext
		}
	}
	v.set(&v.contact.Phone, whoisreply.ContactPhone, number)
}
