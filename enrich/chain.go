package enrich

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

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
	flights map[fetchKey]*flight
	slots   chan struct{} // one a flight
}

// MaxLinks is how many sources a chain may have.
const MaxLinks = 64

// NewChain makes a chain of links, at most [MaxLinks]. The name is the one the configuration gives it; "" is the default chain.
func NewChain(name string, links ...Link) *Chain {
	if len(links) > MaxLinks {
		panic(fmt.Sprintf("enrich: a chain of %d sources, more than %d", len(links), MaxLinks))
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &Chain{
		name: name, links: links, ctx: ctx, cancel: cancel,
		flights: make(map[fetchKey]*flight), slots: make(chan struct{}, maxFetches),
	}
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
// nothing more is fetched. A chain that was not opened until then is not opened any more: a door that comes late would open what
// nobody closes.
func (c *Chain) Close() error {
	c.opened.Do(func() { c.openErr = errors.New("the chain is closed") })
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
	if pending, outdated := c.run(q, r); pending|outdated != 0 && !q.Offline {
		c.fetch(ctx, q, r, pending, outdated)
	}
}

// run runs the sources once and returns a bit for each that said Pending, and for each that said Outdated.
func (c *Chain) run(q *Query, r *Record) (pending, outdated uint64) {
	r.Reset(q.Subject)
	for i := range c.links {
		l := &c.links[i]
		r.link, r.own, r.open = l.Name, nil, 0
		v := l.Source.Add(q, r)
		if v == Stop {
			pending, outdated = 0, 0
			break
		}
		if v == Pending {
			pending |= 1 << i
		} else if v == Outdated {
			outdated |= 1 << i
		}
	}
	if len(c.links) != 1 || len(r.parts) > 0 {
		r.miss = ""
	}
	return pending, outdated
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
