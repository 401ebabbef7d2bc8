package update

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.String()
}

func zipped(name, text string) string {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, _ := w.Create(name)
	io.WriteString(f, text)
	w.Close()
	return b.String()
}

func TestCheck(t *testing.T) {
	b := newBench(t)
	first, second := list("2026-01-01", 10), list("2026-01-02", 12)
	b.origin.put(dataURL, first)
	b.is(Updated, "", first)
	if st := b.Status(); st.Checked.IsZero() || st.Changed.IsZero() || st.SHA256 != sumOf(first) || st.URL != dataURL || st.From != "example.org" {
		t.Errorf("%+v", st)
	}
	b.is(Unchanged, "", first)
	if r := b.origin.heard[1]; r.Header.Get("If-None-Match") == "" {
		t.Errorf("the second question has no condition: %v", r.Header)
	}
	b.origin.put(dataURL, second)
	b.is(Updated, "", second)
	if got, want := b.outcomes(), "[updated unchanged updated]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if n := b.logs.FilterMessage("data updated").Len(); n != 2 {
		t.Errorf("%d log lines", n)
	}
}

// TestCheckRemembers goes on after a restart where it was.
func TestCheckRemembers(t *testing.T) {
	b := newBench(t)
	text := list("2026-01-01", 10)
	b.origin.put(dataURL, text)
	b.is(Updated, "", text)
	again := benchAt(t, b.file, b.origin)
	if st := again.Status(); st.Checked.IsZero() || st.SHA256 != sumOf(text) {
		t.Errorf("%+v", st)
	}
	again.is(Unchanged, "", text)

	// What the operator puts there himself is not the one that the ETag is of.
	own := list("2025-12-01", 10)
	if err := errors.Join(os.WriteFile(b.file, []byte(own), 0o644), os.Chmod(b.file, 0o600)); err != nil {
		t.Fatal(err)
	}
	if st := benchAt(t, b.file, b.origin).Status(); !st.Checked.IsZero() || st.SHA256 != "" {
		t.Errorf("of another file: %+v", st)
	}
	again.is(Updated, "", text)
	if info, err := os.Stat(b.file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v (%v)", info.Mode(), err)
	}
	// A state that cannot be read is none.
	if err := os.WriteFile(beside(b.file, ".json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	again.is(Unchanged, "", text)
	if st := again.Status(); st.SHA256 != sumOf(text) {
		t.Errorf("%+v", st)
	}
}

// TestCheckRefuses has what must not serve come, with a good file in place and without.
func TestCheckRefuses(t *testing.T) {
	good := list("2026-01-02", 10)
	for _, tt := range []struct {
		name, comes, want string
		outcome           Outcome
		first             string // what it is where no file is in place; empty for the same
		force             string // and where it is forced
	}{
		{"a web page", "<html>", "refused: it is a web page", Refused, "", "a web page"},
		{"other data", "numbers\n", "refused: not a list of names", Refused, "", "not a list of names"},
		{"nothing", "", "refused: it is empty", Refused, "", "it is empty"},
		{"no records", list("2026-01-02", 0), "refused: it has 0 records", Refused, "", "0 records"},
		{"an older one", list("2026-01-01", 10), "refused: it was built 2026-01-01T00:00:00Z, and what is there 2026-01-02", Refused, "ok", ""},
		{"half of it", list("2026-01-03", 4), "refused: it has 4 records, less than half of the 10", Refused, "ok", ""},
		{"a broken gzip", gzipped(good)[:20], "refused: it ends in the middle", Refused, "", "ends in the middle"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.origin.put(dataURL, tt.comes)
			if tt.first == "" {
				b.is(tt.outcome, tt.want[:12], "")
			}
			b.origin.put(dataURL, good)
			b.is(Updated, "", good)
			b.origin.put(dataURL, tt.comes)
			b.is(tt.outcome, tt.want, good)
			if st := b.Status(); !strings.Contains(st.Error, tt.want) || st.SHA256 != sumOf(good) || st.ErrorTime.IsZero() {
				t.Errorf("%+v", st)
			}
			_, err := b.Check(t.Context(), How{Force: true})
			if forced := tt.force == ""; forced != (err == nil) {
				t.Errorf("forced: %v", err)
			}
		})
	}
}

func TestCheckRefusalsEnd(t *testing.T) {
	b := newBench(t)
	good := list("2026-01-02", 10)
	b.origin.put(dataURL, "bad")
	b.is(Refused, "not a list", "")
	b.origin.put(dataURL, good)
	b.is(Updated, "", good)
	if st := b.Status(); st.Error != "" || !st.ErrorTime.IsZero() {
		t.Errorf("%+v", st)
	}
	// A file that does not serve is no measure.
	if err := os.WriteFile(b.file, []byte("broken"), 0o644); err != nil {
		t.Fatal(err)
	}
	old := list("2025-01-01", 1)
	b.origin.put(dataURL, old)
	b.is(Updated, "", old)
}

func TestCheckLeast(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Origin.Least = 100 })
	few := list("2026-01-02", 99)
	b.origin.put(dataURL, few)
	b.is(Refused, "99 records, of which there should be 100", "")
	b.isSo(How{Force: true}, Updated, "", few)
}

