package iana

import (
	"cmp"
	"embed"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/whence-project/whence/enrich"
)

//go:embed tables/*.tsv
var files embed.FS

// Load returns the tables that are compiled in. They are read at the first call, which takes a few milliseconds, and shared by all.
var Load = sync.OnceValue(func() *Tables { return load(nil) })

// load reads the tables. Those in newer take the place of the files compiled in of the same name.
func load(newer map[string]string) *Tables {
	t := &Tables{tlds: make(map[string]*tld, 2048), newer: newer}
	t.loadAddresses()
	t.loadAS()
	t.loadTLDs()
	t.newer = nil
	return t
}

// rows hands each row of a table to use, with the origin that the file's first registry makes, and enters its registries in the
// status. The cells are used again for the next row. A table that cannot be read is a mistake in the program: it panics.
func (t *Tables) rows(file string, columns int, use func(cell []string, o *enrich.Origin)) {
	text, ok := t.newer[file]
	if !ok {
		b, err := files.ReadFile("tables/" + file)
		if err != nil {
			panic(err)
		}
		text = string(b)
	}
	origin := &enrich.Origin{Source: "iana", Baseline: true}
	cell := make([]string, columns)
	first, n := len(t.data), 0
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if comment, ok := strings.CutPrefix(line, "# "); ok {
			if registry, ok := strings.CutPrefix(comment, "registry: "); ok {
				d := registryStatus(file, registry)
				origin.Name, origin.Built = cmp.Or(origin.Name, d.Type), oldest(origin.Built, d.Built)
				t.data = append(t.data, d)
			}
			continue
		}
		if n++; !cut(line, cell) {
			panic(fmt.Sprintf("iana: %s: not %d columns in %q", file, columns, line))
		}
		use(cell, origin)
	}
	for i := first; i < len(t.data); i++ {
		t.data[i].Records = n
	}
}

// cut cuts a line at its tabs into cells, "-" into an empty one. It is false where there are more or fewer than wanted.
func cut(line string, cell []string) (ok bool) {
	for i := range cell {
		var more bool
		if cell[i], line, more = strings.Cut(line, "\t"); more != (i+1 < len(cell)) {
			return false
		}
		if cell[i] == "-" {
			cell[i] = ""
		}
	}
	return true
}

// registryStatus reads "title, YYYY-MM-DD".
func registryStatus(file, registry string) enrich.DataStatus {
	i := max(strings.LastIndex(registry, ", "), 0)
	built, err := time.Parse(", "+time.DateOnly, registry[i:])
	if err != nil {
		panic(fmt.Sprintf("iana: %s: %v", file, err))
	}
	return enrich.DataStatus{Type: registry[:i], Built: built}
}

// oldest is the earlier of two times that is not zero: what a table of several registries says was true then.
func oldest(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

func registryOf(id string) *Registry {
	i := slices.IndexFunc(registries, func(r *Registry) bool { return r.ID == id })
	if i < 0 && id != "" {
		panic("iana: no registry " + id)
	}
	if i < 0 {
		return nil
	}
	return registries[i]
}

// rfcs makes "1918,6890" a list.
func rfcs(numbers string) (list []string) {
	if numbers == "" {
		return nil
	}
	for n := range strings.SplitSeq(numbers, ",") {
		list = append(list, "RFC "+n)
	}
	return list
}

func (t *Tables) loadAddresses() {
	blocks := map[netip.Prefix]*block{}
	at := func(prefix string, o *enrich.Origin) *block {
		p := netip.MustParsePrefix(prefix)
		if blocks[p] == nil {
			blocks[p] = &block{Block: Block{Prefix: p}, origin: o, embeds: embeddings[p]}
		}
		return blocks[p]
	}
	t.rows("ipv4-address-space.tsv", 5, func(cell []string, o *enrich.Origin) {
		b := at(cell[0], o)
		b.Designation, b.Date, b.Status, b.Registry = cell[1], cell[2], cell[3], registryOf(cell[4])
		if b.Status == Legacy {
			b.Meaning = "allocated before the regional registries existed, now administered by " + b.Registry.Name
		}
	})
	t.rows("ipv6-address-space.tsv", 3, func(cell []string, o *enrich.Origin) {
		b := at(cell[0], o)
		b.Designation, b.Status, b.RFC = cell[1], Reserved, rfcs(cell[2])
		if b.Designation == "Global Unicast" {
			b.Status = Unallocated
		}
	})
	t.rows("ipv6-rdap.tsv", 2, func(cell []string, o *enrich.Origin) {
		b := at(cell[0], o)
		b.Registry, b.Status = registryOf(cell[1]), Allocated
		b.Designation = b.Registry.Name
	})
	for _, file := range []string{"ipv4-special.tsv", "ipv6-special.tsv", "special-more.tsv"} {
		t.rows(file, 6, func(cell []string, o *enrich.Origin) {
			b := at(cell[0], o)
			if file == "special-more.tsv" && b.Purpose != "" && t.newer != nil {
				return // the registry has by now what is kept by hand
			}
			b.origin = o
			b.Purpose, b.RFC, b.Date, b.Ended, b.Reachable = cell[1], rfcs(cell[2]), cmp.Or(cell[3], b.Date), cell[4], cell[5]
		})
	}
	t.rows("meaning.tsv", 2, func(cell []string, _ *enrich.Origin) {
		b := blocks[netip.MustParsePrefix(cell[0])]
		switch {
		case b != nil:
			b.Meaning = cell[1]
		case t.newer == nil:
			panic("iana: meaning.tsv: no registry has " + cell[0])
		}
	})
	t.insert(slices.Collect(maps.Values(blocks)))
}

// insert enters the blocks. A block that says nothing of its reachability is as reachable as the one around it; one that is
// reachable has the registry of the one around it.
func (t *Tables) insert(blocks []*block) {
	slices.SortFunc(blocks, func(a, b *block) int { return cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()) })
	for _, b := range blocks {
		around, _ := t.addresses.LookupPrefix(b.Prefix)
		switch {
		case b.Reachable == "false":
			b.Special = true
		case b.Reachable == "":
			b.Special = b.Status == Reserved || b.Status == "" && around.Special
		}
		if b.Registry == nil && around != nil && !b.Special {
			b.Registry = around.Registry
		}
		b.fragment = b.build()
		t.addresses.Insert(b.Prefix, b)
	}
	t.blocks = len(blocks)
}

