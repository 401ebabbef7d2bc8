package natsstore

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whence-project/whence/internal/natstest"
	"github.com/whence-project/whence/store"
)

// TestClusterAway kills NATS and starts it again.
func TestClusterAway(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	o := Options{Bucket: newBucket(), MaxUnclaimed: 250}
	dirs := []string{t.TempDir(), t.TempDir()}
	var nodes []*Store
	for _, dir := range dirs {
		nodes = append(nodes, open(t, dir, connect(t, server.URL), o))
	}
	synced(t, nodes...)
	a, b := nodes[0], nodes[1]
	for i := range 100 {
		if r, _ := a.Ledger().Claim("stats", name(i), start); r != store.First {
			t.Fatalf("%s: %v", name(i), r)
		}
	}
	synced(t, b)
	server.Kill()
	until(t, "noticed", func() bool { return !a.Status().Ready && !b.Status().Ready })

	claimAway := func(s *Store, i int) {
		t.Helper()
		began := time.Now()
		r, _ := s.Ledger().Claim("stats", name(i), start.Add(time.Minute))
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("a claim waited %v for NATS", took)
		}
		if want := i < 100; (r == store.Seen) != want || (r == store.Unknown) == want {
			t.Errorf("%s without NATS: %v", name(i), r)
		}
		if l, _ := s.Ledger().Lookup("stats", name(i)); l != r {
			t.Errorf("%s without NATS is looked up as %v", name(i), l)
		}
	}
	for i := range 300 { // 0–99 are known; both see 100–299
		claimAway(a, i)
		claimAway(b, i)
	}
	for i := 300; i < 400; i++ { // of which there is room for 50
		claimAway(a, i)
	}
	if st := a.Status(); st.Unclaimed != 250 || st.Error == "" {
		t.Errorf("status %+v", st)
	}
	if _, _, err := a.Ledger().Import(t.Context(), "stats", only(store.Sighting{Name: "x"})); err == nil {
		t.Error("imported without NATS")
	}
	// A node that is opened meanwhile knows what it knew.
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	b = open(t, dirs[1], connect(t, server.URL), o)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("opening waited %v for NATS", took)
	}
	claimAway(b, 50)
	claimAway(b, 250)
	if st := b.Status(); st.Unclaimed != 200 {
		t.Errorf("%d unclaimed after a restart, want 200", st.Unclaimed)
	}

	server.Restart()
	synced(t, a, b)
	until(t, "claimed", func() bool { return a.Status().Unclaimed+b.Status().Unclaimed == 0 })
	synced(t, a, b)
	e := newEmitter()
	until(t, "all emitted", func() bool { return e.step(t, a, "stats")+e.step(t, b, "stats") == 0 })
	e.wantOnce(t, 350)
	for _, s := range []*Store{a, b} {
		for i := range 350 {
			r, g := s.Ledger().Claim("stats", name(i), start.Add(time.Hour))
			want := start
			if i >= 100 {
				want = start.Add(time.Minute)
			}
			if r != store.Seen || !g.First.Equal(want) {
				t.Errorf("%s: %v, first seen %v, want %v", name(i), r, g.First, want)
			}
		}
	}
	if r, _ := b.Ledger().Claim("stats", name(399), start); r != store.First {
		t.Errorf("a name for which there was no room: %v", r)
	}
}

// TestClusterRestarts kills NATS over and over while two nodes claim and emit.
func TestClusterRestarts(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, natstest.Options{})
	o := Options{Bucket: newBucket(), AckWait: 2 * time.Second}
	a, b := open(t, t.TempDir(), connect(t, server.URL), o), open(t, t.TempDir(), connect(t, server.URL), o)
	synced(t, a, b)
	const names = 4000
	firsts := make([]atomic.Int32, names)
	e := newEmitter()
	ctx, stop := context.WithCancel(t.Context())
	var claims, emitters sync.WaitGroup
	for _, s := range []*Store{a, b} {
		for range 4 {
			claims.Go(func() {
				for i := range names {
					if r, _ := s.Ledger().Claim("stats", name(i), start); r == store.First {
						firsts[i].Add(1)
					}
					sleep(ctx, 500*time.Microsecond)
				}
			})
		}
		emitters.Go(func() {
			for ctx.Err() == nil {
				if e.step(t, s, "stats") == 0 {
					sleep(ctx, 5*time.Millisecond)
				}
			}
		})
	}
	for range 4 {
		sleep(ctx, 200*time.Millisecond) // of work
		server.Kill()
		sleep(ctx, 50*time.Millisecond)
		server.Restart()
		until(t, "back", func() bool { return a.Status().Ready && b.Status().Ready })
	}
	claims.Wait()
	until(t, "all claimed and emitted", func() bool { return e.len() == names && a.Status().Unclaimed+b.Status().Unclaimed == 0 })
	stop()
	emitters.Wait()
	first := 0
	for i := range firsts {
		n := firsts[i].Load()
		if first += int(n); n > 1 {
			t.Errorf("%s was first %d times", name(i), n)
		}
	}
	t.Logf("%d claims were first, %d names were emitted by two nodes", first, e.twice())
	until(t, "all done", func() bool { e.step(t, a, "stats"); e.step(t, b, "stats"); return a.Ledger().Status().Events == 0 })
	e.wantOnce(t, names)
}

