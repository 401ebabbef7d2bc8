// Package storetest holds what every store must do, whatever engine is behind it, as tests to run on one.
package storetest

import (
	"testing"
	"time"

	"github.com/whence-project/whence/store"
)

// Now is the time of the tests. The store's clock must show it, as expiry goes by that.
var Now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// Run runs all tests. For each, make is called for a store of its own: a function that opens it and, once it is closed, opens
// it again with what was in it.
func Run(t *testing.T, make func(t *testing.T) (open func() store.Store)) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, open func() store.Store)
	}{
		{"claim", testClaim},
		{"names", testNames},
		{"times", testTimes},
		{"refused", testRefused},
		{"concurrent", testConcurrent},
		{"known", testKnown},
		{"import", testImport},
		{"export", testExport},
		{"forget", testForget},
		{"events", testEvents},
		{"eventsForgotten", testEventsForgotten},
		{"eventsImported", testEventsImported},
		{"closed", testClosed},
		{"cache", testCache},
		{"cacheExpiry", testCacheExpiry},
		{"cachePurge", testCachePurge},
		{"cacheBuckets", testCacheBuckets},
		{"cacheKeys", testCacheKeys},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, make(t)) })
	}
}

// claim claims and wants that result.
func claim(t *testing.T, l store.Ledger, scope, name string, at time.Time, want store.Result) store.Sighting {
	t.Helper()
	r, s := l.Claim(scope, name, at)
	if r != want {
		t.Fatalf("claim of %q in %q: %v, want %v", name, scope, r, want)
	}
	if s.Name != name || s.Scope != scope {
		t.Errorf("claim of %q in %q: sighting of %q in %q", name, scope, s.Name, s.Scope)
	}
	if (s.Event != 0) != (want == store.First) {
		t.Errorf("claim of %q: %v with event %d", name, r, s.Event)
	}
	return s
}

// lookup looks up and wants that result.
func lookup(t *testing.T, l store.Ledger, scope, name string, want store.Result) store.Sighting {
	t.Helper()
	r, s := l.Lookup(scope, name)
	if r != want {
		t.Fatalf("lookup of %q in %q: %v, want %v", name, scope, r, want)
	}
	return s
}

func closed(t *testing.T, s store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// export is all of a scope.
func export(t *testing.T, l store.Ledger, scope, after string) (list []store.Sighting) {
	t.Helper()
	for s, err := range l.All(t.Context(), scope, after) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	return list
}

// pending are the names of the first contacts that are pending, and their numbers.
func pending(t *testing.T, l store.Ledger, scope string, after uint64) (names []string, numbers []uint64) {
	t.Helper()
	list, err := l.Pending(scope, after, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if s.Scope != scope || s.Event <= after || s.First.IsZero() {
			t.Errorf("pending in %q after %d: %+v", scope, after, s)
		}
		names, numbers, after = append(names, s.Name), append(numbers, s.Event), s.Event
	}
	return names, numbers
}
