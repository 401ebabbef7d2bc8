package whoisreply

import "strings"

// line is a line of a reply, taken apart by the style it is written in.
type line struct {
	text    string // without surrounding space and ornament
	indent  int    // columns of space before it
	comment bool   // marked as a remark
	key     string // as written, "" where the line has no key
	value   string
	bracket bool // the key stood in brackets
}

// nextLine cuts the first line off text. CR, LF and CRLF end lines, and CR CR LF and CR, space, LF, which come of programs that take a
// CR for part of the line.
func nextLine(text string) (first, rest string) {
	i := strings.IndexAny(text, "\r\n")
	if i < 0 {
		return text, ""
	}
	if text[i] == '\r' {
		if rest, ok := strings.CutPrefix(strings.TrimLeft(strings.TrimPrefix(text[i+1:], "\r"), " "), "\n"); ok {
			return text[:i], rest
		}
	}
	return text[:i], text[i+1:]
}

// isSpace reports whether c is what surrounds values: NUL counts.
func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == 0 }

func trim(s string) string {
	for len(s) > 0 && isSpace(s[0]) {
		s = s[1:]
	}
	for len(s) > 0 && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// scan takes a line apart.
func scan(raw string) line {
	var l line
	for i := 0; i < len(raw) && isSpace(raw[i]); i++ {
		if l.indent++; raw[i] == '\t' {
			l.indent = (l.indent + 7) &^ 7
		}
	}
	l.text = trim(raw)
	if l.text == "" {
		return l
	}
	switch l.text[0] {
	case '%', '#', ';':
		l.comment = true
		l.text = trim(strings.TrimLeft(l.text, "%#;"))
		return l
	case '>':
		l.comment = true
		l.text = trim(strings.Trim(l.text, "<>"))
		return l
	case '*':
		l.text = trim(strings.Trim(l.text, "*"))
	case '-', '=', '_':
		if rest := strings.TrimLeft(l.text, "-=_ "); rest == "" {
			l.text = ""
			return l
		} else if strings.HasPrefix(l.text, "- ") {
			l.text = rest
		}
	}
	if l.text != "" {
		l.split()
	}
	return l
}

// split finds key and value.
func (l *line) split() {
	s := unnumbered(l.text)
	if s[0] == '[' {
		if end := strings.IndexByte(s, ']'); end > 0 && end < maxKey {
			l.key, l.value, l.bracket = trim(s[1:end]), value(s[end+1:]), true
			return
		}
	}
	colon := keyColon(s)
	if colon < 0 || colon > 2 {
		if k, v, ok := wide(s, colon); ok {
			l.key, l.value = k, v
			return
		}
	}
	if colon > 0 {
		l.key, l.value = trim(strings.TrimRight(s[:colon], ". ")), value(s[colon+1:])
		if inner, v, ok := strings.Cut(l.value, ":"); ok && rwhois(l.key, inner) { // "domain:Created:20090324"
			l.key, _, _ = strings.Cut(inner, ";")
			l.value = value(v)
		}
		return
	}
	if i := strings.Index(s, ". . ."); i > 0 && i < maxKey {
		l.key, l.value = trim(s[:i]), value(s[i:])
	}
}

// maxKey is the longest key there is, in bytes.
const maxKey = 72

// keyColon is the place of the colon that ends a key, -1 where there is none.
func keyColon(s string) int {
	end := min(len(s), maxKey)
	for i := 0; i < end; i++ {
		if s[i] == '(' && i > 0 { // a key may be explained at length
			if n := strings.IndexByte(s[i:min(len(s), i+160)], ')'); n > 0 {
				i, end = i+n, max(end, min(len(s), i+n+8))
				continue
			}
		}
		if s[i] == ':' {
			if strings.HasPrefix(s[i:], "://") || i == 0 || isClock(s, i) {
				return -1
			}
			return i
		}
		// The full-width colon of Chinese and Japanese replies is U+FF1A, three bytes; the value keeps no part of it.
		if s[i] == 0xEF && strings.HasPrefix(s[i:], "\uff1a") && i > 0 {
			return i
		}
	}
	return -1
}

// isClock reports whether the colon at s[i] is in a time of day: "Record created on 2001-02-03 04:05:06".
func isClock(s string, i int) bool {
	return i >= 3 && i+2 < len(s) && isDigit(s[i-2]) && isDigit(s[i-1]) && isDigit(s[i+1]) && isDigit(s[i+2]) &&
		(s[i-3] == ' ' || s[i-3] == 'T')
}

// value removes leaders, quotes and space around a value.
func value(s string) string {
	s = strings.TrimPrefix(trim(s), "\xbc\x9a") // what is left of a full-width colon
	s = trim(s)
	if strings.HasPrefix(s, "..") || strings.HasPrefix(s, ". .") {
		s = strings.TrimLeft(s, ". ")
	}
	if strings.HasPrefix(s, ": ") { // "Telephone:    :   +1.2345"
		s = trim(s[2:])
	}
	if n := len(s); n >= 2 && s[0] == '"' && strings.IndexByte(s[1:], '"') == n-2 {
		s = s[1 : n-1]
	}
	if strings.HasPrefix(s, "!") && !strings.Contains(s, " ") { // the tag of a YAML mapping
		return ""
	}
	if len(s) > maxValue {
		s = s[:maxValue]
	}
	return s
}

// unnumbered removes what counts the fields of a form: "a. [Domain Name]", "a [Domain Name]", "1a.   Domain Name".
func unnumbered(s string) string {
	for i := 1; i <= 3 && i < len(s)-1; i++ {
		switch c := s[i]; {
		case c == '.' && isSpace(s[i+1]):
			if rest := trim(s[i+1:]); rest != "" {
				return rest
			}
			return s
		case i == 1 && c == ' ' && s[2] == '[':
			return s[2:]
		case c < '0' || c > 'z':
			return s
		}
	}
	return s
}

// wide splits at a run of space or a tab, where the key before it is a known one: "Domain-name         example.org".
func wide(s string, colon int) (key, val string, ok bool) {
	end := len(s)
	if colon >= 0 {
		end = colon
	}
	for i := 1; i < end && i < 40; i++ {
		if s[i] == '\t' || s[i] == ' ' && i+1 < end && isSpace(s[i+1]) {
			rest := trim(s[i:])
			if rest == "" || rest[0] == ':' || s[i-1] == '.' || s[i-1] == ',' {
				return "", "", false
			}
			e := lookup(s[:i])
			if e == nil && strings.ContainsAny(s[:i], "-_") { // "Admin-email"
				_, ok = resolve(s[:i])
				return s[:i], value(rest), ok
			}
			return s[:i], value(rest), e != nil && (!e.heading || s[i] == '\t')
		}
	}
	return "", "", false
}

// rwhois reports whether key and the word after it are the class and the attribute of an RWhois line (RFC 2167).
func rwhois(key, attribute string) bool {
	return (strings.EqualFold(key, "domain") || strings.EqualFold(key, "network") || strings.EqualFold(key, "contact")) && attribute != "" && !strings.Contains(attribute, " ") &&
		!strings.Contains(attribute, ".")
}
