package annotate

import (
	"bytes"

	"golang.org/x/net/publicsuffix"

	"github.com/whence-project/whence/enrich"
)

// nextName finds the next word from i on that may be a domain name of the public DNS: one with a dot that stands where a host's name
// does, which paths, file names in them and functions do not. Whether its end is a top-level domain is left to isName.
func (f *finder) nextName(i int) {
	b := f.text
	start := i
	for i < len(b) {
		n := bytes.IndexByte(b[i:], '.')
		if i += n; n < 0 {
			break
		}
		from, to := i, i+1
		for from > start && i-from <= maxName && is(b[from-1], host) {
			from--
		}
		for to < len(b) && to-i <= maxName && is(b[to], host) {
			to++
		}
		next := to
		for to > from && !is(b[to-1], word) {
			to-- // the dot that ends a sentence
		}
		if from, ok := f.nameStart(from, to); ok && f.mayBeName(from, to) {
			f.name = hit{from: from, to: to, isName: true}
			return
		}
		i = next
	}
	f.name.from = len(b)
}

// maxName is the length of a domain name in text (RFC 1035 §2.3.4).
const maxName = 253

// nameStart is where a name begins of which from is the first byte that a name could have.
func (f *finder) nameStart(from, to int) (int, bool) {
	b := f.text
	if from > 0 && b[from-1] == '%' && to-from > 2 && is(b[from], hex) && is(b[from+1], hex) {
		from += 2 // %2Fexample.org
	} else if from > 0 && b[from-1] == '\\' && f.isEscape(from) {
		from++
	} else if from > 0 && (b[from-1] == '\\' || b[from-1] >= 0x80) {
		return 0, false
	}
	for from < to && !is(b[from], word) {
		from++
	}
	return from, from < to
}

func (f *finder) mayBeName(from, to int) bool {
	b := f.text
	if from > 0 && b[from-1] == '/' && (from == 1 || b[from-2] != '/') {
		return false // in a path
	}
	if to < len(b) && (b[to] == '(' || b[to] == '@' || b[to] == '=' || b[to] >= 0x80) {
		return false
	}
	dot := bytes.LastIndexByte(b[from:to], '.')
	return dot > 0 && is(b[from+dot+1], letter) && to-from-dot > 2
}

// isPublic reports that a subject is a name of the public DNS, by the public suffix list's ICANN division, or no name.
func isPublic(s enrich.Subject) bool {
	if s.Kind() != enrich.Domain {
		return true
	}
	_, icann := publicsuffix.PublicSuffix(s.Name())
	return icann
}
