package annotate

import (
	"strings"

	"github.com/whence-project/whence/enrich"
)

// renderer appends the values of fields as an annotation has them. Where none has a value, what it appends stands for that.
type renderer func(dst []byte, fields []enrich.Pick, values []value) []byte

// telling are fields whose values tell by themselves what they are.
var telling = enrich.SetOf(enrich.ASN, enrich.ASName, enrich.CountryCode, enrich.Country)

// renderInPlace makes [AS15169 US] of what is known, and nothing of nothing. A value that does not say what it is has its name with
// it: [rank=17].
func renderInPlace(dst []byte, fields []enrich.Pick, values []value) []byte {
	start := len(dst)
	for i, v := range values {
		if v.text == "" {
			continue
		}
		if len(dst) == start {
			dst = append(dst, '[')
		} else {
			dst = append(dst, ' ')
		}
		if f := fields[i]; f.Name() != Network && telling&enrich.SetOf(f.Key()) == 0 {
			dst = append(append(dst, f.Name()...), '=')
		}
		dst = appendWord(dst, v.text)
	}
	if len(dst) > start {
		dst = append(dst, ']')
	}
	return dst
}

// renderAppended makes " AS15169 US", with a hyphen for what is not known, as access logs have it.
func renderAppended(dst []byte, _ []enrich.Pick, values []value) []byte {
	for _, v := range values {
		dst = append(dst, ' ')
		if v.text == "" {
			dst = append(dst, '-')
		} else {
			dst = appendWord(dst, v.text)
		}
	}
	return dst
}

// appendWord appends a value so that it is one word: in quotes where it would not be, a list with commas between its values.
func appendWord(dst []byte, s string) []byte {
	plain := s != "-"
	for i := range len(s) {
		plain = plain && s[i] > ' ' && s[i] != '"' && s[i] != '\\' && s[i] != '[' && s[i] != ']'
	}
	if plain {
		return append(dst, s...)
	}
	if strings.IndexByte(s, '\n') >= 0 {
		return appendWord(dst, strings.ReplaceAll(s, "\n", ","))
	}
	dst = append(dst, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}

// renderObject makes {"asn":"AS15169","country_code":"US"} of what is known, and nothing of nothing.
func renderObject(dst []byte, fields []enrich.Pick, values []value) []byte {
	start := len(dst)
	for i, v := range values {
		if v.text == "" {
			continue
		}
		if len(dst) == start {
			dst = append(dst, '{')
		} else {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, '"'), fields[i].Name()...), '"', ':')
		dst = appendJSON(dst, v)
	}
	if len(dst) > start {
		dst = append(dst, '}')
	}
	return dst
}

// flatEnd ends a value in what renderFlat makes. No JSON has it.
const flatEnd = 0

// renderFlat makes the values alone, for the keys to be put before them; one that is not known is empty.
func renderFlat(dst []byte, _ []enrich.Pick, values []value) []byte {
	for _, v := range values {
		if v.text != "" {
			dst = appendJSON(dst, v)
		}
		dst = append(dst, flatEnd)
	}
	return dst
}

func appendJSON(dst []byte, v value) []byte {
	if !v.list {
		return appendJSONValue(dst, v.text, v.kind)
	}
	dst = append(dst, '[')
	for more := true; more; {
		var one string
		one, v.text, more = strings.Cut(v.text, "\n")
		if dst = appendJSONValue(dst, one, v.kind); more {
			dst = append(dst, ',')
		}
	}
	return append(dst, ']')
}

func appendJSONValue(dst []byte, s string, kind enrich.Type) []byte {
	if kind == enrich.Text {
		return enrich.AppendJSONString(dst, s)
	}
	return append(dst, s...)
}

// renderCSV makes ",AS15169,US" with the delimiter of the file; what is not known is empty.
func renderCSV(delimiter byte) renderer {
	return func(dst []byte, _ []enrich.Pick, values []value) []byte {
		for _, v := range values {
			dst = append(dst, delimiter)
			dst = appendCSV(dst, v.text, delimiter)
		}
		return dst
	}
}

// appendCSV appends a cell, in quotes where RFC 4180 or encoding/csv has them; a list with spaces between its values.
func appendCSV(dst []byte, s string, delimiter byte) []byte {
	if strings.IndexByte(s, '\n') >= 0 {
		s = strings.ReplaceAll(s, "\n", " ")
	}
	plain := s == "" || s[0] != ' '
	for i := range len(s) {
		plain = plain && s[i] != delimiter && s[i] != '"' && s[i] != '\r'
	}
	if plain {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	for i := range len(s) {
		if s[i] == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}
