package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/store"
	"github.com/whence-project/whence/store/embedded"
)

// folder serves the files of RFC 9224, with ETags, and tells how it was asked. It is an http.RoundTripper too.
type folder struct {
	mu     sync.Mutex
	files  map[string]string // by path; "" is a server error
	answer http.HandlerFunc  // in place of the files
	asked  []string          // "/dns.json 304"
}

func newFolder() *folder {
	return &folder{files: map[string]string{
		"/dns.json":         string(document10(`[["com","net","org"],["https://rdap.example/"]]`)),
		"/ipv4.json":        string(document10(`[["8.0.0.0/8"],["https://rdap.example/"]]`)),
		"/ipv6.json":        string(document10(`[["2001:4400::/23"],["https://rdap.example/"]]`)),
		"/asn.json":         string(document10(`[["1-100"],["https://rdap.example/"]]`)),
		"/object-tags.json": string(document10(`[["a@example.org"],["TEST"],["https://rdap.example/"]]`)),
	}}
}

func (f *folder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	status := http.StatusOK
	body := f.files[r.URL.Path]
	etag := fmt.Sprintf(`"%08x"`, crc32.ChecksumIEEE([]byte(body)))
	switch {
	case f.answer != nil:
		f.answer(w, r)
		return
	case body == "":
		status = http.StatusInternalServerError
	case r.Header.Get("If-None-Match") == etag && r.Header.Get("If-Modified-Since") == "yesterday":
		status = http.StatusNotModified
	default:
		w.Header().Set("ETag", etag)
		w.Header().Set("Last-Modified", "yesterday")
	}
	f.asked = append(f.asked, fmt.Sprint(r.URL.Path, " ", status))
	if w.WriteHeader(status); status == http.StatusOK {
		_, _ = io.WriteString(w, body)
	}
}

// RoundTrip answers without a network, for tests whose clock is not the machine's.
func (f *folder) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w.Result(), nil
}

// take is how it was asked since the last time.
func (f *folder) take() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := strings.Join(f.asked, " ")
	f.asked = nil
	return all
}

func (f *folder) set(file, body string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.files["/"+file] = body
}

const (
	allNew = "/dns.json 200 /ipv4.json 200 /ipv6.json 200 /asn.json 200 /object-tags.json 200"
	allOld = "/dns.json 304 /ipv4.json 304 /ipv6.json 304 /asn.json 304 /object-tags.json 304"
)

func serve(t *testing.T, f *folder) string {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.URL
}

func TestRefresh(t *testing.T) {
	f := newFolder()
	now := t0
	b := New(Options{URL: serve(t, f), Now: func() time.Time { return now }})
	if err := b.Refresh(t.Context()); err != nil || f.take() != allNew {
		t.Fatalf("first: %v", err)
	}
	if got := text(b.Domain("example.com")); got != `https://rdap.example/ - "com" iana` {
		t.Errorf("%s", got)
	}
	dns := b.view.Load().files[fileDNS]

	now = t0.Add(time.Hour)
	if err := b.Refresh(t.Context()); err != nil || f.take() != allOld || b.view.Load().files[fileDNS] != dns {
		t.Fatalf("unchanged: %v", err)
	}
	if s := b.Status(); len(s) != len(files) || s[0] != (FileStatus{
		File: "dns.json", Origin: Fetched, Publication: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Records: 3, Fetched: now,
	}) {
		t.Errorf("%+v", s)
	}

	f.set("dns.json", string(document10(`[["com","net"],["https://new.example/"]]`)))
	if err := b.Refresh(t.Context()); err != nil || !strings.HasPrefix(f.take(), "/dns.json 200 /ipv4.json 304") {
		t.Fatalf("changed: %v", err)
	}
	if got := text(b.Domain("example.com")) + text(b.Domain("example.org")); got != `https://new.example/ - "com" iana- - "" ` {
		t.Errorf("changed: %s", got)
	}
}

// What cannot be had or is not sound leaves in place what there is, of that file alone.
func TestRefreshKeepsTheLastGoodOnes(t *testing.T) {
	big := `[["` + strings.Repeat(`a","`, maxFile/4) + `"],["https://rdap.example/"]]`
	for _, tt := range []struct{ name, body, want string }{
		{"error", "", "dns.json: the server answers 500 Internal Server Error"},
		{"garbage", "<html>It works</html>", "dns.json: no JSON of RFC 9224: invalid character '<' looking for beginning of value"},
		{"cut off", `{"version":"1.0","publication":"2026-01-02T03:04:05Z","services":[[["com"`, "dns.json: no JSON of RFC 9224: unexpected end of JSON input"},
		{"shrunk", string(document10(`[["com"],["https://new.example/"]]`)), "dns.json: 1 entries, of which there should be 2 at least: less than half of what there were"},
		{"too large", string(document10(big)), fmt.Sprintf("dns.json: more than %d bytes", maxFile)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFolder()
			now := t0
			var news []string
			b := New(Options{URL: serve(t, f), Now: func() time.Time { return now }, News: func(d enrich.DataStatus) {
				news = append(news, path.Base(d.Path)+": "+d.Error)
			}})
			if err := b.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			now = t0.Add(time.Hour)
			f.set("dns.json", tt.body)
			f.set("asn.json", string(document10(`[["1-200"],["https://new.example/"]]`)))
			err := b.Refresh(t.Context())
			if err == nil || err.Error() != tt.want {
				t.Errorf("%v, want %s", err, tt.want)
			}
			if got := text(b.Domain("example.com")) + text(b.AS(150)); got != `https://rdap.example/ - "com" iana`+`https://new.example/ - "1-200" iana` {
				t.Errorf("%s", got)
			}
			if s := b.Status()[fileDNS]; s.Error != tt.want || s.ErrorTime != now || s.Fetched != t0 || s.Records != 3 {
				t.Errorf("%+v", s)
			}
			f.set("dns.json", string(document10(`[["com","net"],["https://new.example/"]]`)))
			if err := b.Refresh(t.Context()); err != nil || b.Status()[fileDNS].Error != "" {
				t.Errorf("mended: %v, %+v", err, b.Status()[fileDNS])
			}
			wantNews := []string{tt.want, "asn.json: ", "dns.json: "}
			if tt.body == "" {
				wantNews = wantNews[1:] // what cannot be had is not refused
			}
			if !slices.Equal(news, wantNews) {
				t.Errorf("told %q, want %q", news, wantNews)
			}
		})
	}
}