func TestCheckUnpacks(t *testing.T) {
	text := list("2026-01-01", 10)
	for name, packed := range map[string]string{"gzip": gzipped(text), "zip": zipped("d/names.txt", text)} {
		b := newBench(t)
		b.origin.put(dataURL, packed)
		b.is(Updated, "", text)
		b.origin.serve = func(r *http.Request) *http.Response { // a server that knows of no ETag
			return answer(200, packed)
		}
		b.is(Unchanged, "", text)
		if st := b.Status(); st.SHA256 != sumOf(text) {
			t.Errorf("%s: %+v", name, st)
		}
	}
	b := newBench(t, func(o *Options) {
		o.Packed = true
		o.Probe = func(context.Context, string) (Facts, error) { return Facts{Records: 1}, nil }
	})
	packed := zipped("names.txt", text)
	b.origin.put(dataURL, packed)
	b.is(Updated, "", packed)
	b.origin.put(dataURL, zipped("names.csv", text)[:50])
	b.is(Refused, "unpacking it", packed)
}

func TestCheckSizes(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Limit, o.Unpacked = 1000, 2000 })
	b.origin.put(dataURL, list("2026-01-01", 1000))
	b.is(Refused, "more than 1000 bytes", "")
	b.origin.put(dataURL, gzipped(list("2026-01-01", 1000)))
	b.is(Refused, "more than 2000 bytes unpacked", "")
}

func TestCheckSums(t *testing.T) {
	const sumURL = "https://example.org/names.txt.sha256"
	text := list("2026-01-01", 10)
	b := newBench(t, func(o *Options) { o.Origin.Sum, o.Origin.Token = sumURL, "t0ken" })
	b.origin.put(dataURL, text)
	b.is(Failed, "the checksum: the server answers 404", "")
	b.origin.put(sumURL, sumOf("other")+"  names.txt")
	b.is(Refused, "its SHA-256 is "+sumOf(text)+", not "+sumOf("other"), "")
	b.origin.put(sumURL, sumOf(text)+"  names.txt")
	b.is(Updated, "", text)
	b.origin.requests()
	b.is(Unchanged, "", text)
	if asked := b.origin.requests(); fmt.Sprint(asked) != "["+sumURL+"]" {
		t.Errorf("asked for %v: the checksum tells that there is nothing new", asked)
	}
	for _, r := range b.origin.heard {
		if r.Header.Get("Authorization") != "Bearer t0ken" {
			t.Errorf("%s without the token", r.URL)
		}
	}
	// A checksum on another server is asked for without it, and one may be written down.
	other := newBench(t, func(o *Options) { o.Origin.Sum, o.Origin.Token = "https://sums.example.net/names", "t0ken" })
	other.origin.put(dataURL, text)
	other.origin.put("https://sums.example.net/names", sumOf(text))
	other.is(Updated, "", text)
	if got := other.origin.heard[0].Header.Get("Authorization"); got != "" {
		t.Errorf("another server hears %q", got)
	}
	written := newBench(t, func(o *Options) { o.Origin.Sum = strings.ToUpper(sumOf(text)) })
	written.origin.put(dataURL, text)
	written.is(Updated, "", text)
	written.origin.put(dataURL, list("2026-01-02", 10))
	written.is(Unchanged, "", text) // it is the one with that checksum
}

func TestCheckDates(t *testing.T) {
	now := time.Now().UTC()
	month := func(n int) string {
		first := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
		return "https://example.org/" + first.AddDate(0, n, 0).Format("2006/01") + ".txt"
	}
	b := newBench(t, func(o *Options) { o.Origin.URL = "https://example.org/{year}/{month}.txt" })
	b.is(Failed, "404", "")
	if got, want := fmt.Sprint(b.origin.requests()), fmt.Sprint([]string{month(0), month(-1), month(-2)}); got != want {
		t.Errorf("asked for %s, want %s", got, want)
	}
	last, this := list("2026-01-01", 10), list("2026-02-01", 11)
	b.origin.put(month(-1), last)
	b.is(Updated, "", last)
	b.is(Unchanged, "", last)
	b.origin.put(month(0), this)
	b.is(Updated, "", this)
	if r := b.origin.heard[len(b.origin.heard)-1]; r.Header.Get("If-None-Match") != "" {
		t.Error("this month's file was asked for with the ETag of last month's")
	}
	if st := b.Status(); st.URL != "https://example.org/{year}/{month}.txt" {
		t.Errorf("%+v", st)
	}
}

