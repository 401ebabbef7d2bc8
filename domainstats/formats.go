package domainstats

import (
	"math"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"
)

// dateText is how formats A and B write times, in UTC.
const dateText = "2006-01-02 15:04:05"

// appendC appends the answer of format C without its line end: keys sorted, no spaces, dates as of RFC 9110 §5.6.7. Zeek's script
// cuts it at the keys.
func (a *API) appendC(b []byte, f *facts, now time.Time) []byte {
	b = a.appendAlerts(append(b, `{"alerts":[`...), f, ",")
	b = append(append(b, `],"category":"`...), a.category(f, now)...)
	b = append(b, '"')
	if f.scored {
		b = appendNumber(append(b, `,"freq_score":[`...), f.average)
		b = append(appendNumber(append(b, ','), f.word), ']')
	}
	b = append(b, `,"seen_by_isc":`...)
	if f.via == "" {
		b = append(b, `"ERROR"`...)
	} else {
		b = appendJSONString(b, f.via)
	}
	b = appendDate(append(b, `,"seen_by_web":"`...), f.created, http.TimeFormat)
	b = appendDate(append(b, `","seen_by_you":"`...), f.seen.first, http.TimeFormat)
	return append(b, '"', '}')
}

// appendB appends the answer of format B: the keys in this order, a space after each colon and comma. Zeek's script counts the
// commas.
func (a *API) appendB(b []byte, f *facts, now time.Time) []byte {
	b = appendDate(append(b, `{"seen_by_web": "`...), f.created, dateText)
	b = append(b, `", "seen_by_isc": `...)
	if f.via == "" {
		b = append(b, `"ERROR"`...)
	} else {
		b = appendJSONString(b, f.via)
	}
	b = appendDate(append(b, `, "seen_by_you": "`...), f.seen.first, dateText)
	b = append(append(b, `", "category": "`...), a.category(f, now)...)
	return append(a.appendAlerts(append(b, `", "alerts": [`...), f, ", "), "]}"...)
}

// appendB0 appends the answer of the format before B. What is established has no date there, and no field says that a
// registration is not known.
func (a *API) appendB0(b []byte, f *facts, rank string, now time.Time) []byte {
	if f.created.IsZero() {
		b = appendJSONString(append(b, `{"error": `...), f.reason)
		return append(appendDate(append(b, `, "expiration": "`...), now, dateText), `"}`...)
	}
	b = append(b, `{"seen_by_web": "`...)
	if category := a.category(f, now); category == "ESTABLISHED" {
		b = append(b, category...)
	} else {
		b = appendDate(b, f.created, dateText)
	}
	b = append(b, `", "seen_by_us": "UNSUPPORTED", "seen_by_you": "`...)
	if f.seen.isNew {
		b = append(b, "FIRST-CONTACT"...)
	} else {
		b = appendDate(b, f.seen.first, dateText)
	}
	if rank == "" {
		rank = "-1"
	}
	return append(append(append(b, `", "rank": `...), rank...), `, "other": {}}`...)
}

// appendDate appends a time in UTC, ERROR where it is not known.
func appendDate(b []byte, t time.Time, layout string) []byte {
	if t.IsZero() {
		return append(b, "ERROR"...)
	}
	t = t.UTC()
	if layout != http.TimeFormat {
		return t.AppendFormat(b, layout)
	}
	year, month, day := t.Date()
	if year < 1000 || year > 9999 {
		return t.AppendFormat(b, layout)
	}
	hour, minute, second := t.Clock()
	const days, months = "SunMonTueWedThuFriSat", "JanFebMarAprMayJunJulAugSepOctNovDec"
	b = append(append(b, days[3*t.Weekday():3*t.Weekday()+3]...), ',', ' ')
	b = append(appendTwo(b, day), ' ')
	b = append(append(b, months[3*month-3:3*month]...), ' ')
	b = append(appendTwo(appendTwo(b, year/100), year%100), ' ')
	b = append(appendTwo(b, hour), ':')
	b = append(appendTwo(b, minute), ':')
	return append(appendTwo(b, second), " GMT"...)
}

func appendTwo(b []byte, n int) []byte { return append(b, '0'+byte(n/10), '0'+byte(n%10)) }

// appendNumber appends a score as Python writes it: up to four decimals, at least one.
func appendNumber(b []byte, x float64) []byte {
	if math.IsNaN(x) || math.IsInf(x, 0) || math.Abs(x) >= 1e12 {
		return append(b, "0.0"...)
	}
	n := int64(math.RoundToEven(x * 1e4))
	if n < 0 {
		b, n = append(b, '-'), -n
	}
	b = strconv.AppendInt(b, n/10000, 10)
	b = append(b, '.')
	rest := n % 10000
	b = appendTwo(appendTwo(b, int(rest/100)), int(rest%100))
	for b[len(b)-1] == '0' && b[len(b)-2] != '.' {
		b = b[:len(b)-1]
	}
	return b
}

const hexDigits = "0123456789abcdef"

// appendJSONString appends s as a JSON string in ASCII, as the originals do: what is not ASCII is escaped, what is not UTF-8
// becomes U+FFFD.
func appendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= 0x20 && c < 0x7f:
			b = append(b, c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\t':
			b = append(b, '\\', 't')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c < utf8.RuneSelf:
			b = appendUnicode(b, rune(c))
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			if r >= 0x10000 {
				b = appendUnicode(b, 0xd800+(r-0x10000)>>10)
				r = 0xdc00 + (r-0x10000)&0x3ff
			}
			b = appendUnicode(b, r)
			i += n
			continue
		}
		i++
	}
	return append(b, '"')
}

func appendUnicode(b []byte, r rune) []byte {
	return append(b, '\\', 'u', hexDigits[r>>12], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}
