package digest

import (
	"context"
	"crypto/rand"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/whence-project/whence/internal/limit"
)

// The settings of an [Outbox] where its options have none.
const (
	DefaultWait    = 10 * time.Second
	DefaultEvery   = 5 * time.Minute
	DefaultMost    = 100
	DefaultTimeout = 30 * time.Second
	DefaultRetry   = 10 * time.Second
)

// DefaultLimit is how many messages go out where the options do not say: after six in a row, one in ten minutes.
var DefaultLimit = limit.Rate{Events: 6, Per: time.Hour}

const (
	lastRetry = 15 * time.Minute // between two tries
	keepFor   = 24 * time.Hour   // after which what cannot be delivered is given up
)

// Message is one message.
type Message struct {
	ID   string // of its own
	Time time.Time
	Content
}

// Options are the settings of an [Outbox]. Send is needed; a zero value of the others stands for the default.
type Options struct {
	// Send delivers a message. An error has it tried again, with what came meanwhile; it is logged as it is.
	Send func(ctx context.Context, m *Message) error
	// Wait is how long the first event waits for more that belong with it.
	Wait time.Duration
	// Every is the least time between two messages.
	Every time.Duration
	// Limit is how many messages there are at most.
	Limit limit.Rate
	// Most is how many entries a message has; events beyond are counted.
	Most int
	// Timeout is how long Send may take.
	Timeout time.Duration
	// Retry is after how long Send is tried again, by default Every if that is shorter; the time grows twofold, up to a quarter of an
	// hour.
	Retry time.Duration
	// Counted hears what became of each message and of its events; may be nil.
	Counted func(Outcome, int)
	Logger  *zap.Logger // nil for none
}

// Outcome is what became of messages and events.
type Outcome uint8

// The outcomes.
const (
	Sent     Outcome = iota // a message was delivered
	Failed                  // a message was not, and is tried again
	Told                    // events that a delivered message lists
	Unlisted                // events that one counts, but does not list
	Lost                    // events that were given up
)

// Outbox sends messages of what it is given: the first soon, then one now and then. It has a goroutine only while something waits. It is
// safe for concurrent use.
type Outbox struct {
	o       Options
	limiter *rate.Limiter
	backoff *backoff.ExponentialBackOff
	wake    chan struct{} // ends a wait: the outbox is closing

	mu      sync.Mutex
	digest  *Digest
	first   time.Time // since when something waits
	last    time.Time // when the last message was sent
	failing failing
	running chan struct{} // closed when the goroutine has ended; nil where there is none
	closed  bool
	ctx     context.Context
	cancel  context.CancelFunc
}

// failing is a time in which nothing can be delivered.
type failing struct {
	since time.Time // zero: it is none
	tries int
	next  time.Time
}

