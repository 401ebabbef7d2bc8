package enrich

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// static attaches the same fragment to every record.
type static struct {
	fragment *Fragment
	network  netip.Prefix
	verdict  Verdict
}

func (s *static) Add(_ *Query, r *Record) Verdict {
	if s.fragment == nil {
		r.Miss("nothing here")
		return s.verdict
	}
	r.Attach(s.fragment, s.network)
	return s.verdict
}

// fragment makes one of pairs of key and value; canonical keys are mapped.
func fragment(source string, pairs ...string) *Fragment {
	b := NewBuilder(&Origin{Source: source, Name: source})
	for i := 0; i < len(pairs); i += 2 {
		k := KeyOf(pairs[i])
		b.Add(Field{Key: pairs[i], Value: pairs[i+1], Canon: k}).Canonical(k, pairs[i+1])
	}
	return b.Build()
}

// fetcher knows a subject once it has fetched it, which takes until gate is closed or the chain is.
type fetcher struct {
	gate    chan struct{}
	err     error
	fetches atomic.Int32
	ended   atomic.Int32
	known   sync.Map
}

func newFetcher() *fetcher { return &fetcher{gate: make(chan struct{})} }

func (f *fetcher) Add(q *Query, r *Record) Verdict {
	if _, ok := f.known.Load(q.Subject.Key()); !ok {
		r.Note(Unfetched, "not here yet")
		return Pending
	}
	r.Set("registrar", "Example Registrar")
	return Next
}

func (f *fetcher) Fetch(ctx context.Context, a *Ask) error {
	s := a.Subject
	f.fetches.Add(1)
	defer f.ended.Add(1)
	select {
	case <-f.gate:
	case <-ctx.Done():
		return ctx.Err()
	}
	if f.err == nil {
		f.known.Store(s, true)
	}
	return f.err
}

// lifecycle counts how often it is opened and closed.
type lifecycle struct {
	static
	openErr        error
	opened, closed int
}

func (l *lifecycle) Open(context.Context) error { l.opened++; return l.openErr }
func (l *lifecycle) Close() error               { l.closed++; return nil }
func (l *lifecycle) Status() Status             { return Status{Kind: "lifecycle", Records: 7} }

var ctx = context.Background()

