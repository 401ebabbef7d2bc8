// Command gen makes the tables of enrich/iana from the registries that IANA publishes. Run it from the module's root:
//
//	go run ./enrich/iana/gen -data <folder> -out enrich/iana/tables
//
// docs/iana.md says which files the folder must hold and where they come from.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/whence-project/whence/enrich/iana/internal/registry"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("gen: ")
	root := os.Getenv("WHENCE_TESTDATA")
	if root == "" {
		root = filepath.Join("..", "shared", "data")
	}
	data := flag.String("data", filepath.Join(root, "iana"), "folder of the registries")
	out := flag.String("out", filepath.Join("enrich", "iana", "tables"), "folder of the tables")
	flag.Parse()
	if err := generate(*data, *out); err != nil {
		log.Fatal(err)
	}
}

func generate(data, out string) error {
	for _, tablesOf := range []func(dir string) ([]table, error){addressTables, asTables, tldTables} {
		tables, err := tablesOf(data)
		if err != nil {
			return err
		}
		for _, t := range tables {
			if err := t.write(out); err != nil {
				return err
			}
		}
	}
	return nil
}

// table is one file of tables/: what it was made from, and a line a block.
type table struct {
	file     string
	sources  []string // "title, date" of the registries
	columns  string   // names of the columns, separated by blanks
	rows     [][]string
	comments []string
}

func (t table) write(dir string) error {
	var b strings.Builder
	for _, s := range t.sources {
		fmt.Fprintf(&b, "# registry: %s\n", s)
	}
	for _, c := range t.comments {
		fmt.Fprintf(&b, "# %s\n", c)
	}
	fmt.Fprintf(&b, "# made by go run ./enrich/iana/gen; do not edit\n# %s\n", strings.ReplaceAll(t.columns, " ", "\t"))
	width := len(strings.Fields(t.columns))
	for _, row := range t.rows {
		if len(row) != width {
			return fmt.Errorf("%s: %d columns instead of %d in %q", t.file, len(row), width, row)
		}
		b.WriteString(registry.Line(row) + "\n")
	}
	return os.WriteFile(filepath.Join(dir, t.file), []byte(b.String()), 0o644)
}

// addressTables are those that are of one registry each.
func addressTables(dir string) (tables []table, err error) {
	for _, one := range []struct {
		from, file, columns string
		read                func([]byte) (registry.Table, error)
	}{
		{"ipv4-address-space.xml", "ipv4-address-space.tsv", "block designation date status registry", registry.IPv4Space},
		{"ipv6-address-space.xml", "ipv6-address-space.tsv", "block designation rfc", registry.IPv6Space},
		{"rdap/ipv6.json", "ipv6-rdap.tsv", "block registry", registry.IPv6Blocks},
		{"iana-ipv4-special-registry.xml", "ipv4-special.tsv", "block name rfc date end reachable", registry.Special},
		{"iana-ipv6-special-registry.xml", "ipv6-special.tsv", "block name rfc date end reachable", registry.Special},
	} {
		text, err := os.ReadFile(filepath.Join(dir, one.from))
		if err != nil {
			return nil, err
		}
		t, err := one.read(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", one.from, err)
		}
		tables = append(tables, table{file: one.file, columns: one.columns, sources: []string{t.Source()}, rows: t.Rows})
	}
	return tables, nil
}
