package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/whence-project/whence/internal/testenv"
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
	etag := fmt.Sprintf(`"%x"`, len(body))
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
			b := New(Options{URL: serve(t, f), Now: func() time.Time { return now }})
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

// Files are asked for when they are a day old, and sooner after a failure, and never in step.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFolder()
		core, logs := observer.New(zap.WarnLevel)
		b := New(Options{URL: "http://rdap.test/", HTTP: &http.Client{Transport: f}, Logger: zap.New(core)})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); b.Run(ctx) }()
		synctest.Wait()
		if f.take() != allNew {
			t.Error("nothing to answer from, and yet waiting")
		}
		waits := map[time.Duration]bool{}
		for range 5 {
			began := time.Now()
			for f.take() == "" {
				time.Sleep(time.Second)
				synctest.Wait()
			}
			waited := time.Since(began)
			if waits[waited] = true; waited < 21*time.Hour || waited > 27*time.Hour {
				t.Errorf("asked after %s", waited)
			}
		}
		if len(waits) < 2 {
			t.Errorf("in step: %v", waits)
		}

		f.set("dns.json", "")
		for f.take() == "" {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		most := backOff
		for range 15 {
			began := time.Now()
			for f.take() == "" {
				time.Sleep(time.Second)
				synctest.Wait()
			}
			if waited := time.Since(began); waited > most+time.Second {
				t.Errorf("tried after %s, want at most %s", waited, most)
			}
			most = min(2*most, DefaultEvery)
		}
		if n := logs.Len(); n != 16 || !strings.Contains(fmt.Sprint(logs.All()[0].ContextMap()["error"]), "dns.json: the server answers 500") {
			t.Errorf("%d lines, %+v", n, logs.All()[0])
		}
		if b.Domain("example.com").RDAP == nil {
			t.Error("nobody is known any more")
		}
		cancel()
		<-done
	})
}

func TestWaits(t *testing.T) {
	for range 1000 {
		if d := spread(100 * time.Second); d < 90*time.Second || d > 110*time.Second {
			t.Fatalf("spread %s", d)
		}
		for failures, most := range map[int]time.Duration{1: time.Minute, 2: 2 * time.Minute, 5: 16 * time.Minute, 100: time.Hour} {
			if d := retryAfter(failures, time.Hour); d < leastWait || d > most {
				t.Fatalf("after %d failures %s", failures, d)
			}
		}
	}
	b := New(Options{Compiled: true, URL: "http://rdap.test/", Now: at(t0)})
	if d := b.firstWait(); d < 0 || d > startWithin {
		t.Errorf("first after %s", d)
	}
	for i := range files {
		b.held[i] = held{registry: new(registry), checked: t0.Add(1000 * time.Hour)}
	}
	if d := b.firstWait(); d > 27*time.Hour {
		t.Errorf("with files of the future after %s", d)
	}
}

