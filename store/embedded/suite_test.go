package embedded

import (
	"strconv"
	"testing"
	"time"

	"github.com/whence-project/whence/store"
	"github.com/whence-project/whence/store/storetest"
)

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// name is the i-th of names whose order is not that of their numbers, as names come in.
func name(i int) string {
	return strconv.FormatUint(uint64(i+1)*0x9e3779b97f4a7c15>>20, 36) + ".example.org"
}

func open(tb testing.TB, dir string, opt Options) *Store {
	tb.Helper()
	s, err := Open(dir, opt)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

// The suite runs as it is, and with a fold after every few names, so that most of what it finds has been through one.
func TestSuite(t *testing.T) {
	for name, opt := range map[string]Options{
		"default": {},
		"folding": {FoldNames: 3, maxUnfolded: 1e6, SyncEvery: time.Millisecond, FlushEvery: 2 * time.Millisecond},
	} {
		opt.Now = func() time.Time { return storetest.Now }
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) func() store.Store {
				dir := t.TempDir()
				return func() store.Store { return open(t, dir, opt) }
			})
		})
	}
}
