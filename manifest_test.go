package whence_test

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	_ "github.com/whence-project/whence"
)

const modulePath = "github.com/whence-project/whence"

// TestManifest holds xcaddy.json against what is built: the modules that the binary has, and the versions in the go.mod files.
func TestManifest(t *testing.T) {
	var manifest struct {
		Caddy, XCaddy, Go string
		Plugins           []struct{ Module, Version, Replace string }
		Modules           []string
	}
	if err := json.Unmarshal([]byte(read(t, "xcaddy.json")), &manifest); err != nil {
		t.Fatal(err)
	}
	var ours []string
	for _, id := range caddy.Modules() {
		info, err := caddy.GetModule(id)
		if err != nil {
			t.Fatal(err)
		}
		module := reflect.TypeOf(info.New())
		if module.Kind() == reflect.Pointer {
			module = module.Elem()
		}
		if strings.HasPrefix(module.PkgPath(), modulePath) {
			ours = append(ours, id)
		}
	}
	slices.Sort(ours)
	if !slices.Equal(ours, manifest.Modules) {
		t.Errorf("modules\nhave %q\nxcaddy.json says %q", ours, manifest.Modules)
	}
	if p := manifest.Plugins; len(p) != 1 || p[0].Module != modulePath {
		t.Errorf("plugins: %v, want %s alone", p, modulePath)
	}
	for _, want := range []struct{ file, line string }{
		{"go.mod", "module " + modulePath},
		{"go.mod", "go " + manifest.Go},
		{"go.mod", "github.com/caddyserver/caddy/v2 " + manifest.Caddy},
		{"tools/go.mod", "github.com/caddyserver/xcaddy " + manifest.XCaddy},
		{"caddymodule/caddylayer4/go.mod", "github.com/caddyserver/caddy/v2 " + manifest.Caddy},
	} {
		if !strings.Contains(read(t, want.file), want.line+"\n") && !strings.Contains(read(t, want.file), want.line+" // indirect\n") {
			t.Errorf("%s has no line %q", want.file, want.line)
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
