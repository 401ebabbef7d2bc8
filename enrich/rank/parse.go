package rank

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/whence-project/whence/enrich"
)

const (
	maxLine  = 64 << 10 // bytes; a longer line is a bad one
	maxBad   = 20       // one line in so many may be bad
	earlyBad = 1000     // bad lines after which a file is given up unread, if they are too many by then
)

// The columns that a header may name, in lower case.
var (
	nameColumns = []string{"domain", "root domain", "hostname", "host", "name", "site", "fqdn"}
	rankColumns = []string{"rank", "globalrank", "global rank", "#", "position", "tranco_rank"}
)

// reader reads a list: lines of rank and name, of names alone, or below a header that names its columns.
type reader struct {
	b       *builder
	lines   int // with data
	bad     int
	firstAt int // number of the first bad line
	first   string
	format  string
	name    int // column
	rank    int // column, -1 for none: the line's position counts
	scratch []byte
}

var (
	bom       = []byte("\xef\xbb\xbf")
	errNoName = errors.New("no names in it")
)

// read reads the list from in. It fails where in does, and where too many lines are not what they should be.
func read(ctx context.Context, in io.Reader, b *builder) (*reader, error) {
	r := &reader{b: b}
	br := bufio.NewReaderSize(in, maxLine)
	for number := 1; ; number++ {
		if number%(1<<16) == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		line, err := br.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = br.ReadSlice('\n')
		}
		if err != nil && err != io.EOF {
			return nil, err
		}
		if number == 1 {
			line = bytes.TrimPrefix(line, bom)
		}
		reason := "longer than 64 KiB"
		if !long {
			var addErr error
			if reason, addErr = r.line(line); addErr != nil {
				return nil, addErr
			}
		}
		if reason != "" {
			r.fault(number, reason)
		}
		if r.bad > earlyBad && r.tooBad() {
			break
		}
		if err == io.EOF {
			break
		}
	}
	switch {
	case r.tooBad():
		return nil, fmt.Errorf("%d of %d lines are bad, more than 1 in %d; line %d: %s", r.bad, r.lines, maxBad, r.firstAt, r.first)
	case b.count == 0:
		return nil, errNoName
	}
	return r, nil
}

func (r *reader) tooBad() bool { return r.bad*maxBad > r.lines }

func (r *reader) fault(number int, reason string) {
	r.lines += 1
	if r.bad++; r.bad == 1 {
		r.firstAt, r.first = number, reason
	}
}

// line takes in one line, and says what is wrong with it. A line that is taken in counts here, a bad one where it is noted.
func (r *reader) line(line []byte) (reason string, err error) {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] == '#' && !bytes.HasPrefix(line, []byte("#,")) {
		return "", nil
	}
	if r.format == "" && r.start(line) {
		return "", nil
	}
	var name, digits []byte
	column := 0
	for rest, more := line, true; more && column <= max(r.name, r.rank); column++ {
		var field []byte
		field, rest, more = cut(rest)
		switch column {
		case r.name:
			name = field
		case r.rank:
			digits = field
		}
	}
	if column <= r.name {
		return "no name in it", nil
	}
	rank, ok := uint32(0), true
	if r.rank < 0 {
		rank, ok = clampRank(uint64(r.lines) + 1)
	} else if rank, ok = number(digits); !ok {
		return "no rank: " + show(digits), nil
	}
	clean := r.clean(name)
	if clean == nil {
		return "no domain name: " + show(name), nil
	}
	if !ok {
		return "", errTooLarge
	}
	r.lines++
	return "", r.b.add(rank, clean)
}

// start finds out from the first line how the others are written, and reports whether it was a header.
func (r *reader) start(line []byte) bool {
	var fields []string
	for rest, more := line, true; more && len(fields) < 64; {
		var f []byte
		f, rest, more = cut(rest)
		fields = append(fields, strings.ToLower(string(f)))
	}
	r.name, r.rank = column(fields, nameColumns), column(fields, rankColumns)
	if r.name >= 0 {
		r.format = "domain"
		if r.rank >= 0 {
			r.format = fields[r.rank] + "," + fields[r.name]
		}
		return true
	}
	if len(fields) == 1 {
		r.name, r.rank, r.format = 0, -1, "one name a line"
	} else {
		r.rank, r.name, r.format = 0, 1, "rank,domain"
	}
	return false
}

// column is the index of the first field that is one of names, -1 for none.
func column(fields, names []string) int {
	for _, n := range names {
		for i, f := range fields {
			if f == n {
				return i
			}
		}
	}
	return -1
}

// cut is the first field of a line, without quotes and blanks around it. What separates fields cannot be in a name or a rank,
// so that lists separated by tabs or semicolons are read as well.
func cut(line []byte) (field, rest []byte, more bool) {
	end := -1
	if len(line) > 0 && line[0] == '"' {
		if q := bytes.IndexByte(line[1:], '"'); q >= 0 {
			end = bytes.IndexAny(line[q+2:], ",;\t")
			if end >= 0 {
				end += q + 2
			}
		}
	} else {
		for i, c := range line {
			if c == ',' || c == ';' || c == '\t' {
				end = i
				break
			}
		}
	}
	field = line
	if end >= 0 {
		field, rest, more = line[:end], line[end+1:], true
	}
	field = bytes.TrimSpace(field)
	if n := len(field); n >= 2 && field[0] == '"' && field[n-1] == '"' {
		field = bytes.TrimSpace(field[1 : n-1])
	}
	return field, rest, more
}

func number(digits []byte) (uint32, bool) {
	if len(digits) == 0 || len(digits) > 10 {
		return 0, false
	}
	var n uint64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return clampRank(n)
}

// clean is a name as subjects have it: A-labels, lower case, no final dot; nil for what is no name. The result is valid until
// the next call.
func (r *reader) clean(name []byte) []byte {
	if n := len(name); n > 1 && name[n-1] == '.' {
		name = name[:n-1]
	}
	if len(name) == 0 {
		return nil
	}
	upper := false
	for _, c := range name {
		switch {
		case c >= 0x80:
			return uLabels(name)
		case 'A' <= c && c <= 'Z':
			upper = true
		case c < '0' && c != '-' && c != '.' || c > '9' && c < 'a' && c != '_' || c > 'z':
			return nil
		}
	}
	if !isName(name) {
		return nil
	}
	if upper {
		r.scratch = r.scratch[:0]
		for _, c := range name {
			if 'A' <= c && c <= 'Z' {
				c |= 0x20
			}
			r.scratch = append(r.scratch, c)
		}
		return r.scratch
	}
	return name
}

// isName reports whether no label is empty or longer than 63 bytes, and the whole no longer than a name may be.
func isName(name []byte) bool {
	if len(name) > maxName {
		return false
	}
	label := 0
	for _, c := range name {
		if c != '.' {
			label++
		} else if label == 0 || label > 63 {
			return false
		} else {
			label = 0
		}
	}
	return label > 0 && label <= 63
}

// uLabels maps an internationalised name as the chain maps the one that is asked for.
func uLabels(name []byte) []byte {
	if bytes.ContainsAny(name, "/@:[]() ") {
		return nil // the chain would take more than a name
	}
	s, err := enrich.ParseSubject(string(name))
	if err != nil || s.Kind() != enrich.Domain {
		return nil
	}
	return []byte(s.Name())
}

// show quotes what is wrong, as far as it fits a log line.
func show(b []byte) string { return fmt.Sprintf("%.60q", b) }