// TestClusterLost has NATS come back without what it knew.
func TestClusterLost(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	o := Options{Bucket: newBucket(), Wait: patience}
	a, b := open(t, t.TempDir(), connect(t, server.URL), o), open(t, t.TempDir(), connect(t, server.URL), o)
	synced(t, a, b)
	const names = 3000
	for i := range names {
		if r, _ := a.Ledger().Claim("stats", name(i), start); r != store.First {
			t.Fatalf("%s: %v", name(i), r)
		}
	}
	if _, _, err := b.Ledger().Import(t.Context(), "stats", only(store.Sighting{Name: "known.example.org"})); err != nil {
		t.Fatal(err)
	}
	e := newEmitter()
	until(t, "all emitted", func() bool { return e.step(t, a, "stats") == 0 })
	e.wantOnce(t, names)
	last := uint64(0)
	for n := range e.numbers {
		last = max(last, n)
	}
	synced(t, a, b)
	server.Kill()
	server.Wipe()
	server.Restart()
	for _, s := range []*Store{a, b} {
		until(t, "noticed", func() bool { return s.Status().NATS.Reconnects > 0 && s.Status().Ready })
		for i := range names {
			if r, _ := s.Ledger().Claim("stats", name(i), start.Add(time.Hour)); r != store.Seen {
				t.Fatalf("%s is %v after NATS lost it", name(i), r)
			}
		}
	}
	c := open(t, t.TempDir(), connect(t, server.URL), o)
	until(t, "given back", func() bool { return c.Ledger().Len("stats") == names+1 })
	for i := range names {
		if r, g := c.Ledger().Claim("stats", name(i), start.Add(2*time.Hour)); r != store.Seen || !g.First.Equal(start) {
			t.Fatalf("%s is %v on a new node, first seen %v", name(i), r, g.First)
		}
	}
	if r, g := c.Ledger().Claim("stats", "known.example.org", start); r != store.Seen || !g.First.Equal(start) {
		t.Errorf("a name that was known is %v, %+v", r, g)
	}
	r, g := b.Ledger().Claim("stats", "new.example.org", start)
	if r != store.First || g.Event <= last {
		t.Errorf("a new name is %v with number %d, the last one was %d", r, g.Event, last)
	}
	until(t, "all emitted", func() bool { return e.step(t, a, "stats")+e.step(t, b, "stats") == 0 && e.len() > names })
	e.wantOnce(t, names+1) // what is given back is no first contact
}

// TestClusterFrozen has NATS stand still: no claim waits for it twice.
func TestClusterFrozen(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	s := open(t, t.TempDir(), connect(t, server.URL), Options{Bucket: newBucket()})
	synced(t, s)
	server.Freeze()
	defer server.Thaw()
	began := time.Now()
	for i := range 1000 {
		if r, _ := s.Ledger().Claim("stats", name(i), start); r != store.Unknown {
			t.Fatalf("%s: %v", name(i), r)
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("1000 claims waited %v for a NATS that stands still", took)
	}
	if _, _, ok := s.cache.Fetch(t.Context(), "b", "k"); ok {
		t.Error("a value from nowhere")
	}
	server.Thaw()
	e := newEmitter()
	until(t, "all claimed and emitted", func() bool { e.step(t, s, "stats"); return e.len() == 1000 && s.Status().Unclaimed == 0 })
	e.wantOnce(t, 1000)
	until(t, "claims are answered again", func() bool {
		r, _ := s.Ledger().Claim("stats", "new.example.org", start)
		return r == store.First || r == store.Seen // or put off once more
	})
}
