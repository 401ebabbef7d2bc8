package manners

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whence-project/whence/internal/limit"
)

// What has been used up already is not forgotten for what was saved, nor the other way round; and no save counts twice.
func TestRestoreMerges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before, m := one(0, window(100, day), bucket(1, 50)), one(0, window(100, day), bucket(1, 50))
		for range 10 {
			take(t, before, "a.test").Done(Outcome{})
		}
		for range 5 {
			take(t, before, "b.test").Done(Outcome{Kind: Failed})
		}
		take(t, m, "a.test").Done(Outcome{Kind: Throttled, Wait: minute})
		check := func(what string, b []byte, want ...int) {
			t.Helper()
			if err := m.Restore(b); err != nil {
				t.Fatal(err)
			}
			if got := m.Status()[0].Clients[0].Used; !slices.Equal(got, want) {
				t.Errorf("%s: %v used, want %v", what, got, want)
			}
		}
		early := m.Save()
		b := before.Save()
		check("both", b, 16, 60+49)
		check("the same again", b, 16, 60+49)
		check("its own", m.Save(), 16, 60+49)
		check("its own, older", early, 16, 60+49)
		if s := m.Status()[0]; s.Clients[0].PausedUntil.IsZero() || len(s.Servers) != 1 || s.Servers[0].Failures != 5 {
			t.Errorf("%+v", s)
		}
	})
}

// Those who wait already learn what was restored.
func TestRestoreWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before, m := one(0, limit.Rate{}), one(1, limit.Rate{})
		for range 5 {
			take(t, before, "b.test").Done(Outcome{Kind: Failed})
		}
		take(t, before, "a.test").Done(Outcome{Kind: Throttled, Wait: time.Hour})
		turn := take(t, m, "c.test")
		o := newOrder()
		ctx, cancel := context.WithTimeout(t.Context(), minute)
		defer cancel()
		o.add(ctx, m, "hasty", request("a.test", Person), Outcome{})
		o.add(t.Context(), m, "patient", request("a.test", Person), Outcome{})
		o.add(t.Context(), m, "broken", request("b.test", Person), Outcome{})
		if err := m.Restore(before.Save()); err != nil {
			t.Fatal(err)
		}
		turn.Done(Outcome{})
		o.wg.Wait()
		var paused *PausedError
		var broken *BrokenError
		if !errors.As(o.errs["hasty"], &paused) || !errors.As(o.errs["broken"], &broken) || !slices.Equal(o.times, []time.Duration{time.Hour}) {
			t.Errorf("errors %v, turns at %v", o.errs, o.times)
		}
	})
}

// Other limits and sources find what was used up before the restart as they do after a reload.
func TestRestoreConfigured(t *testing.T) {
	two := addrs("192.0.2.1 198.51.100.1")
	for _, tt := range []struct {
		name          string
		before, after Options
		want          []int // left to each client, six having been taken before
	}{
		{"the same", Options{Default: together(0, window(10, day))}, Options{Default: together(0, window(10, day))}, []int{4}},
		{"less", Options{Default: together(0, window(10, day))}, Options{Default: together(0, window(5, time.Hour))}, []int{0}},
		{"more", Options{Default: together(0, window(10, day))}, Options{Default: together(0, window(100, day))}, []int{94}},
		{"a bucket", Options{Default: together(0, window(10, day))}, Options{Default: together(0, bucket(1, 10))}, []int{4}},
		{"no limit", Options{Default: together(0, window(10, day))}, Options{Default: NoLimit()}, []int{-1}},
		{"a limit", Options{Default: NoLimit()}, Options{Default: together(0, window(10, day))}, []int{10}},
		{
			"listed meanwhile", Options{Default: together(0, window(10, day))},
			Options{Operators: []Operator{{Name: "registry.test", Limit: together(0, window(7, day), window(8, 2*day))}}}, []int{1},
		},
		{
			"all apart", Options{Default: together(0, window(10, day)), Sources: two},
			Options{Default: by24(0, window(10, day)), Sources: two}, []int{4, 4},
		},
		{
			"all together", Options{Default: by24(0, window(10, day)), Sources: two},
			Options{Default: together(0, window(10, day)), Sources: two}, []int{4},
		},
		{
			"each its own", Options{Default: by24(0, window(10, day)), Sources: two},
			Options{Default: by24(0, window(10, day)), Sources: two}, []int{7, 7},
		},
		{
			"another source", Options{Default: by24(0, window(10, day)), Sources: two},
			Options{Default: by24(0, window(10, day)), Sources: addrs("192.0.2.9 203.0.113.1")}, []int{7, 10},
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := New(tt.before)
			for range 6 {
				take(t, m, "a.test").Done(Outcome{})
			}
			time.Sleep(time.Millisecond)
			m = restart(t, m, tt.after)
			m.operator("registry.test", 0) // where there is nothing to remember of it
			var got []int
			for _, c := range m.Status()[0].Clients {
				got = append(got, c.Left)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%s: %v left, want %v", tt.name, got, tt.want)
			}
		})
	}
}

