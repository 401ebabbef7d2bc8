package natsstore

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/whence-project/whence/store"
)

// apply takes messages of the bucket into the copy, in their order. Applying what is there already changes nothing.
func (l *ledger) apply(ctx context.Context, msgs []jetstream.Msg) error {
	b := batch{l: l, imports: make(map[string][]store.Sighting), forgets: make(map[string][]string)}
	for _, m := range msgs {
		scope, kind, name, ok := l.subjects.parse(m.Subject())
		if !ok {
			continue // not ours
		}
		k := key{scope, name}
		if isMarker(m.Headers()) {
			if kind == kindName {
				if err := b.forget(ctx, k); err != nil {
					return err
				}
			}
			continue
		}
		r, ok := parseRecord(m.Data())
		if !ok {
			continue
		}
		if err := b.take(ctx, k, kind, r); err != nil {
			return err
		}
	}
	if err := b.flush(ctx); err != nil {
		return err
	}
	return l.local.Done(b.done...)
}

// batch is changes of the copy that are made together.
type batch struct {
	l       *ledger
	imports map[string][]store.Sighting // by scope
	forgets map[string][]string
	done    []uint64 // first contacts that learning names made in the folder
}

// forget drops a name from the copy.
func (b *batch) forget(ctx context.Context, k key) error {
	if len(b.imports) > 0 {
		if err := b.flush(ctx); err != nil {
			return err
		}
	}
	b.forgets[k.scope] = append(b.forgets[k.scope], k.name)
	return nil
}

// take takes a record in.
func (b *batch) take(ctx context.Context, k key, kind string, r record) error {
	if len(b.forgets) > 0 {
		if err := b.flush(ctx); err != nil {
			return err
		}
	}
	if err := b.l.land(ctx, k); err != nil {
		return err
	}
	result, s := b.l.local.Lookup(k.scope, k.name)
	if result == store.Seen && kind == kindName && r.again && !s.First.IsZero() && s.First.UnixMilli() < r.first && !b.l.isUnclaimed(k) {
		// The copy has it from before it was forgotten.
		if err := b.forget(ctx, k); err != nil {
			return err
		}
		if err := b.flush(ctx); err != nil {
			return err
		}
		result = store.Unseen
	}
	switch {
	case result == store.Unseen && kind == kindEarlier:
		return nil // of a name that is gone
	case result == store.Unseen && r.class == claimed:
		return b.learn(ctx, k, r.first)
	case result == store.Unseen || r.first != 0 && (s.First.IsZero() || r.first < s.First.UnixMilli()):
		b.imports[k.scope] = append(b.imports[k.scope], store.Sighting{Name: k.name, First: fromMillis(r.first)})
	case result == store.Seen && !s.First.IsZero() && (r.first == 0 || s.First.UnixMilli() < r.first) && !b.l.isUnclaimed(k):
		b.l.fix(fix{k, s.First.UnixMilli()})
	}
	return nil
}

// learn adds a name to the copy. It waits where the folder is behind; where that is full the copy goes on without.
func (b *batch) learn(ctx context.Context, k key, first int64) error {
	for {
		r, s := b.l.local.Claim(k.scope, k.name, fromMillis(first))
		if r == store.First {
			b.done = append(b.done, s.Event)
		}
		st := store.LedgerStatus{}
		if r == store.Unknown {
			st = b.l.local.Status()
		}
		if r != store.Unknown || st.Names >= st.MaxNames || !b.l.roomFor(k.scope) {
			return nil
		}
		if !sleep(ctx, 20*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
}

// flush makes the changes that were gathered.
func (b *batch) flush(ctx context.Context) error {
	for scope, list := range b.imports {
		if _, _, err := b.l.local.Import(ctx, scope, slices.Values(list)); err != nil && !errors.Is(err, store.ErrFull) {
			return err
		}
	}
	for scope, names := range b.forgets {
		if err := b.l.drop(ctx, scope, names); err != nil {
			return err
		}
	}
	clear(b.imports)
	clear(b.forgets)
	return nil
}

// drop forgets names in the copy, also that they are unclaimed, or that their first contacts were taken.
func (l *ledger) drop(ctx context.Context, scope string, names []string) error {
	l.events.forget(scope, names)
	if l.waiting.Load() > 0 {
		l.mu.Lock()
		for _, name := range names {
			if _, ok := l.unclaimed[key{scope, name}]; ok {
				delete(l.unclaimed, key{scope, name})
				l.waiting.Add(-1)
			}
		}
		l.mu.Unlock()
	}
	_, err := l.local.Forget(ctx, scope, names...)
	return err
}

// land waits until no claim of a name is under way here: it counts its sighting itself.
func (l *ledger) land(ctx context.Context, k key) error {
	if l.nFlights.Load() == 0 {
		return nil
	}
	l.mu.Lock()
	f := l.flights[k]
	l.mu.Unlock()
	if f == nil {
		return nil
	}
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
