package layer4whois

import (
	"slices"

	"github.com/whence-project/whence/enrich"
)

// Dialect is a form of answers. It appends whole lines to what is to be sent and keeps nothing between calls, so that one value
// serves all connections. What records hold is free of control characters (see [enrich.Fragment]), except that Verbatim text
// has line ends and TABs; a Dialect needs not clean it again.
type Dialect interface {
	// Name is the dialect's name in the configuration and in the audit log.
	Name() string
	// AppendAnswer appends the answer for one record. n is how many records of the same reply precede it, for what stands
	// above the first or between two.
	AppendAnswer(dst []byte, r *enrich.Record, n int) []byte
	// AppendComment appends a remark on the reply as a whole, or nothing where the form has no place for one.
	AppendComment(dst []byte, text string) []byte
	// AppendError appends what is said instead of an answer.
	AppendError(dst []byte, e *Error) []byte
	// AppendFooter ends a reply with the lines that the operator wants there. It is not called for errors or in bulk.
	AppendFooter(dst []byte, footer []string) []byte
	// AppendBulkEnd follows each record of a bulk reply: the blank line between records of more than one line, or nothing.
	AppendBulkEnd(dst []byte) []byte
}

// The dialects.
var (
	Lines   Dialect = lines{}
	Aligned Dialect = aligned{}
	JSON    Dialect = jsonLine{}
	Cymru   Dialect = &cymruDefault
)

var dialects = []Dialect{Lines, Aligned, Cymru, JSON}

// Dialects are all dialects, the default first.
func Dialects() []Dialect { return slices.Clone(dialects) }

// DialectByName is the dialect of that name, nil for none: lines, aligned, cymru or json.
func DialectByName(name string) Dialect {
	for _, d := range dialects {
		if d.Name() == name {
			return d
		}
	}
	return nil
}

// commented is what the dialects made of lines have in common: comments and errors are lines that begin with a percent sign.
type commented struct{}

func (commented) AppendComment(dst []byte, text string) []byte {
	return append(append(append(dst, "% "...), text...), crlf...)
}

func (commented) AppendError(dst []byte, e *Error) []byte { return append(e.appendLine(dst), crlf...) }

func (commented) AppendBulkEnd(dst []byte) []byte { return append(dst, crlf...) }

const crlf = "\r\n"

// appendNotes appends the record's notes as comments: "% registration: throttled: …".
func appendNotes(dst []byte, r *enrich.Record) []byte {
	for _, n := range r.Notes() {
		dst = append(append(append(dst, "% "...), n.Source...), ": "...)
		if n.Kind != enrich.Info {
			dst = append(append(dst, n.Kind.String()...), ": "...)
		}
		dst = append(append(dst, n.Text...), crlf...)
	}
	return dst
}

// verbatim is the operator's own text about the subject, or the words in which a source alone in its chain has nothing: each
// is the whole answer. Empty where the answer is made of fields.
func verbatim(r *enrich.Record) (text, miss string) {
	for _, p := range r.Parts() {
		if v := p.Fragment.Verbatim(); v != "" {
			return v, ""
		}
	}
	return "", r.MissText()
}
