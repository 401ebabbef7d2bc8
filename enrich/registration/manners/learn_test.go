package manners

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whence-project/whence/internal/limit"
)

// What a reply tells to wait stops everybody, those who cannot wait so long at once, and is over when it said.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := one(2, limit.Rate{Events: 1, Per: time.Second, Burst: 10})
		slow, polite := take(t, m, "a.test"), take(t, m, "b.test")
		o := newOrder()
		short, cancel := context.WithTimeout(t.Context(), 49*time.Second)
		defer cancel()
		o.add(short, m, "hasty", request("a.test", Person), Outcome{})
		for i := range 3 {
			o.add(t.Context(), m, fmt.Sprint("patient ", i), request("c.test", Background), Outcome{})
		}
		slow.Done(Outcome{Kind: Throttled, Wait: 50 * time.Second})
		until := time.Now().Add(50 * time.Second)
		synctest.Wait()
		var paused *PausedError
		if !errors.As(o.errs["hasty"], &paused) || !paused.Until.Equal(until) {
			t.Errorf("who cannot wait was told %v", o.errs["hasty"])
		}
		polite.Done(Outcome{}) // it was asked before, so that its good end does not mean that all is well
		if at, why := m.Paused("registry.test", "a.test"); !at.Equal(until) || why == "" {
			t.Errorf("paused until %v because %q, want %v", at, why, until)
		}
		if s := m.Status()[0].Clients[0]; !s.PausedUntil.Equal(until) || !s.Next.Equal(until) || s.Left != 0 || s.Throttles != 1 || s.Why == "" {
			t.Errorf("status %+v", s)
		}
		o.wg.Wait()
		// The bucket was full, but who was told to go away does not come back with a burst.
		if !slices.Equal(o.times, []time.Duration{50 * time.Second, 51 * time.Second, 52 * time.Second}) {
			t.Errorf("after the pause at %v", o.times)
		}
		if at, why := m.Paused("registry.test", "a.test"); !at.IsZero() || why != "" {
			t.Errorf("still paused until %v: %s", at, why)
		}
		if s := m.Status()[0].Clients[0]; s.Throttles != 0 || !s.PausedUntil.IsZero() {
			t.Errorf("after a good answer: %+v", s)
		}
	})
}

func TestLongPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := one(0, limit.Rate{})
		first, second := take(t, m, "a.test"), take(t, m, "a.test")
		first.Done(Outcome{Kind: Throttled, Wait: 1000 * time.Hour})
		second.Done(Outcome{Kind: Throttled, Wait: time.Hour}) // less than is known already
		if at, _ := m.Paused("registry.test", "a.test"); time.Until(at) != 24*time.Hour {
			t.Errorf("paused until %v", at)
		}
	})
}

// Without a word how long, the pauses are random, grow, and are short again after a good answer.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := one(0, limit.Rate{})
		var ceilings []time.Duration
		m.random = func(most time.Duration) time.Duration {
			ceilings = append(ceilings, most)
			return most / 2
		}
		throttle := func() {
			turn, err := m.Wait(t.Context(), request("a.test", Person))
			if err != nil {
				t.Fatal(err)
			}
			turn.Done(Outcome{Kind: Throttled})
		}
		for range 9 {
			throttle()
		}
		// All that were under way together are one offence.
		time.Sleep(time.Hour)
		several := []*Turn{take(t, m, "a.test"), take(t, m, "a.test"), take(t, m, "a.test")}
		for _, turn := range several {
			turn.Done(Outcome{Kind: Throttled})
		}
		time.Sleep(time.Hour)
		take(t, m, "a.test").Done(Outcome{})
		throttle()
		s, min := time.Second, time.Minute
		want := []time.Duration{30 * s, min, 2 * min, 4 * min, 8 * min, 16 * min, 32 * min, 60 * min, 60 * min, 60 * min, 30 * s}
		if !slices.Equal(ceilings, want) {
			t.Errorf("backed off for at most %v, want %v", ceilings, want)
		}
	})
}

