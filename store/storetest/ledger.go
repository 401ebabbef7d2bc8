package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whence-project/whence/store"
)

func testClaim(t *testing.T, open func() store.Store) {
	s := open()
	l := s.Ledger()
	lookup(t, l, "stats", "example.org", store.Unseen)
	lookup(t, l, "stats", "example.org", store.Unseen)
	claim(t, l, "stats", "example.org", Now, store.First)
	claim(t, l, "stats", "example.org", Now, store.Seen)
	claim(t, l, "dns", "example.org", Now, store.First)
	claim(t, l, "stats", "Example.org", Now, store.First)
	claim(t, l, "stats", "a\x00b/c:d*>. ü", Now, store.First)
	lookup(t, l, "stats", "example", store.Unseen)
	lookup(t, l, "stats", "example.org.", store.Unseen)
	lookup(t, l, "other", "example.org", store.Unseen)
	closed(t, s)

	s = open()
	l = s.Ledger()
	for _, name := range []string{"example.org", "Example.org", "a\x00b/c:d*>. ü"} {
		claim(t, l, "stats", name, Now, store.Seen)
	}
	claim(t, l, "dns", "example.org", Now, store.Seen)
	if got := l.Scopes(); !slices.Equal(got, []string{"dns", "stats"}) {
		t.Errorf("scopes %q", got)
	}
	if l.Len("stats") != 3 || l.Len("dns") != 1 || l.Len("other") != 0 || l.Status().Names != 4 {
		t.Errorf("%d, %d and %d names, in all %+v", l.Len("stats"), l.Len("dns"), l.Len("other"), l.Status())
	}
	closed(t, s)
}

// odd are names that engines may want to write in another way: each is a name of its own.
var odd = []string{
	".", "..", ".a", "a.", "a..b", "a.b", "a.b.", "A.b", "*", ">", "a.*", "a.>", "$KV", "=", "=61", "a=61", "a b", "a\tb", "a/b", "a//b", "\x00",
	"a\x00", "\xff", "\xff\xfe", "ü.example", "u\u0308.example", "a:b", "2001:db8::1", "a-b", "a_b", "'", "%", "~", "n.a", "e.a",
	strings.Repeat("x.", 511), strings.Repeat("\x80", store.MaxName), strings.Repeat(".", store.MaxName),
}