func TestFiles(t *testing.T) {
	v := `"version":"1.0","publication":"2026-01-02T03:04:05Z",`
	for _, tt := range []struct {
		file       int
		body, want string
	}{
		{fileDNS, "", "dns.json: the file is empty"},
		{fileDNS, " \n", "dns.json: the file is empty"},
		{fileDNS, `[]`, "dns.json: no JSON of RFC 9224: "},
		{fileDNS, `{` + v + `"services":{}}`, "dns.json: no JSON of RFC 9224: "},
		{fileDNS, `{` + v + `"services":[[["com"],["https://a.example/"],7]]}`, "dns.json: no JSON of RFC 9224: "},
		{fileDNS, `{"publication":"2026-01-02T03:04:05Z","services":[[["com"],["https://a.example/"]]]}`, "dns.json: not of version 1"},
		{fileDNS, `{"version":"2.0","publication":"2026-01-02T03:04:05Z","services":[[["com"],["https://a.example/"]]]}`, "dns.json: not of version 1"},
		{fileDNS, `{"version":"1.0","services":[[["com"],["https://a.example/"]]]}`, "dns.json: no publication date"},
		{fileDNS, `{"version":"1.0","publication":"today","services":[[["com"],["https://a.example/"]]]}`, `dns.json: publication date "today"`},
		{fileDNS, `{` + v + `"services":[]}`, "dns.json: no services"},
		{fileDNS, `{` + v + `"services":null}`, "dns.json: no services"},
		{fileDNS, string(document10(`[["com"],["https://a.example/"]],[]`)), "dns.json: service 2: 0 lists instead of 2"},
		{fileDNS, string(document10(`[[],["https://a.example/"]]`)), "dns.json: service 1: no entries"},
		{fileDNS, string(document10(`[["com"],[]]`)), "dns.json: service 1: no URLs"},
		{fileDNS, string(document10(`[["com"],["ftp://a.example/"]]`)), `dns.json: service 1: "ftp://a.example/" is not a URL of http or https`},
		{fileDNS, string(document10(`[["com"],["https:///rdap"]]`)), `dns.json: service 1: "https:///rdap": `},
		{fileDNS, string(document10(`[["com"],["https://u:p@a.example/"]]`)), `dns.json: service 1: "https://u:p@a.example/" is more than a base URL`},
		{fileDNS, string(document10(`[["com"],["https://a.example/?q=1"]]`)), `dns.json: service 1: "https://a.example/?q=1" is more than a base URL`},
		{fileDNS, string(document10(`[["com"],["https://a.example/%zz"]]`)), `dns.json: service 1: "https://a.example/%zz" is no URL`},
		{fileDNS, string(document10(`[["a b"],["https://a.example/"]]`)), `dns.json: service 1: "a b" is no domain`},
		{fileDNS, string(document10(`[[""],["https://a.example/"]]`)), `dns.json: service 1: "" is no domain`},
		{fileDNS, string(document10(`[["8.8.8.8"],["https://a.example/"]]`)), `dns.json: service 1: "8.8.8.8" is an address, not a domain`},
		{fileIPv4, string(document10(`[["8.0.0.1/8"],["https://a.example/"]]`)), `ipv4.json: service 1: "8.0.0.1/8" is no network of this family`},
		{fileIPv4, string(document10(`[["2001:db8::/32"],["https://a.example/"]]`)), `ipv4.json: service 1: "2001:db8::/32" is no network of this family`},
		{fileIPv6, string(document10(`[["8.0.0.0/8"],["https://a.example/"]]`)), `ipv6.json: service 1: "8.0.0.0/8" is no network of this family`},
		{fileASN, string(document10(`[["9-8"],["https://a.example/"]]`)), `asn.json: service 1: "9-8" is no range of AS numbers`},
		{fileASN, string(document10(`[["AS8"],["https://a.example/"]]`)), `asn.json: service 1: "AS8" is no range of AS numbers`},
		{fileASN, string(document10(`[["1-4294967296"],["https://a.example/"]]`)), `asn.json: service 1: "1-4294967296" is no range of AS numbers`},
		{fileASN, string(document10(`[["5-9","1-5"],["https://a.example/"]]`)), `asn.json: the ranges 1-5 and 5-9 overlap`},
		{fileTags, string(document10(`[["TEST"],["https://a.example/"]]`)), `object-tags.json: service 1: 2 lists instead of 3`},
		{fileTags, string(document10(`[[],["A-B"],["https://a.example/"]]`)), `object-tags.json: service 1: "A-B" is no tag`},
	} {
		r, err := parseFile(tt.file, []byte(tt.body))
		if err == nil || r != nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.body, err, tt.want)
		}
	}
	r, err := parseFile(fileDNS, document10(`[["com","COM."],["http://a.example","HTTPS://b.example//","https://b.example/x"]],[["com"],["https://late.example/"]]`))
	if err != nil || len(r.named) != 1 || text(r.named["com"]) != `HTTPS://b.example/,https://b.example/x/ - "com" iana` {
		t.Errorf("%v, %+v", err, r)
	}
}

