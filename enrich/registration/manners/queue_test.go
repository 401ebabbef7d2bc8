package manners

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whence-project/whence/internal/limit"
)

// one is a Manners where every operator has the same limit.
func one(concurrent int, rates ...limit.Rate) *Manners {
	return New(Options{Default: Limit{Rates: rates, Concurrent: concurrent}})
}

func request(server string, p Priority) Request {
	return Request{Operator: "registry.test", Server: server, Priority: func() Priority { return p }}
}

// take gets a turn that must be had at once.
func take(t *testing.T, m *Manners, server string) *Turn {
	t.Helper()
	start := time.Now()
	turn, err := m.Wait(t.Context(), request(server, Person))
	if err != nil || time.Since(start) > 0 {
		t.Fatalf("a turn for %s after %v: %v", server, time.Since(start), err)
	}
	return turn
}

// order has many wait, and tells who came when.
type order struct {
	mu    sync.Mutex
	start time.Time
	names []string
	times []time.Duration
	errs  map[string]error
	wg    sync.WaitGroup
}

func newOrder() *order { return &order{start: time.Now(), errs: make(map[string]error)} }

// add has name wait; it is in the queue when add returns.
func (o *order) add(ctx context.Context, m *Manners, name string, r Request, outcome Outcome) {
	o.wg.Go(func() {
		turn, err := m.Wait(ctx, r)
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.errs[name] = err; err != nil {
			return
		}
		o.names = append(o.names, name)
		o.times = append(o.times, time.Since(o.start))
		turn.Done(outcome)
	})
	synctest.Wait()
}

func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := one(0, limit.Rate{Events: 1, Per: time.Second, Burst: 1})
		take(t, m, "a.test").Done(Outcome{})
		o := newOrder()
		var rising atomic.Uint32
		rising.Store(uint32(Background))
		for _, w := range []struct {
			name string
			p    Priority
		}{{"b1", Background}, {"p1", Pipeline}, {"b2", Background}, {"h1", Person}, {"p2", Pipeline}, {"h2", Person}} {
			o.add(t.Context(), m, w.name, request("a.test", w.p), Outcome{})
		}
		o.add(t.Context(), m, "rises", Request{
			Operator: "registry.test", Server: "b.test", Priority: func() Priority { return Priority(rising.Load()) },
		}, Outcome{})
		o.add(t.Context(), m, "nil", Request{Operator: "registry.test", Server: "b.test"}, Outcome{})
		if q := m.Status()[0].Queue; q != (Queue{Person: 3, Pipeline: 2, Background: 3}) {
			t.Errorf("the queue is said to be %+v", q)
		}
		time.Sleep(3500 * time.Millisecond)
		rising.Store(uint32(Person))
		o.wg.Wait()
		want := []string{"h1", "h2", "nil", "rises", "p1", "p2", "b1", "b2"}
		if !slices.Equal(o.names, want) {
			t.Errorf("order %v, want %v", o.names, want)
		}
		for i, d := range o.times {
			if want := time.Duration(i+1) * time.Second; d != want {
				t.Errorf("%s came after %v, want %v", o.names[i], d, want)
			}
		}
	})
}

// Who gives up leaves his place and takes no token with him.
func TestGivingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := one(0, limit.Rate{Events: 1, Per: 10 * time.Second, Burst: 1})
		take(t, m, "a.test").Done(Outcome{})
		o := newOrder()
		short, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		cancelled, cancelNow := context.WithCancel(t.Context())
		o.add(short, m, "overtaken", request("a.test", Background), Outcome{})
		o.add(cancelled, m, "cancelled", request("a.test", Person), Outcome{})
		o.add(t.Context(), m, "person", request("a.test", Person), Outcome{})
		o.add(t.Context(), m, "patient", request("a.test", Background), Outcome{})
		cancelNow()
		o.wg.Wait()
		if !slices.Equal(o.names, []string{"person", "patient"}) || !slices.Equal(o.times, []time.Duration{10 * time.Second, 20 * time.Second}) {
			t.Errorf("%v after %v", o.names, o.times)
		}
		if !errors.Is(o.errs["overtaken"], context.DeadlineExceeded) || !errors.Is(o.errs["cancelled"], context.Canceled) {
			t.Errorf("errors %v", o.errs)
		}
		if c := m.Totals(); c.GaveUp != 2 || c.Turns != 3 || c.OK != 3 {
			t.Errorf("counts %+v", c)
		}
		if _, err := m.Wait(short, request("a.test", Person)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a context that has ended: %v", err)
		}
	})
}

