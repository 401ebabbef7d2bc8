package domainstats

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/whence-project/whence/enrich"
)

// appendList appends a list in Python's notation.
func appendList(b []byte, values []string, quoted bool, between string) []byte {
	b = append(b, '[')
	for i, v := range values {
		if i > 0 {
			b = append(b, between...)
		}
		if quoted {
			b = appendPython(b, v)
		} else {
			b = append(b, v...)
		}
	}
	return append(b, ']')
}

// appendPython appends a string in Python's notation.
func appendPython(b []byte, s string) []byte {
	q := byte('\'')
	if strings.IndexByte(s, '\'') >= 0 && strings.IndexByte(s, '"') < 0 {
		q = '"'
	}
	b = append(b, q)
	for i := range len(s) {
		if c := s[i]; c == q || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, q)
}

// lineWidth is up to where Python's pprint keeps a value on one line.
const lineWidth = 80

// appendRecord appends the whole record as Python's pprint shows a dict: sorted, a line a key, by format A's names where it has one.
func appendRecord(b []byte, rec *enrich.Record) []byte {
	lines := map[string]string{"domain_name": string(appendPython(nil, rec.Subject().Name()))}
	for _, p := range rec.Parts() {
		for _, f := range p.Fragment.Fields() {
			if f.Canon != enrich.None {
				continue
			}
			name := f.Key
			if short, ok := contactNames[name]; ok {
				name = short
			}
			if _, ok := lines[name]; !ok {
				lines[name] = pythonOf(name, ownValues(rec, f.Key))
			}
		}
	}
	for _, key := range enrich.Keys() {
		name := key.String()
		switch key {
		case enrich.Created:
			name = "creation_date"
		case enrich.Expires:
			name = "expiration_date"
		case enrich.Updated:
			name = "updated_date"
		case enrich.Rank:
			name = "alexa"
		}
		if v := rec.Value(key); v == "" {
			continue
		} else if t := parseTime(v); !t.IsZero() {
			lines[name] = pythonDate(t)
		} else {
			lines[name] = pythonOf(name, rec.Values(key))
		}
	}
	keys := make([]string, 0, len(lines))
	for k := range lines {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for i, k := range keys {
		b = append(b, " {"[1-min(i, 1)])
		b = append(append(append(appendPython(b, k), ": "...), lines[k]...), ",\n"...)
	}
	return append(b[:len(b)-len(",\n")], '}')
}

// pythonOf is a value or list in Python's notation, broken where the line of key would be too long.
func pythonOf(key string, values []string) string {
	if len(values) == 1 {
		return string(appendPython(nil, values[0]))
	}
	b := appendList(nil, values, true, ", ")
	if indent := len(key) + len(` '': [`); indent+len(b) > lineWidth {
		b = appendList(nil, values, true, ",\n"+strings.Repeat(" ", indent))
	}
	return string(b)
}

func pythonDate(t time.Time) string {
	s := t.Format("datetime.datetime(2006, 1, 2, ") + strconv.Itoa(t.Hour()) + ", " + strconv.Itoa(t.Minute())
	if t.Second() != 0 {
		s += ", " + strconv.Itoa(t.Second())
	}
	return s + ")"
}
