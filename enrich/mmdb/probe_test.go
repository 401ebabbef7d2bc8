package mmdb

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whence-project/whence/internal/licence"
	"github.com/whence-project/whence/internal/testenv"
)

func TestProbe(t *testing.T) {
	path := testenv.Path(t, "mmdb", "dbip-country-lite.mmdb")
	got, err := Probe(t.Context(), path, Options{})
	if err != nil || got.Type == "" || got.Built.IsZero() || got.Records < 100 || got.Bytes == 0 || got.Path != path ||
		got.Licence != "CC-BY-4.0" || !strings.Contains(got.Attribution, "db-ip.com") {
		t.Errorf("%+v, %v", got, err)
	}
	// Where it comes from is known better than its type tells, and the operator knows best.
	terms := map[string]licence.Terms{path: {Licence: "X", Attribution: "by x"}}
	if got, err = Probe(t.Context(), path, Options{Terms: terms}); err != nil || got.Licence != "X" || got.Attribution != "by x" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = Probe(t.Context(), path, Options{Terms: terms, Attribution: "by me"}); err != nil || got.Licence != "X" || got.Attribution != "by me" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestProbeRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, file := range map[string]struct {
		data []byte
		want string
	}{
		"empty": {write("Test", 6), "no records"},
		"html":  {[]byte("<html>not found</html>"), "no MMDB file"},
		"none":  {nil, "the file is empty"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, file.data, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Probe(t.Context(), path, Options{}); err == nil || !strings.Contains(err.Error(), file.want) {
			t.Errorf("%s: %v, want %s", name, err, file.want)
		}
	}
	if _, err := Probe(t.Context(), filepath.Join(dir, "absent"), Options{}); err == nil {
		t.Error("a file that is not there")
	}
}
