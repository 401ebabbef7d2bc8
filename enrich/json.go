package enrich

import (
	"strconv"
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
// order. Absent facts are absent.
func (r *Record) AppendJSON(b []byte) []byte {
	b = append(b, `{"subject":`...)
	b = appendString(b, r.subject.String())
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
		for i, v := range r.Values(k) {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, v)
		}
		return append(b, ']')
	case Rank:
		return append(b, v...)
	}
	return appendString(b, v)
}

func (r *Record) appendPart(b []byte, p Part) []byte {
	f := p.Fragment
	b = append(b, `{"source":`...)
	b = appendString(b, p.Source)
	if f.origin.Name != "" && f.origin.Name != p.Source {
		b = append(b, `,"name":`...)
		b = appendString(b, f.origin.Name)
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
	return append(b, '}', '}')
}

// appendField appends a key and its value, or the array of values of a list.
func appendField(b []byte, values []Field) []byte {
	b = append(appendString(b, values[0].Key), ':')
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
		return appendString(b, f.Value)
	}
	return append(b, f.Value...)
}

func (r *Record) appendNotes(b []byte) []byte {
	for i, n := range r.notes {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"source":`...)
		b = appendString(b, n.Source)
		b = append(b, `,"kind":"`...)
		b = append(b, n.Kind.String()...)
		b = append(b, `","text":`...)
		b = append(appendString(b, n.Text), '}')
	}
	return b
}

// appendString appends s as a JSON string (RFC 8259). U+2028 and U+2029 are escaped, for readers that are JavaScript.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < 0x20 || r == 0x2028 || r == 0x2029:
			b = append(b, '\\', 'u')
			hex := strconv.FormatUint(0x10000|uint64(r), 16)
			b = append(b, hex[1:]...)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
