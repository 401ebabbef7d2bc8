package rank

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/licence"
	"github.com/whence-project/whence/internal/testenv"
)

// answer is what the source says of a subject: the parts' fields, in order.
func answer(s *Source, subject enrich.Subject) string {
	r := enrich.NewChain("", enrich.Link{Name: "rank", Source: s}).Answer(context.Background(), subject, 0)
	var parts []string
	for _, p := range r.Parts() {
		var fields []string
		for _, f := range p.Fragment.Fields() {
			fields = append(fields, f.Key+"="+f.Value)
		}
		parts = append(parts, strings.Join(fields, " "))
	}
	if v := r.Value(enrich.Rank); v != "" {
		parts = append(parts, "→"+v)
	}
	return strings.Join(parts, "; ")
}

func TestAdd(t *testing.T) {
	hosts := writeFile(t, "umbrella.csv", []byte("1,www.example.org\n2,org\n3,co.uk\n4,example.co.uk\n5,github.io\n6,a.example.com\n"))
	domains := writeFile(t, "tranco.csv", []byte("10,example.org\n20,example.com\n"))
	s := openSource(t, Options{Files: []string{domains, hosts}})
	for _, tt := range []struct{ name, want string }{
		{"example.org", "rank=10 rank_list=tranco; →10"},
		{"www.example.org", "rank=1 rank_list=umbrella; rank=10 rank_list=tranco rank_name=example.org; →1"},
		{"a.b.example.org", "rank=10 rank_list=tranco rank_name=example.org; →10"},
		{"x.a.example.com", "rank=20 rank_list=tranco rank_name=example.com; →20"},
		{"org", "rank=2 rank_list=umbrella; →2"},
		{"whence.org", ""},   // under a ranked public suffix
		{"whence.co.uk", ""}, // the same
		{"whence.github.io", ""},
		{"www.whence.github.io", ""},
		{"www.example.co.uk", "rank=4 rank_list=umbrella rank_name=example.co.uk; →4"},
		{"example.net", ""},
		{"www.example.net", ""},
		{strings.Repeat("a.", 120) + "example.org", "rank=10 rank_list=tranco rank_name=example.org; →10"},
		{"localhost", ""},
	} {
		for range 2 { // the second from what was kept
			if got := answer(s, enrich.DomainOf(tt.name)); got != tt.want {
				t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
			}
		}
	}
	for _, other := range []enrich.Subject{enrich.NameOf("example.org"), enrich.ASOf(1)} {
		if got := answer(s, other); got != "" {
			t.Errorf("%v %s: %q", other.Kind(), other, got)
		}
	}
}

func TestAddWritesANumber(t *testing.T) {
	s := openSource(t, Options{Files: []string{writeFile(t, "l.csv", []byte("7,example.org\n"))}, Name: "mine\n", Attribution: "of Example"})
	r := enrich.NewChain("", enrich.Link{Name: "rank", Source: s}).Answer(context.Background(), enrich.DomainOf("example.org"), 0)
	var got struct {
		Rank    int
		Sources []struct{ Fields map[string]any }
	}
	if err := json.Unmarshal(r.AppendJSON(nil), &got); err != nil {
		t.Fatal(err)
	}
	if f := got.Sources[0].Fields; got.Rank != 7 || f["rank"] != 7.0 || f["rank_list"] != "mine" {
		t.Errorf("%+v", got)
	}
	if a := r.Parts()[0].Fragment.Origin().Attribution; a != "of Example" {
		t.Errorf("attribution %q", a)
	}
}

func TestRank(t *testing.T) {
	a, b := writeFile(t, "a.csv", []byte("1,example.org\n")), writeFile(t, "b.txt", []byte("www.example.org\nxn--mller-kva.de\n"))
	s := openSource(t, Options{Files: []string{a, b}})
	for _, tt := range []struct {
		name, list string
		rank       int
		exact      bool
	}{
		{"example.org", "a", 1, true},
		{"Example.ORG.", "a", 1, true},
		{"www.example.org", "b", 1, true},
		{"x.example.org", "a", 1, false},
		{"X.Example.org", "a", 1, false},
		{"müller.de", "b", 2, true},
		{"www.müller.de", "b", 2, false},
		{"example.com", "", 0, false},
		{"org", "", 0, false},
		{"", "", 0, false},
		{"192.0.2.1", "", 0, false},
		{"two words", "", 0, false},
	} {
		if rank, list, exact := s.Rank(tt.name); rank != tt.rank || list != tt.list || exact != tt.exact {
			t.Errorf("%q: %d %q %v, want %d %q %v", tt.name, rank, list, exact, tt.rank, tt.list, tt.exact)
		}
	}
}

