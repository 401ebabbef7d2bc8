package digest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/whence-project/whence/internal/limit"
)

// post is an outbox's messages as they arrive.
type post struct {
	*Outbox
	began   time.Time
	logs    *observer.ObservedLogs
	mu      sync.Mutex
	fails   int // so many messages
	panics  bool
	hangs   bool
	arrived []string
	counts  [Lost + 1]int
}

func newPost(o Options) *post {
	p := &post{began: time.Now()}
	core, logs := observer.New(zap.InfoLevel)
	p.logs = logs
	o.Logger, o.Send = zap.New(core), p.send
	o.Counted = func(what Outcome, n int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.counts[what] += n
	}
	p.Outbox = NewOutbox(o)
	return p
}

func (p *post) send(ctx context.Context, m *Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	if p.fails > 0 {
		p.fails--
		if p.panics {
			panic("a bug")
		}
		return errors.New("the server is away")
	}
	all, listed := m.Events()
	p.arrived = append(p.arrived, fmt.Sprintf("%v: %d entries, %d of %d events", m.Time.Sub(p.began).Round(time.Second), len(m.Entries), listed, all))
	return nil
}

func (p *post) count(what Outcome) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[what]
}

func (p *post) fail(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fails = n
}

func (p *post) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	got := p.arrived
	p.arrived = nil
	return got
}

func (p *post) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	if got := p.take(); !slices.Equal(got, want) {
		t.Errorf("arrived\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func (p *post) down(key string) {
	p.Add(Event{Name: "down", Story: "server", Key: key, State: Down, Time: time.Now()})
}

// The first message comes soon, the next ones now and then, however many events there are.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPost(Options{})
		for range 1000 {
			p.down("a")
		}
		time.Sleep(9 * time.Second)
		p.expect(t)
		time.Sleep(2 * time.Second)
		p.expect(t, "10s: 1 entries, 1000 of 1000 events")
		p.Add(Event{Name: "up", Story: "server", Key: "a", State: Up, Time: time.Now()})
		time.Sleep(4 * time.Minute)
		p.expect(t)
		time.Sleep(time.Minute)
		p.expect(t, "5m10s: 1 entries, 1 of 1 events")
		time.Sleep(time.Hour)
		p.down("a") // after a rest it is soon again
		time.Sleep(10 * time.Second)
		p.expect(t, "1h5m21s: 1 entries, 1 of 1 events")
		p.Close(t.Context())
		if p.count(Sent) != 3 || p.count(Told) != 1002 {
			t.Errorf("%v", p.counts)
		}
	})
}

// A server that comes and goes all day is a bounded number of messages.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPost(Options{Wait: time.Second, Every: time.Minute, Limit: limit.Rate{Events: 4, Per: time.Hour}})
		for range 12 * 60 {
			p.down("a")
			time.Sleep(time.Minute)
		}
		got := p.take()
		if n := len(got); n < 4+11*4 || n > 4+12*4 {
			t.Errorf("%d messages in 12 hours: %q", n, got)
		}
		p.Close(t.Context())
		if p.count(Told) != 12*60 {
			t.Errorf("%d events told", p.count(Told))
		}
	})
}

// While the server is away, tries become rare and what comes is kept; when it is back, one message has all of it. The log has one line of
// each.
func TestRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPost(Options{})
		p.fail(8)
		p.down("a")
		time.Sleep(20 * time.Minute)
		p.Add(Event{Name: "contact", Key: "b", Time: time.Now()})
		p.expect(t)
		time.Sleep(time.Hour)
		if got := p.take(); len(got) != 1 || !strings.HasSuffix(got[0], ": 2 entries, 2 of 2 events") {
			t.Errorf("%q", got)
		}
		if n := p.logs.FilterMessageSnippet("not delivered").Len(); n != 1 || p.count(Failed) != 8 {
			t.Errorf("%d lines in the log, %d failures", n, p.count(Failed))
		}
		if n := p.logs.FilterMessage("messages are delivered again").Len(); n != 1 {
			t.Errorf("%d lines in the log that it is over", n)
		}
		p.panics = true
		p.fail(1)
		p.down("c")
		time.Sleep(time.Hour)
		if got := p.take(); len(got) != 1 || !strings.HasSuffix(got[0], ": 1 entries, 1 of 1 events") {
			t.Errorf("after a panic: %q", got)
		}
		p.Close(t.Context())
	})
}

// What cannot be delivered for a day is given up, and the next message says how much.
func TestGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPost(Options{})
		p.fail(1000)
		p.down("a")
		p.down("b")
		time.Sleep(26 * time.Hour)
		p.down("c")
		p.fail(0)
		time.Sleep(time.Hour)
		if got := p.take(); len(got) != 1 || !strings.HasSuffix(got[0], ": 1 entries, 1 of 3 events") || p.count(Lost) != 2 {
			t.Errorf("%q, %d lost", got, p.count(Lost))
		}
		p.Close(t.Context())
	})
}

// Closing sends what waits at once, does not wait for ever, and says what is lost.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPost(Options{})
		p.down("a")
		p.Close(t.Context())
		p.expect(t, "0s: 1 entries, 1 of 1 events")
		p.down("b")
		p.Close(t.Context())
		if p.expect(t); p.count(Lost) != 1 {
			t.Errorf("what came after the end: %d lost", p.count(Lost))
		}

		p = newPost(Options{})
		p.hangs = true
		p.down("a")
		time.Sleep(11 * time.Second) // it is being sent
		p.down("b")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		p.Close(ctx)
		if took := time.Since(began); took != 5*time.Second || p.count(Lost) != 2 {
			t.Errorf("closed after %v, %d lost", took, p.count(Lost))
		}

		p = newPost(Options{})
		p.fail(1)
		p.down("a")
		time.Sleep(11 * time.Second)
		p.Close(t.Context()) // does not wait until it is tried again
		p.expect(t, "11s: 1 entries, 1 of 1 events")

		newPost(Options{}).Close(t.Context())
	})
}
