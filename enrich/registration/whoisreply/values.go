package whoisreply

import (
	"strings"
	"time"
)

// domain takes the name that what follows is about. The state may stand behind it: "EXAMPLE.ORG is Active".
func (p *parser) domain(v string, state bool) {
	w, rest := nextWord(v)
	w = cleanHost(strings.Trim(w, "\"'"))
	if !isHost(w) {
		return
	}
	if have := p.reply.Domain; have != "" && have != w && isASCII(w) && isASCII(have) {
		if w != p.asked {
			p.section = ofForeign
			return
		}
		*p = parser{asked: p.asked, order: p.order} // what came before was about another name
	}
	p.reply.Domain = w
	if rest = strings.TrimPrefix(trim(rest), "is "); state && rest != "" && isASCII(rest) && !strings.Contains(rest, " ") {
		p.addStatus(rest)
	}
	p.section, p.opened, p.used = ofDomain, false, false
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return !strings.Contains(s, "xn--")
}

// date takes one of the three dates. The first that is surely the domain's counts; of several lines of the same key one below
// the other, which are a history, the last.
func (p *parser) date(e entry, key, v string) {
	t, told, ok := parseDate(v, p.order)
	if !ok {
		return
	}
	if told != unknownOrder {
		p.order = told
	}
	weight := 2
	if e.weak && p.section != ofDomain {
		if weight = 1; p.opened && p.section != ofRegistrar || p.section == ofOther {
			return
		}
	}
	if e.field == fUpdated && strings.HasSuffix(v, "(Assigned)") {
		e.field = fCreated
	}
	if p.order == unknownOrder && americanKey(key) {
		p.order = monthFirst
	}
	f := &p.dates[e.field-fCreated]
	if weight > f.weight || e.field == fUpdated && f.key == key && f.block == p.block && t.After(f.time) {
		*f = found{v, key, p.block, weight, t}
	}
}

// americanKey reports whether a key is of a system that writes the month first.
func americanKey(key string) bool { return strings.EqualFold(key, "Record will expire on") }

// inOrder reports whether the dates, read that way, follow each other as they must.
func (p *parser) inOrder(o order) bool {
	var last time.Time
	for _, field := range [...]field{fCreated, fUpdated, fExpires} {
		f := &p.dates[field-fCreated]
		if f.weight == 0 {
			continue
		}
		t, _, ok := parseDate(f.text, o)
		if !ok || t.Before(last) {
			return false
		}
		last = t
	}
	return true
}

// registrarNamed takes the name in the registrar's own section: it replaces the handle that stood in its place.
func (p *parser) registrarNamed(v string) {
	if r := p.reply.Registrar; p.section == ofRegistrar && p.weight < 4 && isHandle(r) {
		p.weight = 2
	}
	p.registrar(entry{field: fRegistrar}, v)
}

// registrar takes the registrar's name.
func (p *parser) registrar(e entry, v string) {
	weight := 3
	if e.weak {
		weight = 2
		if strings.HasPrefix(v, "www.") {
			p.referral(v)
			return
		}
	}
	if p.section == ofOther || p.section >= ofRegistrant && p.opened {
		weight = 1
	}
	if weight < p.weight || weight == p.weight && (isASCII(p.reply.Registrar) || !isASCII(v)) {
		return // of a name in two scripts it is the Latin one
	}
	if i := strings.Index(v, "[Tag"); i > 0 {
		v = v[:i]
	}
	if i := strings.IndexByte(v, '('); i > 0 && (strings.HasPrefix(v[i+1:], "http") || strings.HasPrefix(v[i+1:], "www.")) {
		p.referral(strings.TrimSuffix(v[i+1:], ")"))
		v = v[:i]
	}
	v = strings.Trim(v, " \t*\"")
	if v == "" || v == "-" || strings.EqualFold(v, "none") || strings.EqualFold(v, "n/a") || strings.HasPrefix(v, "http") {
		return
	}
	p.reply.Registrar, p.weight = v, weight
}

// status takes a status, or in a contact the state.
func (p *parser) status(e entry, l *line) {
	if e.weak && (p.section != ofDomain && p.section != ofRegistrar) {
		if p.section != ofOther && len(l.key) == 5 && strings.EqualFold(l.key, "state") {
			p.contact(p.section).set(fState, l.value)
		}
		return
	}
	v := l.value
	if i := strings.Index(strings.ToLower(v), "-until "); i > 0 { // "OK-UNTIL 20010203040506"
		p.date(entry{field: fExpires}, l.key, v[i:])
		v = v[:i]
	} else if len(v) > 10 && strings.EqualFold(v[:10], "connected ") { // "Connected (2001/02/03)": until then
		p.date(entry{field: fExpires, weak: true}, l.key, v[10:])
	}
	if len(l.key) == 5 && strings.EqualFold(l.key, "state") && p.section == ofDomain {
		p.state = v
		return
	}
	p.addStatus(v)
	if strings.HasSuffix(l.value, "-") || strings.HasSuffix(l.value, ",") {
		p.pending = fStatus
	}
}

// finish reads the dates, now that their order is known.
func (p *parser) finish() {
	if len(p.reply.Status) == 0 && p.state != "" {
		p.addStatus(p.state)
	}
	if p.order == unknownOrder && !p.inOrder(dayFirst) && p.inOrder(monthFirst) {
		p.order = monthFirst
	}
	for i, to := range [numDates]*time.Time{&p.reply.Created, &p.reply.Updated, &p.reply.Expires} {
		f := &p.dates[i]
		if f.weight == 0 {
			continue
		}
		*to = f.time
		if t, _, ok := parseDate(f.text, p.order); ok {
			*to = t
		}
	}
}
