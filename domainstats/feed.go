package domainstats

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/store"
)

// FirstContact is a first contact with what was known when it was emitted.
type FirstContact struct {
	Event uint64 // its number in the ledger, which grows
	Scope string
	Name  string
	First time.Time
	// Record is the chain's answer about the name. It is valid during the call only.
	Record *enrich.Record
}

// FeedOptions are the settings of a [Feed]. Ledger is needed; every other zero value stands for what is named.
type FeedOptions struct {
	Ledger store.Ledger
	Scope  string        // of the ledger: DefaultScope
	Settle time.Duration // how long after its claim an event waits for the chain to know the registration: 30 s
	Keep   int           // bytes of lines kept for readers that come again: 4 MiB
	Use    FeedUse       // what may change later
	Now    func() time.Time
	Logger *zap.Logger // none
}

// FeedUse is what a configuration gives to a feed that outlives it.
type FeedUse struct {
	// Chain is asked about the names. nil: nothing is emitted until there is one.
	Chain *enrich.Chain
	// Emit is called with every first contact, in the order of their numbers, before readers get it: the place for a log line
	// or an event. It may be nil.
	Emit func(*FirstContact)
}

// Feed emits the first contacts of one scope of a ledger: each once, in the order of their numbers, when the chain knows the
// registration or could not learn it. It calls [FeedUse.Emit], hands a line to the readers of GET /v1/first-contacts and marks the
// event as done; what a process that died had not marked is emitted again, with its number. There must be one Feed a scope:
// all APIs of that scope share it.
//
// It keeps the last lines, so that a reader that comes again misses nothing. Beyond these, and over a restart what was emitted
// before, the ledger keeps no events: a reader is told that it may have missed some.
type Feed struct {
	opt  FeedOptions
	use  atomic.Pointer[FeedUse]
	wake chan struct{}

	cancel context.CancelFunc
	ran    sync.WaitGroup

	mu      sync.Mutex
	lines   []feedLine
	first   uint64 // position of lines[0]: lines are numbered from 0 as they come
	bytes   int
	floor   uint64 // events above it are in lines, or will be; until there was one, nobody knows what was before
	begun   bool
	changed chan struct{} // closed when a line comes, or the feed ends
	ended   bool
}

type feedLine struct {
	event uint64
	text  []byte
}

// missedLine tells a reader that it may have missed first contacts before the next line.
const missedLine = `{"missed":true}` + "\n"

const (
	feedBatch = 256         // events that are resolved together
	feedPoll  = time.Second // how often the ledger is asked without a claim of ours
)

// NewFeed makes a feed and starts it.
func NewFeed(opt FeedOptions) (*Feed, error) {
	if opt.Ledger == nil {
		return nil, errors.New("domain_stats: a feed of first contacts without a ledger")
	}
	setDefault(&opt.Scope, DefaultScope)
	setDefault(&opt.Settle, 30*time.Second)
	setDefault(&opt.Keep, 4<<20)
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Logger == nil {
		opt.Logger = zap.NewNop()
	}
	f := &Feed{opt: opt, wake: make(chan struct{}, 1), changed: make(chan struct{})}
	f.Use(opt.Use)
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	f.ran.Go(func() { f.run(ctx) })
	return f, nil
}

// Use gives the feed another chain and another emitter. What is being emitted meanwhile may still go to the ones before.
func (f *Feed) Use(u FeedUse) {
	f.use.Store(&u)
	f.Wake()
}

// Wake tells the feed that there was a claim. It does not block.
func (f *Feed) Wake() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Close ends the feed and its readers. It is idempotent.
func (f *Feed) Close() error {
	f.cancel()
	f.ran.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.ended {
		f.ended = true
		close(f.changed)
	}
	return nil
}

func (f *Feed) run(ctx context.Context) {
	poll := time.NewTicker(feedPoll)
	defer poll.Stop()
	var after uint64
	var undone []uint64
	failing := false
	for ctx.Err() == nil {
		n, err := f.batch(ctx, &after, &undone)
		if err != nil && !failing {
			f.opt.Logger.Error("first contacts cannot be read from the ledger, or not marked as emitted", zap.Error(err))
		}
		failing = err != nil
		if n == feedBatch && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
		case <-poll.C:
		case <-f.wake:
		}
	}
}

