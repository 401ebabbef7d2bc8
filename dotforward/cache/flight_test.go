package cache

import (
	"testing"
	"time"
)

type waiterFunc func([]byte)

func (f waiterFunc) Answered(msg []byte) { f(msg) }

// counted is a waiter that remembers what it was told.
type counted struct {
	calls int
	last  string
}

func (w *counted) Answered(msg []byte) {
	w.calls++
	w.last = "nothing"
	if msg != nil {
		w.last = string(msg)
	}
}

func TestJoin(t *testing.T) {
	c := open(t, Options{MaxWaiters: 3})
	a, b := question(t, "www.example.org.", 1), question(t, "www.example.org.", 28)
	var ws [4]counted
	lead, ok := c.Join(&a.key, &ws[0], t0)
	if lead == nil || !ok {
		t.Fatal("nobody leads")
	}
	for i, w := range ws[1:] {
		if f, ok := c.Join(&a.key, &w, t0); f != nil || ok != (i < 2) {
			t.Errorf("waiter %d: %v, %v", i+1, f, ok)
		}
	}
	if f, ok := c.Join(&a.key, nil, t0); f != nil || !ok {
		t.Error("who waits for nothing is turned away")
	}
	other, _ := c.Join(&b.key, &ws[3], t0)
	if other == nil || c.Stats().Flights != 2 {
		t.Fatal("another question is another flight")
	}
	lead.Done([]byte("answer"))
	lead.Done([]byte("again"))
	other.Done(nil)
	if ws[0] != (counted{1, "answer"}) || ws[3] != (counted{1, "nothing"}) || c.Stats().Flights != 0 {
		t.Errorf("%+v", ws)
	}
	if lead, _ = c.Join(&a.key, nil, t0); lead == nil {
		t.Error("the flight has not ended")
	}
}

// Who waits is answered whatever becomes of the leader.
func TestLeaderDies(t *testing.T) {
	c := open(t, Options{FlightTimeout: 5 * time.Second})
	a := question(t, "www.example.org.", 1)
	var first, second, third counted
	dead, _ := c.Join(&a.key, &first, t0)
	if f, _ := c.Join(&a.key, &second, at(5*time.Second-1)); f != nil {
		t.Error("taken over too early")
	}
	lead, ok := c.Join(&a.key, &third, at(5*time.Second))
	if lead == nil || !ok {
		t.Fatal("not taken over")
	}
	if n := c.Expire(at(9 * time.Second)); n != 0 || first.calls != 0 {
		t.Errorf("%d flights ended early", n)
	}
	if n := c.Expire(at(10 * time.Second)); n != 1 || first != (counted{1, "nothing"}) || second.calls != 1 || third.calls != 1 {
		t.Errorf("%d flights ended, %+v", n, first)
	}
	dead.Done([]byte("late"))
	lead.Done([]byte("late"))
	if first.calls != 1 || third.calls != 1 {
		t.Error("told twice")
	}
}

// Flights of one hash are kept apart, whichever ends first.
func TestFlightsOfOneHash(t *testing.T) {
	for first := range 3 {
		s := &shard{flights: map[uint32]*Flight{}}
		var fs [3]*Flight
		var ws [3]counted
		for i := range fs {
			fs[i] = &Flight{shard: s, hash: 7, next: s.flights[7], key: Key{Space: uint32(i)}, waiters: []Waiter{&ws[i]}}
			s.flights[7] = fs[i]
		}
		for n := range fs {
			i := (first + n) % 3
			if s.flight(7, &fs[i].key) != fs[i] {
				t.Fatalf("flight %d is lost", i)
			}
			fs[i].Done(nil)
			if s.flight(7, &fs[i].key) != nil || ws[i].calls != 1 {
				t.Fatalf("flight %d has not ended", i)
			}
		}
		if len(s.flights) != 0 {
			t.Error("something is left")
		}
	}
}