// What is over by the time it is read is not remembered.
func TestRestoreOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(Options{Default: together(0, window(10, day), bucket(1, 5))})
		take(t, m, "a.test").Done(Outcome{Kind: Failed})
		take(t, m, "a.test").Done(Outcome{Kind: Throttled, Wait: 20 * time.Hour})
		b := m.Save()
		for _, tt := range []struct {
			after   time.Duration
			remains bool
		}{{23 * time.Hour, true}, {2 * time.Hour, false}, {50 * 365 * day, false}, {150 * 365 * day, false}} {
			time.Sleep(tt.after)
			m := New(m.opt)
			if err := m.Restore(b); err != nil {
				t.Fatal(err)
			}
			if got := len(m.Status()) == 1; got != tt.remains {
				t.Errorf("%v: %+v", time.Now(), m.Status())
			}
			if !try(t, m) {
				t.Errorf("%v: still not allowed", time.Now())
			}
		}
	})
}

// A clock that was wrong when the state was saved, or is wrong now, makes nothing last longer than it would have then.
func TestRestoreFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := Options{Default: together(0, window(10, day), bucket(1, 5))}
		m := New(o)
		for range 5 {
			take(t, m, "b.test").Done(Outcome{Kind: Failed})
		}
		time.Sleep(minute)
		take(t, m, "a.test").Done(Outcome{Kind: Throttled, Wait: 20 * time.Hour})
		b := m.Save()
		o.Now = func() time.Time { return time.Now().AddDate(-20, 0, 0) }
		m = New(o)
		if err := m.Restore(b); err != nil {
			t.Fatal(err)
		}
		c := m.Status()[0].Clients[0]
		if d := c.PausedUntil.Sub(o.Now()); d != 20*time.Hour || !slices.Equal(c.Used, []int{6, int(d/time.Second) + 4}) {
			t.Errorf("paused for %v, %v used", d, c.Used)
		}
		time.Sleep(20 * time.Hour)
		if !try(t, m) {
			t.Errorf("not over when it should be: %+v", m.Status())
		}
	})
}

// usedUp is a Manners of which there is everything to remember.
func usedUp(t testing.TB, o Options) *Manners {
	m := New(o)
	for i, outcome := range []Outcome{{}, {Kind: Failed}, {Kind: Failed}, {Kind: Throttled}} {
		turn, err := m.Wait(t.Context(), request(fmt.Sprint("server", i, ".test"), Person))
		if err != nil {
			t.Fatal(err)
		}
		turn.Done(outcome)
	}
	return m
}

// What nobody has saved is an error, and changes nothing.
func TestRestoreGarbage(t *testing.T) {
	op := func(s string) string { return `{"v":1,"id":1,"at":1,"operators":[` + s + `]}` }
	client := func(s string) string { return op(`{"name":"a.test","clients":[` + s + `]}`) }
	synctest.Test(t, func(t *testing.T) {
		m := usedUp(t, Options{Default: together(0, window(10, day))})
		good := string(m.Save())
		for _, tt := range []struct{ in, want string }{
			{"", "unexpected end"},
			{"null", "no version"},
			{"{}", "no version"},
			{"\x00\x01", "invalid character"},
			{good[:len(good)/2], "unexpected end"},
			{good + good, "after top-level value"},
			{strings.Replace(good, `"v":1`, `"v":2`, 1), "version 2 is not"},
			{`{"v":3,"id":"x","operators":7}`, "version 3 is not"},
			{`{"v":1,"id":1}`, "when it was saved"},
			{`{"v":1,"at":1}`, "whose it is"},
			{`{"v":1,"id":-1,"at":1}`, "cannot unmarshal"},
			{strings.Repeat(" ", maxSaved) + good, "more than are ever saved"},
			{op(`{}`), "no name"},
			{client(`{"throttles":-1}`), `operator "a.test": throttled -1`},
			{client(`{"net":"192.0.2.0/33"}`), "prefix"},
			{client(`{"used":[[]]}`), "no rate"},
			{client(`{"used":[[1,0,0]]}`), "no rate"},
			{client(`{"used":[[0,1,0]]}`), "no rate"},
			{client(`{"used":[[1,9000000000000000000,0]]}`), "no rate"},
			{client(`{"used":[[1,1,1]]}`), "a bucket of 0"},
			{client(`{"used":[[1,1,1,2,3]]}`), "a bucket of 2"},
			{client(`{"used":[[1,1,0,2]]}`), "a window of 1"},
			{client(`{"used":[[1,1,0,-5,-1,1]]}`), "1 events in -1 ms"},
			{client(`{"used":[[1,1,0,-5,1,0]]}`), "0 events in 1 ms"},
			{client(`{"used":[[1,1,0,0.5,1,1]]}`), "cannot unmarshal"},
			{op(`{"name":"a.test","servers":[{"name":"x"}]}`), "failed 0 times"},
			{op(`{"name":"a.test","servers":[{"name":"x","failures":1,"opens":-1}]}`), "left alone -1 times"},
			// Not even what is right before it.
			{strings.Replace(good, `}]}`, `}]},{"name":""}`, 1), "no name"},
			{op(`{"name":"b.test","clients":[{"paused":99999999}]},{"name":""}`), "no name"},
		} {
			err := m.Restore([]byte(tt.in))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%.80q: %v, want %q", tt.in, err, tt.want)
			}
			if now := string(m.Save()); now != good {
				t.Fatalf("%.80q changed %s to %s", tt.in, good, now)
			}
		}
	})
}

