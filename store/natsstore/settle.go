package natsstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/whence-project/whence/store"
)

// settle claims the names that were seen while NATS could not be asked, the oldest first, and finds out whether it answers again.
func (l *ledger) settle(ctx context.Context, link *link) error {
	for tries := 0; ; {
		n, err := 0, error(nil)
		if link.slow.Load() {
			_, err = link.ledger.Info(ctx)
		}
		if err == nil {
			n, err = l.settleSome(ctx, link)
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			tries++
			if !sleep(ctx, pause(tries)) {
				return context.Cause(ctx)
			}
			continue
		}
		tries = 0
		if link.slow.Swap(false) {
			l.s.log.Info("NATS answers claims again")
		}
		if n > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-l.wake:
		case <-time.After(time.Second):
		}
	}
}

// oldest are up to pipelined unclaimed names, those that were seen first.
func (l *ledger) oldest() (list []key) {
	if l.waiting.Load() == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, event := range l.unclaimed {
		if event != 0 {
			list = append(list, k)
		}
	}
	slices.SortFunc(list, func(a, b key) int { return cmp.Compare(l.unclaimed[a], l.unclaimed[b]) })
	return list[:min(len(list), pipelined)]
}

// settleSome claims unclaimed names and returns how many there were.
func (l *ledger) settleSome(ctx context.Context, link *link) (int, error) {
	list := l.oldest()
	if len(list) == 0 {
		return 0, nil
	}
	firsts := make([]int64, len(list))
	errs := l.createAll(ctx, link, len(list), func(i int) (key, record) {
		_, s := l.local.Lookup(list[i].scope, list[i].name)
		firsts[i] = max(s.First.UnixMilli(), 1) // where it was forgotten meanwhile, it is settled as well
		return list[i], record{class: claimed, first: firsts[i], node: l.s.opt.Node}
	})
	for i, k := range list {
		err := errs[i]
		if conflicts(err) { // it is there, or was once: perhaps it is our own, whose answer was too late
			err = l.adopt(ctx, link, k, firsts[i])
		}
		l.full.Store(isFull(err))
		if err != nil {
			return len(list), err
		}
		l.events.expect(k.scope)
		if err := l.settled(k); err != nil {
			return len(list), err
		}
	}
	return len(list), nil
}

// adopt claims a name that a record or a marker is there of.
func (l *ledger) adopt(ctx context.Context, link *link, k key, first int64) error {
	ctx, cancel := context.WithTimeout(ctx, l.s.opt.Timeout)
	defer cancel()
	seq, was, err := l.create(ctx, link, k, record{class: claimed, first: first, node: l.s.opt.Node})
	if errors.Is(err, errForeign) {
		l.s.log.Error("a name cannot be claimed", zap.String("scope", k.scope), zap.String("name", k.name), zap.Error(err))
		return nil // nor later
	}
	if err != nil || seq != 0 {
		return err
	}
	switch {
	case was.first == 0 || was.first > first:
		l.fix(fix{k, first}) // it was here that it was seen first
	case was.first < first:
		_, _, err = l.local.Import(ctx, k.scope, only(store.Sighting{Name: k.name, First: fromMillis(was.first)}))
	}
	return err
}

// only is a sequence of one.
func only(s store.Sighting) func(func(store.Sighting) bool) {
	return func(yield func(store.Sighting) bool) { yield(s) }
}

// createAll makes n records, sent together. Where one is there already, the error is a conflict.
func (l *ledger) createAll(ctx context.Context, link *link, n int, of func(i int) (key, record)) []error {
	errs := make([]error, n)
	futures := make([]jetstream.PubAckFuture, n)
	for i := range n {
		k, r := of(i)
		futures[i], errs[i] = link.js.PublishMsgAsync(&nats.Msg{Subject: l.subjects.of(k.scope, kindName, k.name), Data: r.encode()},
			jetstream.WithExpectLastSequencePerSubject(0), jetstream.WithRetryAttempts(0))
	}
	for i, f := range futures {
		if f == nil {
			continue
		}
		select {
		case <-f.Ok():
		case errs[i] = <-f.Err():
		case <-ctx.Done():
			errs[i] = context.Cause(ctx)
		}
	}
	return errs
}

// fix is a first sighting that others may have too late.
type fix struct {
	key   key
	first int64
}

// maxFixes bounds those that wait. One that is dropped is right on this node only.
const maxFixes = 1 << 16

func (l *ledger) fix(f fix) {
	select {
	case l.fixes <- f:
	default:
	}
}

// correct tells the others of earlier first sightings.
func (l *ledger) correct(ctx context.Context, link *link) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case f := <-l.fixes:
			for tries := 0; ; tries++ {
				err := l.lower(ctx, link, f.key, f.first)
				if err == nil || isFull(err) || errors.Is(err, errForeign) {
					break
				}
				if ctx.Err() != nil || !sleep(ctx, pause(tries)) {
					l.fix(f)
					return context.Cause(ctx)
				}
			}
		}
	}
}

// lower makes first the first sighting of a name in NATS, if it is earlier. A record with an event to it stays as it is, so that
// the event does: what is earlier is beside it.
func (l *ledger) lower(ctx context.Context, link *link, k key, first int64) error {
	ctx, cancel := context.WithTimeout(ctx, l.s.opt.Timeout)
	defer cancel()
	r := record{class: imported, first: first, node: l.s.opt.Node}
	for try := 0; ; try++ {
		subject := l.subjects.of(k.scope, kindName, k.name)
		seq, was, err := l.read(ctx, link, subject)
		if err != nil || seq == 0 {
			return err // none there to correct
		}
		if was.class == claimed {
			if was.first <= first {
				return nil
			}
			subject = l.subjects.of(k.scope, kindEarlier, k.name)
			if seq, was, err = l.read(ctx, link, subject); err != nil {
				return err
			}
		}
		if was.first != 0 && was.first <= first {
			return nil
		}
		if _, err = link.put(ctx, subject, r.encode(), seq); !conflicts(err) {
			return err
		}
		if !sleep(ctx, time.Millisecond<<min(try, 5)) {
			return ctx.Err()
		}
	}
}

// read reads a record and its number, 0 where there is none.
func (l *ledger) read(ctx context.Context, link *link, subject string) (seq uint64, r record, err error) {
	msg, err := link.ledger.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && isMarker(msg.Header) {
		return 0, record{}, nil
	}
	if err != nil {
		return 0, record{}, err
	}
	r, ok := parseRecord(msg.Data)
	if !ok {
		return 0, record{}, fmt.Errorf("%w at %s", errForeign, subject)
	}
	return msg.Sequence, r, nil
}
