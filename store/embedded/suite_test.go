package embedded

import (
	"testing"
	"time"

	"github.com/whence-project/whence/store"
	"github.com/whence-project/whence/store/storetest"
)

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
