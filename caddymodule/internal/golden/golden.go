// Package golden tests what a Caddyfile becomes: files with a Caddyfile, a line of ten hyphens, and the JSON it adapts to or,
// after "error: ", what its error must say.
package golden

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	// The adapter for Caddyfiles.
	_ "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

var update = flag.Bool("update", false, "write what the Caddyfiles become into the golden files")

const separator = "----------\n"

// Run tests every file *.caddyfiletest of the folder testdata. With -update it writes them anew instead, errors too.
func Run(t *testing.T) {
	files, err := filepath.Glob("testdata/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) { run(t, file) })
	}
}

func run(t *testing.T, file string) {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	input, want, ok := strings.Cut(string(b), separator)
	if !ok && !*update {
		t.Fatalf("%s: no line of ten hyphens", file)
	}
	got := adapt(input)
	switch {
	case *update:
		if err := os.WriteFile(file, []byte(input+separator+got+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	case got != strings.TrimSpace(want):
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func adapt(input string) string {
	config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(input), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return "error: " + err.Error()
	}
	if len(warnings) > 0 {
		return "warning: " + warnings[0].String()
	}
	var out bytes.Buffer
	if err := json.Indent(&out, config, "", "\t"); err != nil {
		return "error: " + err.Error()
	}
	return out.String()
}
