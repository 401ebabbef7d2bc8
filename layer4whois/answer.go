package layer4whois

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/whence-project/whence/enrich"
)

// maxAnswers is how many records one query is answered with: the networks within a prefix, the prefixes of a range.
const maxAnswers = 256

// answer answers one line, and reports whether the connection stays open for another.
func (c *session) answer(line []byte, first bool) (more bool) {
	t := text(line)
	c.asked = parseQuery(t, c.srv.opt.Dialect)
	q := &c.asked
	if q.op == opBulk {
		c.bulk(q)
		return false
	}
	if q.op == opKeep {
		return first
	}
	keep := !first || q.keep
	a := c.single(q)
	if keep && len(c.out) > 0 {
		c.out = append(c.out, "\r\n\r\n"...)
	}
	a.Bytes = c.reply()
	c.report(a, t)
	return keep && a.Error != errNoKey.Code
}

// dialectOf is the dialect that a query is answered in.
func (c *session) dialectOf(q *query) Dialect {
	switch {
	case q.dialect != nil:
		return q.dialect
	case q.isCymru:
		c.columns = q.columns
		return &c.columns
	}
	return c.srv.opt.Dialect
}

// single appends the reply to a query of one line, and says what became of it.
func (c *session) single(q *query) Access {
	d := c.dialectOf(q)
	a := Access{Dialect: d.Name(), Outcome: Help}
	switch q.op {
	case opHelp:
		c.out = appendHelp(c.out)
	case opVersion:
		c.out = Lines.AppendComment(c.out, c.srv.describe())
	case opSources:
		for _, l := range c.srv.opt.Chain.Links() {
			c.out = append(append(append(c.out, l.Name...), ":3:N:0-0"...), crlf...)
		}
	case opTypes:
		c.out = append(c.out, "address\r\nprefix\r\nas\r\ndomain\r\nname\r\n"...)
	case opTemplate:
		c.out = appendTemplate(c.out)
	case opLookup:
		c.lookup(q, d, &a)
	default:
		c.refuse(d, &q.err, &a)
	}
	return a
}

func (c *session) refuse(d Dialect, e *Error, a *Access) {
	c.out = d.AppendError(c.out, e)
	a.Outcome, a.Error = Failed, e.Code
}

// lookup answers a question for a subject, or for the prefixes of a range.
func (c *session) lookup(q *query, d Dialect, a *Access) {
	s, err := subjectOf(q)
	var more []enrich.Subject
	if err != nil && strings.IndexByte(q.key, '-') > 0 {
		if ss, rangeErr := enrich.ParseSubjects(q.key); rangeErr == nil && len(ss) > 0 {
			s, more, err = ss[0], ss[1:], nil
		}
	}
	if err != nil {
		if !c.missed(q.key, d, a) {
			c.refuse(d, errKey.with(err.Error(), 1), a)
		}
		return
	}
	a.Subject, a.Outcome = s, None
	c.query = enrich.Query{Raw: q.raw}
	if c.srv.opt.Wait > 0 {
		c.query.Wait = time.Now().Add(c.srv.opt.Wait)
	}
	if s.HostBits() {
		c.out = d.AppendComment(c.out, "host bits were set: answered for "+s.Prefix().String())
	}
	whole := true
	n := c.subject(s, d, a, 0)
	for _, s := range more {
		if n >= maxAnswers {
			whole = false
			break
		}
		n = c.subject(s, d, a, n)
	}
	if !whole || n >= maxAnswers {
		c.out = d.AppendComment(c.out, "cut off after "+strconv.Itoa(maxAnswers)+" networks: ask for a smaller one")
	}
	if v, miss := verbatim(&c.rec); a.Error == 0 && v == "" && miss == "" {
		c.out = d.AppendFooter(c.out, c.srv.footer(c.since))
	}
}

// missed answers what is no subject in the words of a source that is alone in its chain, if that has such words: simple-whois
// says of anything that it has no record of it.
func (c *session) missed(key string, d Dialect, a *Access) bool {
	if len(c.srv.opt.Chain.Links()) != 1 {
		return false
	}
	word := strings.Map(func(r rune) rune { // what makes it no word is nothing that the source could go by
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, key)
	c.query = enrich.Query{Subject: enrich.NameOf(strings.Clone(word)), Offline: true}
	c.srv.opt.Chain.Lookup(c.srv.ctx, &c.query, &c.rec)
	if c.rec.MissText() == "" {
		return false
	}
	c.out = d.AppendAnswer(c.out, &c.rec, 0)
	a.Outcome = None
	return true
}

// subjectOf is what a query is about.
func subjectOf(q *query) (enrich.Subject, error) {
	if q.asOnly {
		if n, err := strconv.ParseUint(q.key, 10, 32); err == nil {
			return enrich.ASOf(uint32(n)), nil
		}
	}
	return enrich.ParseSubject(q.key)
}

// subject asks about one subject and appends the answer, the n-th of the reply; within a prefix it asks for each network that
// the chain tells apart. It returns how many answers the reply then has.
func (c *session) subject(s enrich.Subject, d Dialect, a *Access, n int) int {
	c.ask(s, d, a, n)
	n++
	if s.Kind() != enrich.Prefix || d.Name() == "cymru" {
		return n
	}
	p := s.Prefix()
	for n < maxAnswers {
		got := c.rec.Network()
		if v, _ := verbatim(&c.rec); v != "" || !got.IsValid() || got.Bits() <= p.Bits() {
			break
		}
		next := lastAddr(got).Next()
		if !next.IsValid() || !p.Contains(next) {
			break
		}
		c.ask(enrich.AddressOf(next), d, a, n)
		n++
	}
	return n
}

func (c *session) ask(s enrich.Subject, d Dialect, a *Access, n int) {
	c.query.Subject = s
	c.srv.opt.Chain.Lookup(c.srv.ctx, &c.query, &c.rec)
	if c.rec.Found() {
		a.Outcome = Found
	}
	if s.Kind() == enrich.Name && len(c.rec.Parts()) == 0 && c.rec.MissText() == "" {
		a.Error = errNoEntries.Code
		c.out = d.AppendError(c.out, errNoEntries.with("", 1))
		return
	}
	c.out = d.AppendAnswer(c.out, &c.rec, n)
}

// lastAddr is the last address of a network.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As16()
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	for i := bits; i < 128; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	if a := netip.AddrFrom16(b); p.Addr().Is6() {
		return a
	} else {
		return a.Unmap()
	}
}
