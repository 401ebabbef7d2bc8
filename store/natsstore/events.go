package natsstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/whence-project/whence/store"
)

// events are the first contacts of the cluster. For each scope the bucket has one consumer that all nodes share: it gives each record to
// one of them, and again to another where that one has not acknowledged it in time. What is no first contact, an import or a
// marker, is acknowledged unseen.
type events struct {
	l *ledger

	mu     sync.Mutex
	taken  map[uint64]*event // by number, until they are done
	done   map[uint64]bool   // lately, here: an acknowledgement may be lost
	recent []uint64          // the keys of done, as they came
	scopes map[string]bool   // that have a consumer, as far as is known
	counts map[string]int    // pending when somebody looked
	wanted chan string
}

// event is a first contact that was given to this node.
type event struct {
	msg      jetstream.Msg
	sighting store.Sighting
	until    time.Time // when it goes to another
}

const (
	maxTaken  = 4096    // first contacts that a node takes before it has marked others as done
	maxRecent = 1 << 16 // of those that were done here
	maxAsk    = 250 * time.Millisecond
)

func newEvents(l *ledger) *events {
	return &events{
		l: l, taken: make(map[uint64]*event), done: make(map[uint64]bool), scopes: make(map[string]bool), counts: make(map[string]int),
		wanted: make(chan string, store.MaxScopes),
	}
}

// consumer is the consumer of a scope, made if it is missing.
func (e *events) consumer(ctx context.Context, link *link, scope string) (jetstream.Consumer, error) {
	name := "contacts-" + string(appendToken(nil, scope))
	c, err := link.ledger.Consumer(ctx, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		c, err = link.ledger.CreateConsumer(ctx, jetstream.ConsumerConfig{
			Durable: name, Description: "Whence: first contacts of " + scope, FilterSubject: e.l.subjects.every(scope, kindName),
			DeliverPolicy: jetstream.DeliverAllPolicy, AckPolicy: jetstream.AckExplicitPolicy, AckWait: e.l.s.opt.AckWait,
			MaxDeliver: -1, MaxAckPending: 16 * maxTaken,
		})
		if errors.Is(err, jetstream.ErrConsumerExists) { // another node was quicker, with another AckWait
			c, err = link.ledger.Consumer(ctx, name)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("first contacts in NATS: %w", err)
	}
	e.mu.Lock()
	e.scopes[scope] = true
	e.mu.Unlock()
	return c, nil
}

// expect has the consumer of a scope made, so that first contacts wait from the first one on.
func (e *events) expect(scope string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.scopes[scope] {
		e.scopes[scope] = true
		select {
		case e.wanted <- scope:
		default:
		}
	}
}

// Pending implements [store.Ledger]. It takes first contacts, which are this node's then until they are Done or the node is gone.
// Numbers grow with the claims of the cluster, but what was another node's may come later than it was claimed.
func (l *ledger) Pending(scope string, after uint64, most int) ([]store.Sighting, error) {
	if l.closed.Load() {
		return nil, store.ErrClosed
	}
	if most <= 0 || scope == "" || len(scope) > store.MaxScope {
		return nil, nil
	}
	link := l.link()
	if link == nil {
		return nil, fmt.Errorf("%w: first contacts wait", ErrAway)
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.s.opt.Timeout)
	defer cancel()
	if err := l.events.take(ctx, link, scope, after, most); err != nil {
		return nil, err
	}
	list := l.events.list(scope, after)
	return list[:min(len(list), most)], nil
}

// list are the first contacts of scope that are this node's, in the order of their numbers.
func (e *events) list(scope string, after uint64) (list []store.Sighting) {
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	for number, ev := range e.taken {
		if number > after && ev.sighting.Scope == scope && now.Before(ev.until) {
			list = append(list, ev.sighting)
		}
	}
	slices.SortFunc(list, func(a, b store.Sighting) int { return cmp.Compare(a.Event, b.Event) })
	return list
}

// take fetches first contacts of scope, until there are most with numbers above after or no more to be had.
func (e *events) take(ctx context.Context, link *link, scope string, after uint64, most int) error {
	var cons jetstream.Consumer
	for {
		have := len(e.list(scope, after))
		e.mu.Lock()
		room := maxTaken - len(e.taken)
		e.mu.Unlock()
		if have >= most || room <= 0 {
			return nil
		}
		if cons == nil {
			var err error
			if cons, err = e.consumer(ctx, link, scope); err != nil {
				return err
			}
		}
		n := min(max(most-have, 64), room)
		got, err := e.fetch(ctx, cons, n)
		if err != nil || got == 0 {
			return err
		}
	}
}

// fetch takes up to n messages, and returns how many came.
func (e *events) fetch(ctx context.Context, cons jetstream.Consumer, n int) (got int, err error) {
	b, err := cons.FetchNoWait(n)
	if err != nil {
		return 0, fmt.Errorf("first contacts in NATS: %w", err)
	}
	for {
		select {
		case msg, ok := <-b.Messages():
			if !ok {
				if err := b.Error(); err != nil {
					return got, fmt.Errorf("first contacts in NATS: %w", err)
				}
				return got, nil
			}
			got++
			if err := e.took(msg); err != nil {
				return got, err
			}
		case <-ctx.Done():
			return got, ctx.Err()
		}
	}
}

// took takes a message in.
func (e *events) took(msg jetstream.Msg) error {
	meta, err := msg.Metadata()
	if err != nil {
		return err
	}
	scope, _, name, ok := e.l.subjects.parse(msg.Subject())
	r, isRecord := parseRecord(msg.Data())
	if !ok || !isRecord || r.class != claimed || isMarker(msg.Headers()) {
		return msg.Ack()
	}
	number := meta.Sequence.Stream
	e.mu.Lock()
	if e.done[number] {
		e.mu.Unlock()
		return msg.Ack()
	}
	if meta.NumPending >= uint64(e.l.s.opt.MaxEvents) {
		e.mu.Unlock()
		e.l.dropped.Add(1)
		return msg.Ack()
	}
	defer e.mu.Unlock()
	first := fromMillis(r.first)
	e.taken[number] = &event{
		msg: msg, until: time.Now().Add(e.l.s.opt.AckWait * 2 / 3),
		sighting: store.Sighting{Scope: scope, Name: name, First: first, Last: first, Count: 1, Event: number},
	}
	return nil
}

// Done implements [store.Ledger]. It is for what Pending told.
func (l *ledger) Done(numbers ...uint64) error {
	if l.closed.Load() {
		return store.ErrClosed
	}
	return l.events.acknowledge(numbers)
}

func (e *events) acknowledge(numbers []uint64) error {
	e.mu.Lock()
	list := make(map[uint64]*event, len(numbers))
	for _, n := range numbers {
		if ev := e.taken[n]; ev != nil {
			list[n] = ev
		}
	}
	e.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	if e.l.link() == nil {
		return fmt.Errorf("%w: first contacts cannot be marked as emitted", ErrAway)
	}
	ctx, cancel := context.WithTimeout(context.Background(), e.l.s.opt.Timeout)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(64)
	for n, ev := range list {
		g.Go(func() error {
			if err := ev.msg.DoubleAck(ctx); err != nil {
				return fmt.Errorf("first contacts cannot be marked as emitted in NATS: %w", err)
			}
			e.mu.Lock()
			defer e.mu.Unlock()
			delete(e.taken, n)
			e.remember(n)
			return nil
		})
	}
	return g.Wait()
}

// remember notes that a first contact was done here, with the lock held.
func (e *events) remember(number uint64) {
	if e.done[number] {
		return
	}
	e.done[number] = true
	e.recent = append(e.recent, number)
	if len(e.recent) > maxRecent {
		delete(e.done, e.recent[0])
		e.recent = e.recent[1:]
	}
}

// forget drops the first contacts of names that are forgotten: their messages are gone.
func (e *events) forget(scope string, names []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.taken) == 0 {
		return
	}
	gone := make(map[string]bool, len(names))
	for _, name := range names {
		gone[name] = true
	}
	for n, ev := range e.taken {
		if ev.sighting.Scope == scope && gone[ev.sighting.Name] {
			delete(e.taken, n)
		}
	}
}

