package bootstrap

import (
	"embed"
	"fmt"
	"strings"
	"sync"

	"github.com/whence-project/whence/enrich/registration/whoisclient"
)

//go:embed tables/*.tsv
var tables embed.FS

// ownTables are what is known beside IANA's registries. They do not change.
type ownTables struct {
	suffixes map[string]ownSuffix
	tags     map[string]Services
}

// ownSuffix is a top-level domain or a zone below one.
type ownSuffix struct {
	suffix  string
	rdap    []string
	whois   whoisclient.Server
	noWhois bool // there is none, whatever other tables say
}

// loadOwn reads the tables once. One that cannot be read is a mistake in the program: it panics.
var loadOwn = sync.OnceValue(func() *ownTables {
	t := &ownTables{suffixes: make(map[string]ownSuffix), tags: make(map[string]Services)}
	for _, file := range []string{"tld-more.tsv", "zones.tsv"} {
		rows(file, 3, func(cell []string) {
			o := ownSuffix{suffix: cell[0], rdap: bases(cell[1]), noWhois: cell[2] == "none"}
			if cell[2] != "" && !o.noWhois {
				o.whois = Complete(whoisclient.Server{Host: cell[2]})
			}
			t.suffixes[cell[0]] = o
		})
	}
	rows("object-tags.tsv", 2, func(cell []string) {
		t.tags[cell[0]] = Services{RDAP: bases(cell[1]), Suffix: cell[0], Origin: Compiled}
	})
	return t
})

// find is the longest suffix of name that is known. A zone itself is not one of the names in it.
func (t *ownTables) find(name string) (ownSuffix, bool) {
	if t == nil {
		return ownSuffix{}, false
	}
	for suffix := name; suffix != ""; suffix = above(suffix) {
		if o, ok := t.suffixes[suffix]; ok && (len(suffix) < len(name) || !strings.Contains(suffix, ".")) {
			return o, true
		}
	}
	return ownSuffix{}, false
}

// forms is how WHOIS servers want to be asked, by host.
var forms = sync.OnceValue(func() map[string]whoisclient.Server {
	known := make(map[string]whoisclient.Server)
	rows("whois-servers.tsv", 3, func(cell []string) {
		known[cell[0]] = whoisclient.Server{Host: cell[0], Query: cell[1], Charset: cell[2]}
	})
	return known
})

// Complete is s with the query form and the charset that are known of its host, where s has none.
func Complete(s whoisclient.Server) whoisclient.Server {
	if form, ok := forms()[s.Host]; ok {
		if s.Query == "" {
			s.Query = form.Query
		}
		if s.Charset == "" {
			s.Charset = form.Charset
		}
	}
	return s
}

func bases(cell string) []string {
	if cell == "" {
		return nil
	}
	list, err := readBases(strings.Fields(cell))
	if err != nil {
		panic(fmt.Sprintf("bootstrap: %v", err))
	}
	return list
}

// rows hands each row of a table to use, "-" as an empty cell.
func rows(file string, columns int, use func(cell []string)) {
	text, err := tables.ReadFile("tables/" + file)
	if err != nil {
		panic(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		cell := strings.Split(line, "\t")
		if len(cell) != columns {
			panic(fmt.Sprintf("bootstrap: %s: not %d columns in %q", file, columns, line))
		}
		for i := range cell {
			if cell[i] == "-" {
				cell[i] = ""
			}
		}
		use(cell)
	}
}
