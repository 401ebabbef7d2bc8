package annotate

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strconv"
)

// walker reads a JSON text (RFC 8259) once: whether it is an object, where that ends, and where the values are that paths choose. It
// is as strict as encoding/json, and as lenient with strings that are not UTF-8.
type walker struct {
	paths [][]byte // client_ip, request.host; a number chooses an element of an array
	added [][]byte // keys that are about to be added

	b      []byte
	values []cell // by path; to is 0 where there is none
	end    int    // where the closing brace is
	bare   bool   // the object has no members
	taken  bool   // it has a key that is about to be added
	levels [maxNesting + 2]progress
}

const (
	maxPaths   = 16
	maxNesting = 512 // objects and arrays in each other
)

// progress is how much of each path is behind us: bytes, or one of these.
type progress [maxPaths]uint16

const (
	off      = 1<<16 - 1 // not on this path
	complete = 1<<16 - 2
)

// walk reads a line, and reports that it is an object.
func (j *walker) walk(line []byte) bool {
	j.b, j.taken, j.bare = line, false, false
	if len(j.values) != len(j.paths) {
		j.values = make([]cell, len(j.paths))
	}
	clear(j.values)
	i := j.space(0)
	if i == len(line) || line[i] != '{' {
		return false
	}
	depth := -1
	if len(j.paths) > 0 {
		depth = 0
		j.levels[0] = progress{}
	}
	i = j.object(i, 0, depth >= 0)
	if i < 0 {
		return false
	}
	j.end = i - 1
	return j.space(i) == len(line)
}

func (j *walker) space(i int) int {
	for i < len(j.b) && (j.b[i] == ' ' || j.b[i] == '\t' || j.b[i] == '\r' || j.b[i] == '\n') {
		i++
	}
	return i
}

// peek is the byte at i, 0 at the end, which no JSON has.
func (j *walker) peek(i int) byte {
	if i < len(j.b) {
		return j.b[i]
	}
	return 0
}

// value reads the value at i and returns where it ends, or -1. Where a path may go on in it, levels[depth] says how far it is.
func (j *walker) value(i, depth int, live bool) int {
	end := -1
	switch c := j.peek(i); {
	case c == '"':
		end = j.str(i)
	case c == '{':
		return j.object(i, depth, live)
	case c == '[':
		return j.array(i, depth, live)
	case c == '-' || is(c, digit):
		end = j.number(i)
	case c == 't':
		return j.literal(i, "true")
	case c == 'f':
		return j.literal(i, "false")
	case c == 'n':
		return j.literal(i, "null")
	}
	if live && end > 0 {
		for k := range j.paths {
			if j.levels[depth][k] == complete && j.values[k].to == 0 {
				j.values[k] = cell{i, end}
			}
		}
	}
	return end
}

func (j *walker) literal(i int, text string) int {
	if len(j.b)-i < len(text) || string(j.b[i:i+len(text)]) != text {
		return -1
	}
	return i + len(text)
}

// object reads the object at i.
func (j *walker) object(i, depth int, live bool) int {
	if depth == maxNesting {
		return -1
	}
	i = j.space(i + 1)
	if j.peek(i) == '}' {
		j.bare = j.bare || depth == 0
		return i + 1
	}
	for {
		if j.peek(i) != '"' {
			return -1
		}
		end := j.str(i)
		if end < 0 {
			return -1
		}
		key := j.b[i+1 : end-1]
		if depth == 0 {
			j.taken = j.taken || j.adds(key)
		}
		if i = j.space(end); j.peek(i) != ':' {
			return -1
		}
		if i = j.value(j.space(i+1), depth+1, live && j.step(depth, key)); i < 0 {
			return -1
		}
		switch i = j.space(i); j.peek(i) {
		case '}':
			return i + 1
		case ',':
			i = j.space(i + 1)
		default:
			return -1
		}
	}
}

func (j *walker) adds(key []byte) bool {
	for _, k := range j.added {
		if len(k) == len(key) && bytes.Equal(k, key) {
			return true
		}
	}
	return false
}

// array reads the array at i. A path that ends at an array means the first of its elements.
func (j *walker) array(i, depth int, live bool) int {
	if depth == maxNesting {
		return -1
	}
	i = j.space(i + 1)
	if j.peek(i) == ']' {
		return i + 1
	}
	var index [20]byte
	for n := 0; ; n++ {
		on := live && j.step(depth, strconv.AppendInt(index[:0], int64(n), 10))
		if live && n == 0 {
			for k := range j.paths {
				if j.levels[depth][k] == complete {
					j.levels[depth+1][k], on = complete, true
				}
			}
		}
		if i = j.value(i, depth+1, on); i < 0 {
			return -1
		}
		switch i = j.space(i); j.peek(i) {
		case ']':
			return i + 1
		case ',':
			i = j.space(i + 1)
		default:
			return -1
		}
	}
}

// step goes from levels[depth] on to what key leads to, and reports whether a path goes there. A path with dots also finds a key
// that has them.
func (j *walker) step(depth int, key []byte) (live bool) {
	from, to := &j.levels[depth], &j.levels[depth+1]
	for k, path := range j.paths {
		to[k] = off
		if from[k] >= complete {
			continue
		}
		rest := path[from[k]:]
		if len(rest) < len(key) || !bytes.Equal(rest[:len(key)], key) {
			continue
		}
		switch {
		case len(rest) == len(key):
			to[k], live = complete, true
		case rest[len(key)] == '.':
			to[k], live = from[k]+uint16(len(key))+1, true
		}
	}
	return live
}

// number is where the number at i ends (RFC 8259 §6).
func (j *walker) number(i int) int {
	if j.peek(i) == '-' {
		i++
	}
	start := i
	if i = j.digits(i); i < 0 || j.b[start] == '0' && i > start+1 {
		return -1
	}
	if j.peek(i) == '.' {
		if i = j.digits(i + 1); i < 0 {
			return -1
		}
	}
	if c := j.peek(i); c == 'e' || c == 'E' {
		if i++; j.peek(i) == '+' || j.peek(i) == '-' {
			i++
		}
		i = j.digits(i)
	}
	return i
}

// digits is where the digits at i end, -1 where there are none.
func (j *walker) digits(i int) int {
	start := i
	for i < len(j.b) && is(j.b[i], digit) {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

// highs has the highest bit of each byte of a word.
const highs = 0x8080808080808080

// str is where the string at i ends, behind its quote. Eight bytes are looked at together for a quote, a backslash or a control
// character; the lowest bit that is set is right, those above it may be wrong.
func (j *walker) str(i int) int {
	b := j.b
	for i++; ; {
		for i+8 <= len(b) {
			x := binary.LittleEndian.Uint64(b[i:])
			quote, slash := x^'"'*ones, x^'\\'*ones
			if m := ((quote-ones)&^quote | (slash-ones)&^slash | (x-' '*ones)&^x) & highs; m != 0 {
				i += bits.TrailingZeros64(m) / 8
				break
			}
			i += 8
		}
		switch c := j.peek(i); {
		case c == '"':
			return i + 1
		case c == '\\':
			if i = j.escape(i + 1); i < 0 {
				return -1
			}
		case c < ' ': // the end, too
			return -1
		default:
			i++
		}
	}
}

// escape is where the escape ends whose backslash is before i.
func (j *walker) escape(i int) int {
	switch j.peek(i) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		for k := i + 1; k < i+5; k++ {
			if !is(j.peek(k), hex) {
				return -1
			}
		}
		return i + 5
	}
	return -1
}
