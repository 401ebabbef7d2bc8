package storetest

import (
	"slices"
	"testing"

	"github.com/whence-project/whence/store"
)

func testEvents(t *testing.T, open func() store.Store) {
	s := open()
	l := s.Ledger()
	for _, name := range []string{"a", "b", "c", "d"} {
		claim(t, l, "stats", name, Now, store.First)
		claim(t, l, "stats", name, Now, store.Seen)
	}
	claim(t, l, "dns", "a", Now, store.First)
	wantPending := func(after uint64, want ...string) []uint64 {
		t.Helper()
		got, numbers := pending(t, l, "stats", after)
		if !slices.Equal(got, want) {
			t.Fatalf("pending after %d: %q, want %q", after, got, want)
		}
		return numbers
	}
	done := func(numbers ...uint64) {
		t.Helper()
		if err := l.Done(numbers...); err != nil {
			t.Fatal(err)
		}
	}
	reopen := func() {
		t.Helper()
		closed(t, s)
		s = open()
		l = s.Ledger()
	}
	n := wantPending(0, "a", "b", "c", "d")
	wantPending(n[1], "c", "d")
	wantPending(n[3])
	if list, err := l.Pending("stats", 0, 2); err != nil || len(list) != 2 || list[1].Name != "b" {
		t.Errorf("at most two: %+v, %v", list, err)
	}
	done(n[1], n[1], 0, n[3]+1000)
	wantPending(0, "a", "c", "d")
	reopen()
	if got := wantPending(0, "a", "c", "d"); got[0] != n[0] || got[2] != n[3] {
		t.Errorf("numbers %v after a restart, were %v", got, n)
	}
	done(n[0])
	e := claim(t, l, "stats", "e", Now, store.First).Event
	if e <= n[3] {
		t.Errorf("number %d after %d", e, n[3])
	}
	wantPending(0, "c", "d", "e")
	if list, err := l.Pending("stats", n[2], 2); err != nil || len(list) != 2 || list[1].Name != "e" {
		t.Errorf("at most two after c: %+v, %v", list, err)
	}
	reopen()
	wantPending(0, "c", "d", "e")
	done(n[2], n[3], e)
	wantPending(0)
	if got := l.Status().Events; got != 1 {
		t.Errorf("%d pending in all, want that of the other scope", got)
	}
	reopen()
	wantPending(0)
	if got := l.Status().Events; got != 1 {
		t.Errorf("%d pending after a restart, want that of the other scope", got)
	}
	closed(t, s)
}

func testEventsForgotten(t *testing.T, open func() store.Store) {
	s := open()
	defer closed(t, s)
	l := s.Ledger()
	claim(t, l, "stats", "a", Now, store.First)
	claim(t, l, "stats", "b", Now, store.First)
	claim(t, l, "dns", "a", Now, store.First)
	if n, err := l.Forget(t.Context(), "stats", "a"); n != 1 || err != nil {
		t.Fatalf("forgot %d, %v", n, err)
	}
	if got, _ := pending(t, l, "stats", 0); !slices.Equal(got, []string{"b"}) {
		t.Errorf("pending %q", got)
	}
	if got, _ := pending(t, l, "dns", 0); !slices.Equal(got, []string{"a"}) {
		t.Errorf("pending in the other scope %q", got)
	}
	claim(t, l, "stats", "a", Now, store.First)
	if got, _ := pending(t, l, "stats", 0); !slices.Equal(got, []string{"b", "a"}) {
		t.Errorf("pending %q", got)
	}
}

// An import that tells of earlier sightings takes no first contact away, and makes none.
func testEventsImported(t *testing.T, open func() store.Store) {
	s := open()
	l := s.Ledger()
	year := Now.AddDate(-1, 0, 0)
	claim(t, l, "stats", "a", Now, store.First)
	claim(t, l, "stats", "b", Now, store.First)
	_, numbers := pending(t, l, "stats", 0)
	if len(numbers) != 2 {
		t.Fatalf("%d pending, want 2", len(numbers))
	}
	if err := l.Done(numbers[0]); err != nil {
		t.Fatal(err)
	}
	earlier := []store.Sighting{{Name: "a", First: year}, {Name: "b", First: year}, {Name: "c", First: year}, {Name: "d"}}
	if added, known, err := l.Import(t.Context(), "stats", slices.Values(earlier)); added != 2 || known != 2 || err != nil {
		t.Errorf("added %d, known %d, %v", added, known, err)
	}
	closed(t, s)
	s = open()
	defer closed(t, s)
	l = s.Ledger()
	if got, again := pending(t, l, "stats", 0); !slices.Equal(got, []string{"b"}) || again[0] != numbers[1] {
		t.Errorf("pending %q with numbers %d, want b with %d", got, again, numbers[1])
	}
	for _, name := range []string{"a", "b", "c"} {
		if got := claim(t, l, "stats", name, Now, store.Seen); !got.First.Equal(year) {
			t.Errorf("%s was first seen at %v, want %v", name, got.First, year)
		}
	}
	claim(t, l, "stats", "d", Now, store.Seen)
	if err := l.Done(numbers...); err != nil {
		t.Fatal(err)
	}
	if got, _ := pending(t, l, "stats", 0); len(got) != 0 {
		t.Errorf("pending %q", got)
	}
	// What is forgotten has nothing left of what was imported.
	if n, err := l.ForgetPrefix(t.Context(), "stats", ""); n != 4 || err != nil {
		t.Errorf("forgot %d, %v", n, err)
	}
	if got := claim(t, l, "stats", "a", Now, store.First); !got.First.Equal(Now) {
		t.Errorf("first seen at %v after it was forgotten", got.First)
	}
}
