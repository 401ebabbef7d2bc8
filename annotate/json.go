package annotate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/whence-project/whence/enrich"
)

// DefaultKey is the key under which a JSON line has its annotations where the options name none.
const DefaultKey = "whence"

// newJSON is how JSON lines are annotated: by members that are put before the closing brace, and nothing else changes.
func newJSON(o *Options, fields []enrich.Pick) (*layout, error) {
	l := &layout{style: "json", names: o.Names, end: lastLine, render: renderObject, scan: scanJSON, emit: emitJSON}
	if len(o.In) > maxPaths {
		return nil, fmt.Errorf("%d paths are chosen: %d may be", len(o.In), maxPaths)
	}
	for _, in := range o.In {
		if in == "" || len(in) >= complete {
			return nil, fmt.Errorf("%q is no path to a value in JSON: it is as in client_ip or request.host", in)
		}
		l.paths = append(l.paths, []byte(in))
	}
	if !o.Flat {
		l.added = [][]byte{quoteKey(o.Key)}
		for _, in := range o.In {
			l.keys = append(l.keys, keyOf(in))
		}
		return l, nil
	}
	if len(l.paths) == 0 {
		return nil, errors.New("flat fields have the names of the values that they are about: choose these, as in --in client_ip")
	}
	l.style, l.render, l.flat = "flat", renderFlat, true
	for _, in := range o.In {
		for _, f := range fields {
			key := strings.ReplaceAll(in, ".", "_") + "_" + f.Name()
			l.keys, l.added = append(l.keys, keyOf(key)), append(l.added, quoteKey(key))
		}
	}
	return l, nil
}

// keyOf is a key in JSON with its colon, quoteKey what is between its quotes.
func keyOf(key string) []byte    { return append(enrich.AppendJSONString(nil, key), ':') }
func quoteKey(key string) []byte { b := keyOf(key); return b[1 : len(b)-2] }

// scanJSON marks the chosen values of each line, or all subjects in it.
func scanJSON(w *worker, c *chunk) {
	w.walker.paths, w.walker.added = w.layout.paths, w.layout.added
	at := 0
	if c.first && bytes.HasPrefix(c.in, bom) {
		at = len(bom)
	}
	for at < len(c.in) {
		line, n := cutLine(c.in[at:])
		w.counts.Lines++
		switch {
		case len(line) == 0:
		case !w.walker.walk(line) || w.walker.taken:
			w.counts.Rejected++
		case len(w.layout.paths) > 0:
			w.markValues(line, at)
		default:
			w.markFound(line, at)
		}
		at += n
	}
}

func (w *worker) markValues(line []byte, at int) {
	first := true
	for k, v := range w.walker.values {
		if v.to == 0 {
			continue
		}
		text := line[v.from:v.to]
		if text[0] == '"' {
			text = unescape(text)
		}
		if i := w.lookupValue(text); i != nothing {
			w.marks = append(w.marks, mark{
				at: uint32(at + w.walker.end), id: i, input: uint16(k), first: first, bare: w.walker.bare,
			})
			first = false
		}
	}
}

// unescape is the text of a JSON string, a view of it where it has no escape.
func unescape(b []byte) []byte {
	if bytes.IndexByte(b, '\\') < 0 {
		return b[1 : len(b)-1]
	}
	var s string
	_ = json.Unmarshal(b, &s) // the walker has read it
	return []byte(s)
}

func (w *worker) markFound(line []byte, at int) {
	start := len(w.marks)
	w.finder.start(line, w.layout.names, true)
	for {
		h, ok := w.finder.next()
		if !ok {
			return
		}
		m := mark{at: uint32(at + w.walker.end), from: uint32(at + h.from), to: uint32(at + h.to), first: len(w.marks) == start}
		if !w.isRepeated(line[h.from:h.to], start, at) {
			if m.id = w.lookupHit(&h); m.id != nothing {
				w.marks = append(w.marks, m)
			}
		}
	}
}

// isRepeated reports that a subject is marked already in the line that begins at at.
func (w *worker) isRepeated(subject []byte, start, at int) bool {
	line := w.finder.text
	for _, m := range w.marks[start:] {
		if bytes.Equal(line[int(m.from)-at:int(m.to)-at], subject) {
			return true
		}
	}
	return false
}

// emitJSON copies a chunk with its annotations.
func emitJSON(w *worker, out, in []byte) []byte {
	l := w.layout
	prev, open := 0, false
	for k := range w.marks {
		m := &w.marks[k]
		if m.first && open {
			out, open = l.close(out), false
		}
		i := w.idOf(m)
		if !w.answers.known(i) {
			continue
		}
		if !open {
			out = append(out, in[prev:m.at]...)
			prev, open = int(m.at), true
			if !m.bare {
				out = append(out, ',')
			}
			if !l.flat {
				out = append(append(append(out, '"'), l.added[0]...), '"', ':', '{')
			}
		} else {
			out = append(out, ',')
		}
		out = l.member(out, in, m, w.answers.text(i))
	}
	if open {
		out = l.close(out)
	}
	w.endLine()
	return append(out, in[prev:]...)
}

// member appends what is known of a subject.
func (l *layout) member(out, in []byte, m *mark, text []byte) []byte {
	switch {
	case l.flat:
		return l.members(out, m, text)
	case len(l.keys) > 0:
		out = append(out, l.keys[m.input]...)
	default:
		out = append(append(append(out, '"'), in[m.from:m.to]...), '"', ':')
	}
	return append(out, text...)
}

// members appends flat fields.
func (l *layout) members(out []byte, m *mark, text []byte) []byte {
	comma := false
	fields := len(l.keys) / len(l.paths)
	for _, key := range l.keys[int(m.input)*fields:][:fields] {
		end := bytes.IndexByte(text, flatEnd)
		if end > 0 {
			if comma {
				out = append(out, ',')
			}
			out = append(append(out, key...), text[:end]...)
			comma = true
		}
		text = text[end+1:]
	}
	return out
}

func (l *layout) close(out []byte) []byte {
	if l.flat {
		return out
	}
	return append(out, '}')
}
