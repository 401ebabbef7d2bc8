package domainstats

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/store"
)

// emitted collects what a feed emits.
type emitted struct {
	mu     sync.Mutex
	names  []string
	events []uint64
}

func (e *emitted) add(c *FirstContact) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.names = append(e.names, c.Name+" "+c.Record.Value(enrich.Created))
	e.events = append(e.events, c.Event)
	return true
}

func (e *emitted) all() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.names)
}

func newFeed(t testing.TB, opt FeedOptions) *Feed {
	t.Helper()
	if opt.Use.Chain == nil {
		opt.Use.Chain = enrich.NewChain("", enrich.Link{Name: "registration", Source: known})
	}
	f, err := NewFeed(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func claim(t testing.TB, l store.Ledger, names ...string) {
	t.Helper()
	for _, n := range names {
		if res, _ := l.Claim(DefaultScope, n, time.Now()); res != store.First {
			t.Fatalf("%s: %v", n, res)
		}
	}
}

// Each first contact is emitted once, in order, also by the feed that comes after one that died; imports are none.
func TestFeedEmitsOnce(t *testing.T) {
	ledger := openLedger(t, t.TempDir()).Ledger()
	claim(t, ledger, "sans.org", "example.com")
	var first, second emitted
	f := newFeed(t, FeedOptions{Ledger: ledger, Use: FeedUse{Emit: first.add}})
	waitFor(t, func() bool { return len(first.all()) == 2 })
	claim(t, ledger, "young.com")
	ledger.Claim("other", "other.com", time.Now())
	f.Wake()
	waitFor(t, func() bool { return len(first.all()) == 3 })
	waitFor(t, func() bool { p, err := ledger.Pending(DefaultScope, 0, 9); return err == nil && len(p) == 0 })
	f.Close()
	claim(t, ledger, "late.com")
	newFeed(t, FeedOptions{Ledger: ledger, Use: FeedUse{Emit: second.add}})
	waitFor(t, func() bool { return len(second.all()) == 1 })
	want := []string{"sans.org 1995-08-04T04:00:00Z", "example.com ", "young.com 2020-10-01T00:00:00Z", "late.com "}
	if got := append(first.all(), second.all()...); !slices.Equal(got, want) {
		t.Errorf("emitted %q, want %q", got, want)
	}
	if events := append(first.events, second.events...); !slices.IsSorted(events) {
		t.Errorf("events %v", events)
	}
	if p, err := ledger.Pending("other", 0, 9); err != nil || len(p) != 1 {
		t.Errorf("another scope's events: %v, %v", p, err)
	}
}

// late is a ledger that tells of an event after one with a higher number, as one that many machines share does.
type late struct {
	store.Ledger
	mu   sync.Mutex
	list []store.Sighting
}

func (l *late) Pending(_ string, after uint64, _ int) (list []store.Sighting, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.list {
		if s.Event > after {
			list = append(list, s)
		}
	}
	return list, nil
}

func (l *late) Done(events ...uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = slices.DeleteFunc(l.list, func(s store.Sighting) bool { return slices.Contains(events, s.Event) })
	return nil
}

func (l *late) add(event uint64, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, store.Sighting{Scope: DefaultScope, Name: name, First: time.Now(), Event: event})
}

// An event that comes late, with a lower number, is emitted, and a reader that comes again gets it.
func TestFeedLate(t *testing.T) {
	ledger := &late{}
	ledger.add(7, "example.com")
	var got emitted
	f := newFeed(t, FeedOptions{Ledger: ledger, Use: FeedUse{Emit: got.add}})
	waitFor(t, func() bool { return len(got.all()) == 1 })
	ledger.add(5, "example.net")
	f.Wake()
	waitFor(t, func() bool { return len(got.all()) == 2 })
	ledger.add(8, "example.org")
	f.Wake()
	waitFor(t, func() bool { return f.end() == 3 })
	for _, tt := range []struct {
		after, want uint64
		missed      bool
	}{{0, 0, false}, {7, 1, false}, {5, 2, false}, {8, 3, false}, {3, 0, true}} {
		if position, missed := f.from(tt.after); position != tt.want || missed != tt.missed {
			t.Errorf("after %d: from %d, %v, want %d, %v", tt.after, position, missed, tt.want, tt.missed)
		}
	}
	if want := []uint64{7, 5, 8}; !slices.Equal(got.events, want) {
		t.Errorf("emitted %v, want %v", got.events, want)
	}
}

// An event waits for its registration, but not for ever.
func TestFeedSettles(t *testing.T) {
	src := &slow{let: make(chan struct{})}
	chain := enrich.NewChain("", enrich.Link{Name: "registration", Source: src})
	defer chain.Close()
	ledger := openLedger(t, t.TempDir()).Ledger()
	claim(t, ledger, "example.com")
	var patient emitted
	f := newFeed(t, FeedOptions{Ledger: ledger, Settle: time.Hour, Use: FeedUse{Chain: chain, Emit: patient.add}})
	waitFor(t, func() bool { src.mu.Lock(); defer src.mu.Unlock(); return src.asked > 1 })
	if got := patient.all(); len(got) != 0 {
		t.Fatalf("emitted before it was known: %q", got)
	}
	close(src.let)
	waitFor(t, func() bool { return slices.Equal(patient.all(), []string{"example.com 1999-01-01T00:00:00Z"}) })
	f.Close()

	stuck := &slow{let: make(chan struct{})}
	other := enrich.NewChain("", enrich.Link{Name: "registration", Source: stuck})
	defer other.Close()
	claim(t, ledger, "example.net")
	var hasty emitted
	newFeed(t, FeedOptions{Ledger: ledger, Settle: 100 * time.Millisecond, Use: FeedUse{Chain: other, Emit: hasty.add}})
	waitFor(t, func() bool { return slices.Equal(hasty.all(), []string{"example.net "}) })
}

// A feed without a chain waits for one: during a reload nothing is emitted without its registration.
func TestFeedUse(t *testing.T) {
	ledger := openLedger(t, t.TempDir()).Ledger()
	claim(t, ledger, "sans.org")
	f, err := NewFeed(FeedOptions{Ledger: ledger})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.end() != 0 {
		t.Error("emitted without a chain")
	}
	var e emitted
	f.Use(FeedUse{Chain: enrich.NewChain("", enrich.Link{Name: "registration", Source: known}), Emit: e.add})
	waitFor(t, func() bool { return slices.Equal(e.all(), []string{"sans.org 1995-08-04T04:00:00Z"}) })
	if _, err := NewFeed(FeedOptions{}); err == nil {
		t.Error("a feed without a ledger")
	}
}

// A reload gives the feed another chain while an event waits: it is emitted with what that one knows.
func TestFeedReload(t *testing.T) {
	src := &slow{let: make(chan struct{})}
	before := enrich.NewChain("", enrich.Link{Name: "registration", Source: src})
	ledger := openLedger(t, t.TempDir()).Ledger()
	claim(t, ledger, "sans.org")
	var old, young emitted
	f := newFeed(t, FeedOptions{Ledger: ledger, Settle: time.Hour, Use: FeedUse{Chain: before, Emit: old.add}})
	waitFor(t, func() bool { src.mu.Lock(); defer src.mu.Unlock(); return src.asked > 2 })
	f.Use(FeedUse{Chain: enrich.NewChain("", enrich.Link{Name: "registration", Source: known}), Emit: young.add})
	before.Close()
	waitFor(t, func() bool { return slices.Equal(young.all(), []string{"sans.org 1995-08-04T04:00:00Z"}) })
	if got := old.all(); len(got) != 0 {
		t.Errorf("emitted by what is gone: %q", got)
	}
}

// contactReader reads the stream of first contacts.
type contactReader struct {
	t   testing.TB
	res *http.Response
	sc  *bufio.Scanner
}

func openStream(t testing.TB, url string) *contactReader {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != 200 {
		t.Fatalf("%s: %s", url, res.Status)
	}
	return &contactReader{t, res, bufio.NewScanner(res.Body)}
}

// next is the next line that is not empty: its event and domain, or "missed".
func (r *contactReader) next() (event uint64, domain string) {
	r.t.Helper()
	for r.sc.Scan() {
		if len(r.sc.Bytes()) == 0 {
			continue
		}
		var v struct {
			Event     uint64
			Domain    string
			Missed    bool
			FirstSeen time.Time `json:"first_seen"`
			Lookup    struct{ Subject string }
		}
		if err := json.Unmarshal(r.sc.Bytes(), &v); err != nil {
			r.t.Fatalf("%s: %v", r.sc.Bytes(), err)
		}
		if v.Missed {
			return 0, "missed"
		}
		if v.Lookup.Subject != registrable(v.Domain) || v.FirstSeen.IsZero() {
			r.t.Errorf("%s", r.sc.Bytes())
		}
		return v.Event, v.Domain
	}
	return 0, "end"
}

func (r *contactReader) want(domains ...string) (event uint64) {
	r.t.Helper()
	for _, want := range domains {
		var got string
		if event, got = r.next(); got != want {
			r.t.Fatalf("got %s, want %s", got, want)
		}
	}
	return event
}

// A reader gets what comes while it reads; one that comes again with the number of its last event gets what came between. It is
// told where it may have missed something.
func TestFirstContacts(t *testing.T) {
	s := openLedger(t, t.TempDir())
	ledger := s.Ledger()
	feed := newFeed(t, FeedOptions{Ledger: ledger})
	a := newAPI(t, func(o *Options) { o.Ledger, o.Feed, o.KeepAlive = ledger, feed, 10*time.Millisecond })
	srv := httptest.NewServer(a)
	t.Cleanup(srv.Close)
	url := srv.URL + "/v1/first-contacts"

	r := openStream(t, url)
	get(t, a, "/www.sans.org")
	get(t, a, "/www.sans.org")
	get(t, a, "/example.com")
	last := r.want("sans.org", "example.com")
	r.res.Body.Close()
	get(t, a, "/example.net")
	get(t, a, "/example.edu")
	r = openStream(t, fmt.Sprintf("%s?after=%d", url, last))
	r.want("example.net", "example.edu")
	get(t, a, "/example.gov")
	r.want("example.gov")
	openStream(t, url+"?after=0").want("sans.org", "example.com", "example.net")
	waitFor(t, func() bool { return r.sc.Scan() && len(r.sc.Bytes()) == 0 }) // keep-alive

	for _, after := range []string{"x", "-1", "99999999999999999999"} {
		if status, _, _ := do(t, a, request("GET", "/v1/first-contacts?after="+after, nil)); status != 400 {
			t.Errorf("after=%s: %d", after, status)
		}
	}
	if status, _, h := do(t, newAPI(t, nil), request("GET", "/v1/first-contacts", nil)); status != 404 || h.Get("Content-Type") != typeProblem {
		t.Errorf("without a feed: %d", status)
	}
	feed.Close()
	if _, end := r.next(); end != "end" {
		t.Errorf("the stream goes on: %s", end)
	}

	// After a restart the feed cannot vouch for what was done before.
	feed = newFeed(t, FeedOptions{Ledger: ledger})
	b := newAPI(t, func(o *Options) { o.Ledger, o.Feed = ledger, feed })
	again := httptest.NewServer(b)
	t.Cleanup(again.Close)
	r = openStream(t, again.URL+"/v1/first-contacts?after=1")
	get(t, b, "/example.museum")
	r.want("missed", "example.museum")
	b.Close()
	if _, end := r.next(); end != "end" {
		t.Errorf("the stream outlives its API: %s", end)
	}
}

// The feed keeps no more than it is told to, and a reader that falls behind is told so.
func TestFeedIsBounded(t *testing.T) {
	ledger := openLedger(t, t.TempDir()).Ledger()
	f := newFeed(t, FeedOptions{Ledger: ledger, Keep: 2000})
	for i := range 500 {
		claim(t, ledger, fmt.Sprintf("n%d.com", i))
	}
	waitFor(t, func() bool { return f.end() == 500 })
	if f.bytes > 2000 || len(f.lines) > 20 {
		t.Errorf("%d bytes in %d lines are kept", f.bytes, len(f.lines))
	}
	b, after, _, _ := f.next(nil, 0, 1<<20)
	if !strings.HasPrefix(string(b), missedLine+`{"event":`) || after != 500 {
		t.Errorf("position %d: %s", after, b)
	}
	if _, missed := f.from(f.lines[0].event - 1); missed {
		t.Error("a reader that has all before what is kept is told that it missed something")
	}
	if _, missed := f.from(f.lines[0].event - 2); !missed {
		t.Error("a reader that missed one is not told")
	}
	many, position, _, _ := f.next(nil, after-5, 1)
	if position != after-4 || len(many) == 0 {
		t.Errorf("a piece of one line ends at %d", position)
	}
}
