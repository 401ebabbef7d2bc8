package manners

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whence-project/whence/internal/limit"
)

// Other settings apply at once, and to what has been used up.
func TestConfigure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := Options{Default: Limit{Rates: []limit.Rate{window(10, minute)}}, Sources: addrs("192.0.2.1 198.51.100.1")}
		m := New(o)
		left := func() (left []int) {
			for _, c := range m.Status()[0].Clients {
				left = append(left, c.Left)
			}
			return left
		}
		held := take(t, m, "a.test")
		for range 3 {
			take(t, m, "a.test").Done(Outcome{})
		}
		check := func(what string, want ...int) {
			t.Helper()
			if got := left(); !slices.Equal(got, want) {
				t.Errorf("%s: %v left, want %v", what, got, want)
			}
		}
		check("at first", 6)
		m.Configure(o)
		check("the same again", 6)
		o.Default = by24(1, window(10, minute))
		m.Configure(o)
		check("by network: each has what all had used", 6, 6)
		if s := m.Status()[0].Clients; s[0].UnderWay != 1 || s[1].UnderWay != 0 {
			t.Errorf("under way: %+v", s)
		}
		other := take(t, m, "b.test") // the first network has one under way, which is all that it may
		if other.Source() == held.Source() {
			t.Errorf("two under way from %v", other.Source())
		}
		other.Done(Outcome{})
		o.Default = Limit{Rates: []limit.Rate{window(20, minute)}}
		m.Configure(o)
		check("all together again: added up", 20-4-5)
		held.Done(Outcome{Kind: Throttled, Wait: minute})
		o.Operators = []Operator{{Name: "registry.test", Hosts: []string{"a.test"}, Limit: by24(0, window(100, day))}}
		m.Configure(o)
		if at, _ := m.Paused("registry.test", "a.test"); time.Until(at) != minute {
			t.Errorf("the pause is forgotten: %v", at)
		}
		if s := m.Status()[0]; s.Note != "configured" || len(s.Clients) != 2 || s.Clients[1].UnderWay != 0 {
			t.Errorf("%+v", s)
		}
		time.Sleep(minute)
		take(t, m, "a.test").Done(Outcome{})
	})
}

// Who waits is served by the new limits.
func TestConfigureWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := one(0, window(1, day))
		take(t, m, "a.test").Done(Outcome{})
		o := newOrder()
		o.add(t.Context(), m, "waits", request("a.test", Person), Outcome{})
		r := request("a.test", Person)
		r.Family = 4
		time.Sleep(time.Hour)
		m.Configure(Options{Default: Limit{Rates: []limit.Rate{window(1, day)}}, Sources: addrs("192.0.2.1")})
		o.add(t.Context(), m, "wants IPv4", r, Outcome{})
		m.Configure(Options{Default: NoLimit(), Sources: addrs("2001:db8::1")})
		o.wg.Wait()
		if !slices.Equal(o.times, []time.Duration{time.Hour, time.Hour}) {
			t.Errorf("served at %v", o.times)
		}
	})
}

// However many operators there are, those at rest cost nothing, and those that are not are bounded.
func TestForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(Options{})
		ask := func(i int, o Outcome) {
			turn, err := m.Wait(t.Context(), Request{Operator: fmt.Sprintf("r%d.test", i), Server: "a.test"})
			if err != nil {
				t.Fatal(err)
			}
			turn.Done(o)
		}
		keep, err := m.Wait(t.Context(), Request{Operator: "busy.test", Server: "a.test"})
		if err != nil {
			t.Fatal(err)
		}
		if turn, err := m.Wait(t.Context(), Request{Operator: "nominet", Server: "a.test"}); err == nil {
			turn.Done(Outcome{})
		}
		for i := range 20_000 {
			ask(i, Outcome{})
			time.Sleep(100 * time.Millisecond)
		}
		if n := len(m.operators); n > 200 {
			t.Errorf("%d operators are remembered, of which about ten are not at rest", n)
		}
		for i := range 3 * maxOperators {
			ask(i, Outcome{Kind: Throttled, Wait: 12 * time.Hour})
		}
		if n := len(m.operators); n > maxOperators+10 {
			t.Errorf("%d operators are remembered", n)
		}
		if m.operators["busy.test"] == nil || m.operators["nominet"] == nil {
			t.Error("an operator with a query under way, or with a place in the table, was forgotten")
		}
		keep.Done(Outcome{})
		if c := m.Totals(); c.Turns != 20_002+3*maxOperators || c.Throttled != 3*maxOperators {
			t.Errorf("totals %+v", c)
		}
	})
}

// The memory of thousands of operators.
func TestMemory(t *testing.T) {
	m := New(Options{Default: Limit{Rates: []limit.Rate{window(5, time.Second), window(1000, day)}}})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 20_000 {
		turn, err := m.Wait(t.Context(), Request{Operator: fmt.Sprintf("r%d.test", i), Server: "a.test"})
		if err != nil {
			t.Fatal(err)
		}
		turn.Done(Outcome{Kind: OutcomeKind(i%2) * Failed})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("%d operators take %d bytes", len(m.operators), grown)
	}
	runtime.KeepAlive(m)
}

func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(Options{})
		if s := m.Status(); len(s) != 0 {
			t.Errorf("at first: %+v", s)
		}
		for range 3 {
			turn, err := m.Wait(t.Context(), Request{Operator: m.Operator("whois.nic.uk"), Server: "whois.nic.uk"})
			if err != nil {
				t.Fatal(err)
			}
			turn.Done(Outcome{Kind: Failed})
		}
		got, err := json.Marshal(m.Status())
		if err != nil {
			t.Fatal(err)
		}
		want := `[{"name":"nominet","rates":["5/s","1000/24h"],"concurrent":4,` +
			`"note":"published for .uk: 5 a second and 1,000 in 24 h, by user and not by address",` +
			`"queue":{"person":0,"pipeline":0,"background":0},"clients":[{"used":[3,3],"left":2,"under_way":0}],` +
			`"servers":[{"server":"whois.nic.uk","failures":3,"open":false}],` +
			`"counts":{"turns":3,"ok":0,"throttled":0,"failed":3,"paused":0,"broken":0,"queue_full":0,"gave_up":0}}]`
		if string(got) != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

// A limit that is used up for hours is a pause; one that is used up for seconds is not.
func TestPausedUsedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := one(0, limit.Rate{Events: 1, Per: minute, Burst: 1}, window(2, day))
		if at, _ := m.Paused("registry.test", "a.test"); !at.IsZero() {
			t.Errorf("an operator who was never asked is paused until %v", at)
		}
		take(t, m, "a.test").Done(Outcome{})
		if at, _ := m.Paused("registry.test", "a.test"); !at.IsZero() {
			t.Errorf("a minute is a pause, until %v", at)
		}
		time.Sleep(minute)
		take(t, m, "a.test").Done(Outcome{})
		at, why := m.Paused("registry.test", "a.test")
		if d := time.Until(at); d < 23*time.Hour || d > day || why != "registry.test answers no more than 1/m burst 1 and 2/24h" {
			t.Errorf("paused for %v: %s", d, why)
		}
	})
}