// reset forgets all, as the bucket is another one.
func (e *events) reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.taken)
	clear(e.done)
	clear(e.scopes)
	clear(e.counts)
	e.recent = nil
}

// keep says that what was taken is being worked on, and makes consumers for new scopes.
func (e *events) keep(ctx context.Context) error {
	for _, scope := range e.l.local.Scopes() {
		e.expect(scope)
	}
	t := time.NewTicker(e.l.s.opt.AckWait / 4)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-t.C:
			e.inProgress()
		case scope := <-e.wanted:
			link := e.l.link()
			if link == nil {
				continue
			}
			if _, err := e.consumer(ctx, link, scope); err != nil {
				e.mu.Lock()
				delete(e.scopes, scope) // the next claim wants it again
				e.mu.Unlock()
			}
		}
	}
}

// inProgress keeps what was taken for this node. What it could not keep in time is another's; it stays here for a while, so that
// its acknowledgement, should it come, may still be in time.
func (e *events) inProgress() {
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	for n, ev := range e.taken {
		switch {
		case now.Before(ev.until):
			if ev.msg.InProgress() == nil {
				ev.until = now.Add(e.l.s.opt.AckWait * 2 / 3)
			}
		case now.After(ev.until.Add(10 * e.l.s.opt.AckWait)):
			delete(e.taken, n)
		}
	}
}

// giveBack has what was taken given to another node at once.
func (e *events) giveBack() {
	link := e.l.link()
	e.mu.Lock()
	defer e.mu.Unlock()
	if link != nil && len(e.taken) > 0 {
		for _, ev := range e.taken {
			_ = ev.msg.Nak()
		}
		_ = link.nc.FlushTimeout(maxAsk)
	}
	clear(e.taken)
}

// pending is how many first contacts there are in the cluster that are not done. NATS is asked, for a moment.
func (e *events) pending() (n int) {
	link := e.l.link()
	if link == nil || e.l.closed.Load() {
		return e.counted()
	}
	ctx, cancel := context.WithTimeout(context.Background(), maxAsk)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(16)
	for _, scope := range e.l.local.Scopes() {
		g.Go(func() error {
			c, err := e.consumer(ctx, link, scope)
			if err != nil {
				return err
			}
			info := c.CachedInfo() // it was asked for just now
			e.mu.Lock()
			defer e.mu.Unlock()
			e.counts[scope] = int(info.NumPending) + info.NumAckPending
			return nil
		})
	}
	_ = g.Wait() // where it fails, the last counts stand
	return e.counted()
}

func (e *events) counted() (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.counts {
		n += c
	}
	return n
}
