package domainstats

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/limit"
	"github.com/whence-project/whence/store"
)

const firstContact = "YOUR-FIRST-CONTACT"

// However many ask at the same time, in whatever form, one answer is the first contact; none is after a restart.
func TestOneFirstContact(t *testing.T) {
	dir := t.TempDir()
	s := openLedger(t, dir)
	a := newAPI(t, func(o *Options) { o.Ledger = s.Ledger() })
	var firsts atomic.Int64
	var wg sync.WaitGroup
	for i := range 1000 {
		wg.Go(func() {
			path := fmt.Sprintf("/host%d.example.com", i)
			w := httptest.NewRecorder()
			a.ServeHTTP(w, request("GET", path, nil))
			if strings.Contains(w.Body.String(), firstContact) {
				firsts.Add(1)
			}
		})
	}
	wg.Wait()
	if firsts.Load() != 1 || a.State().FirstContacts() != 1 {
		t.Errorf("%d first contacts, counted %d", firsts.Load(), a.State().FirstContacts())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	a = newAPI(t, func(o *Options) { o.Ledger = openLedger(t, dir).Ledger() })
	if body := get(t, a, "/example.com"); strings.Contains(body, firstContact) {
		t.Errorf("after a restart: %s", body)
	}
}

// Asking is not seeing: which routes see a name, and which do not.
func TestWhoObserves(t *testing.T) {
	for _, tt := range []struct {
		method, path string
		want         store.Result
	}{
		{"GET", "/www.sans.org", store.Seen},
		{"GET", "/domain/creation_date/sans.org", store.Seen},
		{"GET", "/domain/sans.org", store.Seen},
		{"GET", "/created/sans.org", store.Seen},
		{"HEAD", "/sans.org", store.Unseen},
		{"HEAD", "/domain/sans.org", store.Unseen},
		{"GET", "/alexa/sans.org", store.Unseen},
		{"GET", "/measure/sans.org", store.Unseen},
		{"GET", "/dns/sans.org", store.Unseen},
		{"GET", "/v1/lookup/sans.org", store.Unseen},
		{"GET", "/cache_get?domain=sans.org", store.Unseen},
		{"GET", "/depuny?domain=sans.org", store.Unseen},
	} {
		a := newAPI(t, func(o *Options) { o.Score, o.Rank = scores, ranks })
		do(t, a, request(tt.method, tt.path, nil))
		if got, _ := a.opt.Ledger.Lookup(DefaultScope, "sans.org"); got != tt.want {
			t.Errorf("%s %s: %v, want %v", tt.method, tt.path, got, tt.want)
		}
		if n := a.opt.Ledger.Len(DefaultScope); tt.want == store.Unseen && n != 0 {
			t.Errorf("%s %s: %d names in the ledger", tt.method, tt.path, n)
		}
	}
	a := newAPI(t, nil)
	do(t, a, request("POST", "/v1/lookup", strings.NewReader("sans.org\nexample.com\n")))
	if n := a.opt.Ledger.Len(DefaultScope); n != 0 {
		t.Errorf("a list put %d names in the ledger", n)
	}
}

func TestPerName(t *testing.T) {
	a := newAPI(t, func(o *Options) { o.PerName, o.Scope = true, "other" })
	for _, tt := range []struct {
		name string
		want bool
	}{{"a.sans.org", true}, {"b.sans.org", true}, {"A.sans.org", false}, {"sans.org", true}} {
		body := get(t, a, "/"+tt.name)
		if got := strings.Contains(body, firstContact); got != tt.want {
			t.Errorf("%s: %s", tt.name, body)
		}
		if !strings.Contains(body, `"seen_by_web":"Fri, 04 Aug 1995`) {
			t.Errorf("%s: not told of the registrable domain: %s", tt.name, body)
		}
	}
	if res, _ := a.opt.Ledger.Lookup("other", "b.sans.org"); res != store.Seen {
		t.Error("the full name is not in the ledger's scope")
	}
}

// HEAD looks, and leaves the first contact to the answer that can carry it.
func TestHeadLeavesFirstContact(t *testing.T) {
	a := newAPI(t, nil)
	do(t, a, request("HEAD", "/sans.org", nil))
	if body := get(t, a, "/sans.org"); !strings.Contains(body, firstContact) {
		t.Error(body)
	}
}

// A client that asks about more new names than it may gets answers all the same, but its names are not recorded; others' are.
func TestNewNames(t *testing.T) {
	clock := now
	a := newAPI(t, func(o *Options) {
		o.NewNames = limit.Rate{Events: 5, Per: time.Minute}
		o.Now = func() time.Time { return clock }
	})
	ask := func(client, name string) string {
		r := request("GET", "/"+name, nil)
		r.RemoteAddr = client
		_, body, _ := do(t, a, r)
		return body
	}
	greedy, other := "192.0.2.1:1", "192.0.2.2:1"
	firsts := 0
	for i := range 50 {
		if strings.Contains(ask(greedy, fmt.Sprintf("n%d.com", i)), firstContact) {
			firsts++
		}
	}
	if firsts < 5 || firsts > 6 || a.opt.Ledger.Len(DefaultScope) != firsts {
		t.Errorf("%d first contacts with an allowance of 5, %d names", firsts, a.opt.Ledger.Len(DefaultScope))
	}
	if got := a.State().Refused(); got != uint64(50-firsts) {
		t.Errorf("counted %d refused", got)
	}
	if body := ask(greedy, "n49.com"); !strings.Contains(body, tooManyNames) || !strings.Contains(body, `"seen_by_you":"ERROR"`) {
		t.Errorf("the answer does not say it: %s", body)
	}
	if body := ask(greedy, "n0.com"); strings.Contains(body, tooManyNames) || !strings.Contains(body, seenNow) {
		t.Errorf("a name that is known: %s", body)
	}
	if body := ask(other, "n49.com"); !strings.Contains(body, firstContact) {
		t.Errorf("another client: %s", body)
	}
	clock = clock.Add(10 * time.Minute)
	if body := ask(greedy, "n48.com"); !strings.Contains(body, firstContact) {
		t.Errorf("after a rest: %s", body)
	}
	// A reload keeps the state, and with it the allowance.
	b := newAPI(t, func(o *Options) {
		*o = a.opt
		o.State = a.State()
	})
	if b.State().Refused() != a.State().Refused() {
		t.Error("a reload lost the counters")
	}
}

// A ledger that cannot tell makes no first contact, and the answer says so.
func TestUnknownLedger(t *testing.T) {
	s := openLedger(t, t.TempDir())
	a := newAPI(t, func(o *Options) { o.Ledger = s.Ledger() })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	body := get(t, a, "/sans.org")
	if !strings.Contains(body, `{"alerts":["First contact is not known now"],"category":"ESTABLISHED"`) || !strings.Contains(body, `"seen_by_you":"ERROR"`) {
		t.Error(body)
	}
	b := newAPIWithoutLedger(t, Options{})
	if body := get(t, b, "/sans.org"); !strings.Contains(body, `{"alerts":[],`) || !strings.Contains(body, `"seen_by_you":"ERROR"`) {
		t.Errorf("without a ledger: %s", body)
	}
}

// slow is a source that must fetch, and does so when it is let.
type slow struct {
	let   chan struct{}
	mu    sync.Mutex
	have  map[string]bool
	asked int
}

func (s *slow) Add(q *enrich.Query, r *enrich.Record) enrich.Verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.have[q.Subject.Name()] {
		r.Set("created", "1999-01-01T00:00:00Z")
		r.Set("registration_via", "rdap")
		return enrich.Next
	}
	r.Note(enrich.Unfetched, "not here yet")
	return enrich.Pending
}

