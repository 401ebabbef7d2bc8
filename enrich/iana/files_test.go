package iana

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/iana/internal/registry"
	"github.com/whence-project/whence/internal/testenv"
)

// published is IANA's file of that name, from the test data.
func published(t testing.TB, name string) string {
	t.Helper()
	path := testenv.Path(t, "iana")
	for _, p := range []string{name, "rdap/" + name, "tlds-alpha-from-root-db-2026-02.txt"} {
		if text, err := os.ReadFile(filepath.Join(path, p)); err == nil {
			if name == tldList {
				return "# Version 2026020100, Last Updated Sun Feb  1 07:07:01 2026 UTC\n" + string(text)
			}
			return string(text)
		}
	}
	t.Fatalf("no %s", name)
	return ""
}

func place(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path+"~", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+"~", path); err != nil {
		t.Fatal(err)
	}
	return path
}

func openFolder(t *testing.T, dir string) *Source {
	t.Helper()
	s := NewFrom(Options{Folder: dir, Poll: 20 * time.Millisecond})
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestFilesSayWhatIsCompiledIn reads the files that the tables were made of, and finds the same answers.
func TestFilesSayWhatIsCompiledIn(t *testing.T) {
	dir := t.TempDir()
	for _, f := range Files {
		place(t, dir, f.Name, published(t, f.Name))
	}
	s := openFolder(t, dir)
	st := s.Status()
	for _, f := range Files {
		i := slices.IndexFunc(st.Data, func(d enrich.DataStatus) bool { return d.Path == filepath.Join(dir, f.Name) })
		if i < 0 || st.Data[i].Error != "" || st.Data[i].Records == 0 || st.Data[i].Loaded.IsZero() || st.Data[i].Bytes == 0 {
			t.Errorf("%s: %+v of %+v", f.Name, i, st.Data)
		}
	}
	if st.LastError != "" || st.Generation != 2 || st.Records != New().Status().Records {
		t.Errorf("%+v", st)
	}
	for _, q := range []string{"8.8.8.8", "192.168.1.1", "2001:db8::1", "2002:c000:204::1", "3fff::1", "ff02::1", "192.88.99.1", "240.0.0.1",
		"10.0.0.0/8", "AS15169", "AS278", "AS64496", "www.example.org", "example.onion", "example.nonsense", "xn--p1ai", "5f00::1"} {
		got, want := sayAbout(s, q), sayAbout(New(), q)
		if got != want {
			t.Errorf("%s:\n%s\nand compiled in:\n%s", q, got, want)
		}
	}
}

func sayAbout(s *Source, text string) string {
	subject, err := enrich.ParseSubject(text)
	if err != nil {
		return err.Error()
	}
	r := enrich.NewChain("", enrich.Link{Name: "iana", Source: s}).Answer(context.Background(), subject, 0)
	return string(r.AppendJSON(nil))
}

// TestFilesAreTakenIn replaces registries while they are asked.
func TestFilesAreTakenIn(t *testing.T) {
	dir := t.TempDir()
	s := openFolder(t, dir)
	if st := s.Status(); st.Generation != 1 || !strings.Contains(st.Data[len(st.Data)-1].Error, "what is compiled in serves") {
		t.Errorf("%+v", st)
	}
	tlds := published(t, tldList)
	place(t, dir, tldList, strings.Replace(tlds, "\nORG\n", "\nORG\nWHENCE\n", 1))
	special := published(t, "iana-ipv6-special-registry.xml")
	ours := strings.Replace(special, "</record>", "</record><record><address>3fff::/20</address><name>Ours</name><allocation>2026-01</allocation>"+
		"<termination/><global>True</global><spec><xref type=\"rfc\" data=\"rfc9999\"/></spec></record>", 1)
	path := place(t, dir, "iana-ipv6-special-registry.xml", ours)
	eventually(t, "the files are taken in", func() bool {
		return strings.Contains(sayAbout(s, "www.whence"), "delegated") && !strings.Contains(sayAbout(s, "www.whence"), "not delegated") &&
			strings.Contains(sayAbout(s, "3fff::1"), "RFC 9999")
	})
	if got := sayAbout(s, "example.org"); !strings.Contains(got, "registry_whois") || !strings.Contains(got, "registry_rdap") {
		t.Errorf("the servers of org are forgotten: %s", got)
	}
	place(t, dir, "iana-ipv6-special-registry.xml", special[:len(special)/2])
	eventually(t, "a broken file is refused", func() bool { return strings.Contains(s.Status().LastError, path) })
	if !strings.Contains(sayAbout(s, "3fff::1"), "RFC 9999") {
		t.Error("the last good one does not serve")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s.Refresh()
	if strings.Contains(sayAbout(s, "3fff::1"), "RFC 9999") || !strings.Contains(sayAbout(s, "www.whence"), "registry") {
		t.Errorf("without the file: %s, %s", sayAbout(s, "3fff::1"), sayAbout(s, "www.whence"))
	}
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

func TestProbeFiles(t *testing.T) {
	dir := t.TempDir()
	for _, f := range Files {
		text := published(t, f.Name)
		got, err := Probe(t.Context(), f, place(t, dir, "some.part", text))
		if err != nil || got.Records < f.compiled()/2 || got.Built.IsZero() || got.Type == "" {
			t.Errorf("%s: %+v, %v", f.Name, got, err)
		}
		for what, bad := range map[string]string{
			"half of it": text[:len(text)/3], "a web page": "<html><title>404</title></html>", "nothing": "", "zeros": strings.Repeat("\x00", 1000),
			"no date": strings.NewReplacer("<updated>", "<x>", "</updated>", "</x>", `"publication"`, `"x"`, "# Version 2026020100", "# V").Replace(text),
		} {
			if _, err := Probe(t.Context(), f, place(t, dir, "some.part", bad)); err == nil {
				t.Errorf("%s: %s is taken", f.Name, what)
			}
		}
	}
	if _, err := Probe(t.Context(), Files[0], place(t, dir, "large", strings.Repeat(" ", MaxFile+1))); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("%v", err)
	}
}

// TestAssembleRefuses puts tables together that no registry would publish.
func TestAssembleRefuses(t *testing.T) {
	l := &loaded{file: &Files[5], Table: registry.Table{Title: "AS", Date: "2026-01-01", Rows: [][]string{{"1", "2", "nobody"}}}}
	if _, err := assemble([]*loaded{l}); err == nil || !strings.Contains(err.Error(), "do not fit together") {
		t.Errorf("%v", err)
	}
	if _, err := assemble(nil); err != nil {
		t.Errorf("what is compiled in: %v", err)
	}
}

// FuzzFiles reads files of any kind as each of the registries: what is not refused makes tables that answer.
func FuzzFiles(f *testing.F) {
	for i := range Files {
		f.Add(i, []byte(`<registry><title>t</title><updated>2026-01-01</updated><record><prefix>8.0.0.0/8</prefix><address>::1/128</address></record></registry>`))
		f.Add(i, []byte(`{"description":"d","publication":"2026-01-01T00:00:00Z","services":[[["1-2","org","2001::/16"],["https://rdap.arin.net/"]]]}`))
		f.Add(i, []byte("# Version 2026010100\nORG\nCOM\n"))
	}
	f.Fuzz(func(t *testing.T, i int, text []byte) {
		file := &Files[((i%len(Files))+len(Files))%len(Files)]
		table, err := file.read(text)
		if err != nil {
			return
		}
		tables, err := assemble([]*loaded{{file: file, Table: table}})
		if err != nil {
			return
		}
		tables.Address(netip.MustParseAddr("8.8.8.8"))
		tables.AS(15169)
		tables.TLD("org")
	})
}