// The first file fetched has the compiled tables to be measured by.
func TestRefreshComparesWithWhatIsCompiledIn(t *testing.T) {
	f := newFolder()
	b := New(Options{URL: serve(t, f), Compiled: true})
	err := b.Refresh(t.Context())
	for _, file := range []string{"dns.json: 3 entries", "ipv6.json: 1 entries", "asn.json: 1 entries", "object-tags.json: 1 entries"} {
		if err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s is not in %v", file, err)
		}
	}
	if got := b.Domain("example.com"); got.Origin != Compiled || b.Status()[fileDNS].Origin != Compiled || b.Status()[fileIPv4].Origin != Fetched {
		t.Errorf("%s, %+v", text(got), b.Status())
	}
}

func TestRefreshEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel(errors.New("shutting down"))
		<-r.Context().Done()
	}))
	defer hangs.Close()
	b := New(Options{URL: hangs.URL, Compiled: true})
	if err := b.Refresh(ctx); err == nil || err.Error() != "shutting down" {
		t.Errorf("%v", err)
	}
	for _, s := range b.Status() {
		if s.Error != "" {
			t.Errorf("nothing is wrong with %+v", s)
		}
	}
	if b.Domain("example.com").RDAP == nil {
		t.Error("nobody is known")
	}
}

// A 304 that nobody asked for is no file.
func TestRefreshUnaskedNotModified(t *testing.T) {
	f := newFolder()
	f.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }
	b := New(Options{URL: serve(t, f)})
	if err := b.Refresh(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "dns.json: the server answers 304 Not Modified\nipv4.json: ") {
		t.Errorf("%v", err)
	}
}

func TestWithoutURL(t *testing.T) {
	b := New(Options{Compiled: true})
	b.Load()
	b.Run(t.Context())
	if err := b.Refresh(t.Context()); err != nil || b.Status() != nil {
		t.Errorf("%v, %+v", err, b.Status())
	}
}

func newCache(t *testing.T, dir string) (store.Cache, func()) {
	t.Helper()
	s, err := embedded.Open(dir, embedded.Options{Now: at(t0)})
	if err != nil {
		t.Fatal(err)
	}
	return s.Cache(), func() { s.Close() }
}

func TestRestart(t *testing.T) {
	f, dir := newFolder(), t.TempDir()
	o := Options{URL: serve(t, f), Now: at(t0)}
	var closeStore func()
	o.Cache, closeStore = newCache(t, dir)
	if err := New(o).Refresh(t.Context()); err != nil || f.take() != allNew {
		t.Fatal(err)
	}
	closeStore()

	o.Cache, closeStore = newCache(t, dir)
	defer closeStore()
	o.Now = at(t0.Add(time.Hour))
	b := New(o)
	b.Load()
	if got := text(b.Domain("example.com")) + text(b.Tag("A-TEST")); got != `https://rdap.example/ - "com" iana`+`https://rdap.example/ - "TEST" iana` {
		t.Errorf("%s", got)
	}
	if s := b.Status()[fileASN]; s.Records != 1 || !s.Fetched.Equal(t0) || f.take() != "" {
		t.Errorf("%+v", s)
	}
	if wait := b.firstWait(); wait < 20*time.Hour || wait > 26*time.Hour {
		t.Errorf("next refresh in %s", wait)
	}
	if err := b.Refresh(t.Context()); err != nil || f.take() != allOld {
		t.Errorf("after the restart all was asked for anew: %v", err)
	}

	// Of another folder nothing is had; what is not sound is dropped.
	o.Cache.Put(bucket, b.key(fileDNS), []byte(`{"body":{"version":"1.0"}}`), time.Time{})
	o.Cache.Put(bucket, b.key(fileASN), []byte(`{`), time.Time{})
	b = New(o)
	b.Load()
	if s := b.Status(); s[fileDNS].Records != 0 || s[fileASN].Records != 0 || s[fileTags].Records != 1 {
		t.Errorf("%+v", s)
	}
	if _, _, ok := o.Cache.Get(bucket, b.key(fileDNS)); ok {
		t.Error("a broken file is kept")
	}
	o.URL += "/other/"
	b = New(o)
	b.Load()
	if s := b.Status(); s[fileTags].Records != 0 {
		t.Errorf("%+v", s)
	}
}
