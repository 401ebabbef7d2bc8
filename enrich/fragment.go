package enrich

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"
	"unsafe"
)

// Type is how a field's value is written in JSON. In text every value is its Value.
type Type uint8

// The types of a field's value.
const (
	Text   Type = iota // a string
	Number             // a JSON number
	Bool               // true or false
)

// Field is one field of a source's record, by the source's own key.
type Field struct {
	Key   string // snake_case, unique in a fragment but for the values of one list
	Value string // no control character, valid UTF-8
	Canon Key    // the canonical field it was mapped to, or None
	Type  Type
	List  bool // one value of a list; the others follow under the same Key
}

// Origin is where a source's data come from: a generation of a file, a registry, a server. The fragments made from it share it.
type Origin struct {
	Source      string    // kind of the source: "mmdb"
	Name        string    // what tells it from others of its kind: the file's name
	Built       time.Time // when the data were made, by their own word; zero where they do not say
	Attribution string    // what the data's licence asks to be shown
	Baseline    bool      // facts compiled into Whence, not data that the operator brought
}

// Form is a rendering of fragments that a door wants kept with them; get one with [NewForm] when the package starts.
type Form uint8

const maxForms = 2

var forms atomic.Uint32

// NewForm reserves a Form. A process has two; one more panics, as it can only be a mistake in the program.
func NewForm() Form {
	n := forms.Add(1)
	if n > maxForms {
		panic("enrich: no more than two rendered forms of a fragment are kept")
	}
	return Form(n - 1)
}

// Fragment is what one source says in one of its records: immutable, and shared by every query that meets it, so that what is
// static is rendered once. Build one with a [Builder].
type Fragment struct {
	// What every query reads comes first: a bulk query meets most fragments cold, and each line of memory costs it 100 ns.
	origin   *Origin
	mask     KeySet // which canonical fields are set
	special  bool
	volatile bool
	rendered [maxForms]atomic.Pointer[byte] // the length in 4 bytes, then the text: no slice header to fetch in between
	fields   []Field
	canon    []string // values of the canonical fields in mask, in Key order
	verbatim string
	asOf     int64
}

// Origin is where the fragment comes from.
func (f *Fragment) Origin() *Origin { return f.origin }

// Fields are the source's own fields in the source's own order. They must not be changed.
func (f *Fragment) Fields() []Field { return f.fields }

// Special reports that the fragment describes a special-purpose block that is not globally reachable.
func (f *Fragment) Special() bool { return f.special }

// Verbatim is the operator's own text, to be shown as it is: lines ended by CRLF, no control characters but TAB. Empty for
// records that are made of fields.
func (f *Fragment) Verbatim() string { return f.verbatim }

// AsOf is when the fragment's facts were true: when they were fetched, else when its origin was built, else zero.
func (f *Fragment) AsOf() time.Time {
	if f.asOf != 0 {
		return time.Unix(f.asOf, 0).UTC()
	}
	return f.origin.Built
}

// Has reports whether one of the canonical fields ks is set.
func (f *Fragment) Has(ks KeySet) bool { return f.mask&ks != 0 }

// Value is the canonical field k, empty where the fragment has none. The values of a list are joined by newlines, which no
// value contains.
func (f *Fragment) Value(k Key) string {
	bit := SetOf(k)
	if f.mask&bit == 0 {
		return ""
	}
	return f.canon[bits.OnesCount32(uint32(f.mask&(bit-1)))]
}

// Form is the fragment rendered by render, kept with the fragment: render is called once, or seldom, and must depend on the
// fragment alone. The result must not be changed.
func (f *Fragment) Form(form Form, render func(dst []byte, f *Fragment) []byte) []byte {
	if f.volatile {
		return render(nil, f)
	}
	const head = 4
	if p := f.rendered[form].Load(); p != nil {
		n := binary.NativeEndian.Uint32(unsafe.Slice(p, head))
		return unsafe.Slice(p, head+n)[head:]
	}
	b := render(make([]byte, head, 256), f)
	b = append(make([]byte, 0, len(b)), b...)
	binary.NativeEndian.PutUint32(b, uint32(len(b)-head))
	f.rendered[form].Store(&b[0])
	return b[head:len(b):len(b)]
}

