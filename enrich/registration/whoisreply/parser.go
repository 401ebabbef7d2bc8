package whoisreply

import (
	"strings"
	"time"
)

// dates are the three dates of a registration, by field.
const numDates = 3

// found is the best date found so far.
type found struct {
	text   string
	key    string // the key it stood under
	block  int    // the block of lines it stood in
	weight int    // how sure it is that it is the domain's: 0 is no date, 2 sure
	time   time.Time
}

// parser reads a reply line by line. A section is whom the lines are about; a block is lines without an empty one between.
type parser struct {
	asked   string
	reply   Reply
	section role
	opened  bool  // the section was opened by a heading of its own, so that common words in it are not the domain's
	used    bool  // the section has had a line
	pending field // what lines without a key mean
	of      role  // whose, if it is a contact's
	indent  int   // of the line with the last key
	block   int
	fresh   bool // no line of the block so far
	dates   [numDates]found
	order   order
	weight  int // of the registrar found

	object    Contact // the contact object being read, known by its handle at its end
	handle    string
	inObject  bool
	handles   [numRoles]string
	available bool   // "Available: yes"
	bare      string // a key that is not known, or the name before the server in a list of both
	bareHost  string
	state     string // beside a status, the state is the registry's inner one
	descr     Contact
	after     field // of the line before
	named     bool  // the reply has said what name it is about
	owned     bool  // an object without a handle is the registrant's
	begun     bool  // the reply ends in the beginning of a status that could tell another class
}

func (p *parser) read(text string) {
	p.fresh = true
	for text != "" {
		var raw string
		raw, text = nextLine(text)
		l := scan(raw)
		switch {
		case l.comment:
			if p.order == unknownOrder {
				p.order = statedOrder(l.text)
			}
		case l.text == "":
			p.blank()
		case l.key != "":
			p.keyed(&l)
			p.fresh = false
		default:
			p.plain(&l)
			p.fresh = false
		}
	}
	p.endObject()
}

// blank ends a block, and a section that has had lines.
func (p *parser) blank() {
	p.endObject()
	p.block++
	p.fresh = true
	if p.used && p.section != ofForeign {
		p.section, p.opened, p.pending = ofDomain, false, noField
	}
}

// open begins a section under a heading. A second contact of a role is beside the first, not part of it.
func (p *parser) open(r role, pending field) {
	p.endObject()
	if c := p.contact(r); c != nil && (c.Address != "" || c.Email != "" || c.Phone != "") {
		r, pending = ofOther, noField
	}
	p.section, p.opened, p.used, p.pending, p.of = r, true, false, pending, r
}

// keyed takes a line with a key.
func (p *parser) keyed(l *line) {
	e, ok := resolve(l.key)
	if ok && p.fresh && p.named {
		p.beginBlock(e, l)
	}
	if ok && l.value == "" {
		p.heading(e, l)
		return
	}
	if !ok {
		p.unknown(l)
		return
	}
	if e.only || e.field == fNameServer && e.heading && p.prose(l) {
		return
	}
	if p.section == ofForeign && e.field != fDomain && e.field != fServer {
		return
	}
	p.used = true
	switch {
	case p.pending == fNameServer && e.field == fName && isHost(l.value): // "DNS servers", then "Name: ns1.example.net"
		p.addHosts(l.value)
		return
	case p.pending == fDomain && e.field == fName && isHost(l.value): // "Domain:", then "name: example.org"
		p.domain(l.value, true)
		p.named = true
		return
	case e.field == fURL || e.field == fDescr:
		p.aside(e, l)
		return
	}
	p.pending = noField
	p.indent = l.indent
	p.take(e, l)
	p.after = e.field
}

// prose reports whether a line with a colon is a sentence after all.
func (p *parser) prose(l *line) bool { return len(l.value) > 200 }