// TestCheckKeepsSecrets has every way to write one, and servers that show it.
func TestCheckKeepsSecrets(t *testing.T) {
	const secret = "s3cr3t t0ken"
	vars := map[string]string{"env.TOKEN": secret}
	for name, o := range map[string]Origin{
		"in the URL":      {URL: dataURL + "?token={token}", Token: "{env.TOKEN}"},
		"bearer":          {URL: dataURL, Token: "{env.TOKEN}"},
		"basic":           {URL: dataURL, User: "user", Password: "{env.TOKEN}"},
		"a header":        {URL: dataURL, Header: map[string]string{"x-key": "{env.TOKEN}"}},
		"in the path":     {URL: "https://example.org/{token}/names.txt", Token: "{env.TOKEN}"},
		"in the checksum": {URL: dataURL, Sum: "https://example.org/sum?t={token}", Token: "{env.TOKEN}"},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			b := newBench(t, func(opt *Options) {
				opt.Origin = o
				opt.Expand = func(text string, more map[string]string) (string, error) {
					asked++
					text, _ = expand(text, vars)
					return expand(text, more)
				}
				opt.Probe = func(context.Context, string) (Facts, error) { return Facts{}, errors.New("it says " + secret) }
			})
			if asked > 0 {
				t.Error("the secret was looked up before it was needed")
			}
			b.origin.serve = func(r *http.Request) *http.Response {
				if strings.HasSuffix(r.URL.Path, "sum") {
					return answer(200, sumOf("data"))
				}
				return answer(200, "data")
			}
			_, err := b.Check(t.Context(), How{})
			if err == nil {
				t.Fatal("no error")
			}
			r := b.origin.heard[0]
			told := fmt.Sprint(r.URL, r.Header)
			if _, password, ok := r.BasicAuth(); ok {
				told += password
			}
			if !strings.Contains(told, "s3cr3t") {
				t.Errorf("the server was not told: %s", told)
			}
			state, _ := os.ReadFile(beside(b.file, ".json"))
			all := fmt.Sprint(err, b.Status(), string(state))
			for _, e := range b.logs.All() {
				all += fmt.Sprint(e.Message, e.ContextMap())
			}
			if strings.Contains(all, "s3cr3t") {
				t.Errorf("the secret is shown: %s", all)
			}
			if !strings.Contains(all, "it says ***") {
				t.Errorf("the error is not told: %s", all)
			}
		})
	}
}

func TestCheckWithoutASecret(t *testing.T) {
	b := newBench(t, func(o *Options) {
		o.Origin.Token = "{env.NONE}"
		o.Expand = func(text string, vars map[string]string) (string, error) {
			if strings.Contains(text, "NONE") {
				return "", errors.New("{env.NONE} is empty")
			}
			return expand(text, vars)
		}
	})
	b.is(Failed, "{env.NONE} is empty", "")
	if len(b.origin.requests()) > 0 {
		t.Error("the server was asked nevertheless")
	}
	b = newBench(t, func(o *Options) { o.Origin.URL = dataURL + "?token={token}" })
	b.is(Failed, "wants a token", "")
}

func TestCheckOfAFolderThatCannotBeWritten(t *testing.T) {
	b := newBench(t)
	b.origin.put(dataURL, list("2026-01-01", 1))
	if err := os.WriteFile(filepath.Dir(b.file), nil, 0o644); err != nil { // a file where the folder should be
		t.Fatal(err)
	}
	if _, err := b.Check(t.Context(), How{}); err == nil || len(b.origin.requests()) > 0 {
		t.Errorf("%v", err)
	}
}

// TestCheckFollowsLinks replaces what a link points to, and not the link.
func TestCheckFollowsLinks(t *testing.T) {
	b := newBench(t)
	text, dir := list("2026-01-01", 10), t.TempDir()
	target := filepath.Join(dir, "target.txt")
	if err := errors.Join(os.WriteFile(target, []byte("old"), 0o644), os.MkdirAll(filepath.Dir(b.file), 0o755), os.Symlink(target, b.file)); err != nil {
		t.Skip(err)
	}
	b.origin.put(dataURL, text)
	b.is(Updated, "", text)
	if got, err := os.Readlink(b.file); err != nil || got != target {
		t.Errorf("the link points to %s (%v)", got, err)
	}
	b.is(Unchanged, "", text)
}

func TestCheckSweeps(t *testing.T) {
	b := newBench(t)
	text := list("2026-01-01", 10)
	b.origin.put(dataURL, text)
	b.is(Updated, "", text)
	f, err := create(b.file)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	b.Check(t.Context(), How{})
	if _, err := os.Stat(f.Name()); err != nil {
		t.Errorf("what another process writes at the moment was removed: %v", err)
	}
	old := time.Now().Add(-2 * abandoned)
	os.Chtimes(f.Name(), old, old)
	b.Check(t.Context(), How{})
	if _, err := os.Stat(f.Name()); err == nil {
		t.Error("what a killed process left stays")
	}
}

func TestCheckTellsTheTime(t *testing.T) {
	b := newBench(t)
	b.origin.serve = func(*http.Request) *http.Response {
		return answer(200, list("2026-01-01", 10), "Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
	}
	if _, err := b.Check(t.Context(), How{}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(b.file); err != nil || !info.ModTime().Equal(time.Date(2006, 1, 2, 15, 4, 5, 0, time.UTC)) {
		t.Errorf("%v (%v)", info.ModTime(), err)
	}
}