func (s *slow) Fetch(ctx context.Context, a *enrich.Ask) error {
	sub := a.Subject
	select {
	case <-s.let:
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.have == nil {
		s.have = make(map[string]bool)
	}
	s.have[sub.Name()] = true
	return nil
}

// Every route answers in its time: what is not here by then is said to be missing, and there the next time.
func TestNeverBlocks(t *testing.T) {
	for _, wait := range []time.Duration{0, 50 * time.Millisecond} {
		src := &slow{let: make(chan struct{})}
		chain := enrich.NewChain("", enrich.Link{Name: "registration", Source: src})
		a := newAPI(t, func(o *Options) { o.Chain, o.Wait, o.Now = chain, wait, time.Now })
		for _, path := range []string{"/example.com", "/domain/creation_date/example.com", "/v1/lookup/example.com", "/cache_get?domain=example.com", "/cache_browse"} {
			began := time.Now()
			body := get(t, a, path)
			if took := time.Since(began); took > wait+5*time.Second {
				t.Errorf("wait %v: %s took %v", wait, path, took)
			}
			if !strings.Contains(body, "not here yet") && !strings.Contains(body, "No whois record") && body != "" {
				t.Errorf("wait %v: %s: %s", wait, path, body)
			}
		}
		close(src.let)
		deadline := time.Now().Add(10 * time.Second)
		for !strings.Contains(get(t, a, "/example.com"), "Fri, 01 Jan 1999") {
			if time.Now().After(deadline) {
				t.Fatalf("wait %v: never there", wait)
			}
			time.Sleep(time.Millisecond)
		}
		chain.Close()
	}
}
