package natsstore

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whence-project/whence/internal/natstest"
	"github.com/whence-project/whence/store"
)

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func name(i int) string { return fmt.Sprintf("host-%d.example.org", i) }

// until waits for a condition.
func until(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("not in %v: %s", patience, what)
		}
	}
}

// emitter emits the first contacts that nodes get, as the doors do.
type emitter struct {
	mu      sync.Mutex
	emitted map[string]int    // by name
	numbers map[uint64]*Store // who emitted it
	again   int               // emitted by another node too
	undone  map[*Store][]uint64
}

func newEmitter() *emitter {
	return &emitter{emitted: make(map[string]int), numbers: make(map[uint64]*Store), undone: make(map[*Store][]uint64)}
}

// step emits what there is for a node now, and returns how many.
func (e *emitter) step(tb testing.TB, s *Store, scope string) int {
	tb.Helper()
	list, err := s.Ledger().Pending(scope, 0, 256)
	if err != nil {
		return 0 // NATS is away
	}
	e.mu.Lock()
	for _, g := range list {
		if by := e.numbers[g.Event]; by == nil {
			e.emitted[g.Name]++
			e.numbers[g.Event] = s
		} else if by != s {
			e.again++
		}
		e.undone[s] = append(e.undone[s], g.Event)
	}
	numbers := e.undone[s]
	e.mu.Unlock()
	if s.Ledger().Done(numbers...) == nil {
		e.mu.Lock()
		e.undone[s] = nil
		e.mu.Unlock()
	}
	return len(list)
}

func (e *emitter) len() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.emitted)
}

func (e *emitter) twice() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.again
}

// wantOnce wants each name emitted once, and all of them done.
func (e *emitter) wantOnce(tb testing.TB, names int) {
	tb.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.again > 0 {
		tb.Errorf("%d were emitted by two nodes", e.again)
	}
	for s, numbers := range e.undone {
		if len(numbers) > 0 {
			tb.Errorf("%s could not mark %d as emitted", s.opt.Node, len(numbers))
		}
	}
	if len(e.emitted) != names || len(e.numbers) != names {
		tb.Errorf("%d names emitted with %d numbers, want %d", len(e.emitted), len(e.numbers), names)
	}
	for name, n := range e.emitted {
		if n != 1 {
			tb.Errorf("%s was emitted %d times", name, n)
		}
	}
}

