package annotate

import (
	"fmt"
	"strings"
	"unsafe"

	"github.com/whence-project/whence/enrich"
)

// Network is the name of the field that is the network which an answer holds for. It is canonical, but no [enrich.Key].
const Network = "network"

// DefaultFields are the fields of an annotation where the options name none.
var DefaultFields = []string{enrich.ASN.String(), enrich.CountryCode.String()}

// field is a field that annotations have.
type field struct {
	name string
	key  enrich.Key // None for the network, and for fields of the sources' own
}

// value is what is known of a field; no text where nothing is.
type value struct {
	text string // the values of a list are joined by newlines
	kind enrich.Type
	list bool
}

// parseFields reads the names of fields: canonical ones, network, or keys of a source's own.
func parseFields(names []string) ([]field, error) {
	var fields []field
	for _, name := range names {
		if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			return nil, fmt.Errorf("%q is no name of a field: they are as in asn,country_code,network", name)
		}
		for _, f := range fields {
			if f.name == name {
				return nil, fmt.Errorf("the field %s is named twice", name)
			}
		}
		fields = append(fields, field{name, enrich.KeyOf(name)})
	}
	return fields, nil
}

// fieldsOf are canonical fields.
func fieldsOf(keys ...enrich.Key) (fields []field) {
	for _, k := range keys {
		fields = append(fields, field{k.String(), k})
	}
	return fields
}

// want are the canonical fields that a chain is to be asked for, all where that is not all that is wanted.
func want(fields []field) (set enrich.KeySet) {
	for _, f := range fields {
		if f.key == enrich.None && f.name != Network {
			return 0
		}
		set |= enrich.SetOf(f.key)
	}
	return set
}

// read takes the values of fields from a record. scratch is where what the record does not hold as text is written; it is returned
// with that, and the values are good until it is changed.
func read(values []value, fields []field, r *enrich.Record, scratch []byte) []byte {
	for i, f := range fields {
		v := &values[i]
		switch {
		case f.key != enrich.None:
			*v = canonical(f.key, r.Value(f.key))
		case f.name == Network:
			*v = value{}
			if n := r.Network(); n.IsValid() {
				scratch = n.AppendTo(scratch[:0])
				v.text = unsafe.String(unsafe.SliceData(scratch), len(scratch))
			}
		default:
			*v = own(f.name, r)
		}
	}
	return scratch
}

// canonical is a canonical field with the type that it has in JSON.
func canonical(k enrich.Key, text string) value {
	v := value{text: text}
	switch k {
	case enrich.NameServers, enrich.RegStatus:
		v.list = true
	case enrich.Rank, enrich.FreqAverage, enrich.FreqWord:
		if enrich.IsJSONNumber(text) {
			v.kind = enrich.Number
		}
	}
	return v
}

// own is the field that a source has under its own key: that of the first source that does.
func own(key string, r *enrich.Record) (v value) {
	for _, p := range r.Parts() {
		for _, fd := range p.Fragment.Fields() {
			if fd.Key != key || r.Suppresses(p.Fragment, fd.Canon) || fd.Value == "" {
				continue
			}
			if v.text != "" {
				v.text += "\n"
			}
			v = value{v.text + fd.Value, fd.Type, fd.List}
			if !fd.List {
				break
			}
		}
		if v.text != "" {
			break
		}
	}
	return v
}
