package domainstats

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whence-project/whence/enrich"
)

// registry is a source that must ask somebody, which takes its time, and remembers what was asked for.
type registry struct {
	takes time.Duration

	mu      sync.Mutex
	known   map[enrich.Subject]bool
	queries []enrich.Query
}

func (g *registry) Add(q *enrich.Query, r *enrich.Record) enrich.Verdict {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.queries = append(g.queries, *q)
	if g.known[q.Subject.Key()] {
		r.Set("registration", "registered")
		return enrich.Next
	}
	r.Note(enrich.Unfetched, "being looked up")
	return enrich.Pending
}

func (g *registry) Fetch(_ context.Context, a *enrich.Ask) error {
	if strings.HasPrefix(a.Subject.Name(), "never") {
		return nil
	}
	time.Sleep(g.takes)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.known == nil {
		g.known = make(map[enrich.Subject]bool)
	}
	g.known[a.Subject] = true
	return nil
}

func (g *registry) last() enrich.Query {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.queries[len(g.queries)-1]
}

func newRegistryAPI(t testing.TB, g *registry) *API {
	return newAPIWithoutLedger(t, Options{Chain: enrich.NewChain("", enrich.Link{Name: "registration", Source: g}), Wait: time.Second})
}

// Thousands of lines that wait do so together, in however many chunks they come; their answers are in order.
func TestBulkWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newRegistryAPI(t, &registry{takes: 3 * time.Second})
		var list strings.Builder
		const n = 2500
		for i := range n {
			fmt.Fprintf(&list, "n%d.com\n", i)
		}
		from := time.Now()
		_, body, _ := do(t, a, request("POST", "/v1/lookup?wait=5s", strings.NewReader(list.String()+"010.0.0.1\n")))
		if took := time.Since(from); took != 3*time.Second {
			t.Errorf("it took %v", took)
		}
		got := lines(body)
		if len(got) != n+1 || !strings.Contains(got[n], `"error":`) {
			t.Fatalf("%d lines, the last %s", len(got), got[len(got)-1])
		}
		for i, line := range got[:n] {
			if !strings.HasPrefix(line, fmt.Sprintf(`{"subject":"n%d.com",`, i)) || !strings.Contains(line, `"registration":"registered"`) {
				t.Fatalf("line %d is %s", i, line)
			}
		}
		if lines := a.State().BulkLines(); lines != n+1 {
			t.Errorf("%d lines counted", lines)
		}
	})
}

// Lines that come one by one wait together, too; one whose answer does not come in time is answered with what is there.
func TestBulkWaitsInteractive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newRegistryAPI(t, &registry{takes: 3 * time.Second})
		body, in := io.Pipe()
		go func() {
			for i := range 200 {
				fmt.Fprintf(in, "n%d.com\n", i)
			}
			time.Sleep(time.Second)
			fmt.Fprint(in, "late.com\n")
			in.Close()
		}()
		from := time.Now()
		_, text, _ := do(t, a, request("POST", "/v1/lookup?wait=3500ms", body))
		if took := time.Since(from); took != 4*time.Second {
			t.Errorf("it took %v", took)
		}
		if got := lines(text); len(got) != 201 || strings.Count(text, `"registered"`) != 201 || !strings.Contains(got[200], "late.com") {
			t.Errorf("%d lines, %d of them fetched", len(got), strings.Count(text, `"registered"`))
		}
		from = time.Now()
		got := lines(bodyOf(do(t, a, request("POST", "/v1/lookup?wait=2s", strings.NewReader("other.com\nn0.com\n")))))
		if took := time.Since(from); took != 2*time.Second || !strings.Contains(got[0], `"kind":"unfetched"`) || !strings.Contains(got[1], "registered") {
			t.Errorf("after %v: %s", took, got)
		}
		time.Sleep(time.Minute) // what was begun ends
	})
}

func bodyOf[H any](_ int, body string, _ H) string { return body }

// Without ?wait= nothing is waited for, whatever the configuration says of other answers.
func TestBulkDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &registry{takes: time.Second}
		a := newRegistryAPI(t, g)
		for _, path := range []string{"/v1/lookup", "/v1/lookup?wait=0s"} {
			from := time.Now()
			body := bodyOf(do(t, a, request("POST", path, strings.NewReader("a.com\n"))))
			if time.Since(from) != 0 || !strings.Contains(body, `"kind":"unfetched"`) {
				t.Errorf("%s after %v: %s", path, time.Since(from), body)
			}
		}
		time.Sleep(time.Minute)
		if body := bodyOf(do(t, a, request("POST", "/v1/lookup", strings.NewReader("a.com\n")))); !strings.Contains(body, "registered") {
			t.Errorf("it was not fetched: %s", body)
		}
		if q := g.last(); q.Priority != enrich.Pipeline || q.AskRegistry {
			t.Errorf("a list asks %+v", q)
		}
	})
}

// A client that goes away leaves nobody waiting.
func TestBulkWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newRegistryAPI(t, &registry{takes: 30 * time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		body, in := io.Pipe()
		from := time.Now()
		go func() {
			fmt.Fprint(in, "a.com\nb.com\n")
			time.Sleep(2 * time.Second)
			cancel()
			in.CloseWithError(io.ErrUnexpectedEOF)
		}()
		do(t, a, request("POST", "/v1/lookup?wait=20s", body).WithContext(ctx))
		if took := time.Since(from); took != 2*time.Second {
			t.Errorf("it took %v", took)
		}
		time.Sleep(time.Minute)
	})
}

// One lookup waits as configured, or as asked, and is for a person who wants to know what the registries say.
func TestLookupWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &registry{takes: 3 * time.Second}
		a := newRegistryAPI(t, g)
		for i, tt := range []struct {
			query string
			takes time.Duration
		}{{"", time.Second}, {"?wait=0s", 0}, {"?wait=500ms", 500 * time.Millisecond}, {"?wait=1m", 3 * time.Second}, {"?other=x", time.Second}} {
			from := time.Now()
			get(t, a, fmt.Sprintf("/v1/lookup/n%d.com%s", i, tt.query))
			if took := time.Since(from); took != tt.takes {
				t.Errorf("%q took %v, want %v", tt.query, took, tt.takes)
			}
		}
		if q := g.last(); q.Priority != enrich.Person || !q.AskRegistry || q.Want != 0 {
			t.Errorf("a person asks %+v", q)
		}
		time.Sleep(time.Minute)
		for _, path := range []string{"/n0.com", "/domain/creation_date/n0.com", "/created/n0.com"} {
			get(t, a, path)
			if q := g.last(); q.Priority != enrich.Pipeline || q.AskRegistry {
				t.Errorf("%s asks %+v", path, q)
			}
		}
	})
}

func TestWaitIsRefused(t *testing.T) {
	a := newAPIWithoutLedger(t, Options{})
	for _, wait := range []string{"2", "-1s", "61s", "x", "1h"} {
		for _, r := range []struct{ method, path string }{{"GET", "/v1/lookup/x.com"}, {"POST", "/v1/lookup"}} {
			status, body, h := do(t, a, request(r.method, r.path+"?wait="+wait, strings.NewReader("x.com\n")))
			if status != 400 || h.Get("Content-Type") != typeProblem || !strings.Contains(body, "from 0s to 1m0s") {
				t.Errorf("%s %s?wait=%s: %d %s", r.method, r.path, wait, status, body)
			}
		}
	}
}