// Touch reads what queries will read of the fragments, so that it is in the processor's caches: first of all the fragments, then
// of what was rendered of them. nil is skipped. What it returns is of no use, but keeps the reads.
func Touch(fs []*Fragment) (sum byte) {
	var rendered [maxForms * 16]*byte
	n := 0
	for _, f := range fs {
		if f == nil {
			continue
		}
		for i := range f.rendered {
			if p := f.rendered[i].Load(); p != nil && n < len(rendered) {
				rendered[n] = p
				n++
			}
		}
	}
	for _, p := range rendered[:n] {
		sum += *p
	}
	return sum
}

// Builder makes a Fragment. The zero Builder is not useful: start with [NewBuilder].
type Builder struct {
	f     *Fragment
	canon [numKeys]string
}

// NewBuilder starts a fragment of origin o.
func NewBuilder(o *Origin) *Builder { return &Builder{f: &Fragment{origin: o}} }

// Grow makes room for n fields.
func (b *Builder) Grow(n int) *Builder {
	b.f.fields = slices.Grow(b.f.fields, n)
	return b
}

// Field adds a field under the source's own key. Key and value are cleaned of control characters and invalid UTF-8.
func (b *Builder) Field(key, value string) *Builder { return b.Add(Field{Key: key, Value: value}) }

// Add adds a field. Key and value are cleaned of control characters and invalid UTF-8, and a Type that the value cannot have in
// JSON, as NaN cannot be a Number, becomes Text. Canon only marks what the field was mapped to; the canonical value itself is
// set with Canonical.
func (b *Builder) Add(fd Field) *Builder {
	fd.Key, fd.Value = Clean(fd.Key), Clean(fd.Value)
	if fd.Type == Number && !IsJSONNumber(fd.Value) || fd.Type == Bool && fd.Value != "true" && fd.Value != "false" {
		fd.Type = Text
	}
	b.f.fields = append(b.f.fields, fd)
	return b
}

// Canonical sets a canonical field, unless it is set already or every value is empty: the first value of a source wins.
func (b *Builder) Canonical(k Key, values ...string) *Builder {
	if k == None || b.canon[k] != "" {
		return b
	}
	for i, v := range values {
		if v = Clean(v); i > 0 && v != "" && b.canon[k] != "" {
			v = b.canon[k] + "\n" + v
		} else if v == "" {
			continue
		}
		b.canon[k] = v
	}
	return b
}

// Special marks a special-purpose block that is not globally reachable (RFC 6890): it suppresses country and AS.
func (b *Builder) Special() *Builder { b.f.special = true; return b }

// AsOf says when the facts were true, where that differs from when the origin was built.
func (b *Builder) AsOf(t time.Time) *Builder { b.f.asOf = t.Unix(); return b }

// Verbatim sets the text to be shown as it is. The caller has cleaned it.
func (b *Builder) Verbatim(text string) *Builder { b.f.verbatim = text; return b }

// Build returns the fragment. The Builder must not be used afterwards.
func (b *Builder) Build() *Fragment {
	b.f.setCanon(&b.canon)
	return b.f
}

func (f *Fragment) setCanon(canon *[numKeys]string) {
	n := 0
	for _, v := range canon {
		if v != "" {
			n++
		}
	}
	f.canon = make([]string, 0, n)
	for k, v := range canon {
		if v != "" {
			f.mask |= 1 << k
			f.canon = append(f.canon, v)
		}
	}
}

// Clean returns s without control characters (C0, DEL, C1) and with invalid UTF-8 replaced by U+FFFD, so that no data can end
// a line, move a cursor or forge a field on the wire. Runs of CR, LF and TAB become one space.
func Clean(s string) string {
	if isClean(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	space := false
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case r == '\r' || r == '\n' || r == '\t':
			space = true
			continue
		case r < 0x20 || r >= 0x7f && r <= 0x9f:
			continue
		}
		if space && b.Len() > 0 {
			b.WriteByte(' ')
		}
		space = false
		b.WriteRune(r)
	}
	return b.String()
}

func isClean(s string) bool {
	ascii := true
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == 0x7f {
			return false
		} else if c >= 0x80 {
			ascii = false
		}
	}
	if ascii {
		return true
	}
	for _, r := range s {
		if r >= 0x80 && r <= 0x9f {
			return false
		}
	}
	return utf8.ValidString(s)
}
