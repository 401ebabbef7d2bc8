package lists

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ruleReader reads the rules of one list, whatever form each line is in.
type ruleReader struct {
	list       *list
	subdomains bool // names alone hold for what is below them too
	scratch    []byte
}

// list is one file of rules.
type list struct {
	arena
	report
	name       string // of the file, without its folder
	conditions []condition
	revoked    []string  // the keys of rules that a badfilter takes back, in whatever list they are
	size       int64     // bytes
	built      time.Time // when the file was written last
	forms      [forms]int
}

// form is how a rule is written.
type form uint8

const (
	hostsForm form = iota
	domainForm
	adblockForm
	forms
)

var formTexts = [forms]string{"hosts", "domains", "adblock"}

// form is how most rules are written.
func (l *list) form() string {
	most := slices.Max(l.forms[:])
	if most == 0 {
		return "no rules"
	}
	return formTexts[slices.Index(l.forms[:], most)]
}

// condition is what a rule asks besides the name.
type condition struct {
	types    []uint16 // of which one is asked for, if there are any
	notTypes []uint16 // of which none is asked for
	except   [][]byte // names on the wire, that are not meant, nor what is below them
	text     string   // as modifiers, sorted
}

func (c *condition) holds(name []byte, qtype uint16) bool {
	if len(c.types) > 0 && !slices.Contains(c.types, qtype) || slices.Contains(c.notTypes, qtype) {
		return false
	}
	return !slices.ContainsFunc(c.except, func(e []byte) bool { return isUnder(name, e) })
}

// add takes in a rule. The name is text.
func (r *ruleReader) add(line int, form form, f flags, text, whole []byte, cond *condition) error {
	name, why, ok := r.readName(text)
	if !ok {
		r.list.leave(why, line, whole)
		return nil
	}
	var extra []byte
	if cond != nil {
		f |= extra4
		extra = binary.LittleEndian.AppendUint32(nil, uint32(len(r.list.conditions)))
		r.list.conditions = append(r.list.conditions, *cond)
	}
	r.list.rules++
	r.list.forms[form]++
	return r.list.arena.add(line, f, name, extra)
}

// readName is the name in text on the wire, valid until the next call.
func (r *ruleReader) readName(text []byte) (name []byte, why Reason, ok bool) {
	if _, is := addressOf(text); is {
		return nil, IsAddress, false
	}
	if r.scratch, ok = AppendName(r.scratch[:0], text); ok {
		return r.scratch, 0, true
	}
	if bytes.IndexByte(text, '*') >= 0 {
		return nil, Wildcard, false
	}
	return nil, NotUnderstood, false
}

// ruleKey is what a rule and the one that takes it back have in common.
func ruleKey(dst []byte, f flags, name []byte, cond string) []byte {
	dst = append(append(dst, byte(f&meaning)), name...)
	return append(dst, cond...)
}

// read reads a list.
func (r *ruleReader) read(ctx context.Context, in io.Reader) error {
	defer r.list.arena.close()
	return eachLine(ctx, in, r.line, func(number int, text []byte) {
		r.list.lines++
		r.list.leave(TooLong, number, text)
	})
}

// line reads one line, which is not blank.
func (r *ruleReader) line(number int, text []byte) error {
	r.list.lines++
	switch text[0] {
	case '#', '!', ';':
		return nil
	case '[':
		if text[len(text)-1] == ']' {
			return nil // the head of a list for browsers
		}
	}
	first, rest := cutField(text)
	if isComment(rest) {
		text, rest = first, nil
	}
	if a, ok := addressOf(first); ok && len(rest) > 0 {
		return r.hosts(number, a.Unmap(), rest, text)
	}
	if isCosmetic(text) {
		r.list.leave(Cosmetic, number, text)
		return nil
	}
	if isAdblock(text) {
		return r.adblock(number, text)
	}
	if len(rest) > 0 {
		r.list.leave(NotUnderstood, number, text)
		return nil
	}
	return r.domain(number, first, text)
}

// domain reads a name alone: x for just that name, .x and *.x for the names below it as well.
func (r *ruleReader) domain(number int, name, text []byte) error {
	scope := self
	if r.subdomains {
		scope |= below
	}
	if cut, ok := bytes.CutPrefix(name, []byte("*.")); ok {
		name, scope = cut, self|below
	} else if cut, ok := bytes.CutPrefix(name, []byte(".")); ok {
		name, scope = cut, self|below
	}
	if bytes.ContainsAny(name, "/?=&:~") && name[0] != '<' {
		r.list.leave(PartOfURL, number, text)
		return nil
	}
	return r.add(number, domainForm, scope, name, text, nil)
}

// isComment reports whether what comes after a name and a blank is a comment. What may be a cosmetic rule is not taken for one: the
// name in front of that is not to be blocked.
func isComment(rest []byte) bool {
	return len(rest) > 0 && rest[0] == '#' && (len(rest) == 1 || bytes.IndexByte([]byte("#@?$%"), rest[1]) < 0)
}

// cutField is what comes before the first blank, and what comes after the blanks.
func cutField(text []byte) (field, rest []byte) {
	i := bytes.IndexAny(text, " \t")
	if i < 0 {
		return text, nil
	}
	return text[:i], bytes.TrimLeft(text[i:], " \t")
}

// ruleText is a rule in words that its list could have.
func ruleText(f flags, name []byte, cond string) string {
	var b strings.Builder
	if f&allow != 0 {
		b.WriteString("@@")
	}
	switch f & (self | below) {
	case self:
		b.WriteByte('|')
	case below:
		b.WriteString("||*.")
	default:
		b.WriteString("||")
	}
	b.WriteString(nameText(name))
	b.WriteByte('^')
	sep := byte('$')
	if f&important != 0 {
		b.WriteString("$important")
		sep = ','
	}
	if cond != "" {
		b.WriteByte(sep)
		b.WriteString(cond)
	}
	return b.String()
}

// typeOf is the number of a type of records: those that clients ask for by name, the others as RFC 3597 writes them.
func typeOf(text string) (uint16, bool) {
	text = strings.ToUpper(text)
	if t, ok := typeNumbers[text]; ok {
		return t, true
	}
	digits, ok := strings.CutPrefix(text, "TYPE")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	return uint16(n), err == nil
}

var typeNumbers = map[string]uint16{
	"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "HINFO": 13, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "NAPTR": 35,
	"DS": 43, "RRSIG": 46, "NSEC": 47, "DNSKEY": 48, "TLSA": 52, "SVCB": 64, "HTTPS": 65, "ANY": 255, "URI": 256, "CAA": 257,
}
