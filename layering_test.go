package whence_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport are the arrows of the house: which rooms the packages of a room may import beside their own. The rooms that an arrow
// does not name know nothing of each other.
var mayImport = map[string][]string{
	"root":        {"caddymodule"},
	"cmd":         {"root", "caddymodule", "doors", "sources", "enrich", "store", "internal"},
	"caddymodule": {"doors", "sources", "enrich", "store", "internal"},
	"bench":       {"doors", "sources", "enrich", "store", "internal"},
	"doors":       {"enrich", "store", "internal"},
	"sources":     {"enrich", "store", "internal"},
	"enrich":      {"store", "internal"},
	"store":       {"internal"},
	"internal":    {},
}

// roomOf is the room that a package of the module is in, by its path below the module's. Every door is a room of its own.
func roomOf(pkg string) string {
	switch top := topOf(pkg); {
	case top == "":
		return "root"
	case top == "layer4whois" || top == "domainstats" || top == "dotforward" || top == "annotate":
		return "doors"
	case top == "enrich" && pkg != "enrich" && pkg != "enrich/contacts":
		return "sources"
	default:
		return top
	}
}

func topOf(pkg string) string {
	top, _, _ := strings.Cut(pkg, "/")
	return top
}

// forbidden says why a file of package pkg must not import imported, a path below the module's, or Caddy's; empty if it may.
// Tests may drive a room with any other, but not with Caddy.
func forbidden(pkg, imported string, test bool) string {
	from := roomOf(pkg)
	rooms, known := mayImport[from]
	if !known {
		return "is in a room that the house does not have"
	}
	if strings.HasPrefix(imported, "github.com/caddyserver/") {
		if from == "root" || from == "cmd" || from == "caddymodule" {
			return ""
		}
		return "only caddymodule, cmd and the root package know Caddy"
	}
	to := roomOf(imported)
	if to == "caddymodule" || to == "cmd" || to == "root" {
		test = false // they bring Caddy with them
	}
	same := from == to
	if same && to == "doors" {
		same = topOf(pkg) == topOf(imported)
	}
	if test || same || slices.Contains(rooms, to) {
		return ""
	}
	return from + " must not import " + to
}

func TestLayeringRules(t *testing.T) {
	for _, tt := range []struct {
		pkg, imported string
		test, want    bool // want: forbidden
	}{
		{"layer4whois", "github.com/caddyserver/caddy/v2", false, true},
		{"layer4whois", "github.com/caddyserver/caddy/v2", true, true},
		{"bench/whois", "github.com/caddyserver/caddy/v2/cmd", false, true},
		{"enrich/mmdb", "github.com/caddyserver/certmagic", false, true},
		{"caddymodule/caddywhois", "github.com/caddyserver/caddy/v2", false, false},
		{"cmd/caddy", "github.com/caddyserver/caddy/v2/cmd", false, false},
		{"", "github.com/caddyserver/caddy/v2", true, false},
		{"layer4whois", "enrich", false, false},
		{"layer4whois", "internal/limit", false, false},
		{"layer4whois", "layer4whois/frame", false, false},
		{"layer4whois", "domainstats", false, true},
		{"layer4whois", "enrich/mmdb", false, true},
		{"layer4whois", "enrich/mmdb", true, false},
		{"layer4whois", "caddymodule/caddywhois", true, true},
		{"dotforward", "caddymodule", false, true},
		{"annotate", "enrich", false, false},
		{"annotate", "layer4whois", false, true},
		{"enrich", "layer4whois", false, true},
		{"enrich", "enrich/iana", false, true},
		{"domainstats", "enrich/contacts", false, false},
		{"enrich/contacts", "store", false, false},
		{"enrich/contacts", "enrich/mmdb", false, true},
		{"enrich", "store", false, false},
		{"enrich/iana", "enrich", false, false},
		{"enrich/iana/gen", "enrich/iana", false, false},
		{"enrich/sightings", "store", false, false},
		{"enrich/mmdb", "layer4whois", false, true},
		{"store", "enrich", false, true},
		{"store/nats", "store", false, false},
		{"internal/limit", "enrich", false, true},
		{"caddymodule", "cmd/caddy", false, true},
		{"attic", "enrich", false, true},
	} {
		if why := forbidden(tt.pkg, tt.imported, tt.test); (why != "") != tt.want {
			t.Errorf("%q imports %q (test: %v): %q", tt.pkg, tt.imported, tt.test, why)
		}
	}
}

// TestLayering holds every package of the module against the arrows. It reads the imports only, and builds nothing.
func TestLayering(t *testing.T) {
	module := moduleOf(t)
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if _, err := os.Stat(filepath.Join(name, "go.mod")); name != "." && (err == nil || strings.HasPrefix(d.Name(), ".")) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		name = filepath.ToSlash(name)
		pkg := strings.TrimPrefix(path.Dir(name), ".")
		seen[roomOf(pkg)] = true
		for _, imported := range importsOf(t, name) {
			if below, ok := strings.CutPrefix(imported, module); ok {
				imported = strings.TrimPrefix(below, "/")
			} else if !strings.HasPrefix(imported, "github.com/caddyserver/") {
				continue
			}
			if why := forbidden(pkg, imported, strings.HasSuffix(name, "_test.go")); why != "" {
				t.Errorf("%s imports %q: %s", name, imported, why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, room := range []string{"root", "cmd", "caddymodule", "doors", "sources", "enrich", "internal"} {
		if !seen[room] {
			t.Errorf("no package seen in room %s", room)
		}
	}
}

// TestNATSIsLinkedOnce holds the adapters to it that one of them links NATS: who imports others has a binary without it.
func TestNATSIsLinkedOnce(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "./caddymodule/caddyadmin", "./caddymodule/caddycommands", "./caddymodule/caddydomainstats",
		"./caddymodule/caddydotforward", "./caddymodule/caddyenrich", "./caddymodule/caddynotify", "./caddymodule/caddystore", "./caddymodule/caddywhois").Output()
	if err != nil || len(out) == 0 {
		t.Fatalf("go list: %v", err)
	}
	for path := range strings.Lines(string(out)) {
		if strings.HasPrefix(path, "github.com/nats-io/") {
			t.Errorf("%s is linked by others than caddymodule/caddycluster", strings.TrimSpace(path))
		}
	}
}

func importsOf(t *testing.T, name string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, p)
	}
	return paths
}

// moduleOf is the module's path, from go.mod.
func moduleOf(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	module, ok := strings.CutPrefix(line, "module ")
	if !ok {
		t.Fatalf("go.mod starts with %q", line)
	}
	return strings.TrimSpace(module)
}
