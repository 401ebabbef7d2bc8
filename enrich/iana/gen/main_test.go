package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/whence-project/whence/internal/testenv"
)

func TestTablesAreUpToDate(t *testing.T) {
	dir := t.TempDir()
	if err := generate(testenv.Path(t, "iana"), dir); err != nil {
		t.Fatal(err)
	}
	made, err := filepath.Glob(filepath.Join(dir, "*.tsv"))
	if err != nil || len(made) != 8 {
		t.Fatalf("%d tables made, %v", len(made), err)
	}
	for _, file := range made {
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("..", "tables", filepath.Base(file)))
		if err != nil || string(got) != string(want) {
			t.Errorf("tables/%s is not what the generator makes: %v", filepath.Base(file), err)
		}
	}
}

func TestGenerateSaysWhatIsWrong(t *testing.T) {
	for name, text := range map[string]string{
		"missing":    "",
		"no XML":     "8.0.0.0/8",
		"no records": "<registry><updated>2026-01-01</updated></registry>",
		"no date":    "<registry><record><prefix>008/8</prefix></record></registry>",
		"no /8":      "<registry><updated>2026-01-01</updated><record><prefix>8.0.0.0/9</prefix></record></registry>",
	} {
		dir := t.TempDir()
		if text != "" {
			if err := os.WriteFile(filepath.Join(dir, "ipv4-address-space.xml"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := generate(dir, t.TempDir()); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
