package records

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/whence-project/whence/enrich"
)

// outside is a folder of records beside another one with a secret.
func outside(t testing.TB) (dir string) {
	t.Helper()
	top := t.TempDir()
	files(t, top, map[string]string{
		"secret/passwd":    "secret",
		"secret.org":       "secret",
		"db/example.org":   "public",
		"db/sub/inner.org": "inner",
	})
	dir = filepath.Join(top, "db")
	files(t, dir, map[string]string{
		"in.org":         "-> example.org",
		"sub/up.org":     "-> ../example.org",
		"absolute.org":   "-> " + filepath.Join(dir, "example.org"),
		"alias":          "-> sub",
		"absolute-alias": "-> " + filepath.Join(dir, "sub"),
		"out.org":        "-> ../secret.org",
		"absolute-out":   "-> " + filepath.Join(top, "secret.org"),
		"out-folder":     "-> ../secret",
		"root":           "-> /",
		"nothing.org":    "-> missing.org",
		"loop":           "-> loop",
		"self":           "-> .",
		"sub/top":        "-> ..",
		"192.0.2.1":      "-> ../secret.org",
	})
	return dir
}

func TestTricks(t *testing.T) {
	dir := outside(t)
	s, logs := open(t, Options{Dir: dir})
	for _, tc := range []struct{ ask, want string }{
		{"in.org", "public\r\n"},
		{"absolute.org", "public\r\n"},
		{"sub/up.org", "public\r\n"},
		{"alias/inner.org", "inner\r\n"},
		{"absolute-alias/inner.org", "inner\r\n"},
		{"nothing.org", notFound},
		{"loop", notFound},
		{"self", notFound},
		{"self/example.org", notFound},
		{"out.org", refused},
		{"OUT.org", refused},
		{"192.0.2.1", refused},
		{"absolute-out", refused},
		{"out-folder", refused},
		{"out-folder/passwd", refused},
		{"./out-folder//passwd", refused},
		{"root/etc/passwd", refused},
		{"../secret.org", refused},
		{"../../etc/passwd", refused},
		{"sub/../../secret.org", refused},
		{"sub/../example.org", refused},
		{`..\secret.org`, refused},
		{"..", refused},
		{"/etc/passwd", refused},
		{filepath.Join(dir, "example.org"), refused},
	} {
		t.Run(tc.ask, func(t *testing.T) {
			if got := ask(t, s, tc.ask); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
	if n := logs.FilterField(zap.String("problem", errOutside.Error())).Len(); n != 5 {
		t.Errorf("%d links out of the folder were logged, want 5: %v", n, logs.All())
	}
	s.reload()
	if n := logs.FilterField(zap.String("problem", errOutside.Error())).Len(); n != 5 {
		t.Errorf("they were logged again")
	}
	empty := New(Options{Dir: t.TempDir()})
	if got := ask(t, empty, "../../etc/passwd"); got != refused {
		t.Errorf("in an empty folder: %q, want %q", got, refused)
	}
}

// NUL cannot be in a Subject that was parsed, but the table does not rely on that.
func TestTrickNUL(t *testing.T) {
	if !newTable(nil).trick("a\x00b") {
		t.Error("NUL is no trick")
	}
}

func TestFolderIsALink(t *testing.T) {
	top := t.TempDir()
	files(t, top, map[string]string{"v1/example.org": "one", "db": "-> v1"})
	s, _ := open(t, Options{Dir: filepath.Join(top, "db")})
	if got := ask(t, s, "example.org"); got != "one\r\n" {
		t.Errorf("%q", got)
	}
}

func TestBounds(t *testing.T) {
	dir := t.TempDir()
	files(t, dir, map[string]string{"a": "12345", "b": "123456", "c": "1", "d/e/f/g/h": "4", "d/e/f/g/h2/i": "5"})
	s, logs := open(t, Options{Dir: dir, MaxFileSize: 5})
	for word, want := range map[string]string{"a": "12345\r\n", "b": notFound, "d/e/f/g/h": "4\r\n", "d/e/f/g/h2/i": notFound} {
		if got := ask(t, s, word); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
	for _, problem := range []string{"larger than 5 bytes", "more than 4 folders deep"} {
		if logs.FilterField(zap.String("problem", problem)).Len() != 1 {
			t.Errorf("%q is not in the log: %v", problem, logs.All())
		}
	}

	for _, o := range []Options{{MaxFiles: 2}, {MaxBytes: 11}} {
		o.Dir = dir
		s, logs := open(t, o)
		if n := s.Status().Records; n != 2 {
			t.Errorf("%+v: %d records, want 2", o, n)
		}
		if got := ask(t, s, "a") + ask(t, s, "b"); got != "12345\r\n123456\r\n" {
			t.Errorf("%+v: not the first two: %q", o, got)
		}
		if logs.FilterField(zap.String("path", dir)).FilterFieldKey("problem").Len() != 1 {
			t.Errorf("%+v: log %v", o, logs.All())
		}
	}
}

func TestReloadReadsWhatChanged(t *testing.T) {
	dir := t.TempDir()
	files(t, dir, map[string]string{"a.org": "1", "b.org": "2", "c/d": "3"})
	old := time.Now().Add(-time.Hour)
	for _, name := range []string{"a.org", "b.org", "c/d"} {
		if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	s, _ := open(t, Options{Dir: dir, MaxFileSize: 10})
	before := s.files
	generation := s.Status().Generation
	s.reload()
	if s.Status().Generation != generation {
		t.Error("a new generation of the same records")
	}

	files(t, dir, map[string]string{"b.org": "two", "e.org": "new"})
	if err := os.Remove(filepath.Join(dir, "c", "d")); err != nil {
		t.Fatal(err)
	}
	s.reload()
	for word, want := range map[string]string{"a.org": "1\r\n", "b.org": "two\r\n", "e.org": "new\r\n", "c/d": notFound} {
		if got := ask(t, s, word); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
	if s.files["a.org"] != before["a.org"] {
		t.Error("a file that did not change was read again")
	}
	if s.Status().Generation == generation {
		t.Error("other records, same generation")
	}

	files(t, dir, map[string]string{"a.org": "far too large a record"})
	s.reload()
	if got := ask(t, s, "a.org"); got != "1\r\n" {
		t.Errorf("after a bad change: %q, want what was there before", got)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	s.reload()
	if got := ask(t, s, "b.org"); got != "two\r\n" || s.Status().Data[0].Error == "" {
		t.Errorf("without the folder: %q, status %+v", got, s.Status())
	}
}

// A file of the same size that is written within the same tick of the clock has the same fingerprint.
func TestReloadOfFreshFile(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	s, _ := open(t, Options{Dir: dir})
	for _, content := range []string{"one", "two"} {
		files(t, dir, map[string]string{"a": content})
		if err := os.Chtimes(filepath.Join(dir, "a"), now, now); err != nil {
			t.Fatal(err)
		}
		s.reload()
		if got := ask(t, s, "a"); got != content+"\r\n" {
			t.Errorf("%q, want %q", got, content)
		}
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func TestFolderThatComesLater(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "records")
	core, logs := observer.New(zap.InfoLevel)
	s := New(Options{Dir: dir, Logger: zap.New(core)})
	if err := s.Open(context.Background()); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := ask(t, s, "example.org"); got != notFound {
		t.Errorf("%q", got)
	}
	if n := logs.FilterMessageSnippet("missing").Len(); n != 1 {
		t.Errorf("%d lines say that the folder is missing", n)
	}
	files(t, dir, map[string]string{"example.org": "one", "sub/example.net": "sub"})
	eventually(t, "the folder", func() bool {
		return ask(t, s, "example.org") == "one\r\n" && ask(t, s, "sub/example.net") == "sub\r\n"
	})
	files(t, dir, map[string]string{"sub/example.net": "changed"})
	eventually(t, "a change in a folder below", func() bool { return ask(t, s, "sub/example.net") == "changed\r\n" })
	if err := os.Remove(filepath.Join(dir, "example.org")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the removal", func() bool { return ask(t, s, "example.org") == notFound })
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

func TestOpenWithoutFolder(t *testing.T) {
	if New(Options{}).Open(context.Background()) == nil {
		t.Error("no folder is no error")
	}
	if err := New(Options{Dir: "x"}).Close(); err != nil {
		t.Errorf("closed without being opened: %v", err)
	}
}

// TestSwapsNeverEscape changes names into links out of the folder and back while it is read, and answers meanwhile.
func TestSwapsNeverEscape(t *testing.T) {
	dir := outside(t)
	s, _ := open(t, Options{Dir: dir})
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; !stop.Load(); i++ {
			tmp, name := filepath.Join(dir, ".tmp"), filepath.Join(dir, "swapped.org")
			if i%2 == 0 {
				_ = os.WriteFile(tmp, fmt.Appendf(nil, "version %d", i), 0o644)
			} else {
				_ = os.Symlink("../secret.org", tmp)
			}
			_ = os.Rename(tmp, name)
			folder := filepath.Join(dir, "swap")
			if i%2 == 0 {
				_ = os.Remove(folder)
				_ = os.Mkdir(folder, 0o755)
			} else {
				_ = os.RemoveAll(folder)
				_ = os.Symlink("../secret", folder)
			}
		}
	})
	var answers atomic.Int64
	for range 2 {
		wg.Go(func() {
			words := []string{"swapped.org", "swap/passwd", "example.org"}
			for i := 0; !stop.Load(); i++ {
				r := new(enrich.Record)
				q := enrich.Query{Subject: mustParse(t, words[i%len(words)])}
				s.Add(&q, r)
				for _, p := range r.Parts() {
					if strings.Contains(p.Fragment.Verbatim(), "secret") {
						t.Error("what lies outside the folder was served")
						stop.Store(true)
					}
				}
				answers.Add(1)
			}
		})
	}
	for range 300 {
		s.reload()
	}
	stop.Store(true)
	wg.Wait()
	if answers.Load() == 0 {
		t.Error("no answer was asked for")
	}
	if got := ask(t, s, "example.org"); got != "public\r\n" {
		t.Errorf("afterwards: %q", got)
	}
}

func FuzzNamesNeverEscape(f *testing.F) {
	for _, name := range []string{"example.org", "../secret.org", "out-folder/passwd", "self/sub/inner.org", "/etc/passwd", "192.0.2.1", "AS1"} {
		f.Add(name)
	}
	s, _ := open(f, Options{Dir: outside(f)})
	f.Fuzz(func(t *testing.T, name string) {
		subject, err := enrich.ParseSubject(name)
		if err != nil {
			return
		}
		got := answer(t, s, subject)
		if got != notFound && got != refused && got != "public\r\n" && got != "inner\r\n" {
			t.Fatalf("%q: %q", name, got)
		}
		if subject.Kind() == enrich.Name && !filepath.IsLocal(name) && got != refused {
			t.Fatalf("%q leads out and was answered %q", name, got)
		}
	})
}