// heading takes a key without a value: what follows is the value, or is about what the key names.
func (p *parser) heading(e entry, l *line) {
	if p.section == ofForeign && e.field != fDomain {
		return
	}
	p.pending, p.indent = noField, l.indent
	switch e.field {
	case fRole:
		if e.heading && !l.bracket || l.bracket && p.fresh { // within a block it is an empty field
			p.open(e.role, fName)
		}
	case fOrganization:
		if p.fresh && e.role == ofDomain && p.section == ofDomain && l.indent == 0 && p.named {
			p.open(ofRegistrant, fName)
		}
	case fRegistrar:
		if e.heading || !e.weak {
			p.open(ofRegistrar, fRegistrar)
		}
	case fNameServer, fHost:
		p.open(ofDomain, fNameServer)
	case fCreated, fUpdated, fExpires, fStatus:
		if !p.opened || p.section == ofDomain || !e.weak {
			p.pending = e.field
		}
	case fDomain:
		p.open(ofDomain, fDomain)
	case fWhois:
		if l.bracket {
			p.open(ofOther, noField)
		}
	case fObject:
		if e.heading {
			p.open(e.role, noField)
		}
	case fAddress:
		p.pending, p.of = fAddress, p.contactOf(e)
	}
}

// unknown takes a line whose key says nothing: it may be a host with its address, or end a section.
func (p *parser) unknown(l *line) {
	if p.pending == fNameServer && hostLine(l.text) {
		p.addHosts(l.text)
		p.used = true
		return
	}
	if l.value == "" && p.section != ofForeign && (l.indent < p.indent || l.indent == p.indent && (p.fresh || !p.used)) {
		p.section, p.opened, p.pending, p.indent = ofDomain, false, noField, l.indent
		k := strings.ToLower(l.key)
		if strings.HasSuffix(k, " contact") || strings.HasSuffix(k, " contacts") { // of somebody we have no name for
			p.open(ofOther, noField)
		}
		return
	}
	if p.section == ofDomain && l.value != "" && p.bare == "" {
		p.bare = l.key
	}
}

// beginBlock finds out what a block after an empty line is about, by its first key: RPSL and its kin have an object a block.
func (p *parser) beginBlock(e entry, l *line) {
	if p.section == ofForeign || l.bracket || l.value == "" && e.field != fName && e.field != fHandle {
		return
	}
	switch {
	case e.field == fHandle, e.field == fName && e.role == ofDomain, e.field == fOrganization && e.role == ofDomain:
		if p.section == ofDomain && !p.opened {
			p.section, p.opened, p.used, p.inObject = ofOther, true, false, true
		}
	case e.field == fObject && e.role == ofOther:
		p.section, p.opened, p.used = ofOther, true, false
	case e.field == fRegistrar && !e.weak:
		p.section, p.opened, p.used = ofRegistrar, false, false
	case e.field == fRole && e.heading:
		p.section, p.opened, p.used = e.role, false, false
	}
}

// take takes the value of a known key.
func (p *parser) take(e entry, l *line) {
	switch v := l.value; e.field {
	case fDomain:
		p.domain(v, false)
		p.named = true
	case fServer:
		if w, _ := nextWord(v); p.reply.Domain == "" || cleanHost(w) != p.reply.Domain {
			p.section = ofForeign
		}
	case fCreated, fUpdated, fExpires:
		p.date(e, l.key, v)
	case fRegistrar:
		p.registrar(e, v)
	case fRegistrarID:
		if p.reply.RegistrarID == "" && isDigit(v[0]) {
			p.reply.RegistrarID = v
		}
	case fNameServer, fHost:
		if w, _ := nextWord(v); cleanHost(w) == p.reply.Domain && len(l.key) == 3 { // .dk writes the name itself under "DNS"
			return
		}
		p.addHosts(v)
		p.pending = fNameServer
	case fStatus:
		p.status(e, l)
	case fAvailable:
		p.available = p.available || len(v) == 3 && strings.EqualFold(v, "yes")
	case fWhois:
		if w, _ := nextWord(v); p.reply.WhoisServer == "" && isHost(w) {
			p.reply.WhoisServer = cleanHost(w)
		}
	case fReferral:
		p.referral(v)
	case fDNSSEC:
		if p.reply.DNSSEC == "" {
			p.reply.DNSSEC = v
		}
	case fHandle:
		p.handle = v
	case fRole:
		p.contactNamed(e, l.key, v)
	case fName, fOrganization, fAddress, fCity, fState, fPostalCode, fCountry, fEmail, fPhone, fGiven, fFamily:
		if e.field == fName && p.inObject && p.contactObject(v) {
			return
		}
		if (e.field == fName || e.field == fOrganization) && p.contactOf(e) == ofRegistrar {
			p.registrarNamed(v)
			return
		}
		c := p.contactOf(e)
		p.contact(c).set(e.field, v)
		if e.field == fAddress {
			p.pending, p.of = fAddress, c
		}
	}
}

