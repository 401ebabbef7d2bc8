package natsstore

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"golang.org/x/sync/errgroup"

	"github.com/whence-project/whence/store"
)

// events are the first contacts of the cluster. For each scope the ledger's bucket has one consumer that all nodes share: it gives each
// record to one of them, and again to another where that one has not acknowledged it in time. What is no first contact, an
// import or a marker, is acknowledged unseen. See owners for what a consumer alone does not promise.
type events struct {
	l       *ledger
	owners  owners
	ackWait atomic.Int64 // of the consumers: whoever made them first said it

	marking sync.Mutex // one at a time gives states to what was taken; before mu
	mu      sync.Mutex
	taken   map[uint64]*event // by number, until they are done
	scopes  map[string]bool   // that have a consumer, as far as is known
	counts  map[string]int    // pending when somebody looked
	wanted  chan string
}

// event is a first contact that was given to this node.
type event struct {
	msg      jetstream.Msg
	sighting store.Sighting
	until    time.Time // when it goes to another
	seq      uint64    // of the message that says whose it is
}

const (
	maxTaken = 4096 // first contacts that a node takes before it has marked others as done
	maxAsk   = 250 * time.Millisecond
)

func newEvents(l *ledger) *events {
	e := &events{
		l: l, owners: owners{subjects: subjects{l.s.opt.Bucket + "_contacts"}, id: nuid.Next(), node: l.s.opt.Node},
		taken: make(map[uint64]*event), scopes: make(map[string]bool), counts: make(map[string]int), wanted: make(chan string, store.MaxScopes),
	}
	e.ackWait.Store(int64(l.s.opt.AckWait))
	return e
}

func (e *events) wait() time.Duration { return time.Duration(e.ackWait.Load()) }

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

// Done implements [store.Ledger]. It is for what Pending told.
func (l *ledger) Done(numbers ...uint64) error {
	if l.closed.Load() {
		return store.ErrClosed
	}
	return l.events.acknowledge(numbers)
}

func (e *events) acknowledge(numbers []uint64) error {
	e.mu.Lock()
	var list []*event
	for _, n := range slices.Compact(slices.Sorted(slices.Values(numbers))) {
		if ev := e.taken[n]; ev != nil {
			list = append(list, ev)
		}
	}
	e.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	link := e.l.link()
	if link == nil {
		return fmt.Errorf("%w: first contacts cannot be marked as emitted", ErrAway)
	}
	ctx, cancel := context.WithTimeout(context.Background(), e.l.s.opt.Timeout)
	defer cancel()
	e.marking.Lock()
	defer e.marking.Unlock()
	marked, lost, err := e.owners.mark(ctx, link, list, stateDone)
	for i, ev := range marked { // where it is lost, whoever gets it again sees the mark
		if i < len(marked)-1 {
			_ = ev.msg.Ack()
		} else {
			_ = ev.msg.DoubleAck(ctx) // is answered when all are counted, for who looks at the status
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ev := range append(marked, lost...) { // what is another's by now, that one emits too
		delete(e.taken, ev.sighting.Event)
	}
	if err != nil {
		return fmt.Errorf("first contacts cannot be marked as emitted in NATS: %w", err)
	}
	return nil
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
	clear(e.scopes)
	clear(e.counts)
}

// keep says that what was taken is being worked on, and makes consumers for new scopes.
func (e *events) keep(ctx context.Context) error {
	for _, scope := range e.l.local.Scopes() {
		e.expect(scope)
	}
	t := time.NewTimer(e.wait() / 4)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-t.C:
			e.inProgress(ctx)
			t.Reset(e.wait() / 4)
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
// it may be marked still, should nobody have taken it.
func (e *events) inProgress(ctx context.Context) {
	link, now := e.l.link(), time.Now()
	e.mu.Lock()
	var list []*event
	for n, ev := range e.taken {
		switch {
		case now.Before(ev.until):
			list = append(list, ev)
		case now.After(ev.until.Add(10 * e.wait())):
			delete(e.taken, n)
		}
	}
	e.mu.Unlock()
	if link == nil || len(list) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, e.l.s.opt.Timeout)
	defer cancel()
	e.marking.Lock()
	defer e.marking.Unlock()
	kept, lost, _ := e.owners.mark(ctx, link, list, stateTaken) // what cannot be marked ends by itself
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ev := range kept {
		if ev.msg.InProgress() == nil {
			ev.until = now.Add(e.wait() * 2 / 3)
		}
	}
	for _, ev := range lost {
		delete(e.taken, ev.sighting.Event)
	}
}

// giveBack has what was taken given to another node at once.
func (e *events) giveBack() {
	link := e.l.link()
	e.mu.Lock()
	list := slices.Collect(maps.Values(e.taken))
	clear(e.taken)
	e.mu.Unlock()
	if link == nil || len(list) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), e.l.s.opt.Timeout)
	defer cancel()
	e.marking.Lock()
	defer e.marking.Unlock()
	free, _, _ := e.owners.mark(ctx, link, list, stateFree) // what cannot be marked is free after AckWait
	for _, ev := range free {
		_ = ev.msg.Nak()
	}
	_ = link.nc.FlushTimeout(maxAsk)
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
