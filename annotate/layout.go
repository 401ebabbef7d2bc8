package annotate

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Format is how the lines of a log are made up.
type Format uint8

// The formats.
const (
	Auto Format = iota // told by the file's name and its first lines
	Text               // lines of words: Apache, nginx, syslog
	JSON               // an object a line (NDJSON)
	CSV                // RFC 4180
	TSV                // the same with tabs
)

var formatNames = [...]string{Auto: "auto", Text: "text", JSON: "json", CSV: "csv", TSV: "tsv"}

// String is the format's name: auto, text, json, csv or tsv.
func (f Format) String() string { return formatNames[f] }

// ParseFormat is the Format of a name.
func ParseFormat(name string) (Format, error) {
	for f, n := range formatNames {
		if n == name {
			return Format(f), nil
		}
	}
	return Auto, fmt.Errorf("%q is no format of logs: they are auto, text, json, csv and tsv", name)
}

// layout is how one file is annotated.
type layout struct {
	style    string // files of one style have the same answers
	names    bool   // names are looked for, too
	end      func(b []byte) int
	scan     func(w *worker, c *chunk)
	render   renderer
	emit     func(w *worker, out, in []byte) []byte
	appended bool   // each line has as many annotations, also those that say nothing
	blank    []byte // of appended: what stands for a subject that is not there

	inputs    []int    // text: numbers of fields; CSV: columns from 0
	delimiter byte     // CSV
	width     int      // CSV: cells of a record
	header    []byte   // CSV: what is added to the first record, nil where it is no header
	paths     [][]byte // JSON
	keys      [][]byte // JSON: of each path, or with flat of each path's fields, as they are written
	added     [][]byte // JSON: keys of the top level that are added
	flat      bool     // JSON
}

// enough reports that a file's layout can be told from its beginning, of which more may come: a line, or where it may be CSV, a header
// and a record.
func (o *Options) enough(sample []byte) bool {
	if o.Format == Text || o.Format == JSON || o.Format == Auto && !o.mayBeTable(sample) {
		return true
	}
	delimiter := o.delimiter(o.Format)
	records := 0
	for at := 0; at < len(sample) && records < 2; records++ {
		n, s := readRecord(sample[at:], delimiter, nil)
		if s == partial {
			return false
		}
		at += n
	}
	return records == 2
}

// mayBeTable reports that a log may be CSV by its first line: a cell of that is an address, or all are short words, as a header's are.
func (o *Options) mayBeTable(sample []byte) bool {
	line, _ := cutLine(bytes.TrimPrefix(sample, bom))
	if bytes.HasPrefix(line, []byte{'{'}) {
		return false
	}
	for _, d := range o.delimiters() {
		cells := strings.Split(string(line), string(rune(d)))
		word := func(cell string) bool { return len(cell) <= 64 && strings.Count(cell, " ") < 4 }
		if len(cells) > 1 && (slices.ContainsFunc(cells, isAddress) || !slices.ContainsFunc(cells, func(c string) bool { return !word(c) })) {
			return true
		}
	}
	return false
}

// delimiters are what may be between cells.
func (o *Options) delimiters() []byte {
	if o.Delimiter != 0 {
		return []byte{o.Delimiter}
	}
	return []byte(",\t;|")
}

// delimiter is what is between cells where nothing else tells.
func (o *Options) delimiter(f Format) byte {
	switch {
	case o.Delimiter != 0:
		return o.Delimiter
	case f == TSV:
		return '\t'
	}
	return ','
}

// layoutOf is how a file is annotated that begins with sample: some whole lines, or all there is.
func (a *Annotator) layoutOf(name string, sample []byte) (l *layout, err error) {
	o := &a.opt
	format, delimiter := o.Format, o.Delimiter
	if format == Auto {
		format, delimiter = o.detect(name, sample)
	}
	fields := a.fields[:a.shown]
	switch format {
	case JSON:
		l, err = newJSON(o, fields)
	case CSV, TSV:
		if delimiter == 0 {
			delimiter = o.delimiter(format)
		}
		l, err = newCSV(o, fields, name, sample, delimiter)
	default:
		l, err = newText(o)
	}
	if err == nil && l.appended {
		l.blank = l.render(nil, fields, make([]value, len(fields)))
	}
	return l, err
}

// sampled is how many lines a file's format is told by.
const sampled = 32

// detect tells a file's format: JSON where one of the first lines is an object, CSV by the name, or where all of the first records
// have as many cells and a column has an address in each; else text.
func (o *Options) detect(name string, sample []byte) (Format, byte) {
	sample = head(bytes.TrimPrefix(sample, bom), sampled)
	if t := bytes.TrimSpace(sample); len(t) > 0 && t[0] == '{' {
		var j walker
		for line := range bytes.Lines(t) {
			if j.walk(line) {
				return JSON, 0
			}
		}
	}
	name = strings.ToLower(name)
	switch ext := path.Ext(name); ext {
	case ".gz", ".zst", ".bz2":
		name = strings.TrimSuffix(name, ext)
	}
	switch path.Ext(name) {
	case ".csv":
		return CSV, o.Delimiter
	case ".tsv":
		return TSV, o.Delimiter
	case ".json", ".ndjson", ".jsonl":
		return JSON, 0
	}
	for _, d := range o.delimiters() {
		if isTable(sample, d) {
			return CSV, d
		}
	}
	return Text, 0
}

// head is the first n lines of b.
func head(b []byte, n int) []byte {
	end := 0
	for ; n > 0 && end < len(b); n-- {
		_, length := cutLine(b[end:])
		end += length
	}
	return b[:end]
}

// isTable reports that a sample is of records with an address in the same column, but for the first, which may be a header.
func isTable(sample []byte, delimiter byte) bool {
	for at := 0; at < len(sample); {
		n, s := readRecord(sample[at:], delimiter, nil)
		if s == broken {
			return false
		}
		at += n
	}
	records := readSample(sample, delimiter)
	if len(records) < 2 || len(records[0]) < 2 {
		return false
	}
	column := make([]bool, len(records[0]))
	for i := range column {
		column[i] = true
	}
	for _, r := range records[1:] {
		if len(r) != len(column) {
			return false
		}
		for i, cell := range r {
			column[i] = column[i] && isAddress(cell) && !strings.Contains(cell, " ")
		}
	}
	for _, all := range column {
		if all {
			return true
		}
	}
	return false
}
