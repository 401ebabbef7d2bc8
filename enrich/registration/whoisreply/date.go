package whoisreply

import (
	"strings"
	"time"
)

// order is how a reply writes dates of numbers that do not begin with the year.
type order uint8

const (
	unknownOrder order = iota
	dayFirst
	monthFirst
)

// maxDate is how much of a value is searched for a date, in bytes.
const maxDate = 120

// date is a date being read.
type date struct {
	num          [3]int // the numbers of the date in their order
	digits       [3]int // how many digits each has
	n            int
	month        int // from a name
	monthAt      int // how many numbers stood before it
	h, m, s, ns  int
	hasTime      bool
	offset       int // seconds east of UTC
	hasZone      bool
	lastZoneWord bool
	pm, am       bool
}

// parseDate finds the first date in s, in any of the layouts of WHOIS replies, and whether its order of day and month is told by
// the date itself. Zone names that are no offset (MSK/MSD, WAT) count; a date without a zone is UTC.
func parseDate(s string, hint order) (t time.Time, told order, ok bool) {
	if len(s) > maxDate {
		s = s[:maxDate]
	}
	var d date
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case isDigit(c):
			j := i
			for j < len(s) && isDigit(s[j]) {
				j++
			}
			if d.complete() && d.hasTime && !d.lastZoneWord {
				return d.time(hint)
			}
			i = d.number(s, i, j)
			if i < 0 {
				return d.time(hint)
			}
		case isLetter(c):
			j := i
			for j < len(s) && (isLetter(s[j])) {
				j++
			}
			d.word(s[i:j])
			// A word with digits in it, or of an address, is no date: "user1@example.org 20021013", "UANIC-2".
			if j < len(s) && (isDigit(s[j]) && !tSeparator(s[i:j]) && !zoneWord(s[i:j]) && monthOf(s[i:j]) == 0 || s[j] == '@') {
				for j < len(s) && !isSpace(s[j]) {
					j++
				}
			}
			i = j
		case (c == '+' || c == '-') && d.hasTime && !d.hasZoneOffset() && i+1 < len(s) && isDigit(s[i+1]) && d.complete():
			i = d.zone(s, i)
		default:
			i++
		}
	}
	return d.time(hint)
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0x80 }

func tSeparator(w string) bool { return w == "T" || w == "t" }

func (d *date) complete() bool      { return d.n == 3 || d.n == 2 && d.month > 0 }
func (d *date) hasZoneOffset() bool { return d.hasZone && !d.lastZoneWord }

func atoi(s string) (n int) {
	for i := 0; i < len(s) && i < 9; i++ {
		n = n*10 + int(s[i]-'0')
	}
	return n
}

// number takes the digits s[i:j] and returns where to go on, -1 where the date has ended.
func (d *date) number(s string, i, j int) int {
	switch w := j - i; {
	case (w == 1 || w == 2) && j+1 < len(s) && s[j] == ':' && isDigit(s[j+1]):
		if d.hasTime {
			return j
		}
		return d.clock(s, i)
	case d.complete():
		return -1
	case (w == 14 || w == 8 || w == 12) && d.n == 0:
		y, m, day := atoi(s[i:i+4]), atoi(s[i+4:i+6]), atoi(s[i+6:i+8])
		if y < 1970 || m < 1 || m > 12 || day < 1 || day > 31 {
			return j
		}
		d.num, d.digits, d.n = [3]int{y, m, day}, [3]int{4, 2, 2}, 3
		if w >= 12 {
			d.h, d.m, d.hasTime = atoi(s[i+8:i+10]), atoi(s[i+10:i+12]), true
		}
		if w == 14 {
			d.s = atoi(s[i+12 : i+14])
		}
		return j
	case w == 1, w == 2, w == 4:
		d.num[d.n], d.digits[d.n] = atoi(s[i:j]), w
		d.n++
		return j
	default:
		return j
	}
}