// Who cannot be served in time is told so at once, and when to come again.
func TestTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := one(0, window(2, minute), limit.Rate{Events: 1, Per: 10 * time.Second, Burst: 1})
		take(t, m, "a.test").Done(Outcome{})
		o := newOrder()
		o.add(t.Context(), m, "first", request("a.test", Pipeline), Outcome{})
		for _, tt := range []struct {
			wait  time.Duration
			p     Priority
			until time.Duration // 0: it queues
		}{
			{9 * time.Second, Person, 10 * time.Second},
			{60 * time.Second, Background, 61 * time.Second}, // the window's third
			{60 * time.Second, Pipeline, 61 * time.Second},
			{2 * time.Minute, Background, 0},
		} {
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), tt.wait)
			if tt.until == 0 {
				o.add(ctx, m, "second", request("a.test", tt.p), Outcome{})
				defer cancel()
				continue
			}
			_, err := m.Wait(ctx, request("a.test", tt.p))
			cancel()
			var paused *PausedError
			if !errors.As(err, &paused) || time.Since(start) != 0 {
				t.Fatalf("%v of priority %d: %v after %v", tt.wait, tt.p, err, time.Since(start))
			}
			if paused.Until.Sub(start) != tt.until || paused.Operator != "registry.test" {
				t.Errorf("%v: %v, want until %v", tt.wait, err, start.Add(tt.until))
			}
		}
		o.wg.Wait()
		if !slices.Equal(o.names, []string{"first", "second"}) {
			t.Errorf("%v: %v", o.names, o.errs)
		}
		if c := m.Totals(); c.Paused != 3 {
			t.Errorf("counts %+v", c)
		}
	})
}

func TestQueueFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(Options{Default: Limit{Rates: []limit.Rate{window(1, minute)}}, QueueLen: 3})
		take(t, m, "a.test").Done(Outcome{})
		o := newOrder()
		o.add(t.Context(), m, "p1", request("a.test", Pipeline), Outcome{})
		o.add(t.Context(), m, "b1", request("a.test", Background), Outcome{})
		o.add(t.Context(), m, "b2", request("a.test", Background), Outcome{})
		o.add(t.Context(), m, "b3", request("a.test", Background), Outcome{}) // no less urgent than the others: refused
		o.add(t.Context(), m, "h1", request("a.test", Person), Outcome{})     // in place of b2
		o.add(t.Context(), m, "p2", request("a.test", Pipeline), Outcome{})   // in place of b1
		o.add(t.Context(), m, "p3", request("a.test", Pipeline), Outcome{})   // refused
		o.wg.Wait()
		if want := []string{"h1", "p1", "p2"}; !slices.Equal(o.names, want) {
			t.Errorf("order %v, want %v", o.names, want)
		}
		for _, name := range []string{"b1", "b2", "b3", "p3"} {
			if !errors.Is(o.errs[name], ErrQueueFull) {
				t.Errorf("%s: %v", name, o.errs[name])
			}
		}
	})
}

