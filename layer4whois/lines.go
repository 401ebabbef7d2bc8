package layer4whois

import (
	"time"

	"github.com/whence-project/whence/enrich"
)

// lines is the default dialect: the network, every source's own fields in their own order, and whether there were data. A
// domain's registration comes first, in the form that registries have (registration.go).
//
//	route: 8.8.8.0/24
//	as_name: Google LLC
//	asn: AS15169
//	dbstatus: ok - data found
type lines struct{ commented }

// linesForm keeps the fields of a fragment as they go out.
var linesForm = enrich.NewForm()

func (lines) Name() string { return "lines" }

func (lines) AppendAnswer(dst []byte, r *enrich.Record, n int) []byte {
	if n > 0 {
		dst = append(dst, crlf...)
	}
	if text, miss := verbatim(r); text != "" {
		return append(dst, text...)
	} else if miss != "" {
		return append(append(dst, miss...), crlf...)
	}
	if p := r.Network(); p.IsValid() {
		dst = append(appendPrefix(append(dst, "route: "...), p), crlf...)
	}
	registered := r.Subject().Kind() == enrich.Domain
	if registered {
		before := len(dst)
		dst = appendRegistrations(dst, r, time.Now())
		registered = len(dst) > before
	}
	for _, p := range r.Parts() {
		if registered && isRegistration(p.Fragment) {
			continue
		}
		if r.Intact(p.Fragment) {
			dst = append(dst, p.Fragment.Form(linesForm, appendFields)...)
			continue
		}
		for _, f := range p.Fragment.Fields() {
			if !r.Suppresses(p.Fragment, f.Canon) {
				dst = appendField(dst, &f)
			}
		}
	}
	dst = appendNotes(dst, r)
	if r.Found() {
		return append(dst, "dbstatus: ok - data found\r\n"...)
	}
	return append(dst, "dbstatus: warning - no data available\r\n"...)
}

func appendFields(dst []byte, f *enrich.Fragment) []byte {
	for i := range f.Fields() {
		dst = appendField(dst, &f.Fields()[i])
	}
	return dst
}

func appendField(dst []byte, f *enrich.Field) []byte {
	dst = append(append(dst, f.Key...), ": "...)
	return append(append(dst, f.Value...), crlf...)
}

func (lines) AppendFooter(dst []byte, footer []string) []byte {
	for _, l := range footer {
		dst = append(append(dst, l...), crlf...)
	}
	return dst
}
