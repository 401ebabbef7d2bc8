package records

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/whence-project/whence/enrich"
)

// files writes a folder: a path ending in "/" is a folder, content "-> x" a symbolic link to x.
func files(t testing.TB, dir string, contents map[string]string) {
	t.Helper()
	for name, content := range contents {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			err = os.Symlink(target, path)
		} else if strings.HasSuffix(name, "/") {
			err = os.MkdirAll(path, 0o755)
		} else {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// open is a source of dir that is read but not watched, and what it logs.
func open(t testing.TB, o Options) (*Source, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zapcore.InfoLevel)
	o.Logger = zap.New(core)
	s := New(o)
	s.reload()
	return s, logs
}

// ask returns the answer of a chain of s alone: the text, or the words of the miss.
func ask(t testing.TB, s *Source, word string) string {
	t.Helper()
	subject, err := enrich.ParseSubject(word)
	if err != nil {
		t.Fatalf("ParseSubject(%q): %v", word, err)
	}
	return answer(t, s, subject)
}

func answer(t testing.TB, s *Source, subject enrich.Subject) string {
	t.Helper()
	r := enrich.NewChain("", enrich.Link{Name: "records", Source: s}).Answer(context.Background(), subject, 0)
	switch parts := r.Parts(); {
	case len(parts) == 0 && r.MissText() == "":
		t.Fatalf("%v: neither a record nor a miss", subject)
	case len(parts) == 1 && r.MissText() == "":
		return parts[0].Fragment.Verbatim()
	case len(parts) > 0:
		t.Fatalf("%v: %d parts and miss %q", subject, len(parts), r.MissText())
	}
	return r.MissText()
}

func TestAdd(t *testing.T) {
	dir := t.TempDir()
	files(t, dir, map[string]string{
		"example.org":        "lower",
		"EXAMPLE.NET":        "upper",
		"Example.com":        "mixed",
		"example.com":        "canonical",
		"bücher.example":     "U-labels",
		"xn--mnchen-3ya.org": "A-labels",
		"192.0.2.1":          "address",
		"192.0.2.0_24":       "prefix",
		"2001:DB8::1":        "address 6",
		"2001:db8::_32":      "prefix 6",
		"198.51.100.0/24":    "prefix as folder and file",
		"as64500":            "system",
		"server-Room":        "word",
		"rooms/Attic":        "deep",
		"notes~":             "backup",
		"#draft#":            "backup",
		".hidden":            "dot-file",
		".git/config":        "dot-folder",
		"empty":              "",
	})
	s, _ := open(t, Options{Dir: dir})
	for _, tc := range []struct{ ask, want string }{
		{"example.org", "lower\r\n"},
		{"EXAMPLE.org", "lower\r\n"},
		{"example.net", "upper\r\n"},
		{"Example.com", "mixed\r\n"},
		{"example.com", "canonical\r\n"},
		{"EXAMPLE.COM", "canonical\r\n"},
		{"bücher.example", "U-labels\r\n"},
		{"xn--bcher-kva.example", "U-labels\r\n"},
		{"münchen.org", "A-labels\r\n"},
		{"www.example.org", notFound},
		{"192.0.2.1", "address\r\n"},
		{"192.0.2.1/32", "address\r\n"},
		{"192.0.2.2", "prefix\r\n"},
		{"192.0.2.0/24", "prefix\r\n"},
		{"192.0.2.128/25", "prefix\r\n"},
		{"192.0.0.0/16", notFound},
		{"192.0.3.1", notFound},
		{"198.51.100.7", "prefix as folder and file\r\n"},
		{"2001:db8::1", "address 6\r\n"},
		{"2001:db8:1::1", "prefix 6\r\n"},
		{"2001:db9::", notFound},
		{"AS64500", "system\r\n"},
		{"AS64501", notFound},
		{"server-Room", "word\r\n"},
		{"server-room", notFound},
		{"rooms/Attic", "deep\r\n"},
		{"./rooms//Attic", "deep\r\n"},
		{"rooms", notFound},
		{"notes~", notFound},
		{".hidden", notFound},
		{".git/config", notFound},
		{"empty", "\r\n"},
	} {
		t.Run(tc.ask, func(t *testing.T) {
			if got := ask(t, s, tc.ask); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

func TestNetwork(t *testing.T) {
	dir := t.TempDir()
	files(t, dir, map[string]string{"192.0.2.0_24": "a", "192.0.2.1": "b", "example.org": "c"})
	s, _ := open(t, Options{Dir: dir})
	after := enrich.Link{Name: "after", Source: sourceFunc(func(_ *enrich.Query, r *enrich.Record) enrich.Verdict {
		r.Set("after", "called")
		return enrich.Next
	})}
	chain := enrich.NewChain("", enrich.Link{Name: "records", Source: s}, after)
	for ask, want := range map[string]string{
		"192.0.2.9": "192.0.2.0/24", "192.0.2.1": "192.0.2.1/32", "192.0.2.64/26": "192.0.2.0/24", "example.org": "invalid Prefix",
	} {
		subject, err := enrich.ParseSubject(ask)
		if err != nil {
			t.Fatal(err)
		}
		r := chain.Answer(context.Background(), subject, 0)
		if got := r.Network().String(); got != want {
			t.Errorf("network of %s: %s, want %s", ask, got, want)
		}
		if len(r.Parts()) != 1 || r.Parts()[0].Source != "records" || !r.Found() {
			t.Errorf("%s: the record did not end the chain: %v", ask, r.Parts())
		}
	}
	r := chain.Answer(context.Background(), enrich.AddressOf(netip.MustParseAddr("203.0.113.1")), 0)
	if len(r.Parts()) != 1 || r.Parts()[0].Source != "after" || r.MissText() != "" {
		t.Errorf("a miss in a longer chain: parts %v, miss %q", r.Parts(), r.MissText())
	}
}

type sourceFunc func(*enrich.Query, *enrich.Record) enrich.Verdict

func (f sourceFunc) Add(q *enrich.Query, r *enrich.Record) enrich.Verdict { return f(q, r) }

// legacy has the form of simple-whois' sample, a thin .com answer of old with LF line ends.
const legacy = "   Domain Name: TEST.COM\n   Registrar: EXAMPLE REGISTRAR, INC.\n   Whois Server: whois.example.org\n" +
	"   Name Server: NS1.EXAMPLE.ORG\n   Name Server: NS2.EXAMPLE.ORG\n   Status: clientTransferProhibited\n\n" +
	">>> Last update of whois database: Sat, 16 Jul 2016 22:00:00 GMT <<<\n"

func TestSimpleWhoisAnswer(t *testing.T) {
	dir := t.TempDir()
	files(t, dir, map[string]string{"test.com": legacy})
	s, _ := open(t, Options{Dir: dir})
	if got, want := ask(t, s, "test.com"), strings.ReplaceAll(legacy, "\n", "\r\n")+"\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	r := enrich.NewChain("", enrich.Link{Name: "records", Source: s}).Answer(context.Background(), mustParse(t, "test.com"), 0)
	if got := string(r.AppendJSON(nil)); !strings.Contains(got, `"name_server":["NS1.EXAMPLE.ORG","NS2.EXAMPLE.ORG"]`) ||
		!strings.Contains(got, `"registrar":"EXAMPLE REGISTRAR, INC."`) {
		t.Errorf("JSON: %s", got)
	}
}

func mustParse(t testing.TB, word string) enrich.Subject {
	t.Helper()
	s, err := enrich.ParseSubject(word)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCollisionIsLoggedOnce(t *testing.T) {
	dir := t.TempDir()
	files(t, dir, map[string]string{"Example.ORG": "first", "example.Org": "second"})
	s, logs := open(t, Options{Dir: dir})
	for word, want := range map[string]string{"example.Org": "second\r\n", "Example.ORG": "first\r\n", "example.org": "first\r\n"} {
		if got := ask(t, s, word); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
	s.reload()
	files(t, dir, map[string]string{"other.example.org": "x"})
	s.reload()
	if n := logs.FilterField(zap.String("problem", "means the same as Example.ORG, and is found only as it is written")).Len(); n != 1 {
		t.Errorf("the collision was logged %d times: %v", n, logs.All())
	}
}

func TestHotPathAllocatesNothing(t *testing.T) {
	dir := t.TempDir()
	files(t, dir, map[string]string{"example.org": "x", "192.0.2.0_24": "y"})
	s, _ := open(t, Options{Dir: dir})
	r := new(enrich.Record)
	for _, word := range []string{"192.0.2.1", "198.51.100.1", "AS64500", "example.org", "Example.ORG", "example.com"} {
		q := enrich.Query{Subject: mustParse(t, word)}
		if n := testing.AllocsPerRun(100, func() { r.Reset(q.Subject); s.Add(&q, r) }); n != 0 {
			t.Errorf("%s: %v allocations", word, n)
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	address := enrich.AddressOf(netip.MustParseAddr("192.0.2.1"))
	for _, bc := range []struct {
		name  string
		files map[string]string
		ask   enrich.Subject
	}{
		{"no addresses in the folder", map[string]string{"example.org": "x"}, address},
		{"address, miss", map[string]string{"198.51.100.0_24": "x"}, address},
		{"address, hit", map[string]string{"192.0.2.0_24": "x"}, address},
		{"domain, hit", map[string]string{"example.org": "x"}, mustParse(b, "example.org")},
	} {
		b.Run(bc.name, func(b *testing.B) {
			dir := b.TempDir()
			files(b, dir, bc.files)
			s, _ := open(b, Options{Dir: dir})
			q, r := enrich.Query{Subject: bc.ask}, new(enrich.Record)
			b.ReportAllocs()
			for b.Loop() {
				r.Reset(q.Subject)
				s.Add(&q, r)
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	dir, many := b.TempDir(), make(map[string]string)
	for i := range 10_000 {
		many[fmt.Sprintf("name-%d.example.org", i)] = legacy
	}
	files(b, dir, many)
	s, _ := open(b, Options{Dir: dir})
	s.now = func() time.Time { return time.Now().Add(time.Hour) }
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			s.files = nil
			s.reload()
		}
	})
	b.Run("nothing new", func(b *testing.B) {
		for b.Loop() {
			s.reload()
		}
	})
}

// TestRefreshLetsGo: a reload of the configuration is when the operator says that a folder that is gone stays gone.
func TestRefreshLetsGo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "records")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "example.org"), []byte("role: test\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := New(Options{Dir: dir})
	if err := s.Open(context.Background()); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	s.reload()
	if n := s.Status().Records; n != 1 {
		t.Errorf("%d records after the folder vanished, want the last good one", n)
	}
	s.Refresh()
	if n := s.Status().Records; n != 0 {
		t.Errorf("%d records after a refresh, want none", n)
	}
}

// TestRefreshNow: a folder that is not there is said to be missing, and what is wrong with single records stands in the status.
func TestRefreshNow(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "records")
	s := New(Options{Dir: dir, MaxFileSize: 100})
	if err := s.Open(context.Background()); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.RefreshNow(t.Context()); err == nil || !s.Status().Data[0].Missing {
		t.Errorf("without a folder: %v, %+v", err, s.Status())
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"example.org": "role: test\n", "large": strings.Repeat("x", 200)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.RefreshNow(t.Context()); err != nil {
		t.Error(err)
	}
	st := s.Status()
	if st.Records != 1 || st.Data[0].Missing || len(st.Problems) != 1 || st.Problems[0].Text != filepath.Join(dir, "large")+": larger than 100 bytes" {
		t.Errorf("%+v", st)
	}
}

// A folder as it was at first is no news; what changes in it is, and what is refused, one piece of news a reading.
func TestNews(t *testing.T) {
	dir := t.TempDir()
	files(t, dir, map[string]string{"example.org": "one"})
	var news []string
	s, _ := open(t, Options{Dir: dir, MaxFileSize: 10, News: func(d enrich.DataStatus) {
		news = append(news, fmt.Sprintf("%d %q last good: %t", d.Records, strings.ReplaceAll(d.Error, dir, "."), !d.Loaded.IsZero()))
	}})
	s.reload()
	files(t, dir, map[string]string{"example.net": "two"})
	s.reload()
	files(t, dir, map[string]string{"a.example": strings.Repeat("x", 11), "b.example": strings.Repeat("x", 11), "c.example": "three"})
	s.reload()
	s.reload()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	s.reload()
	want := []string{
		`2 "" last good: true`, `3 "" last good: true`,
		`3 "2 records with problems, the first: ./a.example: larger than 10 bytes" last good: true`,
		`3 "lstat .: no such file or directory" last good: true`,
	}
	if !slices.Equal(news, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(news, "\n"), strings.Join(want, "\n"))
	}
}
