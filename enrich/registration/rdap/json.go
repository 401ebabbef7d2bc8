package rdap

import (
	"bytes"
	"encoding/json"
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

// cursor walks over JSON that is known to be valid: [json.Valid] is asked first, so that nothing here can fail, and nesting is
// bounded. Answers are read with it and not into structs because servers write what they like: a string for a list, a number
// for a string, an object for a list of them. What is not what is wanted is passed over; nothing is read twice.
type cursor struct {
	b []byte
	i int
}

// next is the first byte of the value at the cursor, which tells its kind.
func (c *cursor) next() byte {
	for {
		switch b := c.b[c.i]; b {
		case ' ', '\t', '\r', '\n':
			c.i++
		default:
			return b
		}
	}
}

// skip passes over a value.
func (c *cursor) skip() {
	switch c.next() {
	case '"':
		c.quoted()
	case '{', '[':
		depth := 0
		for {
			switch c.b[c.i] {
			case '"':
				c.quoted()
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
			if c.i++; depth == 0 {
				return
			}
		}
	default:
		c.literal()
	}
}

// literal passes over a number, true, false or null, and returns it.
func (c *cursor) literal() []byte {
	from := c.i
	for c.i < len(c.b) && bytes.IndexByte([]byte(",]} \t\r\n"), c.b[c.i]) < 0 {
		c.i++
	}
	return c.b[from:c.i]
}

// quoted passes over a string, and returns what is between its quotes.
func (c *cursor) quoted() (raw []byte, escaped bool) {
	c.i++
	from := c.i
	for {
		switch c.b[c.i] {
		case '"':
			c.i++
			return c.b[from : c.i-1], escaped
		case '\\':
			escaped = true
			c.i++
		}
		c.i++
	}
}

// members are the names in an object, the cursor standing at the value. What the loop leaves is skipped; a value that is no
// object has no members. Names live as long as the document.
func (c *cursor) members() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if c.next() != '{' {
			c.skip()
			return
		}
		c.i++
		for more := true; c.next() != '}'; {
			if c.b[c.i] == ',' {
				c.i++
				continue
			}
			name, escaped := c.quoted()
			if escaped {
				name = []byte(unescape(name))
			}
			c.next()
			c.i++ // the colon
			c.next()
			from := c.i
			if more = more && yield(name); c.i == from {
				c.skip()
			}
		}
		c.i++
	}
}

// values stops the cursor at each element of an array; at another value once, as if it were alone in one; at null never.
func (c *cursor) values() iter.Seq[int] {
	return func(yield func(int) bool) {
		switch c.next() {
		case '[':
		case 'n':
			c.skip()
			return
		default:
			from := c.i
			if yield(0); c.i == from {
				c.skip()
			}
			return
		}
		c.i++
		more := true
		for n := 0; c.next() != ']'; {
			if c.b[c.i] == ',' {
				c.i++
				continue
			}
			from := c.i
			if more = more && yield(n); c.i == from {
				c.skip()
			}
			n++
		}
		c.i++
	}
}

// raw passes over a value and returns what it has as text: a string's characters, the digits of a number. It is a copy.
func (c *cursor) raw() string {
	switch c.next() {
	case '"':
		s, escaped := c.quoted()
		if escaped {
			return unescape(s)
		}
		return string(s)
	case '{', '[', 'n':
		c.skip()
		return ""
	}
	return string(c.literal())
}

// text is raw on one line and no longer than a value may be.
func (c *cursor) text() string { return clean(c.raw()) }

// texts are the texts of a list, of which no more than most are kept.
func (c *cursor) texts(most int) (list []string) {
	for range c.values() {
		if s := c.text(); s != "" && len(list) < most {
			list = append(list, s)
		}
	}
	return list
}

// unescape is what a JSON string stands for, given without its quotes.
func unescape(raw []byte) string {
	quoted := make([]byte, 0, len(raw)+2)
	quoted = append(append(append(quoted, '"'), raw...), '"')
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		return ""
	}
	return s
}

// clean makes a value of what a server wrote: valid UTF-8 without control and formatting characters, in which answers would be
// forged, and at most maxText bytes.
func clean(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > maxText {
		s = s[:maxText]
		for range utf8.UTFMax - 1 { // of a character that was cut
			if r, size := utf8.DecodeLastRuneInString(s); r == utf8.RuneError && size == 1 {
				s = s[:len(s)-1]
			}
		}
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] >= 0x7f {
			return strings.TrimSpace(strings.Map(plain, strings.ToValidUTF8(s, "\uFFFD")))
		}
	}
	return s
}

func plain(r rune) rune {
	if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
		return ' '
	}
	if unicode.Is(unicode.Bidi_Control, r) {
		return -1
	}
	return r
}
