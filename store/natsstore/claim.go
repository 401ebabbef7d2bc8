package natsstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/whence-project/whence/store"
)

// claimNew claims a name that is not in the copy.
func (l *ledger) claimNew(k key, now time.Time) (store.Result, store.Sighting) {
	l.mu.Lock()
	if f, ok := l.flights[k]; ok {
		l.mu.Unlock()
		<-f.done
		return l.after(f, k, now)
	}
	if _, ok := l.unclaimed[k]; ok {
		l.mu.Unlock()
		return l.refuse()
	}
	if !l.roomFor(k.scope) {
		l.mu.Unlock()
		return l.refuse()
	}
	link := l.link()
	if link == nil || link.slow.Load() {
		defer l.mu.Unlock()
		return l.putOff(k, now)
	}
	f := &flight{done: make(chan struct{})}
	l.flights[k] = f
	l.nFlights.Add(1)
	l.mu.Unlock()
	r, s := l.ask(link, k, now)
	l.mu.Lock()
	if r == store.Unknown && s.Name != "" { // it cannot be told now
		r, s = l.putOff(k, now)
	}
	f.ok = r != store.Unknown
	delete(l.flights, k)
	l.nFlights.Add(-1)
	l.mu.Unlock()
	close(f.done)
	return r, s
}

// after is the answer to a claim that waited for another one of the same name.
func (l *ledger) after(f *flight, k key, now time.Time) (store.Result, store.Sighting) {
	if f.ok {
		if r, s := l.copy.See(k.scope, k.name, now); r == store.Seen {
			return r, s
		}
	}
	return l.refuse()
}

// ask claims a name in NATS. Unknown with the name is to be put off, without it is refused.
func (l *ledger) ask(link *link, k key, now time.Time) (store.Result, store.Sighting) {
	ctx, cancel := context.WithTimeout(context.Background(), l.s.opt.Wait)
	defer cancel()
	seq, was, err := l.create(ctx, link, k, record{class: claimed, first: millis(now), node: l.s.opt.Node})
	switch {
	case isFull(err):
		l.full.Store(true)
		return l.refuse()
	case errors.Is(err, errForeign):
		l.s.log.Error("a name cannot be claimed", zap.String("scope", k.scope), zap.String("name", k.name), zap.Error(err))
		return l.refuse()
	case err != nil:
		if !link.slow.Swap(true) {
			l.s.log.Warn("NATS does not answer a claim in time: new names are unknown until it does, and claimed then", zap.Error(err))
		}
		return store.Unknown, store.Sighting{Name: k.name}
	case seq != 0:
		l.full.Store(false)
		l.events.expect(k.scope)
		l.learn(k, millis(now))
		_, s := l.local.Lookup(k.scope, k.name)
		if s.Name == "" { // the copy is full
			s = store.Sighting{Scope: k.scope, First: fromMillis(millis(now)), Last: fromMillis(millis(now)), Count: 1}
		}
		s.Name, s.Event = k.name, seq
		return store.First, s
	}
	if was.class == known {
		l.fix(fix{k, millis(now)})
		was.first = millis(now)
	}
	l.learn(k, was.first)
	if r, s := l.copy.See(k.scope, k.name, now); r == store.Seen {
		return r, s
	}
	// The copy is full.
	return store.Seen, store.Sighting{
		Scope: k.scope, Name: k.name, First: fromMillis(was.first), Last: fromMillis(max(was.first, millis(now))), Count: 1,
	}
}

// putOff keeps a name to be claimed when NATS is back, with the lock held.
func (l *ledger) putOff(k key, now time.Time) (store.Result, store.Sighting) {
	if len(l.unclaimed) >= l.s.opt.MaxUnclaimed || l.closed.Load() {
		return l.refuse()
	}
	l.waiting.Add(1) // whoever finds it in the copy looks here, and waits for the lock
	r, s := l.local.Claim(k.scope, k.name, now)
	if r == store.First {
		l.unclaimed[key{k.scope, strings.Clone(s.Name)}] = s.Event
		l.kick()
		return l.refuse()
	}
	l.waiting.Add(-1)
	if r == store.Seen { // it has come from NATS meanwhile
		return r, s
	}
	return l.refuse()
}

// create makes the record of a name, and returns its number; or the record that is there, with number 0.
func (l *ledger) create(ctx context.Context, link *link, k key, r record) (seq uint64, was record, err error) {
	subject := l.subjects.of(k.scope, kindName, k.name)
	expect := uint64(0)
	for try := 0; ; try++ { // each time somebody else was quicker, or forgot the name
		r.again = expect != 0
		ack, err := link.put(ctx, subject, r.encode(), expect)
		if err == nil {
			return ack.Sequence, record{}, nil
		}
		if !conflicts(err) {
			return 0, record{}, err
		}
		msg, err := link.ledger.GetLastMsgForSubject(ctx, subject)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			// Another's record is on its way to the servers of a cluster, and not there yet.
			if expect = 0; !sleep(ctx, time.Millisecond<<min(try, 5)) {
				return 0, record{}, ctx.Err()
			}
		case err != nil:
			return 0, record{}, err
		case isMarker(msg.Header):
			expect = msg.Sequence
		default:
			was, ok := parseRecord(msg.Data)
			if !ok {
				return 0, record{}, fmt.Errorf("%w at %s", errForeign, subject)
			}
			return 0, was, nil
		}
	}
}

// errForeign says that somebody else writes into the bucket.
var errForeign = errors.New("the ledger in NATS has something else than a record")

// put publishes a message where the last one of its subject has the number that is expected, 0 for none.
func (l *link) put(ctx context.Context, subject string, data []byte, expect uint64) (*jetstream.PubAck, error) {
	return l.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: data},
		jetstream.WithExpectLastSequencePerSubject(expect), jetstream.WithRetryAttempts(0))
}
