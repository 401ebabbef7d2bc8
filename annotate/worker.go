package annotate

import (
	"bytes"
	"context"
	"sync/atomic"

	"github.com/whence-project/whence/enrich"
)

// worker annotates chunks, one at a time. It keeps what it has been told for the next ones.
type worker struct {
	layout  *layout
	session session
	fields  []enrich.Pick // those of the annotations, and behind them those of the summary
	shown   int           // how many are of the annotations

	cache   cache
	answers *answers
	tally   *tally // nil where no summary is made
	counts  Counts

	finder   finder
	scratch  []byte
	marks    []mark
	asked    []enrich.Subject // what the chunk's pending ids stand for
	places   []place          // of each in the cache
	resolved []id
	walker   walker // of JSON
	cells    []cell // of a line
	line     lineState
	packers  packers
	outdated atomic.Bool
}

// mark is a subject in a chunk, and where its annotation goes.
type mark struct {
	at       uint32 // where the annotation goes
	id       id
	from, to uint32 // of JSON: the subject as it is written; with the id later: from is an IPv4 address
	input    uint16 // of JSON: which of the chosen values it is
	first    bool   // the first of its line
	bare     bool   // of JSON: the line's object has no members
}

// lineState is what is known of the line that is being written.
type lineState struct{ subjects, known bool }

// annotate makes a chunk's output.
func (w *worker) annotate(ctx context.Context, c *chunk) error {
	w.counts.Bytes += int64(len(c.in))
	if c.raw {
		c.out = append(c.out[:0], c.in...)
		if c.tooLong {
			w.counts.Lines++
			w.counts.TooLong++
		}
		return nil
	}
	w.marks = w.marks[:0]
	w.layout.scan(w, c)
	w.lookupLater()
	if err := w.resolve(ctx); err != nil {
		return err
	}
	c.out = w.layout.emit(w, c.out[:0], c.in)
	if w.answers.full() {
		w.forget()
	}
	return nil
}

// resolve asks about the subjects that the cache does not know.
func (w *worker) resolve(ctx context.Context) error {
	if len(w.asked) == 0 {
		return nil
	}
	if n := len(w.asked); cap(w.resolved) < n {
		w.resolved = make([]id, n, 2*n)
	} else {
		w.resolved = w.resolved[:n]
		clear(w.resolved)
	}
	err := w.session.ask(ctx, w.asked, w)
	for i, p := range w.places {
		w.cache.settle(p, pending|id(i), w.resolved[i])
	}
	clear(w.asked)
	w.asked, w.places = w.asked[:0], w.places[:0]
	return err
}

// told makes an answer's annotation.
func (w *worker) told(i int, values []value) id {
	known := false
	for _, v := range values[:w.shown] {
		known = known || v.text != ""
	}
	key := w.layout.render(w.scratch[:0], w.fields[:w.shown], values[:w.shown])
	text := len(key)
	var tally []value
	if w.tally != nil {
		tally = values[w.shown:]
		for _, v := range tally {
			key = append(append(key, '\n'), v.text...)
		}
	}
	if !known {
		key = append(key, '\n') // in CSV, nothing and empty values look the same
	}
	w.scratch = key
	w.resolved[i] = w.answers.intern(key, text, known, tally)
	return w.resolved[i]
}

// same takes an answer that there is.
func (w *worker) same(i int, answer id) { w.resolved[i] = answer }

// forget drops what has been told, when it has become too much or when it may have changed.
func (w *worker) forget() {
	w.drain()
	w.answers.reset()
	w.cache.reset()
	w.session.forget()
}

// drain moves what was counted by answer to the tally.
func (w *worker) drain() {
	if w.tally == nil {
		return
	}
	for i := range w.answers.hits {
		if n := w.answers.hits[i]; n > 0 {
			w.tally.add(w.answers.facts[i], n)
			w.answers.hits[i] = 0
		}
	}
}