func subject(t testing.TB, s string) Subject {
	t.Helper()
	sub, err := ParseSubject(s)
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func sources(r *Record) string {
	var names []string
	for _, p := range r.Parts() {
		names = append(names, p.Source)
	}
	return strings.Join(names, " ")
}

func TestChainAsksInOrderUntilStop(t *testing.T) {
	a, b, c := fragment("test", "k", "a"), fragment("test", "k", "b"), fragment("test", "k", "c")
	for _, tt := range []struct {
		verdicts [3]Verdict
		want     string
	}{
		{[3]Verdict{Next, Next, Next}, "one two three"},
		{[3]Verdict{Next, Stop, Next}, "one two"},
		{[3]Verdict{Stop, Next, Next}, "one"},
		{[3]Verdict{Pending, Next, Stop}, "one two three"}, // Pending from a source that cannot fetch is Next
	} {
		chain := NewChain("test",
			Link{"one", &static{a, netip.Prefix{}, tt.verdicts[0]}},
			Link{"two", &static{b, netip.Prefix{}, tt.verdicts[1]}},
			Link{"three", &static{c, netip.Prefix{}, tt.verdicts[2]}})
		if got := sources(chain.Answer(ctx, subject(t, "example.org"), time.Hour)); got != tt.want {
			t.Errorf("verdicts %v: parts of %q, want %q", tt.verdicts, got, tt.want)
		}
	}
}

func TestChainMissTextOnlyFromASourceThatIsAlone(t *testing.T) {
	miss, hit := &static{}, &static{fragment: fragment("test", "k", "v")}
	for _, tt := range []struct {
		name  string
		chain *Chain
		want  string
	}{
		{"alone", NewChain("", Link{"a", miss}), "nothing here"},
		{"two", NewChain("", Link{"a", miss}, Link{"b", miss}), ""},
		{"found", NewChain("", Link{"a", hit}), ""},
	} {
		if got := tt.chain.Answer(ctx, subject(t, "example.org"), 0).MissText(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestChainFetchesOnceForAll(t *testing.T) {
	const askers = 1000
	f := newFetcher()
	chain := NewChain("", Link{"registration", f})
	var waiting, done sync.WaitGroup
	waiting.Add(askers)
	for i := range askers {
		done.Go(func() {
			waiting.Done()
			s := subject(t, []string{"example.org", "Example.ORG"}[i%2]) // the same, written differently
			if r := chain.Answer(ctx, s, time.Minute); r.Value(Registrar) != "Example Registrar" || len(r.Notes()) != 0 {
				t.Errorf("got %s", r.AppendJSON(nil))
			}
		})
	}
	waiting.Wait()
	close(f.gate)
	done.Wait()
	if n := f.fetches.Load(); n != 1 {
		t.Errorf("%d fetches for %d askers, want 1", n, askers)
	}
}

// slowAsker runs the chain, and comes to fetch only after another query's fetch is done.
type slowAsker struct {
	*fetcher
	asked chan struct{} // closed when the first Add has said Pending
	once  sync.Once
}

func (s *slowAsker) Add(q *Query, r *Record) Verdict {
	v := s.fetcher.Add(q, r)
	s.once.Do(func() {
		close(s.asked)
		s.known.Store(q.Subject.Key(), true) // what a fetch for someone else does meanwhile
	})
	return v
}

func TestChainDoesNotFetchWhatCameMeanwhile(t *testing.T) {
	f := &slowAsker{fetcher: newFetcher(), asked: make(chan struct{})}
	close(f.gate)
	chain := NewChain("", Link{"registration", f})
	r := chain.Answer(ctx, subject(t, "example.org"), time.Minute)
	if r.Value(Registrar) == "" || f.fetches.Load() != 0 {
		t.Errorf("%d fetches, %s", f.fetches.Load(), r.AppendJSON(nil))
	}
}

func TestChainWaitsUntilTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFetcher()
		chain := NewChain("", Link{"static", &static{fragment: fragment("test", "k", "v")}}, Link{"registration", f})
		s := subject(t, "example.org")

		start := time.Now()
		r := chain.Answer(ctx, s, 2*time.Second)
		if d := time.Since(start); d != 2*time.Second {
			t.Errorf("waited %v, want 2s", d)
		}
		if len(r.Notes()) != 1 || r.Notes()[0] != (Note{"registration", Unfetched, "not here yet"}) || sources(r) != "static" {
			t.Errorf("at the deadline: %s", r.AppendJSON(nil))
		}

		// The fetch outlives the query that caused it.
		close(f.gate)
		synctest.Wait()
		start = time.Now()
		if r := chain.Answer(ctx, s, 0); r.Value(Registrar) == "" || f.fetches.Load() != 1 || time.Since(start) != 0 {
			t.Errorf("after the fetch: %s", r.AppendJSON(nil))
		}
	})
}

func TestChainDoesNotWaitUnasked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFetcher()
		chain := NewChain("", Link{"registration", f})
		start := time.Now()
		chain.Answer(ctx, subject(t, "example.org"), 0)
		synctest.Wait()
		if time.Since(start) != 0 || f.fetches.Load() != 1 {
			t.Errorf("took %v, %d fetches under way, want none and 1", time.Since(start), f.fetches.Load())
		}
		canceled, cancel := context.WithCancel(ctx)
		cancel()
		chain.Answer(canceled, subject(t, "example.org"), time.Hour)
		if time.Since(start) != 0 {
			t.Errorf("waited %v for a caller that is gone", time.Since(start))
		}
		close(f.gate)
	})
}

func TestChainOfflineAndStoppedFetchNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFetcher()
		chain := NewChain("", Link{"registration", f})
		q := Query{Subject: subject(t, "example.org"), Wait: time.Now().Add(time.Hour), Offline: true}
		r := new(Record)
		chain.Lookup(ctx, &q, r)
		if len(r.Notes()) != 1 {
			t.Errorf("offline: %s", r.AppendJSON(nil))
		}
		stopped := NewChain("", Link{"registration", f}, Link{"records", &static{fragment("records", "k", "v"), netip.Prefix{}, Stop}})
		if r := stopped.Answer(ctx, q.Subject, time.Hour); sources(r) != "records" {
			t.Errorf("stopped: %s", r.AppendJSON(nil))
		}
		synctest.Wait()
		if n := f.fetches.Load(); n != 0 {
			t.Errorf("%d fetches, want none", n)
		}
	})
}

func TestChainBoundsFetches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, other := newFetcher(), newFetcher()
		chain := NewChain("", Link{"registration", f}, Link{"other", other})
		for i := range maxFetches / 2 {
			chain.Answer(ctx, DomainOf(fmt.Sprintf("%d.example.org", i)), 0)
		}
		synctest.Wait()
		want := Note{"registration", Unfetched, "too many lookups under way"}
		for _, wait := range []time.Duration{0, time.Second} {
			r := chain.Answer(ctx, DomainOf("one-more.example.org"), wait)
			if !slices.Contains(r.Notes(), want) {
				t.Errorf("with %d fetches under way, waiting %v: notes %v", maxFetches, wait, r.Notes())
			}
		}
		close(f.gate)
		close(other.gate)
		synctest.Wait()
		if r := chain.Answer(ctx, DomainOf("one-more.example.org"), time.Second); r.Value(Registrar) == "" || len(r.Notes()) != 0 {
			t.Errorf("once they are done: %s", r.AppendJSON(nil))
		}
	})
}

func TestChainKeepsTheNoteOfAFullHouseOverTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newFetcher(), newFetcher()
		chain := NewChain("", Link{"a", a}, Link{"b", b})
		for range maxFetches - 1 { // all but one place is taken
			chain.slots <- struct{}{}
		}
		r := chain.Answer(ctx, DomainOf("example.org"), time.Second)
		want := []Note{{"a", Unfetched, "not here yet"}, {"b", Unfetched, "not here yet"}, {"b", Unfetched, "too many lookups under way"}}
		if !slices.Equal(r.Notes(), want) {
			t.Errorf("notes %v, want %v", r.Notes(), want)
		}
		close(a.gate)
	})
}

func TestChainWaitsForAPlaceIfTheQueryWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFetcher()
		close(f.gate)
		chain := NewChain("", Link{"registration", f})
		for range maxFetches {
			chain.slots <- struct{}{}
		}
		time.AfterFunc(time.Second, func() { <-chain.slots })
		if r := chain.Answer(ctx, DomainOf("example.org"), 2*time.Second); r.Value(Registrar) == "" {
			t.Errorf("a place was free in time, yet: %s", r.AppendJSON(nil))
		}
	})
}

// old has an answer that it wants to renew.
type old struct{ fetcher }

func (o *old) Add(q *Query, r *Record) Verdict {
	if o.fetcher.Add(q, r) == Next {
		return Next
	}
	r.Set("registrar", "Old Registrar")
	return Outdated
}

func TestChainRenewsBehindTheQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &old{fetcher{gate: make(chan struct{})}}
		chain := NewChain("", Link{"registration", o})
		start := time.Now()
		if r := chain.Answer(ctx, DomainOf("example.org"), time.Hour); r.Value(Registrar) != "Old Registrar" {
			t.Errorf("the answer is %q", r.Value(Registrar))
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("the query waited %v for an answer to be renewed", waited)
		}
		close(o.gate)
		synctest.Wait()
		if r := chain.Answer(ctx, DomainOf("example.org"), 0); r.Value(Registrar) != "Example Registrar" {
			t.Errorf("renewed: %q", r.Value(Registrar))
		}
	})
}

// patient is a fetcher for which queries wait a second at most.
type patient struct{ fetcher }

func (*patient) Patience() time.Duration { return time.Second }

