package lexical

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Table tells how usual a string's pairs of characters are, by how often they were met in what the table was trained on. It is
// immutable. Characters are those of Latin-1; any other is one that was never met.
type Table struct {
	class   [256]uint16 // of a character: its row and column, 0 for those never met
	ignored [256]bool
	row     int    // classes, the one of those never met included
	cells   []cell // row by row
	totals  []float64
	chars   int
	known   int // different pairs, but for case
	pairs   uint64
}

// cell is what is known of a pair.
type cell struct {
	share float64 // of the pairs with that first character, without those whose second is ignored
	count float64 // how often it was met, a whole number
}

const (
	maxTable = 16 << 20 // bytes of a table's file
	maxPairs = 1 << 53  // what can be counted exactly
)

// ParseTable reads a table in the .freq format: JSON in Latin-1, an array of whether case is ignored, the characters of which a
// pair is ignored if it has two, and for each character how often which character followed:
//
//	[true, "\n\t-_", [["a", [["b", 12], ["c", 3]]], …]]
func ParseTable(data []byte) (*Table, error) {
	if len(data) > maxTable {
		return nil, fmt.Errorf("larger than %d bytes", maxTable)
	}
	var (
		fold    bool
		ignored string
		rows    []jsonRow
	)
	if err := unmarshalTuple([]byte(latin1(data)), &fold, &ignored, &rows); err != nil {
		return nil, err
	}
	b := &tableBuilder{
		fold: fold, seen: make(map[rune]bool), counts: make(map[[2]uint16]float64), totals: make([]float64, 1), cut: make([]float64, 1),
	}
	for _, c := range ignored {
		if c < 256 {
			b.t.ignored[c] = true
		}
	}
	for _, r := range rows {
		if err := b.row(r); err != nil {
			return nil, err
		}
	}
	return b.build()
}

// latin1 is text as UTF-8.
func latin1(data []byte) string {
	var b strings.Builder
	b.Grow(len(data))
	for _, c := range data {
		b.WriteRune(rune(c))
	}
	return b.String()
}

// unmarshalTuple reads a JSON array of just these elements.
func unmarshalTuple(data []byte, into ...any) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	if len(parts) != len(into) {
		return fmt.Errorf("an array of %d elements where %d should be", len(parts), len(into))
	}
	for i, p := range parts {
		if string(p) == "null" {
			return errors.New("null where a value should be")
		}
		if err := json.Unmarshal(p, into[i]); err != nil {
			return err
		}
	}
	return nil
}

// jsonRow is a character and what followed it.
type jsonRow struct {
	char jsonChar
	next []jsonNext
}

func (r *jsonRow) UnmarshalJSON(data []byte) error { return unmarshalTuple(data, &r.char, &r.next) }

// jsonNext is a character and how often it followed.
type jsonNext struct {
	char  jsonChar
	count uint64
}

func (n *jsonNext) UnmarshalJSON(data []byte) error { return unmarshalTuple(data, &n.char, &n.count) }

// jsonChar is a string of one character.
type jsonChar rune

func (c *jsonChar) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 || n != len(s) {
		return fmt.Errorf("%.20q where one character should be", s)
	}
	*c = jsonChar(r)
	return nil
}

// tableBuilder merges the rows of characters that differ in case only.
type tableBuilder struct {
	t      Table
	fold   bool
	seen   map[rune]bool // rows
	counts map[[2]uint16]float64
	totals []float64 // by class: pairs with that first character
	cut    []float64 // of these, those whose second character is ignored
}

// classOf is the class of a character, a new one if need be; 0 where the table cannot tell it from others.
func (b *tableBuilder) classOf(r rune) uint16 {
	if r > 255 {
		return 0
	}
	if b.fold {
		r = lower(r)
	}
	if b.t.class[r] == 0 {
		b.t.class[r] = uint16(len(b.totals))
		b.totals, b.cut = append(b.totals, 0), append(b.cut, 0)
		b.t.chars++
	}
	return b.t.class[r]
}

// lower is the small form of a Latin-1 character.
func lower(r rune) rune {
	if l := unicode.ToLower(r); l < 256 {
		return l
	}
	return r
}

func (b *tableBuilder) row(r jsonRow) error {
	first := rune(r.char)
	if b.seen[first] {
		return fmt.Errorf("%q is there twice", first)
	}
	b.seen[first] = true
	a := b.classOf(first)
	for _, n := range r.next {
		if b.t.pairs += n.count; n.count >= maxPairs || b.t.pairs >= maxPairs {
			return errors.New("counts too large to be exact")
		}
		if a == 0 {
			continue
		}
		second := rune(n.char)
		b.totals[a] += float64(n.count)
		if second < 256 && b.t.ignored[second] {
			b.cut[a] += float64(n.count)
		}
		if c := b.classOf(second); c != 0 {
			b.counts[[2]uint16{a, c}] += float64(n.count)
		}
	}
	return nil
}

