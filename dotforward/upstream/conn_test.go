package upstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whence-project/whence/dotforward/upstream/dottest"
)

// A connection that falls silent is given up within Silence, and what waits on it is answered on another one.
func TestSilentConnectionIsReplaced(t *testing.T) {
	for _, fault := range []dottest.Fault{dottest.Silent, dottest.Deaf} {
		synctest.Test(t, func(t *testing.T) {
			f := newFarm(t, 1, PoolOptions{}, nil)
			defer f.end()
			if r := f.ask("before.test", inTime); r.err != nil {
				t.Fatal(r)
			}
			f.fakes[0].Behave(dottest.Behaviour{Fault: fault})
			var waiting []<-chan result
			for i := range 200 {
				waiting = append(waiting, f.start(query(fmt.Sprintf("n%d.test", i), uint16(i)), inTime))
				time.Sleep(5 * time.Millisecond) // new queries must not keep it alive
			}
			f.fakes[0].Behave(dottest.Behaviour{})
			for _, w := range waiting {
				if r := <-w; r.err != nil || r.took > DefaultSilence {
					t.Fatal(r)
				}
			}
			if st := f.servers[0].Stats(); st.Failures["silent"] != 1 || st.Conns != 1 || f.fakes[0].Stats().Conns != 2 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// One name that takes long is not taken for a connection that is dead.
func TestSlowName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, 1, PoolOptions{}, nil)
		defer f.end()
		f.fakes[0].Behave(dottest.Behaviour{Delay: 4 * time.Second, Only: named("slow")})
		if r := f.ask("slow.test", inTime); r.err != nil || r.took != 4*time.Second {
			t.Error(r)
		}
		if st := f.servers[0].Stats(); st.Failures["silent"] != 0 || st.Handshakes != 1 || st.Probes == 0 {
			t.Errorf("%+v", st)
		}
	})
}

// A deadline is a query's own: others that are answered on the connection do not move it.
func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, 1, PoolOptions{}, nil)
		defer f.end()
		f.fakes[0].Behave(dottest.Behaviour{Fault: dottest.Silent, Only: named("lost")})
		lost := f.start(query("lost.test", 1), 700*time.Millisecond)
		for range 100 {
			f.ask("other.test", inTime)
			time.Sleep(10 * time.Millisecond)
		}
		if r := <-lost; !errors.Is(r.err, ErrTimeout) || r.took < 700*time.Millisecond || r.took > 720*time.Millisecond {
			t.Error(r)
		}
		if r := f.ask("late.test", -time.Second); !errors.Is(r.err, ErrTimeout) || r.took != 0 {
			t.Error(r)
		}
		if r := f.ask("long.test", time.Hour); r.err != nil {
			t.Error(r)
		}
	})
}

// Answers come in another order than queries went.
func TestOutOfOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, 1, PoolOptions{}, nil)
		defer f.end()
		f.fakes[0].Behave(dottest.Behaviour{Delay: 50 * time.Millisecond, Only: named("slow")})
		var wg sync.WaitGroup
		for i := range 200 {
			name := "fast"
			if i%3 == 0 {
				name = "slow"
			}
			wg.Go(func() {
				if r := f.ask(fmt.Sprintf("%s.n%d.test", name, i), inTime); r.err != nil {
					t.Error(r)
				}
			})
		}
		wg.Wait()
	})
}

// A server that wants every connection closed after the first answer gets that, and all its queries answered.
func TestNoKeepalive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, 1, PoolOptions{}, func(o *Options) { o.MaxInFlight = 10 })
		defer f.end()
		f.fakes[0].Behave(dottest.Behaviour{Keepalive: -1, Delay: 10 * time.Millisecond})
		var waiting []<-chan result
		for i := range 200 {
			waiting = append(waiting, f.start(query(fmt.Sprintf("n%d.test", i), uint16(i)), inTime))
		}
		for _, w := range waiting {
			if r := <-w; r.err != nil || r.took > time.Second {
				t.Fatal(r)
			}
		}
	})
}

// A server that goes silent just after it asked us to leave loses no query either.
func TestSilentWhileLeaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, 1, PoolOptions{}, nil)
		defer f.end()
		f.fakes[0].Behave(dottest.Behaviour{Fault: dottest.Silent, Keepalive: -1, Only: named("lost")})
		lost := f.start(query("lost.test", 1), inTime)
		f.ask("a.test", inTime)
		f.fakes[0].Behave(dottest.Behaviour{})
		if r := <-lost; r.err != nil || r.took > DefaultSilence+250*time.Millisecond {
			t.Error(r)
		}
	})
}

// A query that breaks each connection is given up before its deadline, and takes no other with it.
func TestPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, 1, PoolOptions{}, nil)
		defer f.end()
		f.fakes[0].Behave(dottest.Behaviour{Fault: dottest.Reset, Only: named("poison")})
		var others []<-chan result
		poison := f.start(query("poison.test", 1), inTime)
		for i := range 200 {
			others = append(others, f.start(query(fmt.Sprintf("n%d.test", i), uint16(i)), inTime))
			time.Sleep(10 * time.Millisecond)
		}
		if r := <-poison; !errors.Is(r.err, ErrBroken) || r.took > 2*time.Second {
			t.Error(r)
		}
		for _, w := range others {
			if r := <-w; r.err != nil {
				t.Error(r)
			}
		}
	})
}