func testNames(t *testing.T, open func() store.Store) {
	s := open()
	l := s.Ledger()
	for i, name := range odd {
		claim(t, l, "stats", name, Now.Add(time.Duration(i)*time.Second), store.First)
		claim(t, l, "st.*\x00>", name, Now, store.First)
	}
	if got, _ := pending(t, l, "stats", 0); !slices.Equal(got, odd) {
		t.Errorf("pending %q", got)
	}
	closed(t, s)
	s = open()
	defer closed(t, s)
	l = s.Ledger()
	want := slices.Sorted(slices.Values(odd))
	for _, scope := range []string{"stats", "st.*\x00>"} {
		var got []string
		for _, s := range export(t, l, scope, "") {
			got = append(got, s.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("exported %q, want %q", got, want)
		}
	}
	for i, name := range odd {
		if got := claim(t, l, "stats", name, Now.Add(time.Hour), store.Seen); !got.First.Equal(Now.Add(time.Duration(i) * time.Second)) {
			t.Errorf("%q was first seen at %v", name, got.First)
		}
	}
	for _, prefix := range []string{"a.", "\xff", "="} {
		n := 0
		want = slices.DeleteFunc(want, func(name string) bool {
			has := strings.HasPrefix(name, prefix)
			if has {
				n++
			}
			return has
		})
		if got, err := l.ForgetPrefix(t.Context(), "stats", prefix); got != n || err != nil {
			t.Errorf("forgot %d that begin with %q, %v, want %d", got, prefix, err, n)
		}
	}
	for _, name := range odd {
		if r, _ := l.Lookup("stats", name); (r == store.Seen) != slices.Contains(want, name) {
			t.Errorf("%q is %v", name, r)
		}
		lookup(t, l, "st.*\x00>", name, store.Seen)
	}
}

func testTimes(t *testing.T, open func() store.Store) {
	s := open()
	l := s.Ledger()
	claim(t, l, "stats", "example.org", Now, store.First)
	// A clock that was put back moves neither the first sighting nor the last.
	claim(t, l, "stats", "example.org", Now.Add(-time.Hour), store.Seen)
	got := claim(t, l, "stats", "example.org", Now.Add(time.Hour+time.Microsecond), store.Seen)
	want := store.Sighting{Scope: "stats", Name: "example.org", First: Now, Last: Now.Add(time.Hour), Count: 3}
	if got != want {
		t.Errorf("claim: %+v, want %+v", got, want)
	}
	for range 3 { // asking is not seeing
		if got := lookup(t, l, "stats", "example.org", store.Seen); got != want {
			t.Errorf("lookup: %+v, want %+v", got, want)
		}
	}
	closed(t, s)
	s = open()
	l = s.Ledger()
	if got := lookup(t, l, "stats", "example.org", store.Seen); got != want {
		t.Errorf("after a restart: %+v, want %+v", got, want)
	}
	want.Last, want.Count = Now.Add(2*time.Hour), 4
	if got := claim(t, l, "stats", "example.org", want.Last, store.Seen); got != want {
		t.Errorf("claim after a restart: %+v, want %+v", got, want)
	}
	closed(t, s)
	s = open()
	if got := lookup(t, s.Ledger(), "stats", "example.org", store.Seen); got != want {
		t.Errorf("after another: %+v, want %+v", got, want)
	}
	claim(t, s.Ledger(), "stats", "no-clock.example.org", time.Time{}, store.First)
	claim(t, s.Ledger(), "stats", "no-clock.example.org", time.Time{}, store.Seen)
	closed(t, s)
}

func testRefused(t *testing.T, open func() store.Store) {
	s := open()
	defer closed(t, s)
	l := s.Ledger()
	for _, tt := range []struct{ scope, name string }{
		{"stats", ""}, {"", "example.org"}, {"stats", strings.Repeat("a", store.MaxName+1)}, {strings.Repeat("s", store.MaxScope+1), "a"},
	} {
		if r, _ := l.Claim(tt.scope, tt.name, Now); r != store.Unknown {
			t.Errorf("claim of %d bytes in %q: %v", len(tt.name), tt.scope, r)
		}
		if r, _ := l.Lookup(tt.scope, tt.name); r != store.Unknown {
			t.Errorf("lookup of %d bytes in %q: %v", len(tt.name), tt.scope, r)
		}
		if _, _, err := l.Import(t.Context(), tt.scope, names(tt.name)); !errors.Is(err, store.ErrName) {
			t.Errorf("import of %d bytes in %q: %v", len(tt.name), tt.scope, err)
		}
	}
	claim(t, l, "stats", strings.Repeat("a", store.MaxName), Now, store.First)
	claim(t, l, strings.Repeat("s", store.MaxScope), "a", Now, store.First)
	for i := range store.MaxScopes - 2 {
		claim(t, l, fmt.Sprint(i), "a", Now, store.First)
	}
	if r, _ := l.Claim("one more", "a", Now); r != store.Unknown {
		t.Errorf("claim in one scope too many: %v", r)
	}
	if got := l.Status().Unknown; got != 5 {
		t.Errorf("%d claims answered unknown, want 5", got)
	}
}

// testConcurrent has a thousand claimants of each of a few names at the same time.
func testConcurrent(t *testing.T, open func() store.Store) {
	s := open()
	defer closed(t, s)
	l := s.Ledger()
	const claimants, names = 1000, 5
	var firsts [names]atomic.Int32
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for range claimants {
		wg.Go(func() {
			<-begin
			for i := range firsts {
				switch r, _ := l.Claim("stats", fmt.Sprint("name", i), Now); r {
				case store.First:
					firsts[i].Add(1)
				case store.Unknown:
					t.Error("unknown")
				}
			}
		})
	}
	close(begin)
	wg.Wait()
	for i := range firsts {
		if n := firsts[i].Load(); n != 1 {
			t.Errorf("%d claimants of name %d were the first", n, i)
		}
	}
	if got, _ := pending(t, l, "stats", 0); len(got) != names {
		t.Errorf("pending %q", got)
	}
	if s := lookup(t, l, "stats", "name0", store.Seen); s.Count != claimants {
		t.Errorf("counted %d", s.Count)
	}
}

// names are names that are known without a first contact.
func names(list ...string) func(func(store.Sighting) bool) {
	return func(yield func(store.Sighting) bool) {
		for _, name := range list {
			if !yield(store.Sighting{Name: name}) {
				return
			}
		}
	}
}

func testKnown(t *testing.T, open func() store.Store) {
	s := open()
	l := s.Ledger()
	if added, known, err := l.Import(t.Context(), "stats", names("example.org", "example.net", "example.org")); added+known != 3 || err != nil {
		t.Errorf("imported %d and %d, %v", added, known, err)
	}
	if got := lookup(t, l, "stats", "example.org", store.Seen); !got.First.IsZero() || !got.Last.IsZero() || got.Count != 0 {
		t.Errorf("never seen, and yet %+v", got)
	}
	if got := claim(t, l, "stats", "example.org", Now, store.Seen); !got.First.Equal(Now) || got.Count != 1 {
		t.Errorf("first sighting of a known name: %+v", got)
	}
	if got := claim(t, l, "stats", "example.org", Now.Add(time.Minute), store.Seen); !got.First.Equal(Now) {
		t.Errorf("second sighting of a known name: %+v", got)
	}
	if got, _ := pending(t, l, "stats", 0); len(got) != 0 || l.Len("stats") != 2 {
		t.Errorf("pending %q, %d names", got, l.Len("stats"))
	}
	closed(t, s)
	s = open()
	l = s.Ledger()
	if got := lookup(t, l, "stats", "example.org", store.Seen); !got.First.Equal(Now) || l.Len("stats") != 2 {
		t.Errorf("after a restart: %+v, %d names", got, l.Len("stats"))
	}
	lookup(t, l, "stats", "example.net", store.Seen)
	closed(t, s)
}

func testImport(t *testing.T, open func() store.Store) {
	s := open()
	defer closed(t, s)
	l := s.Ledger()
	claim(t, l, "stats", "seen-later.example.org", Now, store.First)
	claim(t, l, "stats", "seen-before.example.org", Now, store.First)
	year := Now.AddDate(-1, 0, 0)
	added, known, err := l.Import(t.Context(), "stats", slices.Values([]store.Sighting{
		{Name: "seen-later.example.org", First: year, Last: year, Count: 7},
		{Name: "seen-before.example.org", First: Now.Add(time.Hour)},
		{Name: "new.example.org", First: year, Last: Now, Count: 7},
		{Name: "once.example.org", First: year},
		{Scope: "dns", Name: "known.example.org"},
	}))
	if added != 3 || known != 2 || err != nil {
		t.Errorf("added %d, known %d, %v", added, known, err)
	}
	for name, want := range map[string]store.Sighting{
		"seen-later.example.org":  {First: year, Last: Now, Count: 7},
		"seen-before.example.org": {First: Now, Last: Now.Add(time.Hour), Count: 1},
		"new.example.org":         {First: year, Last: Now, Count: 7},
		"once.example.org":        {First: year, Last: year, Count: 1},
		"known.example.org":       {},
	} {
		want.Scope, want.Name = "stats", name
		if got := lookup(t, l, "stats", name, store.Seen); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	claim(t, l, "stats", "once.example.org", Now, store.Seen)
	if got, _ := pending(t, l, "stats", 0); len(got) != 2 {
		t.Errorf("pending %q, want those claimed", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := l.Import(ctx, "stats", names("example.org")); !errors.Is(err, context.Canceled) {
		t.Errorf("import that was cancelled: %v", err)
	}
}

func testExport(t *testing.T, open func() store.Store) {
	s := open()
	l := s.Ledger()
	var want []store.Sighting
	for i := range 5000 {
		name := fmt.Sprintf("%04d.example.org", (i*7+3)%5000)
		claim(t, l, "stats", name, Now.Add(time.Duration(i)*time.Second), store.First)
	}
	if _, _, err := l.Import(t.Context(), "stats", names("known.example.org")); err != nil {
		t.Fatal(err)
	}
	for i := range 100 { // some in memory, some sightings of names that are not
		claim(t, l, "stats", fmt.Sprintf("%04d.a.example.org", i*50), Now, store.First)
		claim(t, l, "stats", fmt.Sprintf("%04d.example.org", i*50), Now.Add(time.Hour), store.Seen)
	}
	claim(t, l, "dns", "elsewhere.example.org", Now, store.First)
	want = export(t, l, "stats", "")
	if len(want) != 5101 || !slices.IsSortedFunc(want, func(a, b store.Sighting) int { return strings.Compare(a.Name, b.Name) }) {
		t.Errorf("exported %d, want 5101 in order", len(want))
	}
	for _, s := range want {
		if got := lookup(t, l, "stats", s.Name, store.Seen); got != s {
			t.Fatalf("exported %+v, want %+v", s, got)
		}
	}
	if got := export(t, l, "stats", "4999.example.org"); len(got) != 1 || got[0].Name != "known.example.org" {
		t.Errorf("after 4999: %+v", got)
	}
	closed(t, s)
	s = open()
	defer closed(t, s)
	l = s.Ledger()
	if got := export(t, l, "stats", ""); !slices.Equal(got, want) {
		t.Errorf("after a restart %d, of which the first is %+v", len(got), got[0])
	}
	if added, _, err := l.Import(t.Context(), "copy", slices.Values(want)); added != len(want) || err != nil {
		t.Fatalf("imported %d, %v", added, err)
	}
	got := export(t, l, "copy", "")
	for i := range got {
		got[i].Scope = "stats"
	}
	if !slices.Equal(got, want) {
		t.Errorf("the copy has %d names and differs", len(got))
	}
}

func testForget(t *testing.T, open func() store.Store) {
	s := open()
	l := s.Ledger()
	for _, name := range []string{"a.example.org", "a.example.net", "ab.example.org", "b.example.org", "c.example.org"} {
		claim(t, l, "stats", name, Now, store.First)
		claim(t, l, "dns", name, Now, store.First)
	}
	ctx := t.Context()
	if n, err := l.Forget(ctx, "stats", "c.example.org", "none.example.org", "b.example.org"); n != 2 || err != nil {
		t.Errorf("forgot %d, %v", n, err)
	}
	claim(t, l, "stats", "c.example.org", Now, store.First)
	claim(t, l, "stats", "ab.example.org", Now, store.Seen)
	if n, err := l.ForgetPrefix(ctx, "stats", "a."); n != 2 || err != nil || l.Len("stats") != 2 {
		t.Errorf("forgot %d, %v, %d are left", n, err, l.Len("stats"))
	}
	if n, err := l.ForgetPrefix(ctx, "none", ""); n != 0 || err != nil {
		t.Errorf("forgot %d of a scope that is not there, %v", n, err)
	}
	closed(t, s)
	s = open()
	defer closed(t, s)
	l = s.Ledger()
	lookup(t, l, "stats", "a.example.org", store.Unseen)
	claim(t, l, "stats", "a.example.net", Now, store.First)
	claim(t, l, "stats", "ab.example.org", Now, store.Seen)
	claim(t, l, "dns", "a.example.org", Now, store.Seen)
	if n, err := l.ForgetPrefix(ctx, "dns", ""); n != 5 || err != nil || l.Len("dns") != 0 {
		t.Errorf("forgot %d, %v, %d are left", n, err, l.Len("dns"))
	}
	if got := export(t, l, "dns", ""); len(got) != 0 {
		t.Errorf("exported %+v of what is forgotten", got)
	}
	claim(t, l, "dns", "a.example.org", Now, store.First)
}

func testClosed(t *testing.T, open func() store.Store) {
	s := open()
	l, c := s.Ledger(), s.Cache()
	claim(t, l, "stats", "example.org", Now, store.First)
	c.Put("b", "k", []byte("v"), time.Time{})
	closed(t, s)
	closed(t, s)
	if r, _ := l.Claim("stats", "example.net", Now); r != store.Unknown {
		t.Errorf("claim: %v", r)
	}
	if r, _ := l.Lookup("stats", "example.org"); r != store.Unknown {
		t.Errorf("lookup: %v", r)
	}
	if err := l.Done(1); err == nil {
		t.Error("done: no error")
	}
	if _, err := l.Pending("stats", 0, 1); err == nil {
		t.Error("pending: no error")
	}
	if _, _, err := l.Import(t.Context(), "stats", names("a")); err == nil {
		t.Error("import: no error")
	}
	if _, err := l.ForgetPrefix(t.Context(), "stats", ""); err == nil {
		t.Error("forget: no error")
	}
	for _, err := range l.All(t.Context(), "stats", "") {
		if err == nil {
			t.Error("export: a name")
		}
	}
	if _, _, ok := c.Get("b", "k"); ok {
		t.Error("cache: a value")
	}
	c.Put("b", "k", []byte("w"), time.Time{})
	if _, err := c.Purge(t.Context(), "b", ""); err == nil {
		t.Error("purge: no error")
	}
}
