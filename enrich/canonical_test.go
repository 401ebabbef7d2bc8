package enrich

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rowsOf are the cells of a table under a heading of docs/fields.md, without the table's head.
func rowsOf(t *testing.T, heading string) [][]string {
	t.Helper()
	b, err := os.ReadFile("../docs/fields.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(b), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("docs/fields.md has no heading %q", heading)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	var rows [][]string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|\n"), "|") {
			cells = append(cells, strings.Trim(strings.TrimSpace(cell), "`"))
		}
		rows = append(rows, cells)
	}
	if len(rows) < 3 {
		t.Fatalf("no table under %q", heading)
	}
	return rows[2:]
}

// formOf is what the examples of the documentation must look like, where that can be said.
var formOf = map[Key]string{
	ASN: `^AS\d+$`, CountryCode: `^[A-Z]{2}$`, ContinentCode: `^(AF|AN|AS|EU|NA|OC|SA)$`, Registry: `^(afrinic|apnic|arin|lacnic|ripencc)$`,
	Created: timeForm, Updated: timeForm, Expires: timeForm, FirstSeen: timeForm, LastSeen: timeForm,
	NameServers: `^[a-z0-9.-]*[a-z0-9]$`, Rank: `^[1-9]\d*$`,
}

const timeForm = `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`

func TestDocumentedFieldsAreTheCanonicalOnes(t *testing.T) {
	rows, keys := rowsOf(t, "Fields"), Keys()
	if len(rows) != len(keys) {
		t.Fatalf("docs/fields.md has %d fields, the package %d", len(rows), len(keys))
	}
	for i, row := range rows {
		if row[0] != keys[i].String() || KeyOf(row[0]) != keys[i] {
			t.Errorf("row %d is %q, want %q", i+1, row[0], keys[i])
		}
		if len(row) != 4 || slices.Contains(row, "") {
			t.Errorf("%s: %d cells, or an empty one: %q", row[0], len(row), row)
			continue
		}
		if ok, err := regexp.MatchString(formOf[keys[i]], row[2]); err != nil || !ok {
			t.Errorf("%s: example %q, want %s (%v)", row[0], row[2], formOf[keys[i]], err)
		}
	}
}

func TestDocumentedNotesAreTheKindsOfNote(t *testing.T) {
	var kinds []string
	for _, row := range rowsOf(t, "Notes") {
		kinds = append(kinds, row[0])
	}
	if !slices.Equal(kinds, noteKinds[:]) {
		t.Errorf("docs/fields.md has %q, the package %q", kinds, noteKinds)
	}
}

func TestDocumentedExampleIsJSON(t *testing.T) {
	b, err := os.ReadFile("../docs/fields.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(b), "\n## Examples\n")
	start, end := strings.Index(text, "{"), strings.LastIndex(text, "}\n")
	if start < 0 || end < start || !json.Valid([]byte(text[start:end+1])) {
		t.Errorf("the example is no JSON: %s", text)
	}
}

func TestKeyNames(t *testing.T) {
	if None.String() != "" || Key(200).String() != "" || KeyOf("") != None || KeyOf("asn ") != None || KeyOf("nobody") != None {
		t.Error("what is no canonical field has a name or a Key")
	}
}