// batch emits the next events and marks them, and those that could not be marked before. It returns how many there were.
func (f *Feed) batch(ctx context.Context, after *uint64, undone *[]uint64) (int, error) {
	use := f.use.Load()
	if use.Chain == nil {
		return 0, nil
	}
	events, err := f.opt.Ledger.Pending(f.opt.Scope, *after, feedBatch)
	if err != nil {
		return 0, err
	}
	if len(events) > 0 {
		f.begin(events[0].Event)
	}
	rec := new(enrich.Record)
	for _, e := range events { // what must be fetched is fetched for all at once
		use.Chain.Lookup(ctx, &enrich.Query{Subject: subjectFor(e.Name), Priority: enrich.Pipeline}, rec)
	}
	for _, e := range events {
		q := enrich.Query{Subject: subjectFor(e.Name), Priority: enrich.Pipeline}
		if deadline := e.First.Add(f.opt.Settle); f.opt.Now().Before(deadline) {
			// The chain waits by the system's clock.
			q.Wait = time.Now().Add(deadline.Sub(f.opt.Now()))
		}
		use.Chain.Lookup(ctx, &q, rec)
		// A chain that another has taken the place of is closed, and fetches nothing more: the event is the other's.
		if ctx.Err() != nil || f.use.Load() != use {
			break
		}
		f.emit(use, e, rec)
		*after = e.Event
		*undone = append(*undone, e.Event)
	}
	if len(*undone) > 0 {
		if err := f.opt.Ledger.Done(*undone...); err != nil {
			return len(events), err
		}
		*undone = (*undone)[:0]
	}
	return len(events), nil
}

// begin notes the first event since the start: all before it are done.
func (f *Feed) begin(event uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.begun {
		f.begun, f.floor = true, event-1
	}
}

// subjectFor is the subject that a name of the ledger stands for.
func subjectFor(name string) enrich.Subject {
	if reg := registrable(name); reg != "" {
		name = reg
	}
	return enrich.DomainOf(name)
}

func (f *Feed) emit(use *FeedUse, e store.Sighting, rec *enrich.Record) {
	if use.Emit != nil {
		use.Emit(&FirstContact{Event: e.Event, Scope: f.opt.Scope, Name: e.Name, First: e.First, Record: rec})
	}
	b := strconv.AppendUint([]byte(`{"event":`), e.Event, 10)
	b = appendJSONString(append(b, `,"scope":`...), f.opt.Scope)
	b = appendJSONString(append(b, `,"domain":`...), e.Name)
	b = e.First.UTC().AppendFormat(append(b, `,"first_seen":"`...), time.RFC3339)
	b = append(rec.AppendJSON(append(b, `","lookup":`...)), '}', '\n')

	f.mu.Lock()
	defer f.mu.Unlock()
	f.lines = append(f.lines, feedLine{e.Event, b[:len(b):len(b)]})
	f.bytes += len(b)
	drop := 0
	for ; f.bytes > f.opt.Keep && drop < len(f.lines)-1; drop++ {
		f.bytes -= len(f.lines[drop].text)
		f.floor = f.lines[drop].event
		f.lines[drop] = feedLine{}
	}
	f.lines = f.lines[drop:]
	f.first += uint64(drop)
	close(f.changed)
	f.changed = make(chan struct{})
}

// from is the position of the first line with an event above after, and whether there may have been others since. After 0 is all
// that is kept.
func (f *Feed) from(after uint64) (position uint64, missed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	position = f.first
	for i := range f.lines {
		if f.lines[i].event > after {
			break
		}
		position++
	}
	return position, after > 0 && (after < f.floor || !f.begun)
}

// end is the position after the last line.
func (f *Feed) end() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.first + uint64(len(f.lines))
}

// next appends the lines from position on to b, at most about most bytes, and returns the position after them. A reader that was
// too slow has a line before them that says so. Where there is no line, changed tells when to ask again; ended is whether there
// will be none.
func (f *Feed) next(b []byte, position uint64, most int) (out []byte, after uint64, changed <-chan struct{}, ended bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if position < f.first {
		position, b = f.first, append(b, missedLine...)
	}
	for _, l := range f.lines[position-f.first:] {
		if len(b) >= most {
			break
		}
		b = append(b, l.text...)
		position++
	}
	return b, position, f.changed, f.ended
}
