package manners

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whence-project/whence/internal/limit"
)

// restart is a new Manners that remembers what m saved.
func restart(t *testing.T, m *Manners, o Options) *Manners {
	t.Helper()
	next := New(o)
	if err := next.Restore(m.Save()); err != nil {
		t.Fatal(err)
	}
	return next
}

// try takes a turn if there is one at once.
func try(t *testing.T, m *Manners) bool {
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	turn, err := m.Wait(ctx, request("a.test", Person))
	if err == nil {
		turn.Done(Outcome{})
	}
	return err == nil
}

// However often a process is restarted, and its clock set back, a window of a rate's length never holds more than the rate allows. That
// nothing is lost where the clock goes right, but for roundings, shows in how full it can get.
func TestSaveHolds(t *testing.T) {
	for _, clock := range []string{"right", "set back"} {
		for _, rate := range testRates {
			t.Run(clock+" "+rateText(rate), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { saveHolds(t, rate, clock == "set back") })
			})
		}
	}
}

func saveHolds(t *testing.T, rate limit.Rate, setBack bool) {
	r := rand.New(rand.NewPCG(5, 6))
	var offset time.Duration
	options := func() Options {
		off := offset
		return Options{
			Default: Limit{Rates: []limit.Rate{rate}}, Now: func() time.Time { return time.Now().Add(off) },
		}
	}
	m, begin := New(options()), time.Now()
	var granted []int64
	number := 50_000
	if setBack {
		number = 10_000
	}
	for _, at := range arrivals(r, rate, number) {
		time.Sleep(time.Until(begin.Add(time.Duration(at))))
		if try(t, m) {
			granted = append(granted, int64(time.Since(begin)))
		}
		if r.IntN(300) > 0 {
			continue
		}
		b := m.Save()
		time.Sleep(time.Duration(r.Int64N(int64(rate.Per) / 50))) // the arrivals of that time find nobody
		if setBack {
			offset -= time.Duration(r.Int64N(int64(2 * rate.Per)))
		}
		m = New(options())
		if err := m.Restore(b); err != nil {
			t.Fatal(err)
		}
	}
	most, first, fullest := rate.Events+rate.Burst, 0, 0
	for i, now := range granted {
		for now-granted[first] >= int64(rate.Per) {
			first++
		}
		fullest = max(fullest, i-first+1)
	}
	if fullest > most || !setBack && fullest < min(most*8/10, rate.Events) {
		t.Errorf("%d in the fullest window, of %d that are allowed", fullest, most)
	}
}

// A pause goes on, with its reason, and nobody comes back from it with a burst, also where the limits have changed.
func TestSavePause(t *testing.T) {
	for _, after := range []limit.Rate{bucket(1, 10), bucket(1, 20)} {
		synctest.Test(t, func(t *testing.T) {
			m := one(0, bucket(1, 10))
			take(t, m, "a.test").Done(Outcome{Kind: Throttled, Wait: time.Hour})
			want, why := m.Paused("registry.test", "a.test")
			for range 5 {
				time.Sleep(10 * minute)
				m = restart(t, m, Options{Default: Limit{Rates: []limit.Rate{after}}})
			}
			got, gotWhy := m.Paused("registry.test", "a.test")
			if got.Sub(want).Abs() > 5*time.Millisecond || gotWhy != why {
				t.Errorf("paused until %v because %q, before until %v because %q", got, gotWhy, want, why)
			}
			var paused *PausedError
			ctx, cancel := context.WithTimeout(t.Context(), minute)
			defer cancel()
			if _, err := m.Wait(ctx, request("a.test", Person)); !errors.As(err, &paused) {
				t.Errorf("asked during a pause: %v", err)
			}
			time.Sleep(time.Until(got))
			take(t, m, "a.test").Done(Outcome{})
			if try(t, m) {
				t.Error("came back with a burst")
			}
		})
	}
}

// Who throttled three times in a row before the restart is left alone for longer the fourth time; a good answer ends that as ever.
func TestSaveBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := one(0, limit.Rate{})
		var ceiling time.Duration
		throttle := func() {
			m.random = func(most time.Duration) time.Duration { ceiling = most; return most / 2 }
			turn, err := m.Wait(t.Context(), request("a.test", Person))
			if err != nil {
				t.Fatal(err)
			}
			turn.Done(Outcome{Kind: Throttled})
		}
		for range 3 {
			throttle()
		}
		m = restart(t, m, Options{Default: NoLimit()})
		if throttle(); ceiling != 4*minute {
			t.Errorf("the fourth time left alone for at most %v", ceiling)
		}
		time.Sleep(time.Hour)
		m = restart(t, m, Options{Default: NoLimit()})
		take(t, m, "a.test").Done(Outcome{})
		if throttle(); ceiling != minute/2 {
			t.Errorf("after a good answer left alone for at most %v", ceiling)
		}
	})
}

func TestSaveBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		half := func(m *Manners) *Manners {
			m.random = func(most time.Duration) time.Duration { return most / 2 }
			return m
		}
		again := func(m *Manners) *Manners { return half(restart(t, m, Options{Default: NoLimit()})) }
		until := func(m *Manners) time.Duration {
			at, _ := m.Paused("registry.test", "a.test")
			return time.Until(at).Round(10 * time.Millisecond)
		}
		m := half(one(0, limit.Rate{}))
		for range 4 {
			take(t, m, "a.test").Done(Outcome{Kind: Failed})
		}
		m = again(m)
		take(t, m, "a.test").Done(Outcome{Kind: Failed})
		if d := until(m); d != 15*time.Second {
			t.Errorf("after five failures on both sides of a restart not asked for %v", d)
		}
		if m = again(m); until(m) != 15*time.Second {
			t.Errorf("after another restart not asked for %v", until(m))
		}
		time.Sleep(15 * time.Second)
		m = again(m)
		probe := take(t, m, "a.test")
		if try(t, m) {
			t.Error("two probes at once")
		}
		m = again(m) // the answer to the probe is lost
		probe.Done(Outcome{})
		probe = take(t, m, "a.test")
		if try(t, m) {
			t.Error("two probes at once after a restart while probing")
		}
		if probe.Done(Outcome{Kind: Failed}); until(m) != minute/2 {
			t.Errorf("after a second failure not asked for %v", until(m))
		}
		time.Sleep(30 * minute)
		if s := again(m).Status(); len(s) != 0 {
			t.Errorf("remembered for too long: %+v", s)
		}
	})
}

// A save is bounded, however many operators there are, keeps those of whom most is to be remembered, and gives nothing back.
func TestSaveBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var list []Operator
		for i := range 1000 {
			list = append(list, Operator{Name: fmt.Sprintf("listed %d", i), Limit: together(0, window(1000, day), window(500, time.Hour))})
		}
		o := Options{Operators: list, Default: together(0, bucket(1, 100))}
		m := New(o)
		ask := func(name string) {
			turn, err := m.Wait(t.Context(), Request{Operator: name, Server: "a.test"})
			if err != nil {
				t.Fatal(err)
			}
			turn.Done(Outcome{})
		}
		for range 100 {
			for _, op := range list {
				ask(op.Name)
			}
			time.Sleep(30 * time.Second)
		}
		for i := range 4000 {
			ask(fmt.Sprintf("a-registry-with-a-long-name-%d.test", i))
		}
		b := m.Save()
		if len(b) > maxSaved || len(b) < maxSaved/3 {
			t.Errorf("%d bytes", len(b))
		}
		next := New(o)
		if err := next.Restore(b); err != nil {
			t.Fatal(err)
		}
		for _, op := range list {
			got := next.operators[op.Name]
			if got == nil {
				t.Fatalf("%s is forgotten", op.Name)
			}
			for i, q := range got.clients[0].quotas {
				was := m.operators[op.Name].clients[0].quotas[i]
				now := int64(time.Since(next.start))
				for _, later := range []time.Duration{0, 10 * minute, 40 * minute, 24 * time.Hour} {
					if g, w := q.count(now+int64(later)), was.count(m.now()+int64(later)); g < w {
						t.Fatalf("%s: %d used of %s after %v, before the restart %d", op.Name, g, rateText(q.rate), later, w)
					}
				}
			}
		}
		t.Logf("%d operators, of them %d saved in %d bytes", len(m.operators), len(next.operators), len(b))
	})
}

// Nothing is over sooner for having been saved.
func TestAfter(t *testing.T) {
	for _, tt := range []struct {
		t    time.Duration
		want int64
	}{{0, 0}, {1, 1}, {time.Millisecond, 1}, {time.Millisecond + 1, 2}, {-1, 0}, {-time.Millisecond, -1}, {-time.Millisecond - 1, -1}} {
		if got := after(int64(time.Hour+tt.t), int64(time.Hour)); got != tt.want {
			t.Errorf("%v is %d ms after", tt.t, got)
		}
	}
}

func TestCoarsen(t *testing.T) {
	s := savedQuota{1000, int64(day), 0, -90, 10, 1, -80, 0, 2, -60, 5, 3, -50, 0, 4, -40, 1, 5}
	for _, tt := range []struct {
		most int
		want savedQuota
	}{
		{5, s},
		{3, savedQuota{1000, int64(day), 0, -80, 20, 3, -50, 15, 7, -40, 1, 5}},
		{2, savedQuota{1000, int64(day), 0, -60, 40, 6, -40, 10, 9}},
		{1, savedQuota{1000, int64(day), 0, -40, 60, 15}},
	} {
		if got := slices.Clone(s).coarsen(tt.most); !slices.Equal(got, tt.want) {
			t.Errorf("%d marks: %v, want %v", tt.most, got, tt.want)
		}
	}
	b := savedQuota{1, 1, 5, 77}
	if got := b.coarsen(1); len(got) != 4 {
		t.Errorf("a bucket became %v", got)
	}
}

// What there is usually, and thousands of operators.
func BenchmarkSave(b *testing.B) {
	for _, n := range []int{50, 4000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m := New(Options{Default: together(0, bucket(1, 5), window(1000, day))})
			for i := range n {
				if turn, err := m.Wait(b.Context(), Request{Operator: fmt.Sprintf("r%d.test", i), Server: "a.test"}); err == nil {
					turn.Done(Outcome{})
				}
			}
			var saved []byte
			b.ReportAllocs()
			for b.Loop() {
				saved = m.Save()
			}
			b.ReportMetric(float64(len(saved)), "bytes")
		})
	}
}