func TestChainWaitsNoLongerThanASourceIsWorth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{fetcher{gate: make(chan struct{})}}
		chain := NewChain("", Link{"registration", p})
		start := time.Now()
		chain.Answer(ctx, DomainOf("example.org"), time.Hour)
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("waited %v, want 1s", waited)
		}
		chain.Lookup(ctx, &Query{Subject: DomainOf("example.org"), Wait: time.Now().Add(time.Minute), Insist: true}, new(Record))
		if waited := time.Since(start); waited != time.Second+time.Minute {
			t.Errorf("a query that insists waited %v", waited-time.Second)
		}
		close(p.gate)
	})
}

// asked remembers the Ask of its one fetch.
type asked struct {
	fetcher
	ask atomic.Pointer[Ask]
}

func (a *asked) Fetch(ctx context.Context, ask *Ask) error {
	a.ask.Store(ask)
	return a.fetcher.Fetch(ctx, ask)
}

func TestAskBecomesWhatTheQueriesThatJoinItAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &asked{fetcher: fetcher{gate: make(chan struct{})}}
		chain := NewChain("", Link{"registration", a})
		for _, tt := range []struct {
			q        Query
			priority Priority
			discreet bool
		}{
			{Query{Priority: Background, Discreet: true}, Background, true},
			{Query{Priority: Pipeline, Discreet: true}, Pipeline, true},
			{Query{Priority: Background}, Pipeline, false},
			{Query{Priority: Person, Discreet: true}, Person, false},
		} {
			tt.q.Subject = DomainOf("example.org")
			chain.Lookup(ctx, &tt.q, new(Record))
			synctest.Wait()
			if got := a.ask.Load(); got.Priority() != tt.priority || got.Discreet() != tt.discreet {
				t.Errorf("after %+v: priority %d, discreet %v", tt.q, got.Priority(), got.Discreet())
			}
		}
		if n := a.fetches.Load(); n != 1 {
			t.Errorf("%d fetches", n)
		}
		close(a.gate)
	})
}

func TestChainReportsFetchErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFetcher()
		f.err = errors.New("throttled")
		close(f.gate)
		chain := NewChain("", Link{"static", &static{}}, Link{"registration", f})
		var heard []string
		chain.OnFetchError = func(source string, s Subject, err error) {
			heard = append(heard, fmt.Sprintf("%s %v: %v", source, s, err))
		}
		chain.Answer(ctx, subject(t, "example.org"), time.Second)
		if want := []string{"registration example.org: throttled"}; !slices.Equal(heard, want) {
			t.Errorf("heard %q, want %q", heard, want)
		}
	})
}

func TestChainOpensOnceAndCloseEndsFetches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f := new(lifecycle), newFetcher()
		chain := NewChain("lan", Link{"l", l}, Link{"registration", f})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if err := chain.Open(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if ss := chain.Status(); l.opened != 1 || len(ss) != 2 || ss[0].Name != "l" || ss[0].Records != 7 || ss[1].Kind != "" {
			t.Errorf("opened %d times, status %+v", l.opened, ss)
		}
		chain.Answer(ctx, subject(t, "example.org"), 0)
		synctest.Wait()
		if err := chain.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if l.closed != 1 || f.ended.Load() != 1 {
			t.Errorf("closed %d times, %d fetches ended, want 1 and 1", l.closed, f.ended.Load())
		}
		start := time.Now()
		chain.Answer(ctx, subject(t, "example.net"), time.Hour)
		if f.fetches.Load() != 1 || time.Since(start) != 0 {
			t.Errorf("a closed chain fetches, or is waited for %v", time.Since(start))
		}
	})
}

func TestChainOpenFails(t *testing.T) {
	bad, never := &lifecycle{openErr: errors.New("no such folder")}, new(lifecycle)
	chain := NewChain("", Link{"bad", bad}, Link{"never", never})
	for range 2 {
		if err := chain.Open(ctx); !errors.Is(err, bad.openErr) || !strings.Contains(err.Error(), "opening source bad") {
			t.Errorf("error %v", err)
		}
	}
	if bad.opened != 1 || never.opened != 0 {
		t.Errorf("opened %d and %d times, want 1 and 0", bad.opened, never.opened)
	}
}