// Full jitter: any time up to the ceiling is as likely as any other.
func TestJitter(t *testing.T) {
	m := New(Options{})
	var parts [4]int
	for range 4000 {
		d := m.backoff(8*time.Minute, time.Hour, 2)
		if d < leastBackoff || d >= 16*time.Minute {
			t.Fatalf("backed off for %v", d)
		}
		parts[d/(4*time.Minute)]++
	}
	for i, n := range parts {
		if n < 850 || n > 1150 {
			t.Errorf("%d of 4000 in quarter %d", n, i)
		}
	}
	if d := m.backoff(time.Millisecond, time.Millisecond, 1); d != time.Millisecond {
		t.Errorf("a ceiling of a millisecond made %v", d)
	}
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := one(0, limit.Rate{})
		m.random = func(most time.Duration) time.Duration { return most - 1 }
		for range 4 {
			take(t, m, "a.test").Done(Outcome{Kind: Failed})
		}
		take(t, m, "a.test").Done(Outcome{}) // not in a row
		early := take(t, m, "a.test")
		for range 5 {
			take(t, m, "a.test").Done(Outcome{Kind: Failed})
		}
		early.Done(Outcome{Kind: Failed}) // asked before: it makes the pause no longer
		for i, open := range []time.Duration{30 * time.Second, minute, 2 * minute, 4 * minute, 8 * minute, 15 * minute, 15 * minute} {
			until := time.Now().Add(open - 1)
			var broken *BrokenError
			if _, err := m.Wait(t.Context(), request("a.test", Person)); !errors.As(err, &broken) || !broken.Until.Equal(until) {
				t.Fatalf("opened %d times: %v, want until %v", i+1, err, until)
			}
			if at, why := m.Paused("registry.test", "a.test"); !at.Equal(until) || why == "" {
				t.Errorf("paused until %v: %s", at, why)
			}
			if at, _ := m.Paused("registry.test", "b.test"); !at.IsZero() {
				t.Errorf("another server of the operator is not asked until %v", at)
			}
			take(t, m, "b.test").Done(Outcome{})
			time.Sleep(open)
			probe := take(t, m, "a.test")
			o := newOrder()
			o.add(t.Context(), m, "other", request("a.test", Person), Outcome{})
			o.add(t.Context(), m, "server", request("b.test", Background), Outcome{})
			if s := m.Status()[0].Servers; len(s) != 1 || !s[0].Probing || !s[0].Open || s[0].Server != "a.test" {
				t.Errorf("while probing: %+v", s)
			}
			probe.Done(Outcome{Kind: Failed})
			o.wg.Wait()
			if !slices.Equal(o.names, []string{"server"}) || !errors.As(o.errs["other"], &broken) {
				t.Errorf("while probing, turns for %v, errors %v", o.names, o.errs)
			}
		}
		time.Sleep(15 * minute)
		probe := take(t, m, "a.test")
		o := newOrder()
		o.add(t.Context(), m, "other", request("a.test", Person), Outcome{})
		probe.Done(Outcome{Kind: Throttled, Wait: time.Second}) // it works
		o.wg.Wait()
		if len(o.names) != 1 || len(m.Status()[0].Servers) != 0 {
			t.Errorf("after a good probe: %v, %+v", o.errs, m.Status()[0].Servers)
		}
	})
}

// Failures that are long past do not count.
func TestBreakerForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := one(0, limit.Rate{})
		for range 3 {
			for range 4 {
				take(t, m, "a.test").Done(Outcome{Kind: Failed})
			}
			time.Sleep(16 * minute)
			if s := m.Status()[0].Servers; len(s) != 0 {
				t.Errorf("still remembered: %+v", s)
			}
		}
		for i := range 3 * maxBreakers {
			take(t, m, fmt.Sprint("s", i, ".test")).Done(Outcome{Kind: Failed})
		}
		if n := len(m.Status()[0].Servers); n != maxBreakers {
			t.Errorf("%d servers are remembered", n)
		}
	})
}

