package upstream

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whence-project/whence/dotforward/upstream/dottest"
)

func sameAddress(a, b []byte) bool {
	return rcode(a) == rcode(b) && (rcode(a) != 0 || addressIn(a) == addressIn(b))
}

func TestPolicyCheck(t *testing.T) {
	f := newFarm(t, 3, PoolOptions{}, nil)
	for _, tt := range []struct {
		policy Policy
		ok     bool
		text   string
	}{
		{Policy{}, true, "sequential"},
		{Random(), true, "random"},
		{Fastest(), true, "fastest"},
		{Race(3), true, "race 3"},
		{Race(4), false, "race 4"},
		{Race(0), true, "race 0"}, // not given: sequential
		{Quorum(2, 3, sameAddress), true, "quorum 2 of 3"},
		{Quorum(1, 3, sameAddress), false, "quorum 1 of 3"},
		{Quorum(3, 2, sameAddress), false, "quorum 3 of 2"},
		{Quorum(2, 4, sameAddress), false, "quorum 2 of 4"},
		{Quorum(2, 3, nil), false, "quorum 2 of 3"},
	} {
		if _, err := NewPool(PoolOptions{Policy: tt.policy}, f.servers...); (err == nil) != tt.ok || tt.policy.String() != tt.text {
			t.Errorf("%v: %v", tt.policy, err)
		}
	}
	plain, err := NewPlain(Options{Host: "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, servers := range [][]*Server{nil, {f.servers[0], f.servers[0]}, {f.servers[0], plain}, {plain, f.servers[0]}} {
		if _, err := NewPool(PoolOptions{}, servers...); err == nil {
			t.Errorf("a pool of %v", servers)
		}
	}
}

func TestRandom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, 3, PoolOptions{Policy: Random()}, nil)
		defer f.end()
		f.fakes[1].Stop()
		got := map[*Server]int{}
		for i := range 300 {
			r := f.ask(fmt.Sprintf("n%d.test", i), inTime)
			if r.err != nil {
				t.Fatal(r)
			}
			got[r.from]++
		}
		if got[f.servers[0]] < 60 || got[f.servers[1]] != 0 || got[f.servers[2]] < 60 {
			t.Errorf("asked %v", got)
		}
	})
}

// The fastest is asked; when it becomes slow, another is; and when it is fast again, probes find out.
func TestFastest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, 2, PoolOptions{Policy: Fastest()}, nil)
		defer f.end()
		mostly := func(want *Server) {
			t.Helper()
			n := 0
			for i := range 100 {
				r := f.ask(fmt.Sprintf("n%d.test", i), inTime)
				if r.err != nil {
					t.Fatal(r)
				}
				if r.from == want {
					n++
				}
				time.Sleep(time.Second)
			}
			if n < 80 {
				t.Errorf("%d of 100 went to the fastest", n)
			}
		}
		f.fakes[0].Behave(dottest.Behaviour{Delay: 30 * time.Millisecond})
		f.fakes[1].Behave(dottest.Behaviour{Delay: 10 * time.Millisecond})
		mostly(f.servers[1])
		f.fakes[1].Behave(dottest.Behaviour{Delay: 100 * time.Millisecond})
		mostly(f.servers[0])
		f.fakes[1].Behave(dottest.Behaviour{Delay: time.Millisecond})
		for range 100 { // the average must come down, by probes alone
			f.ask("a.test", inTime)
			time.Sleep(time.Second)
		}
		mostly(f.servers[1])
	})
}

func TestRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, 3, PoolOptions{Policy: Race(2)}, nil)
		defer f.end()
		f.fakes[0].Behave(dottest.Behaviour{Delay: 50 * time.Millisecond})
		f.fakes[1].Behave(dottest.Behaviour{Delay: 20 * time.Millisecond})
		if r := f.ask("a.test", inTime); r.err != nil || r.from != f.servers[1] || r.took != 20*time.Millisecond {
			t.Error(r)
		}
		if n := f.fakes[2].Stats().Queries; n != 0 {
			t.Errorf("the third was asked %d times", n)
		}
		// SERVFAIL is first, and does not win.
		f.fakes[1].Behave(dottest.Behaviour{Fault: dottest.ServFail})
		f.fakes[2].Behave(dottest.Behaviour{Fault: dottest.ServFail})
		if r := f.ask("b.test", inTime); r.err != nil || r.from != f.servers[0] || rcode(r.msg) != 0 {
			t.Error(r)
		}
		f.fakes[0].Behave(dottest.Behaviour{Fault: dottest.Refused, Delay: 10 * time.Millisecond})
		if r := f.ask("c.test", inTime); r.err != nil || rcode(r.msg) != rcodeServFail || r.took != 10*time.Millisecond {
			t.Error(r)
		}
	})
}

