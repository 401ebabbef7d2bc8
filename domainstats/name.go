package domainstats

import (
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/whence-project/whence/enrich"
)

// domainOf is the domain that a request names, as A-labels in lower case; empty where it names an address, or nothing readable.
func domainOf(s string) string {
	if isPlain(s) {
		return s
	}
	sub, err := enrich.ParseSubject(s)
	if err != nil {
		return ""
	}
	if sub.Kind() == enrich.Name {
		// A bare label: no public name, but what a log had there, and it can be scored.
		return strings.ToLower(sub.Name())
	}
	return sub.Name()
}

// isPlain reports that s is written as a domain is looked up: lower-case labels of legal length, the last no number. That is what
// nearly every request has, and there is nothing to parse then.
func isPlain(s string) bool {
	if len(s) == 0 || len(s) > 253 {
		return false
	}
	label, numeric := 0, true
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			if label == 0 || label > 63 {
				return false
			}
			label, numeric = 0, true
			continue
		case 'a' <= c && c <= 'z' || c == '-' || c == '_':
			numeric = false
		case '0' <= c && c <= '9':
		default:
			return false
		}
		label++
	}
	return label > 0 && label <= 63 && !numeric
}

// registrable is the name under which a domain was registered, empty for a public suffix and for what ends in no suffix that the
// public suffix list has: an internal name, a single label.
func registrable(name string) string {
	suffix, icann := publicsuffix.PublicSuffix(name)
	if !icann && strings.IndexByte(suffix, '.') < 0 {
		return ""
	}
	i := len(name) - len(suffix) - 1
	if i <= 0 || name[i] != '.' {
		return ""
	}
	return name[1+strings.LastIndexByte(name[:i], '.'):]
}
