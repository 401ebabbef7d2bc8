package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whence-project/whence/enrich/lexical"
	"github.com/whence-project/whence/internal/testenv"
)

// words is the list that the compiled-in table was made from: Debian's wamerican 2020.12.07.
const words, wordsSize = "/usr/share/dict/american-english", 985_084

func TestTheCompiledInTableIsWhatTrainMakes(t *testing.T) {
	if info, err := os.Stat(words); err != nil || info.Size() != wordsSize {
		testenv.Skip(t, "no %s of %d bytes, install Debian's wamerican 2020.12.07: %v", words, wordsSize, err)
	}
	out := filepath.Join(t.TempDir(), "default.freq")
	if err := run(out, filepath.Join("..", "..", "iana", "tables", "tld.tsv"), []string{words}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join("..", "default.freq"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("it is not; run train again, as its comment says, and see TestCalibration")
	}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	out := filepath.Join(dir, "out.freq")
	lines := write("names", "# of ours\nabc.example\n\nabd.example rest of the line\n")
	if err := run(out, "", []string{lines}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	table, err := lexical.ParseTable(data)
	if err != nil {
		t.Fatal(err)
	}
	if avg, word := table.Score("bc"); avg != 50 || word != 50 || table.Pairs() != 2*uint64(len("abc.example")-1) {
		t.Errorf("%v %v of %d pairs", avg, word, table.Pairs())
	}
	for _, tt := range []struct {
		name, tlds, want string
		files            []string
	}{
		{"no file", "", "no such file", []string{filepath.Join(dir, "absent")}},
		{"no list of top-level domains", filepath.Join(dir, "absent"), "no such file", []string{lines}},
		{"nothing in it", "", "no pairs", []string{write("empty", "# nothing\n")}},
		{"no words", write("tlds", "com\n"), "no words", []string{write("numbers", "1\n2\n")}},
		{"no top-level domains", write("idn", "xn--p1ai\n"), "no words", []string{write("words", "word\n")}},
		{"a line too long", "", "too long", []string{write("long", strings.Repeat("a", 1<<17))}},
	} {
		if err := run(out, tt.tlds, tt.files); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want …%s…", tt.name, err, tt.want)
		}
	}
}