func TestQuorum(t *testing.T) {
	const ms = time.Millisecond
	liar := func(last byte, d time.Duration) dottest.Behaviour { return dottest.Behaviour{Address: last, Delay: d} }
	down := dottest.Behaviour{Fault: dottest.Hangup}
	for _, tt := range []struct {
		name     string
		b        [4]dottest.Behaviour // the policy asks three; the fourth takes the place of one that fails
		last     byte                 // of the address in the answer; 0: no quorum
		replies  int                  // in the error
		reported bool                 // a disagreement
		took     time.Duration
	}{
		{"all agree", [4]dottest.Behaviour{liar(7, 0), liar(7, ms), liar(7, 2*ms)}, 7, 0, false, ms},
		{"a liar first", [4]dottest.Behaviour{liar(66, 0), liar(7, ms), liar(7, 2*ms)}, 7, 0, true, 2 * ms},
		{"a liar last", [4]dottest.Behaviour{liar(7, 0), liar(7, ms), liar(66, 2*ms)}, 7, 0, false, ms},
		{"all different", [4]dottest.Behaviour{liar(1, 0), liar(2, ms), liar(3, 2*ms)}, 0, 3, true, 2 * ms},
		{"one down", [4]dottest.Behaviour{down, liar(66, ms), liar(7, 2*ms), liar(7, 3*ms)}, 7, 0, true, 3 * ms},
		{"two down", [4]dottest.Behaviour{down, down, liar(7, 2*ms), liar(7, 3*ms)}, 7, 0, false, 3 * ms},
		{"three down", [4]dottest.Behaviour{down, down, down, liar(7, 3*ms)}, 0, 1, true, 3 * ms},
		{"one silent", [4]dottest.Behaviour{{Fault: dottest.Silent}, liar(66, ms), liar(7, 2*ms), liar(7, 3*ms)}, 7, 0, true, 1003 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var reported []string
				f := newFarm(t, 4, PoolOptions{Policy: Quorum(2, 3, sameAddress), OnDisagree: func(won *Reply, others []Reply) {
					reported = append(reported, fmt.Sprint(won != nil, len(others)))
				}}, nil)
				defer f.end()
				for i, b := range tt.b {
					f.fakes[i].Behave(b)
				}
				r := f.ask("a.test", inTime)
				var no *DisagreeError
				switch {
				case tt.last != 0 && (r.err != nil || addressIn(r.msg).As4()[3] != tt.last):
					t.Error(r)
				case tt.last == 0 && (!errors.As(r.err, &no) || len(no.Replies) != tt.replies):
					t.Error(r)
				}
				if r.took < tt.took || r.took > tt.took+25*ms || (len(reported) == 1) != tt.reported || len(reported) > 1 {
					t.Errorf("%v, reported %v", r, reported)
				}
			})
		})
	}
}

// A query goes to the next server when one was slow to answer, and the first answer is taken, once.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, 2, PoolOptions{Patience: 200 * time.Millisecond}, nil)
		defer f.end()
		f.fakes[0].Behave(dottest.Behaviour{Delay: 300 * time.Millisecond})
		f.fakes[1].Behave(dottest.Behaviour{Delay: 80 * time.Millisecond})
		if r := f.ask("a.test", inTime); r.err != nil || r.from != f.servers[1] || r.took > 305*time.Millisecond {
			t.Error(r)
		}
		f.fakes[1].Behave(dottest.Behaviour{Delay: 300 * time.Millisecond})
		if r := f.ask("b.test", inTime); r.err != nil || r.from != f.servers[0] || r.took != 300*time.Millisecond {
			t.Error(r)
		}
		time.Sleep(time.Second)
		for _, s := range f.servers {
			if st := s.Stats(); st.InFlight != 0 {
				t.Errorf("in flight at %v: %d", s, st.InFlight)
			}
		}
	})
}

func TestNoneIsAskedWhereAllAreDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, 2, PoolOptions{}, nil)
		defer f.end()
		for _, fake := range f.fakes {
			fake.Stop()
		}
		var last result
		for range 100 {
			if last = f.ask("a.test", inTime); last.err == nil || last.took > inTime {
				t.Fatal(last)
			}
			time.Sleep(50 * time.Millisecond)
		}
		if !errors.Is(last.err, ErrDown) || last.took > 0 {
			t.Errorf("while all are down: %v", last)
		}
		// They are found when they come back.
		f.fakes[1].Start()
		time.Sleep(mostProbe + time.Second)
		if r := f.ask("b.test", inTime); r.err != nil || r.from != f.servers[1] || r.took > 0 {
			t.Errorf("after one came back: %v", r)
		}
		var ups []*Server
		close(f.events)
		downs := 0
		for e := range f.events {
			if e.Up {
				ups = append(ups, e.Server)
			} else if downs++; e.Err == nil {
				t.Error("down without a reason")
			}
		}
		if downs != 2 || !slices.Equal(ups, []*Server{f.servers[1]}) {
			t.Errorf("%d down, up: %v", downs, ups)
		}
		f.events = make(chan Event, 10)
	})
}
