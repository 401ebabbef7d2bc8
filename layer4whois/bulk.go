package layer4whois

import (
	"net"
	"strings"

	"github.com/whence-project/whence/enrich"
)

// flushAt is how much output makes a write, beyond what the input asks for. A record more may be on top.
const flushAt = bulkBuffer - 4096

// bulkQuery is the state of a bulk query.
type bulkQuery struct {
	dialect Dialect
	form    cymru // the dialect's columns, where that is Cymru
	headed  bool  // the heading has been sent
	line    int   // number of the line, "begin" being the first
	lines   int   // lines that were answered
	found   int
	errors  int
	bytes   int
	taken   int // lines taken since a deadline was set

	ahead    [bulkAhead]lineAhead
	subjects [bulkAhead]enrich.Subject
}

// bulk answers lines until one says "end", or the input ends. What is answered goes out whenever no further complete line is
// here, since an interactive client waits for it. Nothing is done per line but the lookup and the text: no clock is read, no
// deadline set, no memory allocated.
func (c *session) bulk(q *query) {
	b := bulkQuery{line: 1, taken: 1, form: cymru{cols: colsBulk}}
	b.dialect = &b.form
	if q.dialect != nil {
		b.dialect = q.dialect
	}
	c.query = enrich.Query{Priority: enrich.Pipeline}
	c.in.room(4096)
	c.out = append(append(c.out[:0], "Bulk mode; "...), c.srv.opt.Host...)
	c.out = c.srv.opt.Now().UTC().AppendFormat(c.out, " [2006-01-02 15:04:05 +0000]\n")
	since := c.since
	err := c.bulkLines(&b)
	if err != nil {
		b.errors++
		c.out = b.dialect.AppendError(c.out, errLineLong.with(errLineLong.Detail, b.line+1))
	}
	c.bulkFlush(&b)
	c.since = since
	c.report(Access{Dialect: b.dialect.Name(), Outcome: Bulk, Bytes: b.bytes, Lines: b.lines, Found: b.found, Errors: b.errors}, "begin")
}

// bulkAhead is how many lines are read ahead of the answers, where they are here already.
const bulkAhead = 16

// lineAhead is a line and what it asks about, where it is no option.
type lineAhead struct {
	text string
	err  error
}

// bulkLines returns errLineTooLong, or nil however else the query ended: the end of the input, "end", time, a reset.
func (c *session) bulkLines(b *bulkQuery) error {
	for {
		n, err := c.readAhead(b)
		for i := range n {
			if c.bulkLine(b, b.ahead[i].text, b.subjects[i], b.ahead[i].err) || len(c.out) >= flushAt && !c.bulkFlush(b) {
				return nil
			}
		}
		switch {
		case err != nil:
			return err
		case n > 0:
			continue
		case c.in.eof || !c.bulkFlush(b):
			return nil
		}
		// The deadline is that of a line: one that comes in drops does not move it.
		if b.taken > 0 {
			c.deadline(net.Conn.SetReadDeadline, c.srv.opt.Idle)
			b.taken = 0
		}
		if c.in.w == len(c.in.buf) { // the last read filled it: there is more than fits
			c.in.room(bulkBuffer)
		}
		if err := c.in.fill(); err != nil {
			c.in.eof = true
			if err == errLineTooLong {
				return err
			}
			return nil
		}
	}
}

// readAhead reads lines that are complete, and has the sources fetch into the processor's caches what the answers will need: the
// memory that addresses at random touch is cold, and waiting for it one line after the other is most of what a line costs.
func (c *session) readAhead(b *bulkQuery) (n int, err error) {
	for n < bulkAhead {
		line, ok, err := c.in.next()
		if err != nil || !ok {
			c.srv.opt.Chain.Warm(b.subjects[:n])
			return n, err
		}
		l := lineAhead{text: text(line)}
		b.subjects[n] = enrich.Subject{}
		if l.text != "" && !isWord(l.text) {
			b.subjects[n], l.err = bulkSubject(l.text)
		}
		b.ahead[n] = l
		n++
	}
	c.srv.opt.Chain.Warm(b.subjects[:n])
	return n, nil
}