func (t *Tables) loadAS() {
	ranges := func(to *[]asRange) func(cell []string, o *enrich.Origin) {
		return func(cell []string, o *enrich.Origin) {
			r := registryOf(cell[2])
			*to = append(*to, asRange{ASBlock{First: asNumber(cell[0]), Last: asNumber(cell[1]), Registry: r, Assignee: r}, o})
		}
	}
	var assigned []asRange
	t.rows("as-rdap.tsv", 3, ranges(&assigned))
	t.rows("as-moved.tsv", 3, ranges(&t.asMoved))
	t.rows("as-special.tsv", 6, func(cell []string, o *enrich.Origin) {
		t.asSpecial = append(t.asSpecial, asRange{ASBlock{
			First: asNumber(cell[0]), Last: asNumber(cell[1]), Purpose: cell[2], RFC: rfcs(cell[3]),
			Special: cell[4] == "no", Meaning: cell[5],
		}, o})
	})
	t.as = withGaps(assigned, t.asSpecial)
}

func asNumber(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		panic(fmt.Sprintf("iana: AS number: %v", err))
	}
	return uint32(n)
}

// withGaps adds to the assigned blocks the numbers between them that are neither assigned nor special.
func withGaps(assigned, special []asRange) (all []asRange) {
	taken := slices.Concat(assigned, special)
	slices.SortFunc(taken, func(a, b asRange) int { return cmp.Compare(a.First, b.First) })
	all, next := assigned, uint64(0)
	for _, r := range append(taken, asRange{ASBlock: ASBlock{First: math.MaxUint32}}) {
		if uint64(r.First) > next {
			all = append(all, asRange{ASBlock{First: uint32(next), Last: r.First - 1}, assigned[0].origin})
		}
		next = max(next, uint64(r.Last)+1)
	}
	slices.SortFunc(all, func(a, b asRange) int { return cmp.Compare(a.First, b.First) })
	return all
}

func (t *Tables) loadTLDs() {
	var whois, rdap int
	lists := len(t.data)
	t.rows("tld.tsv", 3, func(cell []string, o *enrich.Origin) {
		d := &tld{TLD: TLD{Name: cell[0], Whois: cell[1]}, origin: o}
		if cell[2] != "" {
			d.RDAP = strings.Split(cell[2], " ")
			rdap++
		}
		if d.Whois != "" {
			whois++
		}
		t.tlds[d.Name] = d
	})
	t.noTLD = noTLD(&enrich.Origin{Source: "iana", Name: t.data[lists].Type, Built: t.data[lists].Built, Baseline: true})
	t.data[lists+1].Records, t.data[lists+2].Records = rdap, whois
	t.rows("tld-special.tsv", 3, func(cell []string, o *enrich.Origin) {
		t.tlds[cell[0]] = &tld{TLD: TLD{Name: cell[0], Special: true, RFC: rfcs(cell[1]), Meaning: cell[2]}, origin: o}
	})
}
