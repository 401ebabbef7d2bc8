package annotate

import "bytes"

// maxQuoted is how many bytes a quoted cell may have. A quote that nothing closes is found out there.
const maxQuoted = 64 << 10

// state says how a record was read.
type state uint8

const (
	whole   state = iota
	partial       // b ends within a quoted cell
	broken        // the quotes are not those of RFC 4180; it is the first line that is broken
)

// readRecord reads the record that b begins with as encoding/csv does without its lenient options: n is its length with the end of
// its last line. It appends the cells, with their quotes, if cells is not nil.
func readRecord(b []byte, delimiter byte, cells *[]cell) (n int, s state) {
	end := bytes.IndexByte(b, '\n') + 1
	if end == 0 {
		end = len(b)
	}
	if cells == nil && bytes.IndexByte(b[:end], '"') < 0 {
		return end, whole
	}
	for i := 0; ; i++ {
		from := i
		if i < len(b) && b[i] == '"' {
			if i, s = quoted(b, i+1, delimiter); s != whole {
				return end, s
			}
		} else {
			for i < len(b) && b[i] != delimiter && b[i] != '\n' {
				if b[i] == '"' {
					return end, broken
				}
				i++
			}
		}
		if last := i >= len(b) || b[i] == '\n'; last {
			to := i
			if to > from && b[to-1] == '\r' {
				to--
			}
			if cells != nil {
				*cells = append(*cells, cell{from, to})
			}
			return min(i+1, len(b)), whole
		}
		if cells != nil {
			*cells = append(*cells, cell{from, i})
		}
	}
}

// quoted is where a quoted cell ends whose text begins at i: at a delimiter, a line end or the end of b.
func quoted(b []byte, i int, delimiter byte) (int, state) {
	unclosed := partial
	if room := i + maxQuoted; room < len(b) {
		b, unclosed = b[:room], broken
	}
	for {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return i, unclosed
		}
		if i += n + 1; i == len(b) && unclosed == broken {
			return i, broken
		} else if i == len(b) {
			return i, whole
		}
		switch b[i] {
		case '"':
			i++
			continue
		case delimiter, '\n':
			return i, whole
		case '\r':
			if i+1 == len(b) || b[i+1] == '\n' {
				return min(i+1, len(b)), whole
			}
		}
		return i, broken
	}
}

// lastRecord is where the last record of b ends that is whole with its line end.
func lastRecord(delimiter byte) func(b []byte) int {
	return func(b []byte) int {
		end := lastLine(b)
		if bytes.IndexByte(b[:end], '"') < 0 {
			return end
		}
		at := 0
		for at < end {
			n, s := readRecord(b[at:], delimiter, nil)
			if s == partial || b[at+n-1] != '\n' {
				return at
			}
			at += n
		}
		return at
	}
}

// unquote is the text of a cell. It is a view of b where nothing is to be changed.
func unquote(b []byte) []byte {
	if len(b) < 2 || b[0] != '"' {
		return b
	}
	b = b[1 : len(b)-1]
	if bytes.IndexByte(b, '"') >= 0 {
		b = bytes.ReplaceAll(b, []byte(`""`), []byte(`"`))
	}
	return b
}