// clock reads hours, minutes, seconds and a fraction at s[i:].
func (d *date) clock(s string, i int) int {
	read := func() int {
		j := i
		for j < len(s) && j < i+2 && isDigit(s[j]) {
			j++
		}
		n := atoi(s[i:j])
		i = j
		return n
	}
	d.hasTime = true
	d.h = read()
	i++
	d.m = read()
	if i+1 < len(s) && s[i] == ':' && isDigit(s[i+1]) {
		i++
		d.s = read()
	}
	if i+1 < len(s) && (s[i] == '.' || s[i] == ',') && isDigit(s[i+1]) {
		i++
		scale := int(time.Second) / 10
		for ; i < len(s) && isDigit(s[i]); i++ {
			d.ns += int(s[i]-'0') * scale
			scale /= 10
		}
	}
	return i
}

// zone reads an offset at s[i:]: +1, +01, +0100, +01:00.
func (d *date) zone(s string, i int) int {
	sign := 1
	if s[i] == '-' {
		sign = -1
	}
	j := i + 1
	for j < len(s) && isDigit(s[j]) {
		j++
	}
	var h, m int
	switch w := s[i+1 : j]; len(w) {
	case 1, 2:
		h = atoi(w)
		if j+2 < len(s) && s[j] == ':' && isDigit(s[j+1]) && isDigit(s[j+2]) {
			m = atoi(s[j+1 : j+3])
			j += 3
		}
	case 4:
		h, m = atoi(w[:2]), atoi(w[2:])
	default:
		return j
	}
	if h <= 14 && m < 60 {
		d.offset, d.hasZone, d.lastZoneWord = sign*(h*3600+m*60), true, false
	}
	return j
}

// zones are the abbreviations of WHOIS replies, in hours east of UTC. Where one is ambiguous, it is the registries' meaning.
var zones = map[string]float64{
	"Z": 0, "UTC": 0, "GMT": 0, "WET": 0, "BST": 1, "WEST": 1, "WAT": 1, "CET": 1, "MET": 1, "CEST": 2, "MEST": 2, "CAT": 2,
	"SAST": 2, "EET": 2, "EEST": 3, "EAT": 3, "MSK": 3, "MSD": 4, "IRST": 3.5, "ALMT": 6, "WIB": 7, "ICT": 7, "HKT": 8, "SGT": 8,
	"MYT": 8, "AWST": 8, "JST": 9, "KST": 9, "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13, "BRT": -3, "BRST": -2, "ART": -3,
	"CLT": -4, "CLST": -3, "AST": -4, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
}

func zoneWord(w string) bool {
	if len(w) > 4 {
		return false
	}
	_, ok := zones[w]
	return ok
}

// word takes a name of a month or a zone.
func (d *date) word(w string) {
	if d.hasTime && len(w) <= 4 {
		if h, ok := zones[w]; ok {
			if !d.hasZone {
				d.offset, d.hasZone, d.lastZoneWord = int(h*3600), true, true
			}
			return
		}
		switch w {
		case "AM", "am":
			d.am = true
		case "PM", "pm":
			d.pm = true
		}
	}
	if d.n == 1 && d.month == 0 && len(w) > 3 && monthOf(w) == 0 { // the number belonged to a word: "0-UANIC 20010203"
		d.n = 0
	}
	if m := monthOf(w); m > 0 && d.month == 0 && d.n < 3 {
		d.month, d.monthAt = m, d.n
	}
}

// monthNames are the beginnings of the months' names in the languages of the registries: English, Spanish, Portuguese, French,
// Italian, German, Dutch.
var monthNames = map[string]int{
	"jan": 1, "ene": 1, "gen": 1, "feb": 2, "fev": 2, "fév": 2, "mar": 3, "mär": 3, "maa": 3, "mrt": 3, "apr": 4, "abr": 4, "avr": 4,
	"may": 5, "mai": 5, "mag": 5, "mei": 5, "jun": 6, "giu": 6, "jul": 7, "lug": 7, "aug": 8, "ago": 8, "sep": 9, "set": 9,
	"oct": 10, "out": 10, "okt": 10, "ott": 10, "nov": 11, "dec": 12, "dic": 12, "dez": 12, "déc": 12,
	"juin": 6, "juil": 7, "août": 8, "aout": 8,
}

