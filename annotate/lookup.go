package annotate

import (
	"context"
	"slices"
	"unsafe"

	"github.com/whence-project/whence/enrich"
)

// Lookup is whom annotations are asked of: [Local] or [Remote].
type Lookup interface {
	// session is what one goroutine asks through, for the values of fields.
	session(fields []enrich.Pick) session
	// generation changes when answers may have. It is cheap enough to be asked for every few hundred lines.
	generation() uint64
}

// session asks about subjects. Where an error is returned, it may not have told about all of them.
type session interface {
	ask(ctx context.Context, subjects []enrich.Subject, tell listener) error
	// forget drops the ids that listeners have given.
	forget()
}

// listener hears the answers about subjects, by their index.
type listener interface {
	// told is given the values of the session's fields, which are good until it returns, and gives them an id.
	told(i int, values []value) id
	// same says that the answer is one that was given that id.
	same(i int, answer id)
}

// Local asks a chain in this process. Nothing is fetched: an answer is what the chain has.
func Local(chain *enrich.Chain) Lookup { return local{chain} }

type local struct{ chain *enrich.Chain }

func (l local) generation() (sum uint64) {
	for _, s := range l.chain.Status() {
		sum += s.Generation
	}
	return sum
}

func (l local) session(fields []enrich.Pick) session {
	s := &localSession{
		chain: l.chain, fields: fields, values: make([]value, len(fields)),
		query: enrich.Query{Offline: true, Want: enrich.WantOf(fields...), Priority: enrich.Pipeline},
	}
	if !slices.ContainsFunc(fields, func(f enrich.Pick) bool { return f.Name() == Network }) {
		s.memo = &memo{want: s.query.Want}
	}
	return s
}

type localSession struct {
	chain   *enrich.Chain
	fields  []enrich.Pick
	values  []value
	scratch []byte
	query   enrich.Query
	record  enrich.Record
	memo    *memo // nil where a field is the network, which is another one though the fragments are the same
}

// together is how many subjects are looked up together: their places in memory are waited for at the same time, first those in the
// sources, then those in the memo.
const together = 16

func (s *localSession) ask(ctx context.Context, subjects []enrich.Subject, tell listener) error {
	var keys [together]key
	for first := 0; first < len(subjects); first += together {
		some := subjects[first:min(first+together, len(subjects))]
		s.chain.Warm(some)
		for i := range some {
			if s.lookup(ctx, some[i]); s.memo != nil {
				keys[i] = s.memo.keyOf(&s.record)
			} else {
				tell.told(first+i, s.read())
			}
		}
		for i := range some {
			if s.memo == nil {
				break
			}
			m := s.memo.place(&keys[i])
			if m.key == keys[i] && m.id != nothing {
				tell.same(first+i, m.id)
				continue
			}
			s.lookup(ctx, some[i])
			*m = memory{s.memo.keyOf(&s.record), tell.told(first+i, s.read())}
		}
	}
	return nil
}

func (s *localSession) lookup(ctx context.Context, subject enrich.Subject) {
	s.query.Subject = subject
	s.chain.Lookup(ctx, &s.query, &s.record)
}

func (s *localSession) read() []value {
	s.scratch = read(s.values, s.fields, &s.record, s.scratch)
	return s.values
}

func (s *localSession) forget() {
	if s.memo != nil {
		clear(s.memo.all[:])
	}
}

// memo knows the answers that were made of the same fragments: sources share one among all addresses of a network, or of many, so
// that an answer need not be made again. Each combination has one place.
type memo struct {
	want enrich.KeySet // the fields of the answers, 0 for more than canonical ones
	all  [1 << memoBits]memory
	none memory // of combinations that are too large
}

const memoBits = 16

// memory is an answer and what it was made of. The fragments are held, so that no others come to lie where they are.
type memory struct {
	key key
	id  id
}

// key are the fragments that an answer is made of, if they are no more.
type key struct{ a, b *enrich.Fragment }

// tooMany is the key of what is made of more fragments.
var tooMany = key{b: new(enrich.Fragment)}

// keyOf is the key of the answer that a record gives: fragments with none of the fields count only where they suppress others.
func (m *memo) keyOf(r *enrich.Record) (k key) {
	for _, p := range r.Parts() {
		switch f := p.Fragment; {
		case m.want != 0 && !f.Has(m.want) && !f.Special():
		case k.a == nil:
			k.a = f
		case k.b == nil:
			k.b = f
		default:
			return tooMany
		}
	}
	return k
}

// place is where the answer with a key is, or another one.
func (m *memo) place(k *key) *memory {
	if k.b == tooMany.b {
		m.none.id = nothing
		return &m.none
	}
	h := (uint64(uintptr(unsafe.Pointer(k.a)))*0x9e3779b97f4a7c15 ^ uint64(uintptr(unsafe.Pointer(k.b)))) * 0x9e3779b97f4a7c15
	return &m.all[h>>(64-memoBits)]
}