// TestClusterClaims has two nodes claim the same names at the same time, and emit what they are given.
func TestClusterClaims(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	bucket := newBucket()
	nodes := []*Store{
		open(t, t.TempDir(), connect(t, server.URL), Options{Bucket: bucket, Node: "a", Wait: patience}),
		open(t, t.TempDir(), connect(t, server.URL), Options{Bucket: bucket, Node: "b", Wait: patience}),
	}
	synced(t, nodes...)
	const names, claimants = 10_000, 8
	firsts := make([]atomic.Int32, names)
	e := newEmitter()
	ctx, stop := context.WithCancel(t.Context())
	var claims, emitters sync.WaitGroup
	for _, s := range nodes {
		for c := range claimants {
			claims.Go(func() {
				for i := range names {
					i = (i*7 + c*names/claimants) % names
					switch r, g := s.Ledger().Claim("stats", name(i), start); r {
					case store.First:
						firsts[i].Add(1)
					case store.Unknown:
						t.Errorf("%s is unknown", name(i))
					case store.Seen:
						if !g.First.Equal(start) {
							t.Errorf("%s was first seen at %v", name(i), g.First)
						}
					}
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
	claims.Wait()
	for i := range firsts {
		if n := firsts[i].Load(); n != 1 {
			t.Errorf("%s was first %d times", name(i), n)
		}
	}
	until(t, "all emitted", func() bool { return e.len() == names })
	synced(t, nodes...)
	stop()
	emitters.Wait()
	e.wantOnce(t, names)
	for _, s := range nodes {
		if n := s.Ledger().Len("stats"); n != names {
			t.Errorf("%s knows %d names, want %d", s.opt.Node, n, names)
		}
		_, g := s.Ledger().Lookup("stats", name(1))
		if g.Count < claimants || g.Count > claimants+1 { // its own sightings, and the first one of all
			t.Errorf("%s counted %d sightings, want its own %d", s.opt.Node, g.Count, claimants)
		}
		if st := s.Ledger().Status(); st.Events != 0 || st.Names != names || st.Error != "" {
			t.Errorf("status %+v", st)
		}
	}
}

// TestClusterEmitterGone closes a node that took first contacts, and cuts another one off.
func TestClusterEmitterGone(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, natstest.Options{})
	o := Options{Bucket: newBucket(), AckWait: 2 * time.Second, Wait: patience}
	a := open(t, t.TempDir(), connect(t, server.URL), o)
	cut := connect(t, server.URL)
	b := open(t, t.TempDir(), cut, o)
	c := open(t, t.TempDir(), connect(t, server.URL), o)
	synced(t, a, b, c)
	const names = 300
	take := func(s *Store, from int) {
		t.Helper()
		for i := range names {
			if r, _ := s.Ledger().Claim("stats", name(from+i), start); r != store.First {
				t.Fatalf("%s: %v", name(from+i), r)
			}
		}
		if list, err := s.Ledger().Pending("stats", 0, names); err != nil || len(list) != names {
			t.Fatalf("%d pending, %v", len(list), err)
		}
	}
	take(a, 0)
	if list, err := c.Ledger().Pending("stats", 0, names); err != nil || len(list) != 0 {
		t.Errorf("%d of the first contacts that another node has, %v", len(list), err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	e := newEmitter()
	began := time.Now()
	until(t, "those of the node that was closed are emitted", func() bool { e.step(t, c, "stats"); return e.len() == names })
	if took := time.Since(began); took > o.AckWait/2 {
		t.Errorf("they were given back only after %v", took)
	}
	take(b, names)
	// One that lives keeps what it has.
	for deadline := time.Now().Add(2 * o.AckWait); time.Now().Before(deadline); sleep(t.Context(), 50*time.Millisecond) {
		if e.step(t, c, "stats") > 0 {
			t.Fatal("a first contact of a node that lives was given to another")
		}
	}
	cut.Close()
	until(t, "those of the node that was cut off are emitted", func() bool { e.step(t, c, "stats"); return e.len() == 2*names })
	if _, err := b.Ledger().Pending("stats", 0, 10); err == nil {
		t.Error("a node that is cut off has first contacts")
	}
	e.wantOnce(t, 2*names)
}

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

// TestClusterThree has three servers with all that is kept on each, and kills the one that leads.
func TestClusterThree(t *testing.T) {
	t.Parallel()
	servers := natstest.StartCluster(t, 3)
	var urls []string
	for _, s := range servers {
		urls = append(urls, s.URL)
	}
	o := Options{Bucket: newBucket(), Replicas: 3, Timeout: time.Second}
	a, b := open(t, t.TempDir(), connect(t, urls...), o), open(t, t.TempDir(), connect(t, urls...), o)
	synced(t, a, b)
	const names = 2000
	var firsts, unknown atomic.Int32
	e := newEmitter()
	ctx, stop := context.WithCancel(t.Context())
	var claims, emitters sync.WaitGroup
	half := make(chan struct{})
	for _, s := range []*Store{a, b} {
		claims.Go(func() {
			for i := range names {
				if i == names/2 && s == a {
					close(half)
				}
				switch r, _ := s.Ledger().Claim("stats", name(i), start); r {
				case store.First:
					firsts.Add(1)
				case store.Unknown:
					unknown.Add(1)
				}
				sleep(ctx, time.Millisecond)
			}
		})
		emitters.Go(func() {
			for ctx.Err() == nil {
				if e.step(t, s, "stats") == 0 {
					sleep(ctx, 5*time.Millisecond)
				}
			}
		})
	}
	<-half
	leader := a.state.link.Load().ledger.CachedInfo().Cluster.Leader
	began := time.Now()
	for i, s := range servers {
		if leader == fmt.Sprintf("n%d", i+1) {
			s.Kill()
		}
	}
	claims.Wait()
	until(t, "all claimed and emitted", func() bool { return e.len() == names && a.Status().Unclaimed+b.Status().Unclaimed == 0 })
	t.Logf("%s, which led, was killed; %d claims were first, %d unknown for now; all emitted after %v, %d of them twice", leader,
		firsts.Load(), unknown.Load(), time.Since(began).Round(time.Millisecond), e.twice())
	r, _ := b.Ledger().Claim("stats", "new.example.org", start)
	for ; r == store.Unknown; r, _ = b.Ledger().Claim("stats", "new.example.org", start) {
		sleep(ctx, 10*time.Millisecond)
	}
	until(t, "the new one too", func() bool { return e.len() == names+1 })
	stop()
	emitters.Wait()
	e.again = 0 // what a server that was killed had not told the others yet may be given to another node
	until(t, "all done", func() bool {
		e.step(t, a, "stats")
		e.step(t, b, "stats")
		return len(e.undone[a])+len(e.undone[b]) == 0
	})
	e.wantOnce(t, names+1)
	synced(t, a, b)
	for _, s := range []*Store{a, b} {
		if n := s.Ledger().Len("stats"); n != names+1 {
			t.Errorf("%d names, want %d", n, names+1)
		}
	}
}
