package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

const storeConfig = "\tstore ./store\n\tenrich {\n\t\tlexical\n\t\tsightings\n\t}"

// TestImportExport takes a history in and out: through a running server, refused while it has the store open, and then without it.
func TestImportExport(t *testing.T) {
	s := newServer(t)
	s.write("names.csv", "1,example.org\n2,www.example.com\n3,com\n")
	s.start(globals(storeConfig))
	admin := "unix/" + s.path("admin.sock")
	run := func(wantErr string, args ...string) string {
		t.Helper()
		var stderr strings.Builder
		cmd := s.command(append([]string{"whence"}, args...)...)
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if wantErr == "" && err != nil || wantErr != "" && (err == nil || !strings.Contains(stderr.String(), wantErr)) {
			t.Fatalf("caddy whence %q: %v\n%s", args, err, stderr.String())
		}
		return string(out)
	}
	for _, want := range []string{
		"2 entries: 2 names are new in the ledger, 0 were there, 0 were removed; 1 entries could not be used\n",
		"2 entries: 0 names are new in the ledger, 2 were there, 0 were removed; 1 entries could not be used\n",
	} {
		if got := run("", "import", "--form", "list", "--address", admin, "names.csv"); got != want {
			t.Errorf("import said %q, want %q", got, want)
		}
	}
	run("is in use by process", "import", "--form", "list", "--offline", "-c", "Caddyfile", "-a", "caddyfile", "names.csv")
	run("want json, feed or list", "import", "--form", "csv", "--address", admin, "names.csv")
	run("no such file", "import", "--form", "list", "--address", admin, "nothing.csv")
	run("not a JSON array of domains", "import", "--address", admin, "names.csv")
	run("", "export", "--all", "--address", admin, "there.json")

	s.stop()
	run("", "export", "--all", "--offline", "-c", "Caddyfile", "-a", "caddyfile", "here.json")
	for _, file := range []string{"there.json", "here.json"} {
		b, err := os.ReadFile(s.path(file))
		if err != nil {
			t.Fatal(err)
		}
		var names []struct{ Domain string }
		if err := json.Unmarshal(b, &names); err != nil || len(names) != 2 || names[0].Domain != "example.com" || names[1].Domain != "example.org" {
			t.Errorf("%s (%v): %s", file, err, b)
		}
	}
	if got := run("", "import", "--offline", "-c", "Caddyfile", "-a", "caddyfile", "--scope", "other", "there.json"); !strings.Contains(got, "2 names are new") {
		t.Errorf("importing the export into another scope: %q", got)
	}
}

// TestStoreSettingsReload changes a setting of the store that is open: the reload succeeds, and the log says when it counts.
func TestStoreSettingsReload(t *testing.T) {
	with := func(names string) string {
		return globals(strings.Replace(storeConfig, "store ./store", "store ./store {\n\t\tmax_names "+names+"\n\t}", 1))
	}
	s := start(t, with("1000"))
	if err := s.load(with("2000")); err != nil {
		t.Fatal(err)
	}
	s.log.wait(t, 1, `"level":"warn"`, "max_names and cache_size of a store that is open")
}