// monthOf is the month that w names, whole or abbreviated to three letters or more; 0 for any other word.
func monthOf(w string) int {
	if len(w) < 3 || len(w) > 10 {
		return 0
	}
	var b [12]byte
	for i := range len(w) {
		b[i] = w[i]
		if w[i] >= 'A' && w[i] <= 'Z' {
			b[i] |= 0x20
		}
	}
	for _, n := range [...]int{4, 5, 3} { // "juin" before "jui…"; "août" has five bytes
		if len(w) >= n {
			if m, ok := monthNames[string(b[:n])]; ok {
				if n == 3 && len(w) > 3 && !longMonth(string(b[:len(w)])) {
					return 0
				}
				return m
			}
		}
	}
	return 0
}

// longMonth reports whether a word that begins like a month can be one: "marked" is not March.
func longMonth(w string) bool {
	for _, end := range [...]string{"uary", "ruary", "ch", "il", "e", "y", "ust", "tember", "t", "ember", "ober", "ero", "zo", "o",
		"io", "osto", "tiembre", "iembre", "ubre", "eiro", "ço", "tembro", "embro", "ubro", "ril", "let", "obre", "naio", "braio", "gio",
		"gno", "lio", "tembre", "zember", "uar", "uari", "ni", "li", "ustus", "vier", "rier", "s", "embre", "cembre", "rt", "i"} {
		if w[3:] == end {
			return true
		}
	}
	return false
}

// time puts the date together.
func (d *date) time(hint order) (t time.Time, told order, ok bool) {
	if !d.complete() {
		return t, 0, false
	}
	y, m, day, told := d.ymd(hint)
	if d.digits[d.n-1] == 1 && d.digits[0] != 4 && (d.n == 3 || d.monthAt < 2) && y < 10 { // "3 Nov 2", where the line breaks off
		return t, 0, false
	}
	if y < 100 {
		y += 2000
		if y >= 2070 {
			y -= 100
		}
	}
	if y < 1970 || m < 1 || m > 12 || day < 1 || day > 31 || d.h > 24 || d.m > 59 || d.s > 60 {
		return t, 0, false
	}
	h := d.h
	switch {
	case d.pm && h < 12:
		h += 12
	case d.am && h == 12:
		h = 0
	}
	t = time.Date(y, time.Month(m), day, h, d.m, d.s, d.ns, time.UTC).Add(-time.Duration(d.offset) * time.Second)
	return t, told, true
}

// ymd tells year, month and day apart.
func (d *date) ymd(hint order) (y, m, day int, told order) {
	a, b, c := d.num[0], d.num[1], d.num[2]
	if d.month > 0 {
		if d.digits[0] == 4 || a > 31 { // 2004-Mar-16
			return a, d.month, b, 0
		}
		return b, d.month, a, 0
	}
	if d.digits[0] == 4 || a > 31 {
		if b > 12 && c <= 12 { // year, day, month
			return a, c, b, 0
		}
		return a, b, c, 0
	}
	switch {
	case a > 12:
		return c, b, a, dayFirst
	case b > 12:
		return c, a, b, monthFirst
	case hint == unknownOrder && (d.am || d.pm): // who counts the hours to twelve writes the month first
		return c, a, b, 0
	case hint == monthFirst:
		return c, a, b, 0
	default:
		return c, b, a, 0
	}
}

// statedOrder is the order of dates that the reply itself states, as some do in their head: "complete date format : DD/MM/YYYY".
func statedOrder(s string) order {
	switch {
	case strings.Contains(s, "DD/MM/YY"), strings.Contains(s, "dd/mm/yy"), strings.Contains(s, "DD.MM.YY"):
		return dayFirst
	case strings.Contains(s, "MM/DD/YY"), strings.Contains(s, "mm/dd/yy"):
		return monthFirst
	}
	return unknownOrder
}
