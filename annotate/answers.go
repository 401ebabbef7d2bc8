package annotate

import (
	"encoding/binary"
	"strings"

	"github.com/whence-project/whence/enrich"
)

// id is the number of an answer in a worker's table, or one of these.
type id = uint32

const (
	nothing id = 0       // no subject
	later   id = 1 << 30 // an IPv4 address that is yet to be looked up
	pending id = 1 << 31 // with the index of the subject that is to be asked about
)

// The bounds of a worker's table of answers. One that is larger is begun anew.
const (
	maxAnswers     = 1 << 16
	maxAnswerBytes = 8 << 20
)

// answers are the annotations that a worker has met, each rendered once: many addresses have the same.
type answers struct {
	ids   map[string]id
	all   []answer // by id
	slab  []byte   // texts that are longer than an answer has room for
	facts []facts  // by id, for the summary
	hits  []uint64 // by id, for the summary
}

// answer is an annotation. Most are short, and then here, so that there is no second place in memory to wait for.
type answer struct {
	length uint8 // of the text; long where it is in the slab
	known  bool  // a field has a value
	short  [14]byte
}

// long says that an answer has no text of its own, but where it is in the slab.
const long = 255

// facts are what a summary counts by.
type facts struct{ asn, asName, country, network string }

func newAnswers() *answers {
	a := &answers{ids: make(map[string]id)}
	a.reset()
	return a
}

func (a *answers) reset() {
	clear(a.ids)
	a.slab, a.all = a.slab[:0], append(a.all[:0], answer{})
	a.facts, a.hits = append(a.facts[:0], facts{}), append(a.hits[:0], 0)
}

// full reports that the table is to be begun anew.
func (a *answers) full() bool { return len(a.all) >= maxAnswers || len(a.slab) >= maxAnswerBytes }

// text is an answer as it was rendered.
func (a *answers) text(i id) []byte {
	one := &a.all[i]
	if one.length == long {
		place := one.short[:8]
		return a.slab[binary.NativeEndian.Uint32(place):binary.NativeEndian.Uint32(place[4:])]
	}
	return one.short[:one.length]
}

// known reports that an answer says something.
func (a *answers) known(i id) bool { return a.all[i].known }

// intern is the id of an answer. key is the rendered text, and behind it what else tells answers apart; tally are the values that a
// summary needs, nil where none is made.
func (a *answers) intern(key []byte, text int, known bool, tally []value) id {
	if i, ok := a.ids[string(key)]; ok {
		return i
	}
	i := id(len(a.all))
	a.ids[string(key)] = i
	one := answer{length: uint8(text), known: known}
	if text <= len(one.short) {
		copy(one.short[:], key[:text])
	} else {
		one.length = long
		binary.NativeEndian.PutUint32(one.short[:], uint32(len(a.slab)))
		a.slab = append(a.slab, key[:text]...)
		binary.NativeEndian.PutUint32(one.short[4:], uint32(len(a.slab)))
	}
	a.all = append(a.all, one)
	if tally != nil {
		a.facts = append(a.facts, factsOf(tally))
		a.hits = append(a.hits, 0)
	}
	return i
}

// tallied are the fields that a summary counts by.
var tallied = enrich.PicksOf([]string{"asn", "as_name", "country_code", Network})

func factsOf(values []value) facts {
	clone := func(i int) string { return strings.Clone(values[i].text) }
	return facts{clone(0), clone(1), clone(2), clone(3)}
}
