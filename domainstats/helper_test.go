package domainstats

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/store"
	"github.com/whence-project/whence/store/embedded"
)

// now is the time of the example in format C's README.
var now = time.Date(2020, 11, 7, 17, 19, 49, 0, time.UTC)

// field is a field of a made-up source; several values are a list.
type field struct {
	key    string
	values []string
}

func f(key string, values ...string) field { return field{key, values} }

// world is a source that knows what a test tells it: as chain sources do, fields by name, and notes.
type world struct {
	fields map[string][]field
	notes  map[string]enrich.Note
}

func (w world) Add(q *enrich.Query, r *enrich.Record) enrich.Verdict {
	for _, f := range w.fields[q.Subject.Name()] {
		r.Set(f.key, f.values...)
	}
	if n, ok := w.notes[q.Subject.Name()]; ok {
		r.Note(n.Kind, n.Text)
	}
	return enrich.Next
}

// known is a world in which the examples of the originals are true.
var known = world{
	fields: map[string][]field{
		"sans.org": {
			f("created", "1995-08-04T04:00:00Z"), f("updated", "2020-07-01T10:00:00Z"), f("expires", "2025-08-03T04:00:00Z"),
			f("registration_via", "rdap"), f("freq_avg", "6.2885"), f("freq_word", "7.9696"), f("rank", "25646"),
			f("state", "MD"), f("zipcode", "20814"), f("city", "Bethesda"), f("registrar", "Example Registrar, Inc."),
			f("name_servers", "a.example.net", "b.example.net", "ns3.example.net"),
		},
		"young.example.com.au": nil,
		"young.com":            {f("created", "2020-10-01T00:00:00Z"), f("registration_via", "whois"), f("freq_avg", "4.1"), f("freq_word", "3")},
		"dateless.de":          {f("registration_via", "rdap"), f("name_servers", "ns.example.org"), f("freq_avg", "5"), f("freq_word", "3.9")},
		"microsoft.com.au":     {f("freq_avg", "5.2609"), f("freq_word", "5.1892")},
		"local.com":            {f("created", "2019-01-01T00:00:00Z")},
	},
	notes: map[string]enrich.Note{
		"microsoft.com.au": {Kind: enrich.Failed, Text: "RDAP lookup to https://www.rdap.net/domain/microsoft.com.au returned 404"},
	},
}

func openLedger(t testing.TB, dir string) store.Store {
	t.Helper()
	s, err := embedded.Open(dir, embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// newAPI is an API on known and a ledger of its own, changed by change.
func newAPI(t testing.TB, change func(*Options)) *API {
	t.Helper()
	opt := Options{
		Chain: enrich.NewChain("", enrich.Link{Name: "registration", Source: known}), Now: func() time.Time { return now },
	}
	if change != nil {
		change(&opt)
	}
	if opt.Ledger == nil {
		opt.Ledger = openLedger(t, t.TempDir()).Ledger()
	}
	a, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

// scores are the published scores of freq's table of 2018.
func scores(table, s string) (average, word float64, ok bool) {
	switch table {
	case "", "dns", "dns1":
		switch s {
		case "sans.org":
			return 6.2885, 7.9696, true
		case "ggpht.com":
			return 4.0377, 3.871, true
		case "google":
			return 6.1, 5, true
		}
		return float64(len(s)), 0, true
	}
	return 0, 0, false
}

func ranks(name string) (rank int, ok, loaded bool) {
	switch name {
	case "sans.org":
		return 25646, true, true
	case "www.example.org":
		return 7, true, true
	}
	return 0, false, true
}

// request asks the API as a client of this machine.
func request(method, target string, body io.Reader) *http.Request {
	r := httptest.NewRequest(method, "http://localhost:8000"+target, body)
	r.RemoteAddr = "127.0.0.1:4711"
	return r
}

func do(t testing.TB, a *API, r *http.Request) (status int, body string, h http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w.Code, w.Body.String(), w.Header()
}

// get asks for target and returns the body of a 200.
func get(t testing.TB, a *API, target string) string {
	t.Helper()
	status, body, _ := do(t, a, request("GET", target, nil))
	if status != http.StatusOK {
		t.Fatalf("GET %s: %d %s", target, status, body)
	}
	return body
}

// count is how many requests a route has answered with an outcome.
func (a *API) count(route, outcome string) (n uint64) {
	a.state.Answers(func(r, o string, m uint64) {
		if r == route && o == outcome {
			n = m
		}
	})
	return n
}

func lines(s string) []string { return strings.Split(strings.TrimSuffix(s, "\n"), "\n") }
