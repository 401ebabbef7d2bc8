package manners

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/whence-project/whence/internal/limit"
)

// Many at once, in real time, for the race detector.
func TestRace(t *testing.T) {
	o := Options{Default: Limit{Rates: []limit.Rate{{Events: 20_000, Per: time.Second, Burst: 50}}, Concurrent: 4}, QueueLen: 64}
	m, other := New(o), New(o)
	var wg sync.WaitGroup
	for g := range 32 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 7))
			for range 100 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(r.IntN(20))*time.Millisecond)
				req := request([]string{"a.test", "b.test"}[r.IntN(2)], Priority(r.IntN(3)))
				if r.IntN(2) == 0 {
					req.Operator = "other.test"
				}
				if turn, err := m.Wait(ctx, req); err == nil {
					turn.Done(Outcome{Kind: OutcomeKind(r.IntN(40) / 39 * 2)})
				}
				if cancel(); r.IntN(50) == 0 {
					m.Configure(Options{Default: Limit{Rates: []limit.Rate{{Events: 20_000, Per: time.Second, Burst: 50}}, Concurrent: 4}})
					m.Status()
					if err := other.Restore(m.Save()); err != nil {
						t.Error(err)
					}
					if err := m.Restore(other.Save()); err != nil {
						t.Error(err)
					}
					m.Paused(req.Operator, req.Server)
				}
			}
		})
	}
	wg.Wait()
	for _, s := range m.Status() {
		if s.Clients[0].UnderWay != 0 || s.Queue != (Queue{}) {
			t.Errorf("afterwards: %+v", s)
		}
	}
}

func BenchmarkTurn(b *testing.B) {
	m := one(4, limit.Rate{})
	limited := one(4, limit.Rate{Events: 1_000_000_000, Per: time.Second, Burst: 1000}, window(1_000_000_000, day))
	r := request("a.test", Person)
	for _, bb := range []struct {
		name string
		m    *Manners
	}{{"unlimited", m}, {"two rates", limited}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				t, err := bb.m.Wait(b.Context(), r)
				if err != nil {
					b.Fatal(err)
				}
				t.Done(Outcome{})
			}
		})
	}
}

// A queue of hundreds, each turn of which reads all priorities.
func BenchmarkQueue(b *testing.B) {
	m := one(1, limit.Rate{})
	r := request("a.test", Background)
	b.ReportAllocs()
	b.SetParallelism(128)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if t, err := m.Wait(b.Context(), r); err == nil {
				t.Done(Outcome{})
			}
		}
	})
}
