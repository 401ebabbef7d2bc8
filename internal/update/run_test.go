package update

import (
	"context"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// intervals runs an updater for a time that is made up, and tells when the origin was asked, from the start.
func (b *bench) intervals(t *testing.T, total time.Duration) (at []time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), total)
	defer cancel()
	start, before := time.Now(), len(b.origin.times())
	b.Run(ctx)
	for _, when := range b.origin.times()[before:] {
		at = append(at, when.Sub(start))
	}
	if st := b.Status(); !st.Next.IsZero() {
		t.Errorf("nothing runs, and asks next at %v", st.Next)
	}
	return at
}

func between(t *testing.T, what string, got, low, high time.Duration) {
	t.Helper()
	if got < low || got > high {
		t.Errorf("%s: %v, want between %v and %v", what, got, low, high)
	}
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		text := list("2026-01-01", 10)
		b.origin.put(dataURL, text)
		at := b.intervals(t, 10*24*time.Hour)
		if len(at) < 9 || len(at) > 11 {
			t.Fatalf("asked at %v", at)
		}
		between(t, "the first", at[0], 0, firstWithin)
		spread := false
		for i := range at[1:] {
			between(t, "a day", at[i+1]-at[i], 24*time.Hour-144*time.Minute, 24*time.Hour+144*time.Minute)
			spread = spread || (at[i+1]-at[i])%time.Minute != 0
		}
		if !spread {
			t.Errorf("no jitter in %v", at)
		}
		if got, _ := os.ReadFile(b.file); string(got) != text {
			t.Errorf("%.40q", got)
		}
		// A restart asks when it is due, not at once.
		last := at[len(at)-1] - 10*24*time.Hour
		again := benchAt(t, b.file, b.origin).intervals(t, 30*time.Hour)
		if len(again) == 0 {
			t.Fatal("not asked within 30 hours after a restart")
		}
		between(t, "a day, with a restart in it", again[0]-last, 24*time.Hour-144*time.Minute, 24*time.Hour+144*time.Minute)
		// A week away, it is overdue.
		time.Sleep(7 * 24 * time.Hour)
		again = benchAt(t, b.file, b.origin).intervals(t, time.Hour)
		if len(again) != 1 || again[0] > startWithin {
			t.Errorf("after a week at %v", again)
		}
	})
}

func TestRunWithAFileThatNobodyAskedAbout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.origin.put(dataURL, list("2026-01-01", 10))
		if err := os.MkdirAll(b.file[:len(b.file)-len("names.txt")], 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(b.file, []byte(list("2026-01-01", 9)), 0o644); err != nil {
			t.Fatal(err)
		}
		if at := b.intervals(t, time.Hour); len(at) != 1 || at[0] > startWithin {
			t.Errorf("asked at %v", at)
		}
	})
}

func TestRunBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		first := b.intervals(t, 5*24*time.Hour)
		if at := first; len(at) < 10 || len(at) > 25 {
			t.Fatalf("asked at %v", at)
		}
		want := backOff
		for i := range first[1:] {
			between(t, "after a failure", first[i+1]-first[i], want/2, want*3/2)
			want = min(2*want, b.o.Every)
		}
		if b.logs.FilterMessage("data not updated; what is there serves on").Len() != len(first) {
			t.Errorf("%d log lines for %d failures", b.logs.Len(), len(first))
		}
		// Once it goes well, the next failure is the first again.
		text := list("2026-01-01", 10)
		b.origin.put(dataURL, text)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go b.Run(ctx)
		time.Sleep(time.Hour)
		b.origin.put(dataURL, "bad")
		n := len(b.origin.times())
		time.Sleep(28 * time.Hour)
		at := b.origin.times()[n:]
		if len(at) < 2 {
			t.Fatalf("asked at %v", at)
		}
		between(t, "after the first failure", at[1].Sub(at[0]), backOff/2, 3*backOff/2)
	})
}

func TestRunLeavesServersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.origin.serve = func(*http.Request) *http.Response { return answer(429, "", "Retry-After", "36000") }
		at := b.intervals(t, 25*time.Hour)
		if len(at) != 3 {
			t.Fatalf("asked at %v", at)
		}
		between(t, "after 429", at[1]-at[0], 10*time.Hour, 10*time.Hour+time.Second)
		// A process that starts anew keeps to it, unless it asks somebody else.
		if again := benchAt(t, b.file, b.origin).intervals(t, time.Hour); len(again) != 0 {
			t.Errorf("after a restart at %v", again)
		}
		other := benchAt(t, b.file, b.origin, func(o *Options) { o.Origin.URL = "https://example.net/names.txt" })
		if again := other.intervals(t, time.Minute); len(again) != 1 {
			t.Errorf("another server at %v", again)
		}
	})
}

// mutex is a lock that benches share.
type mutex struct {
	mu    sync.Mutex
	names []string
	fail  error
}

func (m *mutex) Lock(_ context.Context, name string) error {
	if m.fail != nil {
		return m.fail
	}
	m.mu.Lock()
	m.names = append(m.names, name)
	return nil
}

func (m *mutex) Unlock(context.Context, string) error { m.mu.Unlock(); return nil }

// TestRunOnceForAll has several processes with one folder: each time one of them asks.
func TestRunOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lock := new(mutex)
		share := func(o *Options) { o.Locker = lock }
		b := newBench(t, share)
		text := list("2026-01-01", 10)
		b.origin.put(dataURL, text)
		all := []*bench{b, benchAt(t, b.file, b.origin, share), benchAt(t, b.file, b.origin, share)}
		ctx, cancel := context.WithTimeout(t.Context(), 10*24*time.Hour)
		defer cancel()
		var wg sync.WaitGroup
		for _, b := range all {
			wg.Go(func() { b.Run(ctx) })
		}
		wg.Wait()
		if n := len(b.origin.times()); n < 9 || n > 12 {
			t.Errorf("asked %d times in 10 days", n)
		}
		seen := ""
		for _, b := range all {
			seen += b.outcomes()
		}
		if n := strings.Count(seen, "updated"); n != 1 || !strings.Contains(seen, "elsewhere") {
			t.Errorf("%s", seen)
		}
		for _, name := range lock.names {
			if name != lock.names[0] {
				t.Errorf("two locks for one file: %q", lock.names)
			}
		}
	})
}

func TestLockOutOfOrder(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Locker = &mutex{fail: http.ErrServerClosed} })
	text := list("2026-01-01", 10)
	b.origin.put(dataURL, text)
	b.is(Updated, "", text)
	if b.logs.FilterMessage("updating without the lock of the storage").Len() != 1 {
		t.Error("nothing was said of it")
	}
}

// waiting is a lock that another process has.
type waiting struct{}

func (waiting) Lock(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }
func (waiting) Unlock(context.Context, string) error     { return nil }

func TestLockOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(o *Options) { o.Locker = waiting{} })
		b.is(Failed, "another process has been updating it for too long", "")
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := b.Check(ctx, How{}); err != context.Canceled {
			t.Errorf("%v", err)
		}
	})
}

// TestCheckBesideRun checks by hand while the schedule goes on: one at a time, and the schedule starts anew from there.
func TestCheckBesideRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.origin.put(dataURL, list("2026-01-01", 10))
		ctx, cancel := context.WithCancel(t.Context())
		go b.Run(ctx)
		time.Sleep(20 * time.Hour)
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { b.Check(t.Context(), How{}) })
		}
		wg.Wait()
		n := len(b.origin.times())
		time.Sleep(20 * time.Hour)
		if len(b.origin.times()) > n {
			t.Errorf("asked %d times in the 20 hours after a check by hand", len(b.origin.times())-n)
		}
		cancel()
		synctest.Wait()
	})
}
