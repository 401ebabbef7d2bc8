package annotate

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/whence-project/whence/enrich"
)

// Header says whether the first record of a CSV file names the columns.
type Header uint8

// Whether there is a header.
const (
	HeaderAuto Header = iota // there is one where columns are chosen by name, or where no cell of the first record is an address
	HeaderYes
	HeaderNo
)

// newCSV is how the records of a CSV file are annotated: in columns behind the last one. sample has its first records.
func newCSV(o *Options, fields []enrich.Pick, name string, sample []byte, delimiter byte) (*layout, error) {
	l := &layout{
		style: "csv" + string(rune(delimiter)), names: o.Names, appended: true, delimiter: delimiter, end: lastRecord(delimiter), render: renderCSV(delimiter),
		scan: scanCSV, emit: emitCSV,
	}
	records := readSample(head(bytes.TrimPrefix(sample, bom), sampled), delimiter)
	if len(records) == 0 {
		return l, nil // nothing, or nothing but what is broken
	}
	first := records[0]
	l.width = len(first)
	header := o.Header == HeaderYes || o.Header == HeaderAuto && !slices.ContainsFunc(first, isAddress)
	for _, in := range o.In {
		column := slices.Index(first, in) + 1
		if n, err := strconv.Atoi(in); err == nil && column == 0 {
			column = n
		} else if column > 0 && o.Header == HeaderAuto {
			header = true
		}
		if column < 1 || column > len(first) {
			return nil, fmt.Errorf("%s has no column %q: it has %d, %s", name, in, len(first), strings.Join(first, ", "))
		}
		l.inputs = append(l.inputs, column-1)
	}
	if len(o.In) == 0 && (!header || len(records) > 1) {
		if l.inputs = addressColumns(records, header); len(l.inputs) == 0 {
			return nil, fmt.Errorf("no column of %s holds addresses in its first %d records: name the column, as in --in %q", name, len(records), first[0])
		}
	}
	if header {
		l.header = headerOf(first, l.inputs, fields, delimiter)
	}
	return l, nil
}

var bom = []byte("\uFEFF")

// readSample is the text of the cells of the records that are whole in a sample, and not broken.
func readSample(sample []byte, delimiter byte) (records [][]string) {
	for at := 0; at < len(sample); {
		var cells []cell
		n, s := readRecord(sample[at:], delimiter, &cells)
		if s == whole && !isEmptyLine(sample[at:at+n]) {
			record := make([]string, len(cells))
			for i, c := range cells {
				record[i] = string(unquote(sample[at+c.from : at+c.to]))
			}
			records = append(records, record)
		}
		at += n
	}
	return records
}

func isEmptyLine(line []byte) bool { return len(bytes.TrimRight(line, "\r\n")) == 0 }

// isAddress reports that a cell has an address, as it may have a port, and nothing else.
func isAddress(cell string) bool {
	var f finder
	f.start([]byte(cell), false, false)
	h, ok := f.next()
	return ok && h.from <= 1 && !strings.ContainsAny(cell[h.to:], " ,;")
}

// addressColumns are the columns in which the records have addresses, and nothing else.
func addressColumns(records [][]string, header bool) (columns []int) {
	if header {
		records = records[1:]
	}
	for i := range slices.MaxFunc(records, func(a, b []string) int { return len(a) - len(b) }) {
		n := 0
		for _, r := range records {
			switch {
			case i >= len(r) || r[i] == "" || r[i] == "-":
			case !isAddress(r[i]):
				n = -len(records)
			default:
				n++
			}
		}
		if n > 0 {
			columns = append(columns, i)
		}
	}
	return columns
}

// headerOf are the names of the columns that are added: client_asn for the field asn of the column client.
func headerOf(first []string, inputs []int, fields []enrich.Pick, delimiter byte) (names []byte) {
	for _, column := range inputs {
		for _, f := range fields {
			names = appendCSV(append(names, delimiter), first[column]+"_"+f.Name(), delimiter)
		}
	}
	return names
}

// scanCSV marks the chosen cells of each record.
func scanCSV(w *worker, c *chunk) {
	l := w.layout
	at := 0
	if c.first && bytes.HasPrefix(c.in, bom) {
		at = len(bom)
	}
	header := c.first && l.header != nil
	for at < len(c.in) {
		record := c.in[at:]
		w.cells = w.cells[:0]
		n, s := readRecord(record, l.delimiter, &w.cells)
		w.counts.Lines++
		switch {
		case isEmptyLine(record[:n]):
		case s != whole || len(w.cells) != l.width:
			w.counts.Rejected++
		case header:
			w.marks = append(w.marks, mark{at: uint32(at + w.cells[l.width-1].to), input: headerMark, first: true})
			header = false
		default:
			for i, column := range l.inputs {
				cell := w.cells[column]
				w.marks = append(w.marks, mark{
					at: uint32(at + w.cells[l.width-1].to), first: i == 0,
					id: w.lookupValue(unquote(record[cell.from:cell.to])),
				})
			}
		}
		at += n
	}
}

// headerMark is the input of the mark of a CSV file's header.
const headerMark = 1<<16 - 1

// emitCSV is emit with the header.
func emitCSV(w *worker, out, in []byte) []byte {
	if len(w.marks) > 0 && w.marks[0].input == headerMark {
		at := w.marks[0].at
		out = append(append(out, in[:at]...), w.layout.header...)
		w.marks = w.marks[1:]
		return w.emitFrom(out, in, int(at))
	}
	return w.emitFrom(out, in, 0)
}