func TestChainOpensNothingOnceClosed(t *testing.T) {
	late, open := new(lifecycle), new(lifecycle)
	for _, chain := range []*Chain{NewChain("", Link{"late", late}), NewChain("", Link{"open", open})} {
		if chain.Links()[0].Source == open {
			if err := chain.Open(ctx); err != nil {
				t.Error(err)
			}
		}
		if err := chain.Close(); err != nil {
			t.Error(err)
		}
		if err := chain.Open(ctx); (err == nil) != (chain.Links()[0].Source == open) {
			t.Errorf("opening %s after the end: %v", chain.Links()[0].Name, err)
		}
	}
	if late.opened != 0 || open.opened != 1 {
		t.Errorf("opened %d and %d times, want 0 and 1", late.opened, open.opened)
	}
}

func TestChainOfTooManySourcesPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("made a chain of more than MaxLinks sources")
		}
	}()
	NewChain("", make([]Link, MaxLinks+1)...)
}

type panics struct{ pending }

func (panics) Fetch(context.Context, *Ask) error { panic("no such table") }

type pending struct{}

func (pending) Add(*Query, *Record) Verdict { return Pending }

func TestFetchPanicIsAnError(t *testing.T) {
	c := NewChain("", Link{"panics", panics{}})
	said := make(chan string, 1)
	c.OnFetchError = func(source string, s Subject, err error) { said <- source + ": " + err.Error() }
	c.Answer(context.Background(), ASOf(64496), 5*time.Second)
	if got := <-said; !strings.HasPrefix(got, "panics: panic: no such table\n") {
		t.Errorf("the owner of the source heard %q", got)
	}
}

type warmer struct{ warmed [][]Subject }

func (*warmer) Add(*Query, *Record) Verdict { return Next }
func (w *warmer) Warm(ss []Subject)         { w.warmed = append(w.warmed, ss) }

func TestWarm(t *testing.T) {
	w := new(warmer)
	c := NewChain("", Link{"plain", panics{}}, Link{"warm", w})
	two := []Subject{ASOf(1), {}}
	c.Warm(two[:0])
	c.Warm(two[:1]) // alone, nothing would overlap
	c.Warm(two)
	if len(w.warmed) != 1 || len(w.warmed[0]) != 2 {
		t.Errorf("warmed %v, want both once", w.warmed)
	}
}

func TestTouch(t *testing.T) {
	f := NewBuilder(&Origin{}).Field("a", "b").Build()
	Touch([]*Fragment{nil, f}) // not rendered yet
	many := make([]*Fragment, 100)
	for i := range many {
		many[i] = f
	}
	for form := range maxForms {
		f.Form(Form(form), func(dst []byte, _ *Fragment) []byte { return append(dst, "x"...) })
	}
	Touch(many)
	if got := string(f.Form(0, nil)); got != "x" {
		t.Errorf("touched: %q", got)
	}
}

func TestQueryWants(t *testing.T) {
	var all Query
	some := Query{Want: SetOf(Created, Rank)}
	for _, test := range []struct {
		q    *Query
		ks   KeySet
		want bool
	}{
		{&all, SetOf(ASN), true},
		{&some, SetOf(ASN), false},
		{&some, SetOf(ASN, Rank), true},
	} {
		if got := test.q.Wants(test.ks); got != test.want {
			t.Errorf("%b wants %b: %v", test.q.Want, test.ks, got)
		}
	}
}

func TestQueryRegistrable(t *testing.T) {
	q := Query{Subject: DomainOf("www.example.org")}
	for range 2 {
		if got := q.Registrable(); got != "example.org" {
			t.Errorf("%q", got)
		}
	}
	if allocs := testing.AllocsPerRun(10, func() { q.Registrable() }); allocs != 0 {
		t.Errorf("%v allocations the second time", allocs)
	}
	q.Subject = ASOf(64496)
	if got := q.Registrable(); got != "" {
		t.Errorf("another subject: %q", got)
	}
}