func addrs(s string) []netip.Addr {
	var all []netip.Addr
	for f := range strings.FieldsSeq(s) {
		all = append(all, netip.MustParseAddr(f))
	}
	return all
}

// How many turns there are at once depends on what the operator takes for one client.
func TestSources(t *testing.T) {
	four := "192.0.2.1 192.0.2.2 192.0.2.3 ::ffff:192.0.2.4 192.0.2.4"
	for _, tt := range []struct {
		name         string
		bits4, bits6 int
		sources      string
		family       int
		want         string // how often each was used
	}{
		{"no sources", 24, 48, "", 0, "3×invalid IP"},
		{"a network", 24, 48, four, 0, "1×192.0.2.1 1×192.0.2.2 1×192.0.2.3"},
		{"by user", 0, 0, four + " 2001:db8::1", 0, "1×192.0.2.1 1×192.0.2.2 1×192.0.2.3"},
		{"by address", 32, 64, "192.0.2.1 192.0.2.2 2001:db8::1 2001:db8::2", 0, "3×192.0.2.1 3×192.0.2.2 2×2001:db8::1 1×2001:db8::2"},
		{"two networks", 24, 48, "192.0.2.1 198.51.100.1", 0, "3×192.0.2.1 3×198.51.100.1"},
		{"IPv4 only", 24, 48, "2001:db8::1 192.0.2.1", 4, "3×192.0.2.1"},
		{"IPv6 only", 24, 48, "2001:db8::1 192.0.2.1", 6, "3×2001:db8::1"},
		{"IPv6 where there is none", 24, 48, "192.0.2.1", 6, "3×192.0.2.1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := New(Options{
				Default: Limit{Rates: []limit.Rate{window(3, minute)}, Bits4: tt.bits4, Bits6: tt.bits6}, Sources: addrs(tt.sources),
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			used := make(map[netip.Addr]int)
			for {
				r := request("a.test", Person)
				r.Family = tt.family
				turn, err := m.Wait(ctx, r)
				if err != nil {
					break
				}
				used[turn.Source()]++
				turn.Done(Outcome{})
				time.Sleep(time.Nanosecond)
			}
			var got []string
			for a, n := range used {
				got = append(got, fmt.Sprintf("%d×%v", n, a))
			}
			slices.SortFunc(got, func(a, b string) int { return strings.Compare(a[3:], b[3:]) })
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("%s: %s, want %s", tt.name, s, tt.want)
			}
		})
	}
}

// A pause is for the network that was told; the others go on, and in turns.
func TestSourcePaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(Options{Default: by24(0, limit.Rate{Events: 10, Per: time.Second, Burst: 10}), Sources: addrs("192.0.2.1 198.51.100.1")})
		first := take(t, m, "a.test")
		first.Done(Outcome{Kind: Throttled, Wait: minute})
		for range 5 {
			turn := take(t, m, "a.test")
			if turn.Done(Outcome{}); turn.Source() == first.Source() {
				t.Fatalf("%v was to be left alone", turn.Source())
			}
		}
		if at, _ := m.Paused("registry.test", "a.test"); !at.IsZero() {
			t.Errorf("all is said to be paused until %v", at)
		}
		take(t, m, "a.test").Done(Outcome{Kind: Throttled, Wait: 2 * minute})
		if at, _ := m.Paused("registry.test", "a.test"); time.Until(at) != minute {
			t.Errorf("the first may be asked again at %v", at)
		}
		if s := m.Status()[0]; len(s.Clients) != 2 || len(s.Clients[0].Sources) != 1 || s.Clients[0].Network.Bits() != 24 {
			t.Errorf("%+v", s)
		}
	})
}
