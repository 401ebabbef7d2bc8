package enrich

import (
	"net/netip"
	"strings"
)

// Record is what a chain found out about a subject: the parts that the sources added, in the chain's order, the network the
// answer holds for, and notes on what could not be done. A Record may be used again for the next query; it is not safe for
// concurrent use. The zero Record is ready.
type Record struct {
	subject Subject
	network netip.Prefix
	parts   []Part
	notes   []Note
	miss    string
	mask    KeySet // canonical fields that some part has
	special bool
	found   bool

	link string  // name of the source that is adding
	own  *Origin // origin of what that source Sets
	open int     // 1 + index in parts of the part that Set adds to, 0 for none
}

// Part is what one source added.
type Part struct {
	Source   string // the source's name in the chain
	Fragment *Fragment
}

// NoteKind is why a source left a note.
type NoteKind uint8

// The kinds of note.
const (
	Info      NoteKind = iota // something to know about the answer
	Unfetched                 // what the source could learn was not here when the query ended
	Throttled                 // the server behind the source asked to wait
	Stale                     // the facts are older than they should be, since newer could not be had
	Failed                    // the source tried and could not
)

var noteKinds = [...]string{Info: "info", Unfetched: "unfetched", Throttled: "throttled", Stale: "stale", Failed: "failed"}

// String is the kind's name: info, unfetched, throttled, stale or failed.
func (k NoteKind) String() string { return noteKinds[k] }

// Note is what a source had to say beside its facts.
type Note struct {
	Source string
	Kind   NoteKind
	Text   string // one line
}

// Reset empties the record for a question about s.
func (r *Record) Reset(s Subject) {
	clear(r.parts)
	clear(r.notes)
	*r = Record{subject: s, parts: r.parts[:0], notes: r.notes[:0]}
}

// Attach adds a fragment that holds for network; the zero Prefix where the subject is no address.
func (r *Record) Attach(f *Fragment, network netip.Prefix) {
	r.Cover(network)
	r.parts = append(r.parts, Part{r.link, f})
	r.mask |= f.mask
	r.special = r.special || f.special
	r.found = r.found || !f.origin.Baseline
	r.open = 0
}

// Cover says that the answer, be it that nothing is known, holds for network. The most specific network is the record's.
func (r *Record) Cover(network netip.Prefix) {
	if network.IsValid() && (!r.network.IsValid() || network.Bits() > r.network.Bits()) {
		r.network = network
	}
}

// Set adds a field that the calling source worked out for this query, a list if there are several values, nothing if there are
// none. A key that is canonical sets the canonical field too. It allocates: a source that says the same in every answer builds
// a Fragment once and attaches it.
func (r *Record) Set(key string, values ...string) {
	if len(values) == 0 {
		return
	}
	if r.open == 0 {
		if r.own == nil {
			r.own = &Origin{Source: r.link, Name: r.link}
		}
		r.Attach(&Fragment{origin: r.own, volatile: true}, netip.Prefix{})
		r.open = len(r.parts)
	}
	f := r.parts[r.open-1].Fragment
	b := Builder{f: f}
	k := KeyOf(key)
	for _, v := range values {
		b.Add(Field{Key: key, Value: v, Canon: k, List: len(values) > 1})
	}
	for have := ASN; have < numKeys; have++ {
		b.canon[have] = f.Value(have)
	}
	b.Canonical(k, values...)
	f.setCanon(&b.canon)
	r.mask |= f.mask
}

// Note adds a note in the name of the calling source.
func (r *Record) Note(kind NoteKind, text string) {
	r.notes = append(r.notes, Note{r.link, kind, Clean(text)})
}

// Miss sets the words in which a source that is alone in its chain says that it has nothing.
func (r *Record) Miss(text string) { r.miss = text }

// Subject is what was asked about.
func (r *Record) Subject() Subject { return r.subject }

// Network is the most specific network that the answer holds for, the zero Prefix where the subject is no address or prefix.
func (r *Record) Network() netip.Prefix { return r.network }

// Parts are what the sources added, in order. They must not be changed, and are valid until the next Reset.
func (r *Record) Parts() []Part { return r.parts }

// Notes are what the sources had to say beside their facts.
func (r *Record) Notes() []Note { return r.notes }

// MissText is what [Record.Miss] set, where the chain consists of that source alone and nothing was found; else empty.
func (r *Record) MissText() string { return r.miss }

// Found reports whether a source other than the compiled-in registries had data, suppressed fields not counted.
func (r *Record) Found() bool {
	if !r.found || !r.special {
		return r.found
	}
	for _, p := range r.parts {
		if !p.Fragment.origin.Baseline && (r.Intact(p.Fragment) || r.shows(p.Fragment)) {
			return true
		}
	}
	return false
}

// shows reports whether f has a field that is not suppressed.
func (r *Record) shows(f *Fragment) bool {
	for i := range f.fields {
		if !r.Suppresses(f, f.fields[i].Canon) {
			return true
		}
	}
	return f.verbatim != ""
}

// Special reports whether the subject lies in a special-purpose block that is not globally reachable.
func (r *Record) Special() bool { return r.special }

// Suppresses reports whether a field of f is not to be shown since the subject lies in a special-purpose block: a country or
// an AS that a database names for it. What the operator wrote is not suppressed.
func (r *Record) Suppresses(f *Fragment, k Key) bool {
	return r.special && !f.special && f.verbatim == "" && 1<<k&geographic != 0
}

// Intact reports whether f has no field that is suppressed, so that it can be shown as it was rendered.
func (r *Record) Intact(f *Fragment) bool {
	return !r.special || f.special || f.verbatim != "" || f.mask&geographic == 0
}

// Value is the canonical field k: of the first source that has it, unless it is suppressed; empty where none has. The values
// of a list are joined by newlines (see [Record.Values]).
func (r *Record) Value(k Key) string {
	if r.mask&(1<<k) == 0 {
		return ""
	}
	for _, p := range r.parts {
		if v := p.Fragment.Value(k); v != "" && !r.Suppresses(p.Fragment, k) {
			return v
		}
	}
	return ""
}

// Values is the canonical field k as a list, nil where no source has it.
func (r *Record) Values(k Key) []string {
	v := r.Value(k)
	if v == "" {
		return nil
	}
	return strings.Split(v, "\n")
}
