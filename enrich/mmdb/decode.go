package mmdb

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/oschwald/maxminddb-golang/v2/mmdbdata"

	"github.com/whence-project/whence/enrich"
)

// Limits on one record. The databases known stay far below: GeoIP2 Enterprise has some 150 fields in 6 levels and 4 KiB.
const (
	maxDepth  = 32
	maxFields = 2048
	maxBytes  = 256 << 10
	maxKey    = 1 << 10 // of a flattened key, in bytes
)

var (
	errDepth  = fmt.Errorf("a record is nested deeper than %d levels", maxDepth)
	errFields = fmt.Errorf("a record has more than %d fields", maxFields)
	errBytes  = fmt.Errorf("a record is larger than %d bytes", maxBytes)
	errKey    = fmt.Errorf("a record has a key of more than %d bytes", maxKey)
)

// AllLanguages in place of a list of languages keeps names in every language that the data have.
const AllLanguages = "all"

// name is a flattened key and what it means.
type name struct {
	key string
	mapping
}

// flattener flattens records: nested maps and arrays become fields with snake_case keys, in the order of the database. It
// holds the last record that was flattened. It is used by one goroutine at a time.
type flattener struct {
	dec       *mmdbdata.Decoder
	languages []string        // of the names that are kept; nil for all
	names     map[string]name // by flattened key; shared, and read-only when learn is false
	learn     bool            // whether names may be added to
	fields    []enrich.Field
	maps      []mapping  // of each field
	best      [32]string // values of canonical fields
	ranks     [32]uint8
	path      []byte
	depth     int
	count     int // values met, including those not kept
	bytes     int
	seen      map[string]use // keys of the record
	langs     []string       // raw keys of the map of names being read
}

// flatten reads the record at offset of the data section.
func (f *flattener) flatten(offset uint32) error {
	f.fields, f.maps, f.path = f.fields[:0], f.maps[:0], f.path[:0]
	clear(f.best[:])
	f.depth, f.count, f.bytes = 0, 0, 0
	if _, err := f.value(f.dec.CursorAt(uint(offset)), false); err != nil {
		return err
	}
	f.settle()
	return nil
}

// settle ends a record: what counts only beside an AS number is dropped where there is none, and keys that two paths share are
// told apart.
func (f *flattener) settle() {
	if f.best[enrich.ASN] == "" {
		for _, k := range []enrich.Key{enrich.ASName, enrich.ASDomain} {
			if f.best[k] != "" && f.ranks[k] >= withAS {
				f.best[k] = ""
			}
		}
		for i, m := range f.maps {
			if m.rank >= withAS {
				f.fields[i].Canon = enrich.None
			}
		}
	}
	f.tellApart()
}

// tellApart numbers keys that came up before, as "a_b" and "b" within "a" do; the values of one list share theirs.
func (f *flattener) tellApart() {
	clear(f.seen)
	for i := range f.fields {
		fd := &f.fields[i]
		first, taken := f.seen[fd.Key]
		if !taken {
			f.seen[fd.Key] = use{list: fd.List}
			continue
		}
		if first.list && fd.List {
			continue
		}
		key, n := fd.Key, first.times+2
		for fd.Key = numbered(key, n); ; fd.Key = numbered(key, n) {
			if _, taken := f.seen[fd.Key]; !taken {
				break
			}
			n++
		}
		f.seen[fd.Key] = use{list: fd.List}
		f.seen[key] = use{first.list, n - 1}
	}
}

// use is how a key was used in a record so far.
type use struct {
	list  bool // for a list
	times int  // and for how many others that were numbered
}

func numbered(key string, n int) string { return key + "_" + strconv.Itoa(n) }

// value reads the value at c, whose key is f.path, and returns the cursor behind it.
func (f *flattener) value(c mmdbdata.Cursor, list bool) (next mmdbdata.Cursor, err error) {
	kind, err := c.Kind()
	if err != nil {
		return next, err
	}
	if f.count++; f.count > maxFields {
		return next, errFields
	}
	var s string
	typ := enrich.Text
	switch kind {
	case mmdbdata.KindMap:
		return f.nested(c, f.readMap)
	case mmdbdata.KindSlice:
		return f.nested(c, f.readArray)
	case mmdbdata.KindString:
		s, next, err = c.ReadStringMaxSize(maxBytes)
	case mmdbdata.KindBytes:
		var b []byte
		if b, next, err = c.ReadBytes(); err == nil && len(b) <= maxBytes {
			s = hex.EncodeToString(b)
		}
		f.bytes += len(b)
	case mmdbdata.KindBool:
		var b bool
		b, next, err = c.ReadBool()
		s, typ = strconv.FormatBool(b), enrich.Bool
	case mmdbdata.KindFloat32:
		var v float32
		v, next, err = c.ReadFloat32()
		s, typ = float(float64(v), 32)
	case mmdbdata.KindFloat64:
		var v float64
		v, next, err = c.ReadFloat64()
		s, typ = float(v, 64)
	case mmdbdata.KindInt32:
		var v int32
		v, next, err = c.ReadInt32()
		s, typ = strconv.FormatInt(int64(v), 10), enrich.Number
	case mmdbdata.KindUint128:
		var hi, lo uint64
		hi, lo, next, err = c.ReadUint128()
		s, typ = uint128(hi, lo), enrich.Number
	default:
		var v uint64
		v, next, err = c.ReadUint()
		s, typ = strconv.FormatUint(v, 10), enrich.Number
	}
	if err != nil {
		return next, err
	}
	return next, f.emit(s, typ, list)
}

