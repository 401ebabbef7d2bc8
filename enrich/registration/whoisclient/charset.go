package whoisclient

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/japanese"
)

// WHOIS has no way to say what charset a reply is in (RFC 3912 §4).
const (
	nameUTF8   = "utf-8"
	name2022JP = "iso-2022-jp"
	nameLatin1 = "windows-1252" // Latin-1 and, where that has control characters, what Windows has
)

// decode is raw in UTF-8, and the charset it was in. The first of these that fits is taken:
//
//   - ISO-2022-JP, by its escape sequences in what is otherwise ASCII;
//   - UTF-8 (and ASCII); with U+FFFD for what is broken in it as long as at least four characters are whole for each broken byte,
//     because registries cut values at a number of bytes;
//   - charset, which is what the server is known to use;
//   - Latin-1, in which everything is something. GB18030, Big5, EUC-KR, EUC-JP, Shift_JIS, KOI8-R and the like cannot be told
//     apart by a line or two of text, so they are decoded only where the server is known for them.
//
// cut says that raw may end in the middle of a character.
func decode(raw []byte, charset string, cut bool) (text, name string) {
	if is2022JP(raw) {
		return convert(raw, japanese.ISO2022JP), name2022JP
	}
	if cut {
		raw = raw[:len(raw)-partial(raw)]
	}
	raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	if utf8.Valid(raw) {
		return string(raw), nameUTF8
	}
	if whole, broken := runes(raw); whole >= 4*broken {
		return strings.ToValidUTF8(string(raw), "\ufffd"), nameUTF8
	}
	if e, name, ok := charsetOf(charset); ok {
		return convert(raw, e), name
	}
	return convert(raw, charmap.Windows1252), nameLatin1
}

// convert decodes; what has no meaning in e becomes U+FFFD.
func convert(raw []byte, e encoding.Encoding) string {
	b, err := e.NewDecoder().Bytes(raw)
	if err != nil { // a decoder that stops rather than replaces
		b = append(b, "\ufffd"...)
	}
	return strings.ToValidUTF8(string(b), "\ufffd")
}

// charsetOf is the encoding of a name in IANA's registry or in the WHATWG's list, which takes the names for what is meant by them
// (GB2312 for GBK, ISO-8859-1 for Windows-1252).
func charsetOf(name string) (e encoding.Encoding, canonical string, ok bool) {
	if name == "" {
		return nil, "", false
	}
	if e, err := htmlindex.Get(name); err == nil && e != encoding.Replacement {
		canonical, err = htmlindex.Name(e)
		return e, canonical, err == nil
	}
	if e, err := ianaindex.IANA.Encoding(name); err == nil && e != nil {
		return e, strings.ToLower(name), true
	}
	return nil, "", false
}

// is2022JP reports whether raw is 7-bit text with one of the escape sequences of RFC 1468 that lead to Japanese.
func is2022JP(raw []byte) bool {
	if bytes.IndexByte(raw, 0x1b) < 0 {
		return false
	}
	for _, b := range raw {
		if b >= utf8.RuneSelf {
			return false
		}
	}
	for _, escape := range []string{"\x1b$B", "\x1b$@", "\x1b(J", "\x1b(I"} {
		if bytes.Contains(raw, []byte(escape)) {
			return true
		}
	}
	return false
}

// partial is how many bytes at the end of raw begin a character of UTF-8 that is not whole.
func partial(raw []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(raw); n++ {
		if tail := raw[len(raw)-n:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return n
			}
			break
		}
	}
	return 0
}

// runes counts the characters of more than one byte that are whole, and the bytes that belong to none.
func runes(raw []byte) (whole, broken int) {
	for len(raw) > 0 {
		if raw[0] < utf8.RuneSelf {
			raw = raw[1:]
			continue
		}
		r, n := utf8.DecodeRune(raw)
		if r == utf8.RuneError && n <= 1 {
			broken++
		} else {
			whole++
		}
		raw = raw[n:]
	}
	return whole, broken
}
