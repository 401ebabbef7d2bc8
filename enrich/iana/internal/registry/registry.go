// Package registry reads the files of IANA's registries, each into the rows of a table of enrich/iana: when the tables are made, and at
// run time from files that are kept up to date.
package registry

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Table is what one registry says: a line a block.
type Table struct {
	Title string // as the registry calls itself
	Date  string // that it gives itself, YYYY-MM-DD
	Rows  [][]string
}

// Source names the registry, as the tables do.
func (t Table) Source() string { return t.Title + ", " + t.Date }

// Line is a row as it stands in a table: cells of plain text between tabs, "-" for none.
func Line(row []string) string {
	cells := make([]string, len(row))
	for i, cell := range row {
		if cells[i] = strings.Join(strings.Fields(cell), " "); cells[i] == "" {
			cells[i] = "-"
		}
	}
	return strings.Join(cells, "\t")
}

// checked is t with a title that fits a line, and an error for a date that is none.
func (t Table) checked() (Table, error) {
	t.Title = strings.Join(strings.Fields(t.Title), " ")
	if _, err := time.Parse(time.DateOnly, t.Date); err != nil || t.Title == "" {
		return t, errors.New("no title or no date")
	}
	if len(t.Rows) == 0 {
		return t, errors.New("no records")
	}
	return t, nil
}

// document is what the XML of the address registries has in common. The special-purpose ones and IPv6's nest the records in a
// registry of the same name.
type document struct {
	Title   string     `xml:"title"`
	Updated string     `xml:"updated"`
	Records []record   `xml:"record"`
	Inner   []document `xml:"registry"`
}

type record struct {
	Prefix      string `xml:"prefix"`
	Designation string `xml:"designation"`
	Description string `xml:"description"`
	Date        string `xml:"date"`
	Whois       string `xml:"whois"`
	Status      string `xml:"status"`
	Address     string `xml:"address"`
	Name        string `xml:"name"`
	Allocation  string `xml:"allocation"`
	Termination string `xml:"termination"`
	Global      string `xml:"global"`
	Refs        []xref `xml:"xref"`
	Spec        []xref `xml:"spec>xref"`
}

type xref struct {
	Type string `xml:"type,attr"`
	Data string `xml:"data,attr"`
}

func readXML(text []byte) (d document, err error) {
	if err := xml.Unmarshal(text, &d); err != nil {
		return d, err
	}
	for _, in := range d.Inner {
		d.Records = append(d.Records, in.Records...)
	}
	return d, nil
}

var rfcNumber = regexp.MustCompile(`^rfc(\d{1,5})$`)

// rfcs are the numbers of the RFCs among the references, joined by commas.
func rfcs(refs []xref) string {
	var ns []string
	for _, x := range refs {
		if m := rfcNumber.FindStringSubmatch(x.Data); m != nil && x.Type == "rfc" {
			ns = append(ns, m[1])
		}
	}
	return strings.Join(ns, ",")
}

// bootstrap is an RDAP bootstrap file (RFC 9224 §3): pairs of keys and base URLs.
type bootstrap struct {
	Description string        `json:"description"`
	Publication string        `json:"publication"`
	Services    [][2][]string `json:"services"`
}

// readBootstrap reads such a file into a table without rows.
func readBootstrap(text []byte) (b bootstrap, t Table, err error) {
	if err := json.Unmarshal(text, &b); err != nil {
		return b, t, err
	}
	if len(b.Publication) < len(time.DateOnly) {
		return b, t, errors.New("no date")
	}
	for _, s := range b.Services {
		if len(s[0]) == 0 || len(s[1]) == 0 {
			return b, t, fmt.Errorf("a service of %q at %q", s[0], s[1])
		}
	}
	return b, Table{Title: b.Description, Date: b.Publication[:len(time.DateOnly)]}, nil
}

// rirs are the regional Internet registries by a word that is in the name of each of their servers.
var rirs = []struct{ word, id string }{
	{".afrinic.", "afrinic"}, {".apnic.", "apnic"}, {".arin.", "arin"}, {".lacnic.", "lacnic"}, {".ripe.", "ripencc"},
}

// RIROf is the registry whose server is named, empty for none.
func RIROf(server string) string {
	for _, r := range rirs {
		if strings.Contains(server, r.word) {
			return r.id
		}
	}
	return ""
}
