package update

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestDocumentedPresets holds the table of docs/update.md against the presets.
func TestDocumentedPresets(t *testing.T) {
	text, err := os.ReadFile("../../docs/update.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, p := range Presets() {
		wants := string(p.Auth)
		if wants != "" {
			wants += " "
		}
		fmt.Fprintf(&want, "| `%s` | `%s` | %s | %s| %s |\n", p.Name, p.Kind, p.About, wants, p.Licence)
	}
	_, table, ok := strings.Cut(string(text), "| preset | source | what | wants | licence |\n|---|---|---|---|---|\n")
	if table, _, _ = strings.Cut(table, "\n\n"); !ok || table+"\n" != want.String() {
		t.Errorf("docs/update.md has\n%s\nand should have\n%s", table, want.String())
	}
}