func TestBrokenFiles(t *testing.T) {
	dir := testenv.Path(t, "rdap", "malformed")
	for name, want := range map[string]string{
		"dns_bad_services.json": "dns.json: service 4: 0 lists instead of 2",
		"dns_bad_url.json":      `dns.json: service 3: "http://example.org/%%" is no URL`,
		"dns_empty.json":        "dns.json: the file is empty",
		"dns_syntax_error.json": "dns.json: no JSON of RFC 9224: invalid character '\\n' in string literal",
	} {
		body, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseFile(fileDNS, body); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

// IANA's files are taken in, and say what the tables made of them say.
func TestRealFiles(t *testing.T) {
	dir := testenv.Path(t, "iana", "rdap")
	b, compiled := New(Options{Compiled: true}), New(Options{Compiled: true})
	for i, least := range [...]int{fileDNS: 1100, fileIPv4: 100, fileIPv6: 30, fileASN: 100, fileTags: 5} {
		body, err := os.ReadFile(filepath.Join(dir, files[i]))
		if err != nil {
			t.Fatal(err)
		}
		r, err := parseFile(i, body)
		if err != nil || r.records < least || r.records < b.least(i, held{}) {
			t.Fatalf("%s: %v", files[i], err)
		}
		if n := compiledRecords()[i]; (n > r.records || n < r.records*99/100) && i != fileIPv4 { // a few are retired
			t.Errorf("%s: %d entries, and %d compiled in", files[i], r.records, n)
		}
		b.install(i, held{registry: r})
	}
	for suffix := range b.view.Load().files[fileDNS].named {
		got, want := b.Domain("example."+suffix), compiled.Domain("example."+suffix)
		if want.Origin == "" { // retired since: IANA's list of top-level domains is newer
			continue
		}
		if got.Origin = want.Origin; text(got) != text(want) {
			t.Errorf("%s: %s, compiled in %s", suffix, text(got), text(want))
		}
	}
	for tag := range b.view.Load().files[fileTags].named {
		got, want := b.Tag("A-"+tag), compiled.Tag("A-"+tag)
		if got.Origin = want.Origin; text(got) != text(want) {
			t.Errorf("%s: %s, compiled in %s", tag, text(got), text(want))
		}
	}
	for n := uint32(1); n < 70000; n += 7 {
		got, want := b.AS(n), compiled.AS(n)
		if strings.Join(got.RDAP, " ") != strings.Join(want.RDAP, " ") || got.Whois != want.Whois {
			t.Errorf("AS%d: %s, compiled in %s", n, text(got), text(want))
		}
	}
}

func FuzzFile(f *testing.F) {
	for i := range files {
		f.Add(i, document10(`[["com"],["https://rdap.example/"]]`))
		f.Add(i, document10(`[["1-5","7"],["https://rdap.example/"]]`))
		f.Add(i, document10(`[["8.0.0.0/8","2001::/23"],["http://rdap.example"]]`))
		f.Add(i, document10(`[["a@b.example"],["TEST"],["https://rdap.example/","https://rdap.example"]]`))
	}
	f.Fuzz(func(t *testing.T, file int, body []byte) {
		if file < 0 || file >= len(files) {
			return
		}
		r, err := parseFile(file, body)
		if err != nil {
			if r != nil || !strings.HasPrefix(err.Error(), files[file]+": ") {
				t.Fatalf("%+v, %v", r, err)
			}
			return
		}
		if r.records == 0 {
			t.Fatal("no records, and no error")
		}
		b := New(Options{})
		b.install(file, held{registry: r})
		check := func(s Services) {
			if len(s.RDAP) == 0 || s.Suffix == "" || s.Origin != Fetched {
				t.Fatalf("%q: %+v", body, s)
			}
			for _, base := range s.RDAP {
				if !strings.HasSuffix(base, "/") {
					t.Fatalf("%q: %s", body, base)
				}
			}
		}
		for name, s := range r.named {
			if check(s); file == fileDNS && !private(name) {
				check(b.Domain(name))
			} else if file == fileTags {
				check(b.Tag("A-" + name))
			}
		}
		for _, as := range r.ranges {
			check(b.AS(as.first))
			check(b.AS(as.last))
		}
		for p, s := range r.prefixes.All() {
			check(s)
			check(b.Prefix(p))
		}
	})
}
