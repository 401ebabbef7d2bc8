package natsstore

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/whence-project/whence/store"
)

// Import implements [store.Ledger]. Names come into the bucket before they come into the copy; Last and Count into this node's only.
func (l *ledger) Import(ctx context.Context, scope string, names iter.Seq[store.Sighting]) (added, known int, err error) {
	if l.closed.Load() {
		return 0, 0, store.ErrClosed
	}
	if scope == "" || len(scope) > store.MaxScope || !l.roomFor(scope) {
		return 0, 0, store.ErrName
	}
	list := make([]store.Sighting, 0, pipelined)
	flush := func() error {
		n, m, err := l.importSome(ctx, scope, list)
		added, known, list = added+n, known+m, list[:0]
		return err
	}
	for s := range names {
		if s.Name == "" || len(s.Name) > store.MaxName {
			err = store.ErrName
			break
		}
		s.Scope = scope
		if list = append(list, s); len(list) == cap(list) {
			if err = flush(); err != nil {
				return added, known, err
			}
		}
	}
	if ferr := flush(); ferr != nil {
		err = ferr
	}
	return added, known, err
}

// importSome imports names, in NATS and in the copy.
func (l *ledger) importSome(ctx context.Context, scope string, list []store.Sighting) (added, there int, err error) {
	if err := ctx.Err(); err != nil || len(list) == 0 {
		return 0, 0, err
	}
	link := l.link()
	if link == nil {
		return 0, 0, fmt.Errorf("%w: nothing can be imported now", ErrAway)
	}
	errs := l.createAll(ctx, link, len(list), func(i int) (key, record) { return key{scope, list[i].Name}, l.importedRecord(list[i]) })
	var good []store.Sighting
	for i, s := range list {
		e, was := errs[i], false
		if conflicts(e) {
			was, e = l.importOver(ctx, link, s)
		}
		switch {
		case e == nil && was:
			there++
		case e == nil:
			added++
		case isFull(e):
			err = store.ErrFull
			continue
		default:
			err = fmt.Errorf("importing into NATS: %w", e)
			continue
		}
		good = append(good, s)
	}
	if _, _, ierr := l.local.Import(ctx, scope, func(yield func(store.Sighting) bool) {
		for _, s := range good {
			if !yield(s) {
				return
			}
		}
	}); err == nil {
		err = ierr
	}
	return added, there, err
}

func (l *ledger) importedRecord(s store.Sighting) record {
	if s.First.IsZero() {
		return record{class: known, node: l.s.opt.Node}
	}
	return record{class: imported, first: millis(s.First), node: l.s.opt.Node}
}

// importOver imports a name of which a record or a marker is there.
func (l *ledger) importOver(ctx context.Context, link *link, s store.Sighting) (there bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.s.opt.Timeout)
	defer cancel()
	k := key{s.Scope, s.Name}
	r := l.importedRecord(s)
	seq, was, err := l.create(ctx, link, k, r)
	if err != nil || seq != 0 {
		return false, err
	}
	if r.first != 0 && (was.first == 0 || r.first < was.first) {
		err = l.lower(ctx, link, k, r.first)
	}
	return true, err
}

// Forget implements [store.Ledger]. It returns when this node has forgotten; others do when they hear of it.
func (l *ledger) Forget(ctx context.Context, scope string, names ...string) (int, error) {
	if l.closed.Load() {
		return 0, store.ErrClosed
	}
	link, err := l.current(ctx)
	if err != nil {
		return 0, err
	}
	var list []string
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if r, _ := l.local.Lookup(scope, name); r == store.Seen && !seen[name] {
			seen[name] = true
			list = append(list, name)
		}
	}
	return len(list), l.forget(ctx, link, scope, list)
}

// ForgetPrefix implements [store.Ledger].
func (l *ledger) ForgetPrefix(ctx context.Context, scope, prefix string) (total int, err error) {
	if l.closed.Load() {
		return 0, store.ErrClosed
	}
	link, err := l.current(ctx)
	if err != nil {
		return 0, err
	}
	for after, first := prefix, prefix != ""; ; first = false {
		var list []string
		if first { // All are those after it
			if r, _ := l.local.Lookup(scope, prefix); r == store.Seen {
				list = append(list, prefix)
			}
		}
		for s, err := range l.local.All(ctx, scope, after) {
			if err != nil {
				return total, err
			}
			if !strings.HasPrefix(s.Name, prefix) || len(list) >= 8*pipelined {
				break
			}
			after = strings.Clone(s.Name)
			list = append(list, after)
		}
		if len(list) == 0 {
			return total, nil
		}
		if err := l.forget(ctx, link, scope, list); err != nil {
			return total, err
		}
		total += len(list)
	}
}

