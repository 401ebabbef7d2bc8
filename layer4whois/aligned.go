package layer4whois

import (
	"unicode/utf8"

	"github.com/whence-project/whence/enrich"
)

// aligned is the form of mmdb-whois-server: keys with hyphens, values in one column, a blank line and the footer.
//
//	as-name:  Google LLC
//	asn:      AS15169
type aligned struct{ commented }

func (aligned) Name() string { return "aligned" }

func (a aligned) AppendAnswer(dst []byte, r *enrich.Record, n int) []byte {
	if n > 0 {
		dst = append(dst, crlf...)
	}
	if text, miss := verbatim(r); text != "" {
		return append(dst, text...)
	} else if miss != "" {
		return append(append(dst, miss...), crlf...)
	}
	width := 0
	for _, p := range r.Parts() {
		for _, f := range p.Fragment.Fields() {
			if !r.Suppresses(p.Fragment, f.Canon) {
				width = max(width, utf8.RuneCountInString(f.Key))
			}
		}
	}
	if width == 0 {
		return appendNotes(a.AppendError(dst, &errNoEntries), r)
	}
	for _, p := range r.Parts() {
		for _, f := range p.Fragment.Fields() {
			if !r.Suppresses(p.Fragment, f.Canon) {
				dst = appendAligned(dst, &f, width)
			}
		}
	}
	return appendNotes(dst, r)
}

func appendAligned(dst []byte, f *enrich.Field, width int) []byte {
	for i := range len(f.Key) {
		c := f.Key[i]
		if c == '_' {
			c = '-'
		}
		dst = append(dst, c)
	}
	dst = append(dst, ':')
	for range width + 1 - utf8.RuneCountInString(f.Key) {
		dst = append(dst, ' ')
	}
	return append(append(dst, f.Value...), crlf...)
}

func (aligned) AppendFooter(dst []byte, footer []string) []byte {
	if len(footer) > 0 {
		dst = append(dst, crlf...)
	}
	return lines{}.AppendFooter(dst, footer)
}
