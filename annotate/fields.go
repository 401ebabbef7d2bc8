package annotate

import (
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"github.com/whence-project/whence/enrich"
)

// Network is the name of the field that is the network which an answer holds for. It is canonical, but no [enrich.Key].
const Network = "network"

// DefaultFields are the fields of an annotation where the options name none.
var DefaultFields = []string{enrich.ASN.String(), enrich.CountryCode.String()}

// value is what is known of a field; no text where nothing is.
type value struct {
	text string // the values of a list are joined by newlines
	kind enrich.Type
	list bool
}

// parseFields reads the names of fields: canonical ones, network, or keys of a source's own.
func parseFields(names []string) ([]enrich.Pick, error) {
	for i, name := range names {
		if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			return nil, fmt.Errorf("%q is no name of a field: they are as in asn,country_code,network", name)
		}
		if slices.Contains(names[:i], name) {
			return nil, fmt.Errorf("the field %s is named twice", name)
		}
	}
	return enrich.PicksOf(names), nil
}

// read takes the values of fields from a record. A network is written to scratch, which is returned; the values are good until it is
// changed.
func read(values []value, fields []enrich.Pick, r *enrich.Record, scratch []byte) []byte {
	for i, f := range fields {
		v := &values[i]
		switch {
		case f.Name() == Network:
			*v = value{}
			if n := r.Network(); n.IsValid() {
				scratch = n.AppendTo(scratch[:0])
				v.text = unsafe.String(unsafe.SliceData(scratch), len(scratch))
			}
		case f.Key() != enrich.None:
			*v = value{r.Value(f.Key()), f.Type(r), f.IsList(r)}
		default:
			*v = value{strings.Join(f.Values(r), "\n"), f.Type(r), f.IsList(r)}
		}
	}
	return scratch
}