func TestTop(t *testing.T) {
	s := openSource(t, Options{Files: []string{writeFile(t, "a.csv", []byte("3,c.org\n1,a.org\n2,b.org\n")), writeFile(t, "b.csv", []byte("1,z.org\n"))}})
	for n, want := range []string{"", "1 a.org", "1 a.org 2 b.org", "1 a.org 2 b.org 3 c.org", "1 a.org 2 b.org 3 c.org"} {
		var got []string
		for rank, name := range s.Top(n) {
			got = append(got, fmt.Sprint(rank, " ", name))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("top %d: %q, want %q", n, got, want)
		}
	}
	for _, name := range s.Top(3) {
		if name != "a.org" {
			t.Errorf("went on to %s", name)
		}
		break
	}
	for range New(Options{Files: []string{"absent"}}).Top(1) {
		t.Error("a name without a list")
	}
}

func TestPackedFiles(t *testing.T) {
	csv := []byte("1,example.org\r\n2,example.com\r\n")
	zipped := func(names ...string) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for _, name := range names {
			w, _ := z.Create(name)
			if strings.HasSuffix(name, "/") {
				continue
			}
			if strings.HasPrefix(name, "top") {
				w.Write(csv)
			} else {
				w.Write([]byte("1,wrong.example.org\n"))
			}
		}
		z.Close()
		return b.Bytes()
	}
	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	w.Write(csv)
	w.Close()
	for _, tt := range []struct {
		name string
		data []byte
		ok   bool
	}{
		{"plain", csv, true},
		{"gzip", gz.Bytes(), true},
		{"zip", zipped("top-1m.csv"), true},
		{"zip with a readme", zipped("README.txt", "data/", "__MACOSX/x.csv", "top.CSV"), true},
		{"zip of text", zipped("other", "top.txt"), true},
		{"zip without a suffix", zipped("top"), true},
		{"empty zip", zipped(), false},
		{"gzip cut short", gz.Bytes()[:gz.Len()-4], false},
		{"zip cut short", zipped("top-1m.csv")[:100], false},
		{"empty", nil, false},
	} {
		l, err := loader{maxBytes: 1 << 20}.load(context.Background(), writeFile(t, "whatever", tt.data))
		if tt.ok != (err == nil) {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if err == nil {
			if rank, _ := l.find(hashOf("example.com"), "example.com"); rank != 2 || l.count != 2 {
				t.Errorf("%s: rank %d of %d", tt.name, rank, l.count)
			}
		}
	}
	if _, err := (loader{maxBytes: 10}).load(context.Background(), writeFile(t, "large", csv)); err == nil {
		t.Error("a file larger than the limit was read")
	}
	var bomb bytes.Buffer
	w = gzip.NewWriter(&bomb)
	w.Write(bytes.Repeat([]byte("example.org\n"), 1<<16))
	w.Close()
	_, err := loader{maxBytes: 100_000}.load(context.Background(), writeFile(t, "bomb", bomb.Bytes()))
	if err == nil || !strings.Contains(err.Error(), "unpacked") {
		t.Errorf("a file that unpacks to more than the limit: %v", err)
	}
	if _, err := (loader{maxBytes: 1 << 20}).load(context.Background(), t.TempDir()); err == nil {
		t.Error("a folder was read")
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func replace(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestHot(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "top-1m.csv")
	s := openSource(t, Options{Files: []string{path}, Poll: 50 * time.Millisecond})
	example := enrich.DomainOf("example.org")
	if st := s.Status(); s.Loaded() || answer(s, example) != "" || len(st.Data) != 1 || st.Data[0].Error == "" {
		t.Fatalf("before there is a file: %+v", st)
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() { // asks all the while, for the race detector
		for {
			select {
			case <-stop:
				return
			default:
				answer(s, example)
				s.Rank("www.example.org")
			}
		}
	})
	replace(t, path, "1,example.org\n")
	eventually(t, "the file is taken in", func() bool { return answer(s, example) == "rank=1 rank_list=top-1m; →1" })
	replace(t, path, "1,example.com\n2,example.org\n")
	eventually(t, "its successor is", func() bool { return answer(s, example) == "rank=2 rank_list=top-1m; →2" })
	eventually(t, "the status follows", func() bool { return s.Status().Generation == 2 })
	replace(t, path, "<html>\n")
	eventually(t, "garbage is refused", func() bool { return s.Status().LastError != "" })
	st := s.Status()
	if d := st.Data[0]; answer(s, example) != "rank=2 rank_list=top-1m; →2" || d.Error == "" || d.Records != 2 || st.Generation != 2 || st.Records != 2 {
		t.Errorf("after garbage: %+v", st)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its absence is noted", func() bool { return strings.Contains(s.Status().LastError, "gone") })
	if answer(s, example) == "" {
		t.Error("the last good list is gone with its file")
	}
	s.Refresh()
	if s.Loaded() {
		t.Error("a reload has not let go of the list")
	}
	replace(t, path, "9,example.org\n")
	eventually(t, "it comes back", func() bool {
		return answer(s, example) == "rank=9 rank_list=top-1m; →9" && s.Status().Data[0].Error == ""
	})
	close(stop)
	wg.Wait()
}

func TestStatus(t *testing.T) {
	path := writeFile(t, "top-1m.csv.gz", []byte(good+"bad\n"))
	day := time.Date(2026, 11, 20, 6, 0, 0, 0, time.UTC)
	if err := os.Chtimes(path, day, day); err != nil {
		t.Fatal(err)
	}
	s := openSource(t, Options{Files: []string{path}, Attribution: "by Example"})
	st := s.Status()
	if len(st.Data) != 1 || st.Kind != "rank" || st.Records != maxBad || st.LastError != "" {
		t.Fatalf("%+v", st)
	}
	d := st.Data[0]
	if !d.Built.Equal(day) || d.Records != maxBad || d.Type != "rank,domain, 1 bad lines left out" || d.Path != path ||
		d.Attribution != "by Example" || d.Loaded.IsZero() || d.Bytes == 0 {
		t.Errorf("%+v", d)
	}
	if got := answer(s, enrich.DomainOf("n0.example.org")); got != "rank=100 rank_list=top-1m; →100" {
		t.Error(got)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, files := range [][]string{nil, {"[a-"}} {
		s := New(Options{Files: files})
		if err := s.Open(context.Background()); err == nil {
			t.Errorf("%q: opened", files)
		}
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Error(err)
		}
	}
}

// TestRealNames builds lists of real names and finds each of them at its place, and none besides.
func TestRealNames(t *testing.T) {
	for _, file := range []string{"misp-cisco_top20k.json", "misp-tranco10k.json"} {
		data, err := os.ReadFile(testenv.Path(t, "rank", file))
		if err != nil {
			t.Fatal(err)
		}
		var source struct{ List []string }
		if err := json.Unmarshal(data, &source); err != nil {
			t.Fatal(err)
		}
		s := openSource(t, Options{Files: []string{writeFile(t, "list.txt", []byte(strings.Join(source.List, "\n")))}})
		if n := s.Status().Records; n != len(source.List) {
			t.Errorf("%s: %d names, want %d", file, n, len(source.List))
		}
		for i, name := range source.List {
			if rank, _, exact := s.Rank(name); rank != i+1 || !exact {
				t.Fatalf("%s: %s at %d (%v), want %d", file, name, rank, exact, i+1)
			}
			if rank, _, exact := s.Rank("x" + name + "x"); rank != 0 || exact {
				t.Fatalf("%s: x%sx at %d", file, name, rank)
			}
		}
	}
}

func TestKeptAnswersDoNotAllocate(t *testing.T) {
	s := openSource(t, Options{Files: []string{writeFile(t, "a.csv", []byte("1,example.org\n"))}})
	var r enrich.Record
	for name, want := range map[string]float64{"example.org": 0, "example.com": 0, "www.example.org": 1} { // 1: the public suffix list's
		q := enrich.Query{Subject: enrich.DomainOf(name)}
		if n := testing.AllocsPerRun(100, func() {
			r.Reset(q.Subject)
			s.Add(&q, &r)
		}); n > want {
			t.Errorf("%s: %v allocations, want at most %v", name, n, want)
		}
	}
}

func TestListName(t *testing.T) {
	for in, want := range map[string]string{
		"top-1m.csv": "top-1m", "top-1m.csv.zip": "top-1m", "Tranco.CSV.GZ": "Tranco", "names.txt": "names", "list": "list", ".csv": ".csv",
		"majestic_million.csv": "majestic_million", "a.b.tsv": "a.b",
	} {
		if got := listName(in); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func TestProbe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list.csv")
	if err := os.WriteFile(path, []byte("1,example.org\n2,example.com\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	terms := map[string]licence.Terms{path: {Licence: "CC-BY-3.0", Attribution: "by x"}}
	got, err := Probe(t.Context(), path, Options{Terms: terms})
	if err != nil || got.Records != 2 || got.Licence != "CC-BY-3.0" || got.Attribution != "by x" || got.Path != path {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = Probe(t.Context(), path, Options{Terms: terms, Attribution: "by me"}); err != nil || got.Attribution != "by me" {
		t.Errorf("%+v, %v", got, err)
	}
	if err := os.WriteFile(path, []byte("<html>"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Probe(t.Context(), path, Options{}); err == nil {
		t.Error("a web page is a list")
	}
}