// idOf is the id of a mark's answer, which it counts.
func (w *worker) idOf(m *mark) id {
	if m.first {
		w.endLine()
	}
	i := m.id
	if i == nothing {
		return i
	}
	if i&pending != 0 {
		i = w.resolved[i&^pending]
	}
	w.line.subjects = true
	w.line.known = w.line.known || w.answers.known(i)
	if w.tally != nil {
		w.answers.hits[i]++
	}
	return i
}

// endLine counts a line by what was in it.
func (w *worker) endLine() {
	switch {
	case w.line.known:
		w.counts.Annotated++
	case w.line.subjects:
		w.counts.Unknown++
	}
	w.line = lineState{}
}

// lookupHit is the id of the answer about what the finder has found.
func (w *worker) lookupHit(h *hit) id {
	switch {
	case h.isName:
		return w.lookupText(w.finder.text[h.from:h.to], true)
	case h.is6:
		return w.lookup6(h)
	}
	return w.lookup4(h.v4)
}

// lookupLater looks up what the scan has left for later: all together, so that the processor does not wait for one place in the cache
// after the other.
func (w *worker) lookupLater() {
	for k := range w.marks {
		if m := &w.marks[k]; m.id == later {
			m.id = w.lookup4(m.from)
		}
	}
}

// lookup4 is the id of an IPv4 address's answer, a pending one where that must be asked for.
func (w *worker) lookup4(v uint32) id {
	if w.tally != nil {
		w.tally.addresses.add((&hit{v4: v}).addr(), 1)
	}
	slot := slotOf4(v)
	s := &w.cache.v4[slot]
	if s.id == nothing || s.addr != v {
		s.addr, s.id = v, w.ask(enrich.AddressOf((&hit{v4: v}).addr()), place{kind: byV4, slot: slot})
	}
	return s.id
}

// lookup6 is the id of an IPv6 address's answer.
func (w *worker) lookup6(h *hit) id {
	if w.tally != nil {
		w.tally.addresses.add(h.addr(), 1)
	}
	slot := slotOf6(h.hi, h.lo)
	s := &w.cache.v6[slot]
	if s.id == nothing || s.hi != h.hi || s.lo != h.lo {
		s.hi, s.lo, s.id = h.hi, h.lo, w.ask(enrich.AddressOf(h.addr()), place{kind: byV6, slot: slot})
	}
	return s.id
}

// lookupText is the id of the answer about what a text names: an address, a network, an AS number or a domain. It is nothing where
// the text names none of them, or, where only names of the public DNS are wanted, something else.
func (w *worker) lookupText(text []byte, public bool) id {
	known, ok := w.cache.texts[string(text)]
	if !ok {
		s := string(text)
		subject, err := enrich.ParseSubject(s)
		if err == nil && subject.Kind() != enrich.Name && (!public || isPublic(subject)) {
			known.subject = subject.Key()
			known.id = w.ask(known.subject, place{kind: byText, text: s})
		}
		w.cache.remember(s, known)
	}
	if w.tally != nil && known.id != nothing {
		w.tally.subject(known.subject)
	}
	return known.id
}

func (w *worker) ask(s enrich.Subject, p place) id {
	w.asked, w.places = append(w.asked, s), append(w.places, p)
	return pending | id(len(w.asked)-1)
}

// lookupValue is the id of the answer about the value of a chosen field, nothing where it names no subject: it is about the value
// itself, or about the first address in it.
func (w *worker) lookupValue(text []byte) id {
	if len(text) == 0 || len(text) == 1 && text[0] == '-' {
		return nothing
	}
	if to, v, ok := quad(text, 0); ok && to == len(text) {
		return w.lookup4(v)
	}
	w.finder.start(text, false, false)
	h, ok := w.finder.next()
	if ok && h.from <= 1 && (h.to == len(text) || bytes.IndexByte([]byte(":], "), text[h.to]) >= 0) {
		return w.lookupHit(&h) // with a port, of which each line has another, or the first of a list
	}
	if i := w.lookupText(text, false); i != nothing || !ok {
		return i
	}
	return w.lookupHit(&h)
}