// Whatever comes when, for how long, and with what patience: the operator sees no more than he allows.
func TestLimitsHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := one(3, window(5, time.Second), window(60, minute))
		r := rand.New(rand.NewPCG(5, 6))
		var mu sync.Mutex
		var wg sync.WaitGroup
		var times []time.Duration
		start, underWay, most, late := time.Now(), 0, 0, 0
		for range 1500 {
			arrive, patience := time.Duration(r.Int64N(int64(10*minute))), time.Duration(r.Int64N(int64(2*minute)))
			takes, p, kind := time.Duration(r.Int64N(int64(2*time.Second))), Priority(r.IntN(3)), OutcomeKind(0)
			if r.IntN(20) == 0 {
				kind = Failed
			}
			wg.Go(func() {
				time.Sleep(arrive)
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				turn, err := m.Wait(ctx, request("a.test", p))
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					late++
					return
				}
				underWay++
				most = max(most, underWay)
				times = append(times, time.Since(start))
				mu.Unlock()
				time.Sleep(takes)
				mu.Lock()
				underWay--
				turn.Done(Outcome{Kind: kind})
			})
		}
		wg.Wait()
		slices.Sort(times)
		for _, w := range []limit.Rate{window(5, time.Second), window(60, minute)} {
			first := 0
			for i, at := range times {
				for at-times[first] >= w.Per {
					first++
				}
				if n := i - first + 1; n > w.Events {
					t.Fatalf("%d turns in the %v before %v, of %d", n, w.Per, at, w.Events)
				}
			}
		}
		if most != 3 || len(times) < 550 || len(times)+late != 1500 {
			t.Errorf("%d turns, at most %d under way, %d without", len(times), most, late)
		}
		if s := m.Status()[0]; s.Clients[0].UnderWay != 0 || s.Queue != (Queue{}) || s.Counts.Turns != uint64(len(times)) {
			t.Errorf("afterwards: %+v", s)
		}
	})
}

// Of a long window something is kept for who is more urgent, and for who becomes it while he waits.
func TestReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := one(0, window(40, time.Hour))
		patience, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		used := 0
		for _, tt := range []struct {
			p    Priority
			want int
		}{{Background, 30}, {Pipeline, 35}, {Person, 40}} {
			for {
				turn, err := m.Wait(patience, request("a.test", tt.p))
				var paused *PausedError
				if errors.As(err, &paused) {
					if paused.Reserved != (tt.p != Person) || time.Until(paused.Until) != time.Hour+time.Second {
						t.Errorf("priority %d: %+v", tt.p, paused)
					}
					break
				}
				used++
				turn.Done(Outcome{})
			}
			if used != tt.want {
				t.Errorf("%d used up to priority %d, want %d", used, tt.p, tt.want)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		m := one(0, window(40, time.Hour))
		for range 30 {
			take(t, m, "a.test").Done(Outcome{})
		}
		var p atomic.Uint32
		p.Store(uint32(Background))
		o := newOrder()
		o.add(t.Context(), m, "rises", Request{
			Operator: "registry.test", Server: "a.test", Priority: func() Priority { return Priority(p.Load()) }, Family: 99,
		}, Outcome{})
		time.Sleep(90 * time.Second)
		p.Store(uint32(Person))
		o.wg.Wait()
		if d := o.times[0] - 90*time.Second; d < 0 || d > rise {
			t.Errorf("served %v after it became urgent", d)
		}
	})
}

// Those whose time has come go on while a slot is free; a second Done changes nothing.
func TestConcurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := one(2, limit.Rate{})
		first, second := take(t, m, "a.test"), take(t, m, "b.test")
		o := newOrder()
		o.add(t.Context(), m, "third", request("c.test", Person), Outcome{})
		first.Done(Outcome{})
		first.Done(Outcome{Kind: Failed})
		o.wg.Wait()
		if s := m.Status()[0]; s.Clients[0].UnderWay != 1 || s.Clients[0].Left != -1 || s.Counts.Failed != 0 {
			t.Errorf("%+v", s)
		}
		second.Done(Outcome{})
		if s := m.Status()[0]; s.Clients[0].UnderWay != 0 {
			t.Errorf("%+v", s)
		}
	})
}