// A second connection is opened when the first is half full, no third, and what finds no room waits.
func TestManyInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, 1, PoolOptions{}, func(o *Options) { o.MaxInFlight = 100 })
		defer f.end()
		f.fakes[0].Behave(dottest.Behaviour{Delay: 10 * time.Millisecond})
		var waiting []<-chan result
		for i := range 1000 {
			waiting = append(waiting, f.start(query(fmt.Sprintf("n%d.test", i), uint16(i)), inTime))
		}
		for _, w := range waiting {
			if r := <-w; r.err != nil || r.took > 100*time.Millisecond {
				t.Fatal(r)
			}
		}
		if st := f.fakes[0].Stats(); st.MostOpen != 2 || st.Queries != 1000 || f.servers[0].Stats().Queued != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, 1, PoolOptions{MaxQueries: 10}, nil)
		defer f.end()
		f.fakes[0].Behave(dottest.Behaviour{Delay: 10 * time.Millisecond})
		var waiting []<-chan result
		for i := range 15 {
			waiting = append(waiting, f.start(query("a.test", uint16(i)), inTime))
		}
		for i, w := range waiting {
			if r := <-w; (r.err == nil) != (i < 10) || i >= 10 && (r.err != ErrOverload || r.took != 0) {
				t.Errorf("%d: %v", i, r)
			}
		}
		if st := f.pool.Stats(); st.Overload != 5 || st.Pending != 0 || st.Queries != 15 {
			t.Errorf("%+v", st)
		}
	})
}

func TestNotAQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, 1, PoolOptions{}, nil)
		defer f.end()
		for _, q := range [][]byte{nil, query("a.test", 1)[:15], append([]byte{0, 0, 0x80}, query("a.test", 1)[3:]...)} {
			if r := <-f.start(q, inTime); r.err != ErrQuery {
				t.Errorf("%x: %v", q, r)
			}
		}
		if st := f.pool.Stats(); st.Pending != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// Connections are kept as long as the server says, or we do; the next ones resume the session.
func TestIdle(t *testing.T) {
	for _, tt := range []struct {
		name      string
		keepalive int
		idle      time.Duration // it is closed after so long
	}{
		{"not said", 0, DefaultIdle},
		{"short", 30, 3 * time.Second},
		{"long", 600, time.Minute},
		{"none", -1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFarm(t, 1, PoolOptions{}, nil)
				defer f.end()
				f.fakes[0].Behave(dottest.Behaviour{Keepalive: tt.keepalive})
				f.ask("a.test", inTime)
				if tt.idle > 0 {
					time.Sleep(tt.idle - time.Second)
					synctest.Wait()
					if f.fakes[0].Stats().Open != 1 {
						t.Error("closed too soon")
					}
					time.Sleep(time.Second)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if f.fakes[0].Stats().Open != 0 {
					t.Error("not closed")
				}
				if r := f.ask("b.test", inTime); r.err != nil || r.took > 10*time.Millisecond {
					t.Error(r)
				}
				st := f.servers[0].Stats()
				if st.Handshakes != 2 || st.Resumed != 1 || !st.Up || st.Failures["lost"] != 0 {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

// 64 clients and a server that is killed and restarted for thirty seconds: every query is answered.
func TestRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, 1, PoolOptions{}, nil)
		defer f.end()
		var stop atomic.Bool
		var wg sync.WaitGroup
		var mu sync.Mutex
		var worst time.Duration
		n := 0
		for i := range 64 {
			wg.Go(func() {
				for k := 0; !stop.Load(); k++ {
					// Not time.After: channel timers of a bubble run on any thread, which crashed the race detector (Go 1.26).
					time.Sleep(100 * time.Millisecond)
					r := f.ask(fmt.Sprintf("n%d.c%d.test", k, i), inTime)
					if r.err != nil {
						t.Error(r)
						return
					}
					mu.Lock()
					worst = max(worst, r.took)
					n++
					mu.Unlock()
				}
			})
		}
		for range 30 {
			time.Sleep(500 * time.Millisecond)
			f.fakes[0].Stop()
			time.Sleep(500 * time.Millisecond)
			f.fakes[0].Start()
		}
		stop.Store(true)
		wg.Wait()
		t.Logf("%d queries, at most %v", n, worst)
		if n < 6000 || worst > 2*time.Second {
			t.Errorf("%d queries, at most %v", n, worst)
		}
	})
}

// A pool that is closed waits for what is under way; a server that is closed, too, and fails what it must.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, 2, PoolOptions{}, nil)
		defer f.end()
		for _, fake := range f.fakes {
			fake.Behave(dottest.Behaviour{Delay: 500 * time.Millisecond})
		}
		a := f.start(query("a.test", 1), inTime)
		time.Sleep(100 * time.Millisecond)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := f.servers[0].Close(ctx); err != nil {
			t.Error(err)
		}
		if r := <-a; r.err != nil || r.from != f.servers[0] {
			t.Error(r)
		}
		b := f.start(query("b.test", 1), inTime)
		short, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		if err := f.pool.Close(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if r := <-f.start(query("c.test", 1), inTime); r.err != ErrClosed {
			t.Error(r)
		}
		if err := f.servers[1].Close(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if r := <-b; !errors.Is(r.err, ErrDown) || !errors.Is(r.err, ErrClosed) {
			t.Error(r)
		}
	})
}