// current waits until the copy has all that is in the bucket now.
func (l *ledger) current(ctx context.Context) (*link, error) {
	link := l.link()
	if link == nil {
		return nil, fmt.Errorf("%w: nothing can be forgotten now, as the others would not hear of it", ErrAway)
	}
	// A message of our own tells: the last one that there is may be removed before it is read.
	subject := l.subjects.prefix() + tokenSync + "." + string(appendToken(nil, l.s.opt.Node))
	ack, err := link.js.Publish(ctx, subject, nil, jetstream.WithRetryAttempts(0))
	if err == nil {
		return link, l.follow.wait(ctx, ack.Sequence)
	}
	if !isFull(err) {
		return nil, fmt.Errorf("looking at the ledger in NATS: %w", err)
	}
	info, err := link.ledger.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("looking at the ledger in NATS: %w", err)
	}
	return link, l.follow.wait(ctx, info.State.LastSeq)
}

// tokenSync is where a scope's name would be in the subjects of messages that nodes wait for themselves. No name is written so.
const tokenSync = "=sync"

// forget puts markers in the place of records, and waits until they have come to the copy.
func (l *ledger) forget(ctx context.Context, link *link, scope string, names []string) error {
	if len(names) == 0 {
		return nil
	}
	// What is beside a record goes for good: the marker of the record is enough for those who follow.
	info, err := link.ledger.Info(ctx, jetstream.WithSubjectFilter(l.subjects.every(scope, kindEarlier)))
	if err != nil {
		return err
	}
	for part := names; len(part) > 0; {
		n := min(len(part), pipelined)
		last, err := l.mark(ctx, link, scope, part[:n])
		if err != nil {
			return fmt.Errorf("forgetting names in NATS: %w", err)
		}
		if err := l.follow.wait(ctx, last); err != nil {
			return err
		}
		part = part[n:]
	}
	for _, name := range names {
		subject := l.subjects.of(scope, kindEarlier, name)
		if _, ok := info.State.Subjects[subject]; ok {
			if err := link.ledger.Purge(ctx, jetstream.WithPurgeSubject(subject)); err != nil {
				return fmt.Errorf("forgetting %q in NATS: %w", name, err)
			}
		}
	}
	return nil
}

// mark puts markers in the place of records, together, and returns the number of the last.
func (l *ledger) mark(ctx context.Context, link *link, scope string, names []string) (last uint64, err error) {
	opts := []jetstream.PublishOpt{jetstream.WithRetryAttempts(0)}
	if link.markersGo {
		opts = append(opts, jetstream.WithMsgTTL(markerLife))
	}
	futures := make([]jetstream.PubAckFuture, len(names))
	for i, name := range names {
		m := nats.NewMsg(l.subjects.of(scope, kindName, name))
		m.Header.Set(headerOperation, "DEL")
		if futures[i], err = link.js.PublishMsgAsync(m, opts...); err != nil {
			return 0, err
		}
	}
	for _, f := range futures {
		select {
		case ack := <-f.Ok():
			last = max(last, ack.Sequence)
		case e := <-f.Err():
			err = e
		case <-ctx.Done():
			return last, ctx.Err()
		}
	}
	return last, err
}

// giveBack gives a bucket that is new to this node what the folder knows: it is the first time that it is shared, or NATS has lost
// what it had. Names that are there stay as they are; what is earlier here comes about when they are read.
func (l *ledger) giveBack(ctx context.Context, link *link) error {
	given := 0
	for _, scope := range l.local.Scopes() {
		list := make([]store.Sighting, 0, pipelined)
		flush := func() error {
			errs := l.createAll(ctx, link, len(list), func(i int) (key, record) { return key{scope, list[i].Name}, l.importedRecord(list[i]) })
			for _, err := range errs {
				if err == nil {
					given++
				} else if !conflicts(err) {
					return fmt.Errorf("giving names to the ledger in NATS: %w", err)
				}
			}
			list = list[:0]
			return nil
		}
		for s, err := range l.local.All(ctx, scope, "") {
			if err != nil {
				return err
			}
			s.Name = strings.Clone(s.Name)
			if l.isUnclaimed(key{scope, s.Name}) {
				continue // it is to have an event
			}
			if list = append(list, s); len(list) == cap(list) {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		if err := flush(); err != nil {
			return err
		}
	}
	l.follow.shared()
	if given > 0 {
		l.s.log.Info("names given to the ledger in NATS", zap.Int("names", given))
	}
	return nil
}
