package update

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/whence-project/whence/internal/fetch"
)

// probe reads a file of our own kind: the type, the day it was built, and a record a line.
func probe(_ context.Context, path string) (f Facts, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return f, err
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if f.Type = lines[0]; f.Type != "names" || len(lines) < 2 {
		return f, errors.New("not a list of names")
	}
	f.Records = len(lines) - 2
	f.Built, err = time.Parse(time.DateOnly, lines[1])
	return f, err
}

// list is such a file.
func list(built string, records int) string {
	return "names\n" + built + "\n" + strings.Repeat("a record\n", records)
}

// origin is a server of the network that a test makes up: nothing is dialled, so that time may be made up too.
type origin struct {
	mu    sync.Mutex
	files map[string]string // by URL without the query
	serve func(*http.Request) *http.Response
	asked []string
	heard []*http.Request
	at    []time.Time
}

func (o *origin) RoundTrip(r *http.Request) (*http.Response, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	url, _, _ := strings.Cut(r.URL.String(), "?")
	o.asked, o.heard, o.at = append(o.asked, url), append(o.heard, r), append(o.at, time.Now())
	if o.serve != nil {
		if resp := o.serve(r); resp != nil {
			return resp, nil
		}
	}
	text, ok := o.files[url]
	if !ok {
		return answer(404, "no such file"), nil
	}
	resp := answer(200, text)
	tag := strconv.Quote(sumOf(text))
	if r.Header.Get("If-None-Match") == tag {
		resp = answer(304, "")
	}
	resp.Header.Set("ETag", tag)
	return resp, nil
}

func answer(status int, text string, headers ...string) *http.Response {
	h := make(http.Header)
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text))}
}

func (o *origin) put(url, text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.files == nil {
		o.files = make(map[string]string)
	}
	o.files[url] = text
}

// requests is how often the origin was asked, and forgets it.
func (o *origin) requests() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	asked := o.asked
	o.asked = nil
	return asked
}

// times is when the origin was asked.
func (o *origin) times() []time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.at)
}

const dataURL = "https://example.org/names.txt"

// bench is an updater with all that it has to do with.
type bench struct {
	*Updater
	t      *testing.T
	origin *origin
	file   string
	logs   *observer.ObservedLogs
	mu     sync.Mutex
	seen   []Outcome
}

func newBench(t *testing.T, change ...func(*Options)) *bench {
	t.Helper()
	return benchAt(t, filepath.Join(t.TempDir(), "data", "names.txt"), new(origin), change...)
}

func benchAt(t *testing.T, file string, from *origin, change ...func(*Options)) *bench {
	t.Helper()
	b := &bench{t: t, origin: from, file: file}
	core, logs := observer.New(zapcore.DebugLevel)
	b.logs = logs
	o := Options{
		File: file, Origin: Origin{URL: dataURL}, Probe: probe, Extensions: []string{".txt"}, Logger: zap.New(core),
		Client: fetch.New(fetch.Options{Transport: from}),
		Observe: func(o Outcome, _ error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.seen = append(b.seen, o)
		},
	}
	for _, c := range change {
		c(&o)
	}
	u, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	b.Updater = u
	return b
}

// is holds a check's outcome, its error (a part of it), and the file after it.
func (b *bench) is(want Outcome, fail, text string) {
	b.t.Helper()
	b.isSo(How{}, want, fail, text)
}

func (b *bench) isSo(how How, want Outcome, fail, text string) {
	b.t.Helper()
	outcome, err := b.Check(b.t.Context(), how)
	switch {
	case outcome != want, (err == nil) != (fail == ""), err != nil && !strings.Contains(err.Error(), fail):
		b.t.Errorf("%s, %v; want %s, %q", outcome, err, want, fail)
	}
	got, _ := os.ReadFile(b.file)
	if string(got) != text {
		b.t.Errorf("the file holds %.60q, want %.60q", got, text)
	}
	b.tidy()
}

// tidy holds the folder: there is the file, and what is remembered of it.
func (b *bench) tidy() {
	b.t.Helper()
	entries, _ := os.ReadDir(filepath.Dir(b.file))
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), part) {
			b.t.Errorf("%s was left behind", e.Name())
		}
	}
}

func (b *bench) outcomes() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return fmt.Sprint(b.seen)
}
