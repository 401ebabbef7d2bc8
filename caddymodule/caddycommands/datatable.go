package caddycommands

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/whence-project/whence/enrich"
)

// dataTable is what a command shows: rows for people, and all there is for programs.
type dataTable struct {
	head []string
	rows [][]string
	csv  func() [][]string // nil: rows
	all  any               // as JSON
}

func (t *dataTable) add(cells ...string) { t.rows = append(t.rows, cells) }

// printerOf prints a table in that form.
func printerOf(format string) (func(dataTable, io.Writer) error, error) {
	p, ok := map[string]func(dataTable, io.Writer) error{"text": dataTable.text, "json": dataTable.json, "csv": dataTable.commas}[format]
	if !ok {
		return nil, fmt.Errorf("format %q; there are text, json and csv", format)
	}
	return p, nil
}

// text writes columns that have something in one of the rows.
func (t dataTable) text(w io.Writer) error {
	used := make([]bool, len(t.head))
	for _, row := range t.rows {
		for i, cell := range row {
			used[i] = used[i] || cell != ""
		}
	}
	line := func(cells []string) string {
		var shown []string
		for i, cell := range cells {
			if used[i] {
				shown = append(shown, enrich.Clean(cell))
			}
		}
		return strings.Join(shown, "\t") + "\n"
	}
	var b strings.Builder
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(tw, strings.ToUpper(line(t.head)))
	for _, row := range t.rows {
		fmt.Fprint(tw, line(row))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for l := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(l, " \n")); err != nil {
			return err
		}
	}
	return nil
}

func (t dataTable) json(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(t.all)
}

func (t dataTable) commas(w io.Writer) error {
	c := csv.NewWriter(w)
	rows := t.rows
	if t.csv != nil {
		rows = t.csv()
	}
	if err := c.Write(t.head); err != nil {
		return err
	}
	return c.WriteAll(rows)
}