// NewOutbox makes an outbox. It starts nothing before there is something to send.
func NewOutbox(o Options) *Outbox {
	o.setDefaults()
	b := &Outbox{o: o, digest: NewDigest(o.Most), wake: make(chan struct{})}
	b.limiter = rate.NewLimiter(rate.Every(o.Limit.Per/time.Duration(o.Limit.Events)), o.Limit.Events)
	b.backoff = &backoff.ExponentialBackOff{
		InitialInterval: o.Retry, Multiplier: 2, RandomizationFactor: 0.2, MaxInterval: max(lastRetry, o.Retry),
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

func (o *Options) setDefaults() {
	for _, d := range []struct {
		v  *time.Duration
		to time.Duration
	}{{&o.Wait, DefaultWait}, {&o.Every, DefaultEvery}, {&o.Timeout, DefaultTimeout}} {
		if *d.v <= 0 {
			*d.v = d.to
		}
	}
	if o.Retry <= 0 {
		o.Retry = min(DefaultRetry, o.Every)
	}
	if o.Limit.IsZero() {
		o.Limit = DefaultLimit
	}
	if o.Most <= 0 {
		o.Most = DefaultMost
	}
	if o.Counted == nil {
		o.Counted = func(Outcome, int) {}
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
}

// Add has an event told. It does not block.
func (b *Outbox) Add(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		b.o.Counted(Lost, 1)
		return
	}
	if b.digest.IsEmpty() {
		b.first = time.Now()
	}
	b.digest.Add(e)
	if b.running == nil {
		b.running = make(chan struct{})
		go b.run(b.running)
	}
}

// Close sends what waits, once, and ends the outbox: at the latest when ctx is done. What cannot be delivered is lost. It is
// idempotent.
func (b *Outbox) Close(ctx context.Context) {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		close(b.wake)
	}
	running := b.running
	b.mu.Unlock()
	if running != nil {
		select {
		case <-running:
		case <-ctx.Done():
			b.cancel()
			<-running
		}
	}
	b.cancel()
}

// run sends messages until nothing waits.
func (b *Outbox) run(ended chan struct{}) {
	defer close(ended)
	for {
		b.mu.Lock()
		if b.digest.IsEmpty() {
			b.running = nil
			b.mu.Unlock()
			return
		}
		wait, last := time.Until(b.due()), b.closed
		b.mu.Unlock()
		if !last && wait > 0 {
			t := time.NewTimer(wait)
			select {
			case <-t.C:
			case <-b.wake:
				t.Stop()
			}
			continue // what is due may have changed
		}
		b.send(last)
		if last {
			return
		}
	}
}

// due is when the next message goes out.
func (b *Outbox) due() time.Time {
	if !b.failing.since.IsZero() {
		return b.failing.next
	}
	due := b.first.Add(b.o.Wait)
	if next := b.last.Add(b.o.Every); !b.last.IsZero() && next.After(due) {
		due = next
	}
	if missing := 1 - b.limiter.TokensAt(due); missing > 0 {
		due = due.Add(time.Duration(missing * float64(b.o.Limit.Per) / float64(b.o.Limit.Events)))
	}
	return due
}

// send tries to deliver what waits.
func (b *Outbox) send(last bool) {
	b.mu.Lock()
	m := &Message{ID: rand.Text(), Time: time.Now(), Content: b.digest.Take()}
	b.mu.Unlock()
	err := b.deliver(m)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.first = time.Now() // of what came meanwhile
	if err != nil {
		b.failed(m, err, last)
		return
	}
	b.last = b.first
	b.limiter.AllowN(b.last, 1)
	all, listed := m.Events()
	b.o.Counted(Sent, 1)
	b.o.Counted(Told, listed)
	b.o.Counted(Unlisted, all-listed-m.Lost)
	if f := b.failing; !f.since.IsZero() {
		b.o.Logger.Info("messages are delivered again", zap.Int("failures", f.tries), zap.Time("failing_since", f.since))
		b.failing = failing{}
		b.backoff.Reset()
	}
}

// deliver calls Send, a panic of which takes no server down.
func (b *Outbox) deliver(m *Message) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	ctx, cancel := context.WithTimeout(b.ctx, b.o.Timeout)
	defer cancel()
	return b.o.Send(ctx, m)
}

// failed keeps what could not be delivered, and logs that once in a time of failures.
func (b *Outbox) failed(m *Message, err error, last bool) {
	b.o.Counted(Failed, 1)
	if last {
		all, _ := m.Events()
		b.o.Counted(Lost, all-m.Lost)
		b.o.Logger.Error("message not delivered, and lost, as this is the end", zap.Int("events", all), zap.Error(err))
		return
	}
	now := time.Now()
	if lost := b.digest.Return(m.Content, now.Add(-keepFor)); lost > 0 {
		b.o.Counted(Lost, lost)
		b.o.Logger.Error("events given up, as no message was delivered for a day", zap.Int("events", lost), zap.Error(err))
	}
	b.failing.next = now.Add(b.backoff.NextBackOff())
	if b.failing.tries++; b.failing.tries == 1 {
		b.failing.since = now
		b.o.Logger.Error("message not delivered; it is tried again, with what comes meanwhile", zap.Time("next", b.failing.next), zap.Error(err))
	}
}
