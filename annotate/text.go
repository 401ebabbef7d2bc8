package annotate

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
)

// newText is how lines of text are annotated: behind their subjects, or in fields at their ends.
func newText(o *Options) (*layout, error) {
	l := &layout{style: "text", names: o.Names, end: lastLine, render: renderInPlace, scan: scanText, emit: emit}
	for _, in := range o.In {
		n, err := strconv.Atoi(in)
		if err != nil || n == 0 || n > maxCells || n < -maxCells {
			return nil, fmt.Errorf("%q names no field of a line of text: they are numbered from 1, or from -1 counted from the end", in)
		}
		l.inputs = append(l.inputs, n)
	}
	if len(l.inputs) > 0 {
		l.scan = scanTextFields
	}
	if o.Append {
		l.style, l.render, l.appended = "append", renderAppended, true
		if len(l.inputs) == 0 {
			l.scan = scanTextFirst
		}
	}
	return l, nil
}

// lastLine is where the last whole line of b ends.
func lastLine(b []byte) int { return 1 + bytes.LastIndexByte(b, '\n') }

// cutLine is the first line of b without its end, and how long it is with it.
func cutLine(b []byte) (line []byte, n int) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return b, len(b)
	}
	n = i + 1
	if i > 0 && b[i-1] == '\r' {
		i--
	}
	return b[:i], n
}

// countLines is how many lines b has, one that does not end included.
func countLines(b []byte) int64 {
	n := bytes.Count(b, []byte{'\n'})
	if len(b) > 0 && b[len(b)-1] != '\n' {
		n++
	}
	return int64(n)
}

// scanText marks all subjects of a chunk. Which line one is on matters only in so far as it is the first there.
func scanText(w *worker, c *chunk) {
	w.counts.Lines += countLines(c.in)
	w.finder.start(c.in, w.layout.names, false)
	known := 0 // the line that this is in is known
	for {
		h, ok := w.finder.next()
		if !ok {
			return
		}
		i := later
		if h.is6 || h.isName {
			i = w.lookupHit(&h)
		}
		if i == nothing {
			continue
		}
		first := len(w.marks) == 0 || bytes.IndexByte(c.in[known:h.from], '\n') >= 0
		known = h.to
		w.marks = append(w.marks, mark{at: uint32(behind(c.in, h.from, h.to)), id: i, from: h.v4, first: first})
	}
}

// scanTextFirst marks the first subject of each line, for fields at its end.
func scanTextFirst(w *worker, c *chunk) {
	for at := 0; at < len(c.in); {
		line, n := cutLine(c.in[at:])
		w.counts.Lines++
		if len(line) > 0 {
			h, i := w.firstIn(line)
			w.marks = append(w.marks, mark{at: uint32(at + len(line)), id: i, from: h.v4, first: true})
		}
		at += n
	}
}

// firstIn is the first subject in a text, and its id, which may be later.
func (w *worker) firstIn(text []byte) (hit, id) {
	w.finder.text, w.finder.escaped = text, false
	if to, v, ok := quad(text, 0); ok && w.finder.isAddress4(0, to) {
		return hit{to: to, v4: v}, later
	}
	w.finder.start(text, w.layout.names, false)
	for {
		h, ok := w.finder.next()
		if !ok {
			return hit{}, nothing
		}
		if !h.is6 && !h.isName {
			return h, later
		}
		if i := w.lookupHit(&h); i != nothing {
			return h, i
		}
	}
}

// maxCells is how many fields of a line are told apart.
const maxCells = 1 << 12

// cell is a field of a line.
type cell struct{ from, to int }

// scanTextFields marks what stands in the chosen fields of each line. Fields are what white space is between.
func scanTextFields(w *worker, c *chunk) {
	enough := slices.Max(w.layout.inputs)
	if slices.Min(w.layout.inputs) < 0 {
		enough = maxCells
	}
	for at := 0; at < len(c.in); {
		line, n := cutLine(c.in[at:])
		w.counts.Lines++
		if len(line) > 0 {
			w.cells = splitBlanks(w.cells[:0], line, enough)
			w.markFields(line, at)
		}
		at += n
	}
}

func (w *worker) markFields(line []byte, at int) {
	l := w.layout
	first := true
	for _, number := range l.inputs {
		m := mark{at: uint32(at + len(line)), first: first}
		if number--; number < 0 {
			number += 1 + len(w.cells)
		}
		if number >= 0 && number < len(w.cells) {
			cell := w.cells[number]
			h, i := w.firstIn(line[cell.from:cell.to])
			if m.id, m.from = i, h.v4; !l.appended {
				m.at = uint32(at + behind(line, cell.from+h.from, cell.from+h.to))
			}
		}
		if l.appended || m.id != nothing {
			w.marks = append(w.marks, m)
			first = false
		}
	}
}

// splitBlanks appends the first fields of a line, n of them at most.
func splitBlanks(cells []cell, line []byte, n int) []cell {
	for i := 0; len(cells) < n; {
		for i < len(line) && (line[i] == ' ' || line[i] == '\t') {
			i++
		}
		if i == len(line) {
			break
		}
		from := i
		for i < len(line) && line[i] != ' ' && line[i] != '\t' {
			i++
		}
		cells = append(cells, cell{from, i})
	}
	return cells
}

// isAnnotated reports that an annotation is there already.
func isAnnotated(rest, text []byte) bool {
	return len(rest) > 0 && rest[0] == text[0] && bytes.HasPrefix(rest, text)
}

// emit copies a chunk with its annotations: each where its mark is.
func emit(w *worker, out, in []byte) []byte { return w.emitFrom(out, in, 0) }

// emitFrom is emit from prev on.
func (w *worker) emitFrom(out, in []byte, prev int) []byte {
	for k := range w.marks {
		m := &w.marks[k]
		text := w.layout.blank
		if i := w.idOf(m); i != nothing {
			text = w.answers.text(i)
		}
		if len(text) == 0 || !w.layout.appended && isAnnotated(in[m.at:], text) {
			continue
		}
		out = append(out, in[prev:m.at]...)
		out = append(out, text...)
		prev = int(m.at)
	}
	w.endLine()
	return append(out, in[prev:]...)
}