// bulkSubject is what a line asks about. The service takes an address with a time stamp after it.
func bulkSubject(line string) (enrich.Subject, error) {
	s, err := enrich.ParseSubject(line)
	if err != nil {
		if first, rest := word(line); rest != "" {
			if s2, err2 := enrich.ParseSubject(first); err2 == nil {
				return s2, nil
			}
		}
	}
	return s, err
}

// bulkFlush sends what there is, and reports whether the client still takes it.
func (c *session) bulkFlush(b *bulkQuery) bool {
	if len(c.out) == 0 {
		return true
	}
	c.deadline(net.Conn.SetWriteDeadline, c.srv.opt.Write)
	size := len(c.out)
	n := c.flush()
	b.bytes += n
	return n == size
}

// bulkLine does what one line says, and reports whether it was the last. The line asks about s, or could not be read, unless it is
// a word.
func (c *session) bulkLine(b *bulkQuery, line string, s enrich.Subject, err error) (end bool) {
	b.line++
	b.taken++
	if line == "" {
		return false
	}
	if isWord(line) {
		if strings.EqualFold(line, "end") {
			return true
		}
		if b.option(line) {
			return false
		}
		s, err = bulkSubject(line)
	}
	if c.srv.opt.LogBulkLines {
		c.since = c.srv.opt.Now()
	}
	from := len(c.out)
	outcome, code := c.bulkAnswer(b, line, s, err)
	b.lines++
	switch outcome {
	case Found:
		b.found++
	case Failed:
		b.errors++
	}
	if c.srv.opt.LogBulkLines {
		c.report(Access{Subject: s, Dialect: b.dialect.Name(), Outcome: outcome, Error: code, Bytes: len(c.out) - from}, line)
	}
	return false
}

// bulkAnswer appends the answer to one line, which is s, or err where it could not be read.
func (c *session) bulkAnswer(b *bulkQuery, line string, s enrich.Subject, err error) (o Outcome, code int) {
	columns := b.dialect == &b.form
	if k := s.Kind(); err != nil || columns && k != enrich.Address && k != enrich.Prefix && k != enrich.AS {
		detail := ""
		if err != nil {
			detail = err.Error()
		}
		c.out = b.dialect.AppendError(c.out, errKey.with(detail, b.line))
		return Failed, errKey.Code
	}
	c.query.Subject = s
	c.srv.opt.Chain.Lookup(c.srv.ctx, &c.query, &c.rec)
	if s.Kind() == enrich.Name && len(c.rec.Parts()) == 0 && c.rec.MissText() == "" {
		c.out = b.dialect.AppendError(c.out, errNoEntries.with("", b.line))
		return None, errNoEntries.Code
	}
	if columns {
		b.form.written = ""
		if s.Kind() == enrich.Address && s.Addr().Is6() && isHexAddress(line) {
			b.form.written = line
		}
		if b.form.cols&colHeader != 0 && !b.headed {
			b.headed = true
			c.out = b.form.AppendAnswer(c.out, &c.rec, 0)
		} else {
			c.out = b.form.AppendAnswer(c.out, &c.rec, 1)
		}
	} else {
		c.out = b.dialect.AppendBulkEnd(b.dialect.AppendAnswer(c.out, &c.rec, 0))
	}
	if c.rec.Found() {
		return Found, 0
	}
	return None, 0
}

// isHexAddress reports that a line is an IPv6 address and nothing but: without zone, brackets or a time stamp.
func isHexAddress(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > ':') && (c|0x20 < 'a' || c|0x20 > 'f') && c != '.' {
			return false
		}
	}
	return true
}

// isWord reports that a line has the looks of an option: it begins and ends with a letter, and is no address or domain.
func isWord(s string) bool {
	return isLetter(s[0]) && isLetter(s[len(s)-1]) && strings.IndexByte(s, ':') < 0 && strings.IndexByte(s, '.') < 0
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// option applies a line that is an option, in any case: of Team Cymru's, or a dialect's name.
func (b *bulkQuery) option(line string) bool {
	if b.form.word(line) {
		return true
	}
	for _, d := range dialects {
		if strings.EqualFold(d.Name(), line) {
			if b.dialect = d; d == Cymru {
				b.dialect = &b.form
			}
			return true
		}
	}
	return false
}