func (b *tableBuilder) build() (*Table, error) {
	t := &b.t
	if t.pairs == 0 {
		return nil, errors.New("no pairs in it")
	}
	t.row, t.totals, t.known = len(b.totals), b.totals, len(b.counts)
	t.cells = make([]cell, t.row*t.row)
	for k, n := range b.counts {
		c := cell{count: n}
		if usual := b.totals[k[0]] - b.cut[k[0]]; usual > 0 {
			c.share = n / usual
		}
		t.cells[int(k[0])*t.row+int(k[1])] = c
	}
	if b.fold {
		for r := range rune(256) {
			t.class[r] = t.class[lower(r)]
		}
	}
	return t, nil
}

// Pairs is how many pairs of characters the table was trained on.
func (t *Table) Pairs() uint64 { return t.pairs }

// Chars is how many characters the table tells apart.
func (t *Table) Chars() int { return t.chars }

// Score is how usual the pairs of characters in s are, in per cent and rounded to four decimals: avg, the mean over the pairs of
// how often the second followed the first; and word, how often all the pairs were met among all that begin like them. A string
// without a pair that counts has 0 and 0. Score does not allocate.
func (t *Table) Score(s string) (avg, word float64) {
	var (
		share, met, of float64
		n              int
		prev           uint16
		skip           bool // the character before is an ignored one
		pair           bool // there is one
	)
	for _, r := range s {
		var class uint16
		var ignored bool
		if r < 256 {
			class, ignored = t.class[r], t.ignored[r]
		}
		if pair && !(skip && ignored) {
			c := &t.cells[int(prev)*t.row+int(class)]
			share += c.share
			met += c.count
			of += t.totals[prev]
			n++
		}
		prev, skip, pair = class, ignored, true
	}
	if n > 0 {
		avg = round4(share / float64(n) * 100)
	}
	if of > 0 {
		word = round4(met / of * 100)
	}
	return avg, word
}

// round4 rounds to four decimals as Python's round does: what counts is the exact value of x, and exactly half goes to even.
func round4(x float64) float64 {
	y := x * 1e4
	n := math.Floor(y)
	switch f := y - n; {
	case f > 0.4999 && f < 0.5001 || y > 1e9: // y itself is rounded, perhaps over the half
		v, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'f', 4, 64), 64)
		return v
	case f >= 0.5:
		n++
	}
	return n / 1e4
}

// Trainer counts pairs of characters for a [Table]. The zero Trainer is ready.
type Trainer struct {
	counts [256][256]uint64
}

// Add counts the pairs of s, in lower case, weight times. Characters that are not in Latin-1 end a pair and begin none.
func (t *Trainer) Add(s string, weight uint64) {
	prev := rune(-1)
	for _, r := range s {
		if r = lower(r); r > 255 {
			r = -1
		}
		if prev >= 0 && r >= 0 {
			t.counts[prev][r] += weight
		}
		prev = r
	}
}

// ignoredChars are those of the tables in use.
const ignoredChars = "\n\t~`!@#$%^&*()_+-"

// Append appends the table in the .freq format.
func (t *Trainer) Append(b []byte) []byte {
	ignored, _ := json.Marshal(ignoredChars)
	b = append(append(append(b, "[true, "...), ignored...), ", ["...)
	comma := ""
	for first := range t.counts {
		row := t.counts[first][:]
		if !slices.ContainsFunc(row, func(n uint64) bool { return n > 0 }) {
			continue
		}
		b = append(appendChar(append(append(b, comma...), "\n["...), first), ", ["...)
		comma = ""
		for next, n := range row {
			if n > 0 {
				b = append(appendChar(append(append(b, comma...), '['), next), ", "...)
				b = append(strconv.AppendUint(b, n, 10), ']')
				comma = ", "
			}
		}
		b = append(b, "]]"...)
		comma = ","
	}
	return append(b, "]]\n"...)
}

// appendChar appends a character as a JSON string of ASCII, which is the same in Latin-1 and UTF-8.
func appendChar(b []byte, c int) []byte {
	if c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
		return fmt.Appendf(b, `"\u%04x"`, c)
	}
	return append(b, '"', byte(c), '"')
}
