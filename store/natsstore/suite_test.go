package natsstore

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/whence-project/whence/internal/natstest"
	"github.com/whence-project/whence/store"
	"github.com/whence-project/whence/store/bus"
	"github.com/whence-project/whence/store/storetest"
)

const patience = 60 * time.Second

// connect makes a connection that notices soon that a server is gone.
func connect(tb testing.TB, urls ...string) *bus.Bus {
	tb.Helper()
	b, err := bus.Open(bus.Options{URLs: urls, PingEvery: 500 * time.Millisecond, Timeout: time.Second})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(b.Close)
	return b
}

// open opens a node in a folder.
func open(tb testing.TB, dir string, b *bus.Bus, o Options) *Store {
	tb.Helper()
	if o.Logger == nil {
		o.Logger = zaptest.NewLogger(tb, zaptest.Level(zap.WarnLevel))
	}
	s, err := Open(dir, b, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

// synced waits until a node has all that is in NATS.
func synced(tb testing.TB, nodes ...*Store) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	for _, s := range nodes {
		if err := s.WaitSynced(ctx); err != nil {
			tb.Fatalf("not in sync: %v, %+v", err, s.Status())
		}
	}
}

var buckets atomic.Int64

// newBucket is a name that no other test uses.
func newBucket() string { return fmt.Sprintf("test%d", buckets.Add(1)) }

func TestSuite(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	b := connect(t, server.URL)
	storetest.Run(t, func(t *testing.T) func() store.Store {
		dir, o := t.TempDir(), Options{Bucket: newBucket(), Now: func() time.Time { return storetest.Now }, Wait: patience}
		return func() store.Store {
			s := open(t, dir, b, o)
			synced(t, s)
			return s
		}
	})
}
