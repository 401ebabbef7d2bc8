package contacts

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/store"
)

// book is a ledger in memory, as far as an emitter asks it.
type book struct {
	store.Ledger
	mu      sync.Mutex
	pending []store.Sighting
	number  uint64
}

func (b *book) claim(names ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range names {
		b.number++
		b.pending = append(b.pending, store.Sighting{Scope: "test", Name: name, First: time.Now(), Event: b.number})
	}
}

func (b *book) Pending(scope string, after uint64, most int) (list []store.Sighting, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.pending {
		if s.Event > after && len(list) < most {
			list = append(list, s)
		}
	}
	return list, nil
}

func (b *book) Done(events ...uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pending = slices.DeleteFunc(b.pending, func(s store.Sighting) bool { return slices.Contains(events, s.Event) })
	return nil
}

// registry knows when domains were registered, from some time on.
type registry struct {
	mu      sync.Mutex
	created map[string]time.Time
	from    map[string]time.Time // since when it knows; the zero time for always
	asked   map[string]int
	offline int
	open    int // queries that were not discreet
}

func (r *registry) Add(q *enrich.Query, rec *enrich.Record) enrich.Verdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := q.Subject.String()
	if q.Offline {
		r.offline++
	}
	if !q.Discreet {
		r.open++
	}
	r.asked[name]++
	switch created, ok := r.created[name]; {
	case !ok:
	case time.Now().Before(r.from[name]):
		rec.Note(enrich.Throttled, "asked to wait")
	default:
		b := enrich.NewBuilder(&enrich.Origin{Source: "registration", Name: "test"})
		text := created.UTC().Format(time.RFC3339)
		rec.Attach(b.Add(enrich.Field{Key: "created", Value: text}).Canonical(enrich.Created, text).Build(), rec.Network())
	}
	return enrich.Next
}

// told are what an emitter calls, in words.
type told struct {
	mu     sync.Mutex
	lines  []string
	refuse int // so many calls
}

func (t *told) tell(what string) func(*Contact) bool {
	return func(c *Contact) bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.refuse > 0 {
			t.refuse--
			return false
		}
		t.lines = append(t.lines, fmt.Sprintf("%s %d %s %s", what, c.Event, c.Name, c.Domain))
		return true
	}
}

func (t *told) take() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := t.lines
	t.lines = nil
	return lines
}

func equal(t *testing.T, when string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: told\n\t%s\nwant\n\t%s", when, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func start(t *testing.T, b *book, r *registry, said *told, u Use) *Emitter {
	t.Helper()
	if r != nil {
		u.Chain = enrich.NewChain("", enrich.Link{Name: "registration", Source: r})
	}
	u.Emit, u.EmitNew = said.tell("first"), said.tell("new")
	e, err := New(Options{Ledger: b, Scope: "test", Use: u})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func newRegistry() *registry {
	return &registry{created: map[string]time.Time{}, from: map[string]time.Time{}, asked: map[string]int{}}
}

const day = 24 * time.Hour

// A domain that is young is told as new with its first contact, once for all of its names; an old one, and one that nobody has
// registered, are not.
func TestNewDomains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r, said := new(book), newRegistry(), new(told)
		r.created["young.test"] = time.Now().Add(-2 * day)
		r.created["old.test"] = time.Now().Add(-40 * day)
		r.created["edge.test"] = time.Now().Add(-30 * day)
		r.created["tomorrow.test"] = time.Now().Add(day) // registries' clocks
		r.created["192.0.2.1"] = time.Now()              // addresses are no domains
		e := start(t, b, r, said, Use{Young: 30 * day})
		defer e.Close()
		b.claim("young.test", "old.test", "none.test", "edge.test", "tomorrow.test", "www.young.test", "a.b.young.test", "192.0.2.1")
		e.Wake()
		synctest.Wait()
		equal(t, "at once", said.take(),
			"first 1 young.test young.test", "new 1 young.test young.test", "first 2 old.test old.test", "first 3 none.test none.test",
			"first 4 edge.test edge.test", "first 5 tomorrow.test tomorrow.test", "new 5 tomorrow.test tomorrow.test",
			"first 6 www.young.test young.test", "first 7 a.b.young.test young.test", "first 8 192.0.2.1 ")
		if len(b.pending) != 0 {
			t.Errorf("%d are pending", len(b.pending))
		}
		asked := r.asked["none.test"]
		time.Sleep(day)
		equal(t, "later", said.take())
		if r.asked["none.test"] != asked {
			t.Error("what nobody has registered was asked for again")
		}
	})
}

