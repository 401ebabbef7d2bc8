package upstream

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whence-project/whence/dotforward/upstream/dottest"
)

const inTime = 5 * time.Second

func TestAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, 1, PoolOptions{}, nil)
		defer f.end()
		for i := range 300 {
			if r := f.ask(fmt.Sprintf("n%d.example.org", i), inTime); r.err != nil || r.took > 100*time.Millisecond {
				t.Fatal(r)
			}
		}
		fake, st := f.fakes[0].Stats(), f.servers[0].Stats()
		if fake.Conns != 1 || fake.Proto != 1 || fake.Queries != 300 || fake.Padded != 300 || fake.Keepalive != 300 {
			t.Errorf("the server saw %+v", fake)
		}
		if st.Queries != 300 || st.Answers != 300 || st.Handshakes != 1 || st.InFlight != 0 || !st.Up || st.Conns != 1 {
			t.Errorf("stats %+v", st)
		}
	})
}

// One server that misbehaves, alone and before one that does not.
func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name  string
		b     dottest.Behaviour
		alone error         // with the server alone; nil: it answers
		next  time.Duration // at most, until the next server has answered
	}{
		{"silent", dottest.Behaviour{Fault: dottest.Silent}, ErrTimeout, 1050 * time.Millisecond},
		{"deaf", dottest.Behaviour{Fault: dottest.Deaf}, ErrTimeout, 1050 * time.Millisecond},
		{"stalled handshake", dottest.Behaviour{Fault: dottest.Stall}, ErrTimeout, 1050 * time.Millisecond},
		{"hangs up", dottest.Behaviour{Fault: dottest.Hangup}, ErrTimeout, time.Millisecond},
		{"reset", dottest.Behaviour{Fault: dottest.Reset}, ErrBroken, 100 * time.Millisecond},
		{"cut", dottest.Behaviour{Fault: dottest.Cut}, ErrBroken, 100 * time.Millisecond},
		{"short", dottest.Behaviour{Fault: dottest.Short}, ErrBroken, 100 * time.Millisecond},
		{"wrong ID", dottest.Behaviour{Fault: dottest.WrongID}, ErrTimeout, 1050 * time.Millisecond},
		{"wrong question", dottest.Behaviour{Fault: dottest.WrongQuestion}, ErrTimeout, time.Millisecond},
		{"no question", dottest.Behaviour{Fault: dottest.NoQuestion}, ErrTimeout, time.Millisecond},
		{"late", dottest.Behaviour{Delay: 4 * time.Second}, nil, 1050 * time.Millisecond},
		{"SERVFAIL", dottest.Behaviour{Fault: dottest.ServFail}, nil, time.Millisecond},
		{"REFUSED", dottest.Behaviour{Fault: dottest.Refused}, nil, time.Millisecond},
		{"truncated", dottest.Behaviour{Fault: dottest.Truncated}, nil, time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFarm(t, 1, PoolOptions{}, nil)
				defer f.end()
				f.fakes[0].Behave(tt.b)
				r := f.ask("a.example.org", inTime)
				if !errors.Is(r.err, tt.alone) && !errors.Is(r.err, ErrDown) || (r.err == nil) != (tt.alone == nil) || r.took > inTime+25*time.Millisecond {
					t.Errorf("alone: %v", r)
				}
				t.Logf("alone: %v", r)
			})
			synctest.Test(t, func(t *testing.T) {
				f := newFarm(t, 2, PoolOptions{}, nil)
				defer f.end()
				f.fakes[0].Behave(tt.b)
				r := f.ask("a.example.org", inTime)
				if r.err != nil || rcode(r.msg) != 0 || r.msg[2]&2 != 0 || r.from != f.servers[1] || r.took > tt.next {
					t.Errorf("with another: %v", r)
				}
				t.Logf("with another: %v", r)
			})
		})
	}
}