// Numbers beyond reason are cut to what can have been.
func TestRestoreBeyondReason(t *testing.T) {
	const huge = "9223372036854775807"
	in := `{"v":1,"id":1,"at":` + huge + `,"operators":[{"name":"registry.test","clients":[{"used":[` +
		`[10,86400000000000,0,` + huge + `,` + huge + `,` + huge + `,-` + huge + `,` + huge + `,1],` +
		`[1,1000000000,5,` + huge + `]],` +
		`"paused":` + huge + `,"throttles":` + huge + `,"throttled":` + huge + `}],` +
		`"servers":[{"name":"a.test","failures":` + huge + `,"opens":` + huge + `,"last":` + huge + `,"until":` + huge + `}]}]}`
	synctest.Test(t, func(t *testing.T) {
		m := New(Options{Default: together(0, window(10, day), bucket(1, 5))})
		if err := m.Restore([]byte(in)); err != nil {
			t.Fatal(err)
		}
		s := m.Status()[0]
		if c := s.Clients[0]; time.Until(c.PausedUntil) != maxWait || c.Why != asked || time.Until(c.Next) > maxWait+time.Second {
			t.Errorf("%+v", c)
		}
		if b := s.Servers[0]; time.Until(b.Until) != 15*minute {
			t.Errorf("%+v", b)
		}
		time.Sleep(maxWait + time.Second)
		if !try(t, m) {
			t.Errorf("not over: %+v", m.Status())
		}
	})
}

func FuzzRestore(f *testing.F) {
	start := time.Unix(1_700_000_000, 0)
	o := Options{
		Default: by24(2, window(70, day), window(5, time.Second), bucket(1, 10)), Sources: addrs("192.0.2.1 2001:db8::1"),
		Now: func() time.Time { return start },
	}
	f.Add(usedUp(f, o).Save())
	f.Add(usedUp(f, Options{Now: o.Now}).Save())
	f.Add(usedUp(f, Options{Now: func() time.Time { return start.Add(-10 * time.Hour) }}).Save())
	f.Add([]byte(`{"v":1,"id":1,"at":9e18,"operators":[{"name":"x","clients":[{"used":[[1,1,0,-9,1,7]],"paused":5}]}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		m := usedUp(t, o)
		before, known := m.Status(), m.Save()
		err := m.Restore(in)
		after := m.Save()
		if err != nil {
			if !bytes.Equal(known, after) {
				t.Fatalf("%v, but changed %s to %s", err, known, after)
			}
			return
		}
		if len(after) > maxSaved {
			t.Errorf("%d bytes", len(after))
		}
		if err := New(o).Restore(after); err != nil {
			t.Errorf("%v in its own %s", err, after)
		}
		op := m.operators["registry.test"]
		for i, c := range before[0].Clients {
			for j, used := range c.Used {
				if got := op.clients[i].quotas[j].count(0); got < used {
					t.Errorf("%d used, before %d", got, used)
				}
			}
			if d := op.clients[i].paused; m.time(d).Before(c.PausedUntil) || d > int64(maxWait) {
				t.Errorf("paused until %v, before %v", m.time(d), c.PausedUntil)
			}
		}
		m.Paused("registry.test", "a.test")
		m.Status()
		for _, op := range m.operators {
			for p := range Priority(priorities) {
				op.pick(0, p, 0)
				op.wake(int64(p) * int64(day))
			}
		}
	})
}
