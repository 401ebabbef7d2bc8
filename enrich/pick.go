package enrich

import "strings"

// Pick is one field of a record, chosen by its name: a canonical field, `network`, or a field that a source has under its own key.
// The zero Pick picks nothing.
type Pick struct {
	name    string
	key     Key // None for other than canonical fields
	network bool
}

// PickOf is the pick of that name. Any name is one: which keys sources have is known when a record is there.
func PickOf(name string) Pick { return Pick{name, KeyOf(name), name == "network"} }

// PicksOf are the picks of names.
func PicksOf(names []string) []Pick {
	ps := make([]Pick, len(names))
	for i, name := range names {
		ps[i] = PickOf(name)
	}
	return ps
}

// Name is the field's name.
func (p Pick) Name() string { return p.name }

// Key is the canonical field that was picked, or None.
func (p Pick) Key() Key { return p.key }

// Want is what [Query.Want] must be for the field to be in the answer: zero, which is everything, for a source's own.
func (p Pick) Want() KeySet {
	if p.network {
		return SetOf(None) // every answer has it, so nothing is wanted for it
	}
	if p.key == None {
		return 0
	}
	return SetOf(p.key)
}

// WantOf is what [Query.Want] must be for all of ps to be in the answer.
func WantOf(ps ...Pick) KeySet {
	want := SetOf(None)
	for _, p := range ps {
		want = want.Join(p.Want())
	}
	return want
}

// Join is what must be wanted by who wants ks and more: either may be zero, which is everything.
func (ks KeySet) Join(more KeySet) KeySet {
	if ks == 0 || more == 0 {
		return 0
	}
	return ks | more
}

// Covers reports whether an answer to a query that wanted ks has what want is about. Zero is everything.
func (ks KeySet) Covers(want KeySet) bool { return ks == 0 || want != 0 && ks&want == want }

// Text is the field's value in one line, the values of a list with commas between them; empty where the record has none. A field that
// a special-purpose block suppresses is not there, under whatever key: see [Record.Suppresses].
func (p Pick) Text(r *Record) string {
	switch {
	case p.network:
		if n := r.Network(); n.IsValid() {
			return n.String()
		}
		return ""
	case p.key != None:
		v := r.Value(p.key)
		if strings.IndexByte(v, '\n') >= 0 {
			v = strings.ReplaceAll(v, "\n", ",")
		}
		return v
	}
	fs := p.own(r)
	switch len(fs) {
	case 0:
		return ""
	case 1:
		return fs[0].Value
	}
	return strings.Join(valuesOf(fs), ",")
}

// Values is the field as a list, nil where the record has none.
func (p Pick) Values(r *Record) []string {
	switch {
	case p.network:
		if text := p.Text(r); text != "" {
			return []string{text}
		}
		return nil
	case p.key != None:
		return r.Values(p.key)
	}
	return valuesOf(p.own(r))
}

// Type is how the field's value is written in JSON.
func (p Pick) Type(r *Record) Type {
	switch p.key {
	case Rank, FreqAverage, FreqWord:
		if IsJSONNumber(r.Value(p.key)) {
			return Number
		}
	case None:
		if fs := p.own(r); len(fs) > 0 {
			return fs[0].Type
		}
	}
	return Text
}

// IsList reports whether the field is a list, however many values it has.
func (p Pick) IsList(r *Record) bool {
	switch p.key {
	case NameServers, RegStatus:
		return true
	case None:
		fs := p.own(r)
		return len(fs) > 0 && fs[0].List
	}
	return false
}

// own are the fields under the picked key of the first source that has it.
func (p Pick) own(r *Record) []Field {
	if p.name == "" || p.network {
		return nil
	}
	for _, part := range r.parts {
		fs := part.Fragment.fields
		for i := range fs {
			if fs[i].Key != p.name || r.Suppresses(part.Fragment, fs[i].Canon) {
				continue
			}
			end := i + 1
			for fs[i].List && end < len(fs) && fs[end].List && fs[end].Key == p.name {
				end++
			}
			return fs[i:end]
		}
	}
	return nil
}

func valuesOf(fs []Field) (vs []string) {
	for i := range fs {
		vs = append(vs, fs[i].Value)
	}
	return vs
}
