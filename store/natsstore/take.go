package natsstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/whence-project/whence/store"
)

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
	e.ackWait.Store(int64(max(c.CachedInfo().Config.AckWait, time.Second)))
	e.mu.Lock()
	e.scopes[scope] = true
	e.mu.Unlock()
	return c, nil
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
		got, err := e.fetch(ctx, link, cons, n)
		if err != nil || got == 0 {
			return err
		}
	}
}

// fetch takes up to n messages, and returns how many came.
func (e *events) fetch(ctx context.Context, link *link, cons jetstream.Consumer, n int) (got int, err error) {
	b, err := cons.FetchNoWait(n)
	if err != nil {
		return 0, fmt.Errorf("first contacts in NATS: %w", err)
	}
	var list []*event
	for open := true; open; {
		select {
		case msg, ok := <-b.Messages():
			if open = ok; !ok {
				break
			}
			got++
			ev, err := e.parse(msg)
			if err != nil {
				return got, err
			}
			if ev != nil {
				list = append(list, ev)
			}
		case <-ctx.Done():
			return got, ctx.Err()
		}
	}
	if err := e.own(ctx, link, list); err != nil {
		return got, err
	}
	if err := b.Error(); err != nil {
		return got, fmt.Errorf("first contacts in NATS: %w", err)
	}
	return got, nil
}

// parse is the first contact that a message is; nil where it is none, or one too many.
func (e *events) parse(msg jetstream.Msg) (*event, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, err
	}
	scope, _, name, ok := e.l.subjects.parse(msg.Subject())
	r, isRecord := parseRecord(msg.Data())
	if !ok || !isRecord || r.class != claimed || isMarker(msg.Headers()) {
		return nil, msg.Ack()
	}
	if meta.NumPending >= uint64(e.l.s.opt.MaxEvents) {
		e.l.dropped.Add(1)
		return nil, msg.Ack()
	}
	first := fromMillis(r.first)
	return &event{msg: msg, sighting: store.Sighting{
		Scope: scope, Name: name, First: first, Last: first, Count: 1, Event: meta.Sequence.Stream,
	}}, nil
}

// own makes first contacts this node's that are no other's and not done.
func (e *events) own(ctx context.Context, link *link, list []*event) error {
	e.marking.Lock()
	defer e.marking.Unlock()
	until := time.Now().Add(e.wait() * 2 / 3)
	verdicts, err := e.owners.take(ctx, link, list, e.wait())
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, ev := range list {
		switch v := verdicts[i]; {
		case v.mine:
			ev.until = until
			e.taken[ev.sighting.Event] = ev
		case v.done:
			err = errors.Join(err, ev.msg.Ack())
		default:
			err = errors.Join(err, ev.msg.NakWithDelay(v.again))
		}
	}
	return err
}
