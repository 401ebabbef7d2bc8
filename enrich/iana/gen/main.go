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
	sources  []source
	columns  string // names of the columns, separated by blanks
	rows     [][]string
	comments []string
}

// source is a registry and the date that it gives itself.
type source struct{ title, date string }

func (t table) write(dir string) error {
	var b strings.Builder
	for _, s := range t.sources {
		fmt.Fprintf(&b, "# registry: %s, %s\n", s.title, s.date)
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
		for i, cell := range row {
			row[i] = strings.Join(strings.Fields(cell), " ")
			if row[i] == "" {
				row[i] = "-"
			}
		}
		b.WriteString(strings.Join(row, "\t") + "\n")
	}
	return os.WriteFile(filepath.Join(dir, t.file), []byte(b.String()), 0o644)
}

// rirs are the regional Internet registries by a word that is in the name of each of their servers.
var rirs = []struct{ word, id string }{
	{".afrinic.", "afrinic"}, {".apnic.", "apnic"}, {".arin.", "arin"}, {".lacnic.", "lacnic"}, {".ripe.", "ripencc"},
}

// rirOf is the registry whose server is named, empty for none.
func rirOf(server string) string {
	for _, r := range rirs {
		if strings.Contains(server, r.word) {
			return r.id
		}
	}
	return ""
}
