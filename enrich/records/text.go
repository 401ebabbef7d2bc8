package records

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/whence-project/whence/enrich"
)

// verbatim is a file's content as it goes out: every line ended by CRLF (the file's may end in CRLF, LF or CR), without control
// characters but TAB (C0, DEL, C1), without a byte order mark, in UTF-8. Bytes that are no UTF-8 are taken as ISO 8859-1, which
// is what old WHOIS texts are written in. One more CRLF follows the content, as simple-whois sends it, so that the text is
// never empty.
func verbatim(content []byte) string {
	content = trimBOM(content)
	b := make([]byte, 0, len(content)+len(content)/16+2)
	for i := 0; i < len(content); {
		r, n := utf8.DecodeRune(content[i:])
		if r == utf8.RuneError && n == 1 {
			r = rune(content[i])
		}
		i += n
		switch {
		case r == '\r':
			if i < len(content) && content[i] == '\n' {
				i++
			}
			b = append(b, '\r', '\n')
		case r == '\n':
			b = append(b, '\r', '\n')
		case r == '\t' || r >= ' ' && r < 0x7f || r >= 0xa0:
			b = utf8.AppendRune(b, r)
		}
	}
	return string(append(b, '\r', '\n'))
}

func trimBOM(b []byte) []byte {
	if len(b) >= 3 && b[0] == 0xef && b[1] == 0xbb && b[2] == 0xbf {
		return b[3:]
	}
	return b
}

// maxKey and maxKeyWords tell a key from a sentence with a colon in it.
const (
	maxKey      = 48
	maxKeyWords = 5
)

// addFields adds the "key: value" lines of text to b, as fields in the order in which their keys first appear. A key that
// appears again makes a list. Lines that begin with %, # or > are remarks.
func addFields(b *enrich.Builder, text string) {
	var keys []string
	values := make(map[string][]string)
	for line := range strings.Lines(text) {
		key, value, ok := field(line)
		if !ok {
			continue
		}
		if _, seen := values[key]; !seen {
			keys = append(keys, key)
		}
		values[key] = append(values[key], value)
	}
	for _, key := range keys {
		addField(b, key, values[key])
	}
}

// field takes a line apart. The colon must be followed by a blank, so that URLs and times are not fields.
func field(line string) (key, value string, ok bool) {
	key, value, ok = strings.Cut(strings.TrimSpace(line), ":")
	if !ok || value == "" || value[0] != ' ' && value[0] != '\t' {
		return "", "", false
	}
	value = strings.TrimSpace(value)
	key, ok = snakeCase(key)
	return key, value, ok && value != ""
}

// snakeCase is a key as the field's key: "Domain Name", "domain-name" and "domainName" are domain_name. Not ok is what is no
// key: a remark, a sentence, something without a letter in front.
func snakeCase(key string) (string, bool) {
	if len(key) == 0 || len(key) > maxKey {
		return "", false
	}
	b := make([]byte, 0, len(key)+4)
	words, prev := 1, byte(0)
	for i := range len(key) {
		c := key[i]
		switch {
		case 'A' <= c && c <= 'Z':
			if 'a' <= prev && prev <= 'z' {
				b = append(b, '_')
			}
			b = append(b, c|0x20)
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9' && i > 0:
			b = append(b, c)
		case i > 0 && strings.IndexByte(" \t-_./", c) >= 0:
			if c == ' ' && prev != ' ' {
				words++
			}
			if b[len(b)-1] != '_' {
				b = append(b, '_')
			}
		default:
			return "", false
		}
		prev = c
	}
	return strings.TrimRight(string(b), "_"), words <= maxKeyWords
}

// addField adds the values of one key. Where the key is the name of a canonical field, and the values have that field's form
// or can be brought into it, they set the canonical field too.
func addField(b *enrich.Builder, key string, values []string) {
	canon := enrich.KeyOf(key)
	var forms []string
	for _, v := range values {
		if form, ok := canonical(canon, v); ok {
			forms = append(forms, form)
		}
	}
	if len(forms) == 0 {
		canon = enrich.None
	}
	for _, v := range values {
		b.Add(enrich.Field{Key: key, Value: v, Canon: canon, List: len(values) > 1})
	}
	if canon != enrich.NameServers && canon != enrich.RegStatus && len(forms) > 1 {
		forms = forms[:1]
	}
	b.Canonical(canon, forms...)
}

// canonical brings a value into the form of the canonical field k (docs/fields.md); not ok where it cannot be.
func canonical(k enrich.Key, v string) (string, bool) {
	switch k {
	case enrich.None:
		return "", false
	case enrich.ASN:
		digits := v
		if len(v) > 2 && strings.EqualFold(v[:2], "AS") {
			digits = v[2:]
		}
		n, err := strconv.ParseUint(digits, 10, 32)
		return "AS" + strconv.FormatUint(n, 10), err == nil
	case enrich.CountryCode, enrich.ContinentCode:
		v = strings.ToUpper(v)
		return v, len(v) == 2 && 'A' <= v[0] && v[0] <= 'Z' && 'A' <= v[1] && v[1] <= 'Z'
	case enrich.Rank:
		n, err := strconv.ParseUint(v, 10, 32)
		return strconv.FormatUint(n, 10), err == nil && n > 0
	case enrich.NameServers:
		v, _, _ = strings.Cut(v, " ") // glue addresses may follow
		v = strings.TrimSuffix(strings.ToLower(v), ".")
		return v, v != ""
	case enrich.Created, enrich.Updated, enrich.Expires, enrich.FirstSeen, enrich.LastSeen:
		return timestamp(v)
	}
	return v, true
}

// timestamp is a time or date (RFC 3339) as a time in UTC.
func timestamp(v string) (string, bool) {
	for _, layout := range [...]string{time.RFC3339, time.DateOnly, time.DateTime} {
		if t, err := time.Parse(layout, v); err == nil {
			return t.UTC().Format(time.RFC3339), true
		}
	}
	return "", false
}