// plain takes a line without a key.
func (p *parser) plain(l *line) {
	if p.phrase(l) {
		return
	}
	if e, ok := headingOf(l.text); ok {
		p.heading(e, l)
		return
	}
	if p.section == ofForeign {
		return
	}
	switch p.pending {
	case fNameServer:
		if hostLine(l.text) {
			p.addHosts(l.text)
			p.used = true
		}
	case fDomain:
		p.domain(l.text, true)
		p.named, p.pending = true, noField
	case fCreated, fUpdated, fExpires:
		p.date(entry{field: p.pending}, "", l.text)
		p.pending = noField
	case fRegistrar:
		p.registrar(entry{field: fRegistrar}, l.text)
		p.used, p.pending = true, noField
	case fStatus:
		p.addStatus(l.text)
	case fName, fAddress:
		if p.pending == fAddress && !p.opened && l.indent < p.indent+4 && p.after != fRole {
			p.pending = noField
			return
		}
		p.contactLine(l.text)
		p.used = true
	case noField:
		p.used = true
		p.pair(l.text)
		p.loose(l.text)
	}
}

// pair takes "example ns1.example.net": a reply that is nothing but such lines, two or more, lists the name and its servers.
func (p *parser) pair(s string) {
	name, host := nextWord(s)
	if host = trim(host); !isHost(host) || strings.ContainsAny(name, ".:,") || p.reply.Domain != "" {
		return
	}
	if p.bareHost != "" && p.bare == name {
		p.addHosts(p.bareHost)
		p.addHosts(host)
	} else if p.bare == "" {
		p.bare, p.bareHost = name, host
	}
}

// phrase takes a date in a sentence without a colon, "Record created on 22-Apr-2003", and "Domain EXAMPLE.ORG".
func (p *parser) phrase(l *line) bool {
	s := l.text
	if len(s) > 100 || p.section == ofForeign {
		return false
	}
	if len(s) > 7 && strings.EqualFold(s[:7], "domain ") && isHost(s[7:]) {
		p.domain(s[7:], false)
		p.named = true
		return true
	}
	if !strings.ContainsAny(s, "0123456789") {
		return false
	}
	for i, words := 0, 0; i < len(s) && words < 5; i++ {
		if s[i] != ' ' {
			continue
		}
		words++
		next := trim(s[i:])
		if next == "" || !isDigit(next[0]) && words < 2 || words < 2 {
			continue
		}
		e := lookup(s[:i])
		if e == nil || e.field < fCreated || e.field > fExpires || e.weak {
			continue
		}
		if _, _, ok := parseDate(next, p.order); ok && (isDigit(next[0]) || monthOrDay(next)) {
			if strings.EqualFold(s[:i], "last updated on") { // the data base, not the registration
				return true
			}
			p.date(*e, s[:i], next)
			return true
		}
	}
	return false
}

// monthOrDay reports whether s begins with the name of a month or a day of the week.
func monthOrDay(s string) bool {
	w, _ := nextWord(s)
	if monthOf(w) > 0 {
		return true
	}
	switch w = strings.ToLower(w); {
	case len(w) < 3:
		return false
	default:
		return strings.Contains("mon tue wed thu fri sat sun", w[:3])
	}
}

// headingOf is the meaning of a line that is nothing but the name of a section.
func headingOf(s string) (entry, bool) {
	if len(s) > 48 || strings.HasSuffix(s, ".") {
		return entry{}, false
	}
	e := lookup(s)
	if e == nil || !e.heading {
		return entry{}, false
	}
	return *e, true
}
