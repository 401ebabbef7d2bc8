package limit

import (
	"net/netip"
	"sync"
	"testing"
	"time"
)

var t0 = time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestParseRate(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want Rate
		fail bool
	}{
		{in: "50/m", want: Rate{Events: 50, Per: time.Minute}},
		{in: "1/s", want: Rate{Events: 1, Per: time.Second}},
		{in: "7/d", want: Rate{Events: 7, Per: 24 * time.Hour}},
		{in: "3/1m30s", want: Rate{Events: 3, Per: 90 * time.Second}},
		{in: "50", fail: true},
		{in: "0/s", fail: true},
		{in: "-1/s", fail: true},
		{in: "5/fortnight", fail: true},
		{in: "5/-1s", fail: true},
		{in: "/m", fail: true},
		{in: "2000000000/s", fail: true},
	} {
		got, err := ParseRate(tt.in)
		if (err != nil) != tt.fail || got != tt.want {
			t.Errorf("ParseRate(%q) = %+v, %v, want %+v", tt.in, got, err, tt.want)
		}
	}
}

func TestNetwork(t *testing.T) {
	n := Network{Bits4: 24, Bits6: 48}
	for in, want := range map[string]string{
		"192.0.2.77":         "192.0.2.0",
		"::ffff:192.0.2.77":  "192.0.2.0",
		"2001:db8:1:2::3":    "2001:db8:1::",
		"fe80::1:2:3:4%eth0": "fe80::",
	} {
		if got := n.Of(addr(in)); got != addr(want) {
			t.Errorf("Of(%s) = %s, want %s", in, got, want)
		}
	}
	if got := (Network{}).Of(addr("192.0.2.1")); got != addr("0.0.0.0") {
		t.Errorf("a network of 0 bits gave %s", got)
	}
}

func TestBuckets(t *testing.T) {
	b := NewBuckets(1024, t0)
	r := Rate{Events: 60, Per: time.Minute, Burst: 3}
	a, other := addr("192.0.2.1"), addr("2001:db8::")
	for i, step := range []struct {
		client netip.Addr
		at     time.Duration
		want   bool
	}{
		{a, 0, true}, {a, 0, true}, {a, 0, true}, {a, 0, false},
		{other, 0, true},
		{a, 999 * time.Millisecond, false}, {a, time.Second, true}, {a, time.Second, false},
		{a, time.Hour, true}, {a, time.Hour, true}, {a, time.Hour, true}, {a, time.Hour, false},
	} {
		if got := b.Allow(step.client, r, t0.Add(step.at)); got != step.want {
			t.Errorf("step %d: %s at %v: %v, want %v", i, step.client, step.at, got, step.want)
		}
	}
}

// A reload that changes the rate finds the buckets as they were.
func TestBucketsRateChanges(t *testing.T) {
	b, a := NewBuckets(8, t0), addr("192.0.2.1")
	for range 10 {
		b.Allow(a, Rate{Events: 1, Per: time.Minute, Burst: 10}, t0)
	}
	if b.Allow(a, Rate{Events: 1, Per: time.Minute, Burst: 5}, t0) {
		t.Error("a smaller burst refilled the bucket")
	}
	if !b.Allow(a, Rate{}, t0) {
		t.Error("no rate is no limit")
	}
	if !b.Allow(a, Rate{Events: 1, Per: time.Minute, Burst: 5}, t0.Add(6*time.Minute)) {
		t.Error("the bucket did not fill again")
	}
}

// A flood from more networks than the table has room for must neither grow it nor give a client that is held back a new burst.
func TestBucketsFlood(t *testing.T) {
	b, greedy := NewBuckets(64, t0), addr("192.0.2.1")
	r := Rate{Events: 1, Per: time.Second, Burst: 100}
	now := t0
	for b.Allow(greedy, r, now) {
	}
	flood := addr("2001:db8::")
	passed := 0
	for i := range 100_000 {
		flood = flood.Next()
		if !b.Allow(flood, r, now) {
			t.Fatalf("flood client %d was refused its first event", i)
		}
		if i%1000 == 0 && b.Allow(greedy, r, now) {
			passed++
		}
	}
	if passed > 0 {
		t.Errorf("the flood gave the client that was held back %d events", passed)
	}
	if len(b.sets)*ways != 64 {
		t.Errorf("the table has %d places, want 64", len(b.sets)*ways)
	}
}

func TestConns(t *testing.T) {
	var c Conns
	a, b := addr("192.0.2.1"), addr("192.0.2.2")
	for i, step := range []struct {
		client  netip.Addr
		release bool
		want    bool
	}{
		{a, false, true}, {a, false, true}, {a, false, false}, // two a client
		{b, false, true}, {b, false, false}, // three in all
		{a, true, true}, {b, false, true},
	} {
		if step.release {
			c.Release(step.client)
			continue
		}
		if got := c.Acquire(step.client, 3, 2); got != step.want {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
	c.Release(a)
	c.Release(b)
	c.Release(b)
	if c.Open() != 0 || len(c.byClient) != 0 {
		t.Errorf("%d open, %d clients remembered after all left", c.Open(), len(c.byClient))
	}
}

func TestConcurrent(t *testing.T) {
	b := NewBuckets(256, t0)
	var c Conns
	var wg sync.WaitGroup
	var mu sync.Mutex
	allowed := 0
	for range 8 {
		wg.Go(func() {
			for range 100 {
				a := addr("192.0.2.1")
				if c.Acquire(a, 0, 0) {
					defer c.Release(a)
				}
				if b.Allow(a, Rate{Events: 1, Per: time.Hour, Burst: 50}, t0) {
					mu.Lock()
					allowed++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if allowed != 50 || c.Open() != 0 {
		t.Errorf("%d events allowed, want 50; %d open, want 0", allowed, c.Open())
	}
}

func BenchmarkAllow(b *testing.B) {
	bs, a := NewBuckets(65536, t0), addr("192.0.2.1")
	r := Rate{Events: 1_000_000, Per: time.Second}
	b.ReportAllocs()
	for i := range b.N {
		bs.Allow(a, r, t0.Add(time.Duration(i)*time.Microsecond))
	}
}

func BenchmarkConns(b *testing.B) {
	var c Conns
	a := addr("192.0.2.1")
	b.ReportAllocs()
	for b.Loop() {
		if c.Acquire(a, 10, 10) {
			c.Release(a)
		}
	}
}
