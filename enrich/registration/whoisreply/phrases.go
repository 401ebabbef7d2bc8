package whoisreply

import (
	"slices"
	"strings"
)

// terms are parts of terms of use and of notices, in lower case. What a paragraph with one of them says of limits and reservations
// is said to everybody.
var terms = [...]string{
	"rights reserved", "derechos reservados", "direitos reservados", "droits réservés", "diritti riservati", "alle rechte", "все права",
	"wszelkie prawa", "všechna práva", "版权所有", "you agree", "by using th", "by submitting", "terms of use", "terms and conditions",
	"reserves the right", " is rate limited", " are rate limited", "is provided", "the data in", "may be withdrawn", "abuse of th", "note that",
	"should this limit", "information provided", "you may not", "legitimate", "purposes", "accura",
	"you are not authorized", "never do any", "excessive queries;", "is restricted in order", "can be made",
	"maximum of ", "copyright", "prohibited from", "expressly prohibited", "available in full at", "may be reserved",
	"might be", "all queries are", "in this page", "registrar of record", "please visit", "help@", "for further",
}

// doubts are parts of sentences that make nonsense of a sentence that nothing was found: errors, pages of the web, and limits in words of
// which the sayings know nothing.
var doubts = [...]string{"quota", "exceeded", " limit ", " limit.", " limits ", "refused", "denied", "<html", "<!doctype", "http/1.", "requested url", "internal error",
	"server error", "database error", "could not connect", "unable to connect", "cannot connect", "host not found", "server not found",
	"tld not found", "zone not found", "file not found", "page not found", "command not found", "timed out", "timeout", "не свободен", "не вільний"}

// phrase is a part of a sentence that tells something: a class, or one of the two below.
type phrase struct {
	text string
	what uint8
}

const (
	whatDoubt = uint8(len(classNames)) + iota
	whatTerms
	numWhats
)

// phrases are all phrases in one list for each pair of letters that they begin with, found by the index of the pair: a paragraph is
// read once, however many phrases there are.
var phrases, phraseAt, maxPhrase = func() (lists [][]phrase, at *[1 << 16]uint16, longest int) {
	at, lists = new([1 << 16]uint16), make([][]phrase, 1)
	add := func(what uint8, text string) {
		text = strings.ReplaceAll(text, "ı", "i") // as appendFolded does
		pair := uint16(text[0])<<8 | uint16(text[1])
		if at[pair] == 0 {
			at[pair] = uint16(len(lists))
			lists = append(lists, nil)
		}
		lists[at[pair]] = append(lists[at[pair]], phrase{text, what})
		longest = max(longest, len(text))
	}
	for _, s := range slices.Concat(sayings, sayingsElsewhere) {
		for w := range strings.SplitSeq(s.words, "|") {
			add(uint8(s.class), w)
			if l := latin1(w); l != "" && l != w {
				add(uint8(s.class), l)
			}
		}
	}
	for _, w := range terms {
		add(whatTerms, w)
	}
	for _, w := range doubts {
		add(whatDoubt, w)
	}
	return lists, at, longest
}()

// said is what a paragraph tells: a class, Error for none; whether it leaves doubt; whether it begins to speak of a limit where it breaks
// off; whether it is said to everybody. Of a paragraph that may break off line is where its last line begins, of others -1.
func said(s string, line int) (class Class, doubt, limit, terms bool) {
	if s == "restricted " || s == "reserved " {
		return Reserved, false, false, false
	}
	var seen [numWhats]bool
	for i := 0; i+1 < len(s); i++ {
		list := phraseAt[uint16(s[i])<<8|uint16(s[i+1])]
		if list == 0 {
			continue
		}
		for _, p := range phrases[list] {
			if strings.HasPrefix(s[i:], p.text) {
				seen[p.what] = seen[p.what] || p.what != uint8(Available) || !negated(s[:i])
			}
		}
	}
	if line >= 0 {
		limit = begun(strings.TrimSuffix(s, " "), line, &seen)
	}
	doubt, terms = seen[whatDoubt], seen[whatTerms]
	for _, c := range [...]Class{Blocked, Throttled, Reserved, Available, Unsupported} {
		switch {
		case !seen[c]:
		case c == Blocked && strings.Contains(s, "temporar"): // "access has been temporarily denied"
			return Throttled, doubt, limit, terms
		default:
			return c, doubt, limit, terms
		}
	}
	if line < 0 && isAvailable(s) {
		return Available, doubt, limit, terms
	}
	return Error, doubt, limit, terms
}

// negated reports whether what stands before a phrase turns it round, "not available for …", or makes it part of a name:
// "whois.registry.no domain …" has no "no domain".
func negated(before string) bool {
	for _, w := range [...]string{".", "-", "not ", "no longer ", "n't ", "un", "cannot ", "never "} {
		if strings.HasSuffix(before, w) {
			return true
		}
	}
	return false
}

// isAvailable reports whether a paragraph ends in "example.org is available" or "the domain is available".
func isAvailable(s string) bool {
	s, ok := strings.CutSuffix(strings.TrimRight(s, "! "), " is available")
	w := s[strings.LastIndexByte(s, ' ')+1:]
	return ok && len(s) < 100 && (w == "domain" || w == "name" || isHost(strings.Trim(w, "\"'<>[]")))
}