// nested reads a container one level down.
func (f *flattener) nested(c mmdbdata.Cursor, read func(mmdbdata.Cursor) (mmdbdata.Cursor, error)) (mmdbdata.Cursor, error) {
	if f.depth++; f.depth > maxDepth {
		return c, errDepth
	}
	next, err := read(c)
	f.depth--
	return next, err
}

// readMap reads a map, each value under the key of the map and its own.
func (f *flattener) readMap(c mmdbdata.Cursor) (next mmdbdata.Cursor, err error) {
	m, err := c.Map()
	if err != nil {
		return next, err
	}
	base, first := len(f.path), len(f.fields)
	names := f.languages != nil && (string(f.path) == "names" || hasSuffix(f.path, "_names"))
	f.langs = f.langs[:0]
	for {
		key, at, ok := m.Next(next)
		if !ok {
			break
		}
		if f.bytes += len(key); f.bytes > maxBytes {
			return next, errBytes
		}
		if f.path = appendKey(f.path, key); len(f.path) > maxKey {
			return next, errKey
		}
		if next, err = f.value(at, false); err != nil {
			return next, err
		}
		f.path = f.path[:base]
		if names {
			f.langs = append(f.langs, string(key))
		}
	}
	if next, err = m.End(); err == nil && names && len(f.langs) == len(f.fields)-first {
		f.chooseLanguages(first)
	}
	return next, err
}

// chooseLanguages keeps, of a map of names by language that starts at field first, the languages that are wanted; where the
// map has none of them, its first.
func (f *flattener) chooseLanguages(first int) {
	for i, lang := range f.langs {
		if f.fields[first+i].Type != enrich.Text || len(lang) < 2 || len(lang) > 3 && lang[2] != '-' && lang[2] != '_' {
			return // not by language
		}
	}
	n := first
	for i, lang := range f.langs {
		if slices.Contains(f.languages, lang) {
			f.fields[n], f.maps[n] = f.fields[first+i], f.maps[first+i]
			n++
		}
	}
	if n == first {
		n = min(first+1, len(f.fields))
	}
	f.fields, f.maps = f.fields[:n], f.maps[:n]
}

// readArray reads an array: of plain values a list under one key, of others one group of fields an element, numbered from 0.
func (f *flattener) readArray(c mmdbdata.Cursor) (next mmdbdata.Cursor, err error) {
	plain, err := f.plain(c)
	if err != nil {
		return next, err
	}
	s, err := c.Slice()
	if err != nil {
		return next, err
	}
	base := len(f.path)
	for {
		i, at, ok := s.Next(next)
		if !ok {
			break
		}
		if !plain {
			f.path = appendKey(f.path, strconv.AppendUint(nil, uint64(i), 10))
		}
		if next, err = f.value(at, plain); err != nil {
			return next, err
		}
		f.path = f.path[:base]
	}
	return s.End()
}

// plain reports whether the array at c has neither maps nor arrays in it.
func (f *flattener) plain(c mmdbdata.Cursor) (bool, error) {
	s, err := c.Slice()
	if err != nil {
		return false, err
	}
	size, err := s.Size()
	if err != nil {
		return false, err
	}
	if size > maxFields {
		return false, errFields
	}
	var next mmdbdata.Cursor
	for {
		_, at, ok := s.Next(next)
		if !ok {
			break
		}
		kind, err := at.Kind()
		if err != nil {
			return false, err
		}
		if kind == mmdbdata.KindMap || kind == mmdbdata.KindSlice {
			return false, nil
		}
		if next, err = at.Skip(); err != nil {
			return false, err
		}
	}
	_, err = s.End()
	return true, err
}

// emit adds a field under the key f.path.
func (f *flattener) emit(value string, typ enrich.Type, list bool) error {
	if f.bytes += len(value); f.bytes > maxBytes {
		return errBytes
	}
	n, err := f.name()
	if err != nil {
		return err
	}
	m := n.mapping
	if m.key != enrich.None {
		var v string
		m, v = normalize(m, value)
		if m.key != enrich.None && (f.best[m.key] == "" || m.rank < f.ranks[m.key]) {
			f.best[m.key], f.ranks[m.key] = v, m.rank
		}
	}
	f.fields = append(f.fields, enrich.Field{Key: n.key, Value: value, Canon: m.key, Type: typ, List: list})
	f.maps = append(f.maps, m)
	return nil
}

// maxNames bounds the different keys of a database: no schema has that many, but a file may use data for keys.
const maxNames = 1 << 16

var errNames = errors.New("the records have more than " + strconv.Itoa(maxNames) + " different keys")

// name is the flattened key f.path and its meaning. A record that is no map has the one key "value".
func (f *flattener) name() (name, error) {
	path := f.path
	if len(path) == 0 {
		path = append(path, "value"...)
	}
	n, ok := f.names[string(path)]
	if !ok {
		n.key = enrich.Clean(string(path))
		n.mapping = canonical[n.key]
		if f.learn {
			if len(f.names) >= maxNames {
				return n, errNames
			}
			f.names[n.key] = n
		}
	}
	return n, nil
}
