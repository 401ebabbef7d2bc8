package enrich

import (
	"strings"
	"unicode"
)

// tidy takes off what surrounds a word where it was copied from, and puts back what was put in to keep it from being clicked.
func tidy(s string) (string, string) {
	const layers = 8 // the last finds nothing more to do
	for range layers {
		t := refang.Replace(unwrap(strings.TrimFunc(s, isWrapping)))
		if t == s {
			return s, ""
		}
		s = t
	}
	return "", "in too many quotes or brackets"
}

// isWrapping reports whether r is white space or a mark around words: quotes, list separators, byte order mark.
func isWrapping(r rune) bool {
	switch r {
	case '"', '\'', '`', ',', ';', '“', '”', '„', '‘', '’', '‚', '«', '»', '\uFEFF', '\u200B':
		return true
	}
	return unicode.IsSpace(r)
}

// unwrap takes off a pair of brackets around all of s.
func unwrap(s string) string {
	if len(s) < 2 {
		return s
	}
	var end byte
	switch s[0] {
	case '(':
		end = ')'
	case '[', '{', '<':
		end = s[0] + 2
	default:
		return s
	}
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case s[0]:
			depth++
		case end:
			depth--
		}
		if depth == 0 {
			if i == len(s)-1 {
				return s[1:i]
			}
			break
		}
	}
	return s
}

// refang undoes the ways in which analysts write addresses of what is dangerous. The scheme hxxp needs nothing: no scheme is
// looked at.
var refang = strings.NewReplacer(
	"[.]", ".", "(.)", ".", "{.}", ".",
	"[dot]", ".", "(dot)", ".", "{dot}", ".", "[DOT]", ".", "(DOT)", ".", "{DOT}", ".",
	"[:]", ":", "(:)", ":", "[://]", "://", "(://)", "://", "[/]", "/",
	"[@]", "@", "(@)", "@", "[at]", "@", "(at)", "@", "[AT]", "@", "(AT)", "@",
)

// authorityOf is the authority of a URL (RFC 3986 §3.2), and whether s is one. Defanged schemes are schemes too: "h**p".
func authorityOf(s string) (string, bool) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || scheme == "" || classify(scheme)&(lower|upper) == 0 || strings.ContainsAny(scheme, "/?#@.[ ") {
		return "", false
	}
	if i := strings.IndexAny(rest, `/?#\`); i >= 0 {
		rest = rest[:i]
	}
	return rest[strings.LastIndexByte(rest, '@')+1:], true
}

// parseAuthority reads the host of a URL. A number there is an address in a form that hides it, not an AS number.
func parseAuthority(authority string) (Subject, string) {
	host, _ := splitPort(authority)
	switch {
	case host == "":
		return Subject{}, "a URL without a host"
	case classify(host) == digit:
		return Subject{}, cut(host, 20) + " is one number: write IPv4 addresses as four decimal numbers"
	}
	return parse(host)
}

// parseMail reads what follows the last @ of an e-mail address (RFC 5321 §4.1.2), or of user@host, if it is a domain or an
// address; a word with an @ is a name otherwise.
func parseMail(s string) (Subject, string) {
	host, _, _ := strings.Cut(s[strings.LastIndexByte(s, '@')+1:], "?") // mailto:a@example.org?subject=…
	if host == "" || classify(host)&slash != 0 {
		return wordOf(s)
	}
	sub, reason := parse(host)
	if reason != "" || sub.kind == Address || sub.kind == Domain && strings.Contains(host, ".") {
		return sub, reason
	}
	return wordOf(s)
}
