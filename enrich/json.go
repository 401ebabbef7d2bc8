package enrich

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"
)

// AppendJSON appends the record as one JSON object on one line, without a line end:
//
//	{"subject":"8.8.8.8","kind":"address","network":"8.8.8.0/24","asn":"AS15169", … ,
//	 "sources":[{"source":"mmdb","name":"lite.mmdb","as_of":"2026-11-01T00:00:00Z","fields":{"as_name":"Google LLC", … }}],
//	 "notes":[{"source":"registration","kind":"throttled","text":"…"}]}
//
// The canonical fields come first, those that are lists as arrays; "sources" has every source's own fields in the source's own
// order, or the "text" of one that has a text and no fields. Absent facts are absent.
func (r *Record) AppendJSON(b []byte) []byte {
	b = append(b, `{"subject":`...)
	b = r.subject.appendJSON(b)
	b = append(b, `,"kind":"`...)
	b = append(b, r.subject.kind.String()...)
	b = append(b, '"')
	if r.network.IsValid() {
		b = append(b, `,"network":"`...)
		b = r.network.AppendTo(b)
		b = append(b, '"')
	}
	for k := ASN; k < numKeys; k++ {
		if v := r.Value(k); v != "" {
			b = r.appendCanonical(b, k, v)
		}
	}
	b = append(b, `,"sources":[`...)
	for i, p := range r.parts {
		if i > 0 {
			b = append(b, ',')
		}
		b = r.appendPart(b, p)
	}
	b = append(b, ']')
	if len(r.notes) > 0 {
		b = r.appendNotes(append(b, `,"notes":[`...))
		b = append(b, ']')
	}
	return append(b, '}')
}

func (r *Record) appendCanonical(b []byte, k Key, v string) []byte {
	b = append(append(append(b, ',', '"'), keyNames[k]...), '"', ':')
	switch k {
	case NameServers, RegStatus:
		b = append(b, '[')
		for more := true; more; {
			var one string
			one, v, more = strings.Cut(v, "\n")
			if b = AppendJSONString(b, one); more {
				b = append(b, ',')
			}
		}
		return append(b, ']')
	case Rank, FreqAverage, FreqWord:
		if IsJSONNumber(v) {
			return append(b, v...)
		}
	}
	return AppendJSONString(b, v)
}

func (s Subject) appendJSON(b []byte) []byte {
	if s.kind == Domain || s.kind == Name {
		return AppendJSONString(b, s.name)
	}
	return append(s.AppendTo(append(b, '"')), '"')
}

func (r *Record) appendPart(b []byte, p Part) []byte {
	f := p.Fragment
	b = append(b, `{"source":`...)
	b = AppendJSONString(b, p.Source)
	if f.origin.Name != "" && f.origin.Name != p.Source {
		b = append(b, `,"name":`...)
		b = AppendJSONString(b, f.origin.Name)
	}
	if t := f.AsOf(); !t.IsZero() {
		b = append(b, `,"as_of":"`...)
		b = t.UTC().AppendFormat(b, time.RFC3339)
		b = append(b, '"')
	}
	b = append(b, `,"fields":{`...)
	first := true
	for i := 0; i < len(f.fields); {
		end := i + 1
		for f.fields[i].List && end < len(f.fields) && f.fields[end].List && f.fields[end].Key == f.fields[i].Key {
			end++
		}
		if !r.Suppresses(f, f.fields[i].Canon) {
			if !first {
				b = append(b, ',')
			}
			first = false
			b = appendField(b, f.fields[i:end])
		}
		i = end
	}
	b = append(b, '}')
	if len(f.fields) == 0 && f.verbatim != "" {
		b = AppendJSONString(append(b, `,"text":`...), f.verbatim)
	}
	return append(b, '}')
}

// appendField appends a key and its value, or the array of values of a list.
func appendField(b []byte, values []Field) []byte {
	b = append(AppendJSONString(b, values[0].Key), ':')
	if !values[0].List {
		return appendValue(b, values[0])
	}
	b = append(b, '[')
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendValue(b, v)
	}
	return append(b, ']')
}

func appendValue(b []byte, f Field) []byte {
	if f.Type == Text || f.Value == "" {
		return AppendJSONString(b, f.Value)
	}
	return append(b, f.Value...)
}

func (r *Record) appendNotes(b []byte) []byte {
	for i, n := range r.notes {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"source":`...)
		b = AppendJSONString(b, n.Source)
		b = append(b, `,"kind":"`...)
		b = append(b, n.Kind.String()...)
		b = append(b, `","text":`...)
		b = append(AppendJSONString(b, n.Text), '}')
	}
	return b
}

// IsJSONNumber reports whether v can stand in JSON as it is (RFC 8259 §6): databases hold NaN and infinities too.
func IsJSONNumber(v string) bool {
	if classify(v) == digit {
		return v[0] != '0' || len(v) == 1
	}
	return v != "" && classify(v)&^(digit|lower|upper|dash|dot|mark) == 0 && json.Valid([]byte(v)) && v[0] <= '9'
}

const hexDigits = "0123456789abcdef"

// AppendJSONString appends s as a JSON string (RFC 8259). U+2028 and U+2029 are escaped, for readers that are JavaScript; what is
// not UTF-8 becomes U+FFFD.
func AppendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	run := 0 // start of what goes out as it is
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		r, n := rune(c), 1
		if c >= utf8.RuneSelf {
			if r, n = utf8.DecodeRuneInString(s[i:]); r != 0x2028 && r != 0x2029 && (r != utf8.RuneError || n > 1) {
				i += n
				continue
			}
		}
		b = append(b, s[run:i]...)
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case r == utf8.RuneError:
			b = utf8.AppendRune(b, r)
		default:
			b = append(b, '\\', 'u', hexDigits[r>>12], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
		}
		i += n
		run = i
	}
	return append(append(b, s[run:]...), '"')
}
