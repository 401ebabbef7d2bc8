package domainstats

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich/contacts"
	"github.com/whence-project/whence/store"
)

// FirstContact is a first contact with what was known when it was emitted.
type FirstContact = contacts.Contact

// FeedUse is what a configuration gives to a feed that outlives it.
type FeedUse = contacts.Use

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

// Feed emits the first contacts of one scope of a ledger, as [contacts.Emitter] does, and hands a line of each to the readers of GET
// /v1/first-contacts, after [FeedUse].Emit. There must be one Feed a scope: all APIs of that scope share it.
//
// It keeps the last lines, so that a reader that comes again misses nothing. Beyond these, and over a restart what was emitted
// before, the ledger keeps no events: a reader is told that it may have missed some.
type Feed struct {
	keep    int
	emitter *contacts.Emitter

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

// NewFeed makes a feed and starts it.
func NewFeed(opt FeedOptions) (*Feed, error) {
	setDefault(&opt.Scope, DefaultScope)
	setDefault(&opt.Keep, 4<<20)
	f := &Feed{keep: opt.Keep, changed: make(chan struct{})}
	var err error
	f.emitter, err = contacts.New(contacts.Options{
		Ledger: opt.Ledger, Scope: opt.Scope, Settle: opt.Settle, Use: f.with(opt.Use), Now: opt.Now, Logger: opt.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("domain_stats: %w", err)
	}
	return f, nil
}

// with has a line made of each first contact that u emits.
func (f *Feed) with(u FeedUse) FeedUse {
	emit := u.Emit
	u.Emit = func(c *FirstContact) bool {
		if emit != nil && !emit(c) {
			return false
		}
		f.add(c)
		return true
	}
	return u
}

// Use gives the feed another chain and another emitter. What is being emitted meanwhile may still go to the ones before.
func (f *Feed) Use(u FeedUse) { f.emitter.Use(f.with(u)) }

// Wake tells the feed that there was a claim. It does not block.
func (f *Feed) Wake() { f.emitter.Wake() }

// Close ends the feed and its readers. It is idempotent.
func (f *Feed) Close() error {
	_ = f.emitter.Close() // which has nothing to fail at
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.ended {
		f.ended = true
		close(f.changed)
	}
	return nil
}

// add makes a line of a first contact.
func (f *Feed) add(c *FirstContact) {
	b := strconv.AppendUint([]byte(`{"event":`), c.Event, 10)
	b = appendJSONString(append(b, `,"scope":`...), c.Scope)
	b = appendJSONString(append(b, `,"domain":`...), c.Name)
	b = c.First.UTC().AppendFormat(append(b, `,"first_seen":"`...), time.RFC3339)
	b = append(c.Record.AppendJSON(append(b, `","lookup":`...)), '}', '\n')

	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.begun {
		f.begun, f.floor = true, c.Event-1 // all before it are done
	}
	f.lines = append(f.lines, feedLine{c.Event, b[:len(b):len(b)]})
	f.bytes += len(b)
	drop := 0
	for ; f.bytes > f.keep && drop < len(f.lines)-1; drop++ {
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
	// Of a ledger that many machines share, a number may come after a higher one.
	if i := slices.IndexFunc(f.lines, func(l feedLine) bool { return l.event == after }); i >= 0 {
		return f.first + uint64(i) + 1, false
	}
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