// A registration that comes hours after the first contact is told then; one that does not come within a day is let go.
func TestRegistrationsThatComeLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r, said := new(book), newRegistry(), new(told)
		now := time.Now()
		for i, name := range []string{"soon.test", "hours.test", "never.test", "old.test"} {
			r.created[name] = now.Add(-day)
			r.from[name] = now.Add([]time.Duration{30 * time.Second, 5 * time.Hour, 100 * day, time.Hour}[i])
		}
		r.created["old.test"] = now.Add(-400 * day)
		e := start(t, b, r, said, Use{Young: 30 * day})
		defer e.Close()
		b.claim("soon.test", "hours.test", "never.test", "old.test")
		e.Wake()
		synctest.Wait()
		equal(t, "at once", said.take(), "first 1 soon.test soon.test", "first 2 hours.test hours.test", "first 3 never.test never.test",
			"first 4 old.test old.test")
		time.Sleep(62 * time.Second)
		equal(t, "after a minute", said.take(), "new 1 soon.test soon.test")
		time.Sleep(12 * time.Hour)
		equal(t, "after hours", said.take(), "new 2 hours.test hours.test")
		time.Sleep(day)
		equal(t, "after that", said.take())
		if n := r.asked["never.test"]; n > 15 || len(e.late.waiting) > 0 {
			t.Errorf("asked %d times, %d still wait", n, len(e.late.waiting))
		}
	})
}

// What a configuration did not tell, since it had ended, is told by the next one, with its number.
func TestWhatWasNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r, said := new(book), newRegistry(), &told{refuse: 2}
		r.created["young.test"] = time.Now()
		e := start(t, b, r, said, Use{Young: 30 * day})
		defer e.Close()
		b.claim("young.test", "next.test")
		e.Wake()
		synctest.Wait()
		equal(t, "refused", said.take())
		time.Sleep(3 * time.Second)
		equal(t, "told later", said.take(), "first 1 young.test young.test", "new 1 young.test young.test", "first 2 next.test next.test")

		said.refuse = 0
		r.created["other.test"] = time.Now()
		use := *e.use.Load()
		use.EmitNew = func(*Contact) bool { return false }
		e.Use(use)
		b.claim("other.test")
		e.Wake()
		synctest.Wait()
		equal(t, "its first contact", said.take(), "first 3 other.test other.test")
		use.EmitNew = said.tell("new")
		e.Use(use)
		time.Sleep(2 * time.Minute)
		equal(t, "and by the next", said.take(), "new 3 other.test other.test")

		e.Use(Use{})
		b.claim("nobody.test")
		time.Sleep(time.Minute)
		if equal(t, "without a configuration", said.take()); len(b.pending) != 1 {
			t.Errorf("%d are pending", len(b.pending))
		}
	})
}

// Offline nobody is asked, and no domain is told as new where that was not wanted.
func TestHowTheChainIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r, said := new(book), newRegistry(), new(told)
		r.created["young.test"] = time.Now()
		e := start(t, b, r, said, Use{Offline: true, Discreet: true})
		defer e.Close()
		b.claim("young.test")
		e.Wake()
		synctest.Wait()
		equal(t, "offline", said.take(), "first 1 young.test young.test")
		if r.offline != r.asked["young.test"] || r.open != 0 {
			t.Errorf("asked %d times, offline %d, not discreetly %d", r.asked["young.test"], r.offline, r.open)
		}
	})
}

// What waits for registrations is bounded.
func TestLateIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r, said := new(book), newRegistry(), new(told)
		for i := range mostLate + 500 {
			name := fmt.Sprintf("n%d.test", i)
			r.created[name], r.from[name] = time.Now(), time.Now().Add(100*day)
			b.claim(name)
		}
		e := start(t, b, r, said, Use{Young: 30 * day})
		defer e.Close()
		synctest.Wait()
		if len(e.late.waiting) != mostLate || len(said.take()) != mostLate+500 {
			t.Errorf("%d wait", len(e.late.waiting))
		}
		if _, err := New(Options{}); err == nil {
			t.Error("an emitter without a ledger")
		}
	})
}
