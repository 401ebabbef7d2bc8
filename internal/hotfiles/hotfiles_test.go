package hotfiles

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// harness is a set of text files; those that say "bad" are refused.
type harness struct {
	set  *Set[string]
	logs *observer.ObservedLogs
	mu   sync.Mutex
	now  string   // what serves
	news []string // what was told
}

func open(t *testing.T, patterns ...string) *harness {
	t.Helper()
	h := new(harness)
	core, logs := observer.New(zap.DebugLevel)
	h.logs = logs
	h.set = New(Options[string]{
		What: "text", Patterns: patterns, Poll: 20 * time.Millisecond, Logger: zap.New(core),
		Load: func(_ context.Context, path string) (string, error) {
			b, err := os.ReadFile(path)
			if err == nil && strings.HasPrefix(string(b), "bad") {
				err = errors.New("a bad file")
			}
			return string(b), err
		},
		Describe: func(s string) FileStatus { return FileStatus{Records: len(s)} },
		News: func(f FileStatus) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.news = append(h.news, fmt.Sprintf("%s %d %q while %q, last good: %t", filepath.Base(f.Path), f.Records, f.Error, h.now, !f.Loaded.IsZero()))
		},
		Changed: func(generation uint64, serving []File[string]) {
			var b strings.Builder
			fmt.Fprint(&b, generation)
			for _, f := range serving {
				fmt.Fprintf(&b, " %d:%s=%s", f.Pattern, filepath.Base(f.Path), f.Data)
			}
			h.mu.Lock()
			h.now = b.String()
			h.mu.Unlock()
		},
	})
	if err := h.set.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.set.Close() })
	return h
}

func (h *harness) serves(t *testing.T, want string) {
	t.Helper()
	var got string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		h.mu.Lock()
		got = h.now
		h.mu.Unlock()
		if got == want {
			return
		}
	}
	t.Fatalf("serves %q, want %q", got, want)
}

func write(t *testing.T, dir, name, text string) string {
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

func TestFilesServeInTheOrderOfThePatterns(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "b.txt", "two")
	write(t, dir, "a.txt", "one")
	z := write(t, dir, "z.dat", "first")
	h := open(t, z, filepath.Join(dir, "*.txt"), filepath.Join(dir, "b.*"), filepath.Join(dir, "absent"))
	h.serves(t, "1 0:z.dat=first 1:a.txt=one 1:b.txt=two")
	st := h.set.Status()
	if st.Generation != 1 || st.Records != len("firstonetwo") || len(st.Files) != 4 {
		t.Fatalf("%+v", st)
	}
	if d := st.Files[3]; d.Path != filepath.Join(dir, "absent") || !strings.Contains(d.Error, "no text there yet") {
		t.Errorf("%+v", d)
	}
	if n := h.logs.FilterMessage("no text there yet; watching for it").Len(); n != 1 {
		t.Errorf("%d log lines for what is missing, want 1", n)
	}
}

func TestTheNextFileOfAPatternTakesTheGoneOnesPlace(t *testing.T) {
	dir := t.TempDir()
	first, other := write(t, dir, "list-1.txt", "one"), write(t, dir, "other", "x")
	h := open(t, filepath.Join(dir, "list-*.txt"), other)
	h.serves(t, "1 0:list-1.txt=one 1:other=x")
	if err := os.Remove(first); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); h.set.Status().LastError == "" && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	if st := h.set.Status(); !strings.Contains(st.LastError, first+": the file is gone") || st.Generation != 1 || st.Files[0].Error == "" {
		t.Errorf("%+v", st)
	}
	write(t, dir, "list-2.txt", "bad") // does not serve, and so takes nobody's place
	for deadline := time.Now().Add(20 * time.Second); len(h.set.Status().Files) != 3 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	h.serves(t, "1 0:list-1.txt=one 1:other=x")
	write(t, dir, "list-2.txt", "two")
	h.serves(t, "2 0:list-2.txt=two 1:other=x")
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	h.set.Refresh()
	h.serves(t, "3 0:list-2.txt=two")
}

func TestABadFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "a", "bad from the start")
	h := open(t, path)
	if st := h.set.Status(); st.Generation != 0 || st.Files[0].Error != "a bad file" || st.LastError != path+": a bad file" || st.ErrorTime.IsZero() {
		t.Fatalf("%+v", st)
	}
	write(t, dir, "a", "good")
	h.serves(t, "1 0:a=good")
	write(t, dir, "a", "bad")
	for deadline := time.Now().Add(20 * time.Second); h.set.Status().Files[0].Error == "" && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	h.serves(t, "1 0:a=good")
	refused := h.logs.FilterMessage("text refused").All()
	if len(refused) != 2 || refused[0].ContextMap()["last_good_serves"] != false || refused[1].ContextMap()["last_good_serves"] != true {
		t.Errorf("%v", refused)
	}
}

func TestOpenAndClose(t *testing.T) {
	s := New(Options[string]{})
	if err := errors.Join(s.Open(), s.Close(), s.Close()); err != nil {
		t.Errorf("a set of nothing: %v", err)
	}
	if err := New(Options[string]{Patterns: []string{"[a-"}}).Open(); err == nil {
		t.Error("a malformed pattern was opened")
	}
}

// TestReread reads again what looks unchanged, and says what does not serve.
func TestReread(t *testing.T) {
	dir := t.TempDir()
	a, b := write(t, dir, "a", "one"), write(t, dir, "b", "two")
	h := open(t, a, b)
	h.serves(t, "1 0:a=one 1:b=two")
	if err := h.set.Reread(); err != nil {
		t.Error(err)
	}
	h.serves(t, "2 0:a=one 1:b=two")
	write(t, dir, "a", "bad")
	if err := os.Remove(b); err != nil {
		t.Fatal(err)
	}
	err := h.set.Reread()
	if err == nil || err.Error() != a+": a bad file" {
		t.Errorf("one bad, one missing: %v", err)
	}
	h.serves(t, "3 0:a=one")
	if st := h.set.Status(); len(st.Files) != 2 || st.Files[0].Missing || !st.Files[1].Missing {
		t.Errorf("%+v", st.Files)
	}
	if err := os.Remove(a); err != nil {
		t.Fatal(err)
	}
	err = h.set.Reread()
	if err == nil || err.Error() != a+": no text there yet; watched\n"+b+": no text there yet; watched" {
		t.Errorf("all missing: %v", err)
	}
	h.set.Close()
	if err := h.set.Reread(); err == nil {
		t.Error("a closed set was read again")
	}
}

// What was there from the start is no news, unless it was refused.
func TestNews(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", "good")
	write(t, dir, "b", "bad")
	h := open(t, filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "c"))
	h.serves(t, "1 0:a=good")
	write(t, dir, "c", "late")
	h.serves(t, "2 0:a=good 2:c=late")
	write(t, dir, "a", "better")
	h.serves(t, "3 0:a=better 2:c=late")
	write(t, dir, "a", "bad")
	h.set.Refresh()
	h.serves(t, "3 0:a=better 2:c=late")
	want := []string{
		`b 0 "a bad file" while "1 0:a=good", last good: false`,
		`c 4 "" while "2 0:a=good 2:c=late", last good: true`,
		`a 6 "" while "3 0:a=better 2:c=late", last good: true`,
		`a 6 "a bad file" while "3 0:a=better 2:c=late", last good: true`,
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Equal(h.news, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(h.news, "\n"), strings.Join(want, "\n"))
	}
}
