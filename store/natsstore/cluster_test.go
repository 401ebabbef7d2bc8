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
