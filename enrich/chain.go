package enrich

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"runtime/debug"
	"sync"
	"time"
)

// maxFetches bounds the fetches that one chain has under way. One more query then gets a note instead.
const maxFetches = 4096

// Link is a source in a chain under the name that notes, parts and status give it.
type Link struct {
	Name   string
	Source Source
}

// Chain asks its sources in order. It is safe for concurrent use.
type Chain struct {
	name    string
	links   []Link
	warmers []Warmer
	// OnFetchError, if set before the first Lookup, hears the errors that a Fetch returned. It may be called from any goroutine.
	OnFetchError func(source string, s Subject, err error)

	ctx     context.Context
	cancel  context.CancelFunc
	opened  sync.Once
	openErr error
	mu      sync.Mutex
	flights map[flight]chan struct{} // closed when the fetch is done
}

// flight is one fetch: a link's, of a subject.
type flight struct {
	link    int
	subject Subject
}

// MaxLinks is how many sources a chain may have.
const MaxLinks = 64

// NewChain makes a chain of links, at most [MaxLinks]. The name is the one the configuration gives it; "" is the default chain.
func NewChain(name string, links ...Link) *Chain {
	if len(links) > MaxLinks {
		panic(fmt.Sprintf("enrich: a chain of %d sources, more than %d", len(links), MaxLinks))
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &Chain{name: name, links: links, ctx: ctx, cancel: cancel, flights: make(map[flight]chan struct{})}
	for _, l := range links {
		if w, ok := l.Source.(Warmer); ok {
			c.warmers = append(c.warmers, w)
		}
	}
	return c
}

// Name is the name the chain was made with.
func (c *Chain) Name() string { return c.name }

// Links are the chain's sources in order. They must not be changed.
func (c *Chain) Links() []Link { return c.links }

// Open opens the sources that need it, once, however often it is called, so that each door can see to it before it serves.
func (c *Chain) Open(ctx context.Context) error {
	c.opened.Do(func() {
		for _, l := range c.links {
			if o, ok := l.Source.(Opener); ok {
				if err := o.Open(ctx); err != nil {
					c.openErr = fmt.Errorf("opening source %s: %w", l.Name, err)
					return
				}
			}
		}
	})
	return c.openErr
}

// Close ends what the chain is fetching and closes its sources. Lookups may still be running, and go on with what is there;
// nothing more is fetched.
func (c *Chain) Close() error {
	c.cancel()
	var errs []error
	for _, l := range c.links {
		if cl, ok := l.Source.(Closer); ok {
			errs = append(errs, cl.Close())
		}
	}
	return errors.Join(errs...)
}

// Lookup asks the chain about q.Subject and leaves the answer in r. It returns when all is known, or at q.Wait, or when ctx
// ends, with what is known by then. Sources that must fetch are fetched in parallel, once per subject however many ask, and
// finish behind the query if it does not wait.
func (c *Chain) Lookup(ctx context.Context, q *Query, r *Record) {
	if pending := c.run(q, r); pending != 0 && !q.Offline {
		c.fetch(ctx, q, r, pending)
	}
}

// run runs the sources once and returns a bit for each that said Pending.
func (c *Chain) run(q *Query, r *Record) (pending uint64) {
	r.Reset(q.Subject)
	for i := range c.links {
		l := &c.links[i]
		r.link, r.own, r.open = l.Name, nil, 0
		v := l.Source.Add(q, r)
		if v == Stop {
			pending = 0
			break
		}
		if v == Pending {
			pending |= 1 << i
		}
	}
	if len(c.links) != 1 || len(r.parts) > 0 {
		r.miss = ""
	}
	return pending
}

// fetch has every pending source fetch, and runs the chain again for a query that waits.
func (c *Chain) fetch(ctx context.Context, q *Query, r *Record, pending uint64) {
	var waits []<-chan struct{}
	var full uint64
	for ; pending != 0; pending &= pending - 1 {
		i := bits.TrailingZeros64(pending)
		f, ok := c.links[i].Source.(Fetcher)
		if !ok {
			continue
		}
		done := c.start(flight{i, q.Subject.Key()}, f)
		if done == nil {
			full |= 1 << i
			continue
		}
		waits = append(waits, done)
	}
	if !q.Wait.IsZero() && len(waits) > 0 {
		await(ctx, q.Wait, waits)
		full &= c.run(q, r)
	}
	for ; full != 0; full &= full - 1 {
		r.link = c.links[bits.TrailingZeros64(full)].Name
		r.Note(Unfetched, "too many lookups under way")
	}
}

// await returns when all of waits are closed, at the deadline, or when ctx ends.
func await(ctx context.Context, deadline time.Time, waits []<-chan struct{}) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	for _, done := range waits {
		select {
		case <-done:
		case <-ctx.Done():
			return
		}
	}
}

// start joins the fetch of k under way, or starts one. It returns nil where as many are under way as the chain allows.
func (c *Chain) start(k flight, f Fetcher) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if done, ok := c.flights[k]; ok {
		return done
	}
	if len(c.flights) >= maxFetches {
		return nil
	}
	done := make(chan struct{})
	c.flights[k] = done
	go func() {
		defer func() {
			c.mu.Lock()
			delete(c.flights, k)
			c.mu.Unlock()
			close(done)
		}()
		if c.ctx.Err() != nil || !c.stillPending(k) {
			return
		}
		if err := c.guarded(f, k.subject); err != nil && c.OnFetchError != nil {
			c.OnFetchError(c.links[k.link].Name, k.subject, err)
		}
	}()
	return done
}

// guarded is Fetch with a panic made an error: what one source could not do takes no server down.
func (c *Chain) guarded(f Fetcher, s Subject) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f.Fetch(c.ctx, s)
}

// stillPending asks again, now that nobody else can start this fetch: the query that wants it may have run the chain before
// the last such fetch was done, and come here after.
func (c *Chain) stillPending(k flight) bool {
	r := Record{link: c.links[k.link].Name, subject: k.subject}
	return c.links[k.link].Source.Add(&Query{Subject: k.subject}, &r) == Pending
}

// Warm tells the sources what will be asked about next. It answers nothing and changes nothing: see [Warmer].
func (c *Chain) Warm(subjects []Subject) {
	if len(subjects) > 1 {
		for _, w := range c.warmers {
			w.Warm(subjects)
		}
	}
}

// Status says how each source is, in the chain's order.
func (c *Chain) Status() []SourceStatus {
	ss := make([]SourceStatus, 0, len(c.links))
	for _, l := range c.links {
		s := SourceStatus{Name: l.Name}
		if rep, ok := l.Source.(Reporter); ok {
			s.Status = rep.Status()
		}
		ss = append(ss, s)
	}
	return ss
}

// SourceStatus is the status of a source under its name in the chain.
type SourceStatus struct {
	Name string `json:"name"`
	Status
}

// Answer is [Chain.Lookup] for callers without a Record at hand.
func (c *Chain) Answer(ctx context.Context, s Subject, wait time.Duration) *Record {
	q := Query{Subject: s}
	if wait > 0 {
		q.Wait = time.Now().Add(wait)
	}
	r := new(Record)
	c.Lookup(ctx, &q, r)
	return r
}
