package records

import (
	"net/netip"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gaissmai/bart"

	"github.com/whence-project/whence/enrich"
)

// entry is one file of the folder, or a name that must not be followed.
type entry struct {
	name     string           // path in the folder, slashes between its elements
	subject  enrich.Subject   // the Key of what the name means, invalid where it is only a word
	fragment *enrich.Fragment // nil where refused
	refused  bool             // a symbolic link that leads out of the folder
}

// table is a folder's records by what they are asked for as. It is not changed once it is published.
type table struct {
	kinds   uint32              // bit 1<<Kind: a subject of that kind may be in here
	names   map[string]*entry   // by path, as written
	domains map[string]*entry   // by A-labels in lower case
	systems map[uint32]*entry   // by AS number
	nets    bart.Table[*entry]  // addresses and prefixes
	refused map[string]struct{} // paths of the refused
	count   int                 // records
	bytes   int64               // of the files they were read from

	collisions []collision
}

// collision is two names of the folder that mean the same subject.
type collision struct{ used, shadowed string }

// newTable indexes entries. Where two names mean the same subject, each is found as it is written; for every other spelling the
// one that is spelt canonically is used, else the first in byte order.
func newTable(entries []*entry) *table {
	t := &table{
		kinds:   1 << enrich.Name,
		names:   make(map[string]*entry, len(entries)),
		domains: make(map[string]*entry),
		systems: make(map[uint32]*entry),
		refused: make(map[string]struct{}),
	}
	slices.SortFunc(entries, func(a, b *entry) int { return strings.Compare(a.name, b.name) })
	for _, e := range entries {
		t.names[e.name] = e
		if e.refused {
			t.refused[e.name] = struct{}{}
		} else {
			t.count++
		}
		if other := t.insert(e); other != nil {
			used, shadowed := other, e
			if !e.refused && (other.refused || e.name == e.subject.String()) {
				used, shadowed = e, other
				t.put(e)
			}
			t.collisions = append(t.collisions, collision{used.name, shadowed.name})
		}
	}
	return t
}

// insert indexes e by its subject, unless there is another entry, which it returns.
func (t *table) insert(e *entry) *entry {
	var other *entry
	switch s := e.subject; s.Kind() {
	case enrich.Domain:
		other = t.domains[s.Name()]
	case enrich.AS:
		other = t.systems[s.ASN()]
	case enrich.Address, enrich.Prefix:
		other, _ = t.nets.Get(s.Prefix())
	default:
		return nil
	}
	if other == nil {
		t.put(e)
	}
	return other
}

func (t *table) put(e *entry) {
	switch s := e.subject; s.Kind() {
	case enrich.Domain:
		t.kinds |= 1 << enrich.Domain
		t.domains[s.Name()] = e
	case enrich.AS:
		t.kinds |= 1 << enrich.AS
		t.systems[s.ASN()] = e
	case enrich.Address, enrich.Prefix:
		t.kinds |= 1<<enrich.Address | 1<<enrich.Prefix
		t.nets.Insert(s.Prefix(), e)
	}
}

// find returns the entry for s, or nil, and the network it holds for.
func (t *table) find(s enrich.Subject) (*entry, netip.Prefix) {
	switch s.Kind() {
	case enrich.Address:
		if e, ok := t.nets.Lookup(s.Addr()); ok {
			return e, e.subject.Prefix()
		}
	case enrich.Prefix:
		if e, ok := t.nets.LookupPrefix(s.Prefix()); ok {
			return e, e.subject.Prefix()
		}
	case enrich.AS:
		return t.systems[s.ASN()], netip.Prefix{}
	case enrich.Domain:
		if e := t.names[s.Written()]; e != nil {
			return e, netip.Prefix{}
		}
		return t.domains[s.Name()], netip.Prefix{}
	case enrich.Name:
		return t.names[clean(s.Written())], netip.Prefix{}
	}
	return nil, netip.Prefix{}
}

// trick reports whether a name that is not in the table tries to leave the folder.
func (t *table) trick(name string) bool {
	if strings.IndexByte(name, 0) >= 0 || path.IsAbs(name) || strings.HasPrefix(name, `\`) {
		return true
	}
	for element := range strings.FieldsFuncSeq(name, isSlash) {
		if element == ".." {
			return true
		}
	}
	if name != "" && !filepath.IsLocal(filepath.FromSlash(name)) {
		return true
	}
	for dir := clean(name); dir != "." && len(t.refused) > 0; dir = path.Dir(dir) {
		if _, ok := t.refused[dir]; ok {
			return true
		}
	}
	return false
}

func isSlash(r rune) bool { return r == '/' || r == '\\' }

// clean is a path without empty and "." elements; one with ".." is left as it is, and is no record's name.
func clean(name string) string {
	if strings.IndexByte(name, '/') < 0 || strings.Contains(name, "..") {
		return name
	}
	return path.Clean(name)
}

// subjectOf is what a file's name means: an address, AS number or domain as [enrich.ParseSubject] reads it, or a prefix, whose
// slash a file's name cannot hold, and is an underscore there: "192.0.2.0_24". A folder "192.0.2.0" with a file "24" does as well.
func subjectOf(name string) enrich.Subject {
	if i := strings.LastIndexByte(name, '_'); i > 0 {
		if p, err := netip.ParsePrefix(name[:i] + "/" + name[i+1:]); err == nil {
			return enrich.PrefixOf(p).Key()
		}
	}
	s, err := enrich.ParseSubject(name)
	if err != nil || s.Kind() == enrich.Name {
		return enrich.Subject{}
	}
	return s.Key()
}
