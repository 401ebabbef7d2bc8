package embedded

import (
	"bytes"
	"cmp"
	"context"
	"iter"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/whence-project/whence/store"
)

const (
	importBatch = 1 << 18 // names that are sorted before they are written
	importWrite = 4096    // names in a transaction of an import, which are closer together
	readBatch   = 1024    // names read in a transaction
)

// Import implements [store.Ledger]. Names go to the database past the journal, sorted, in as few transactions as memory allows.
func (l *ledger) Import(ctx context.Context, scope string, names iter.Seq[store.Sighting]) (added, known int, err error) {
	if l.closed.Load() {
		return 0, 0, store.ErrClosed
	}
	sc := l.scopes.intern(scope)
	if sc == nil {
		return 0, 0, store.ErrName
	}
	// What is in memory would hide an earlier first sighting until it is folded.
	if err := l.fold(); err != nil {
		return 0, 0, err
	}
	var list []folding
	flush := func() error {
		sortNames(list)
		for part := range slices.Chunk(list, importWrite) {
			if err := ctx.Err(); err != nil {
				return err
			}
			n, full, err := l.write(part, int64(l.opt.MaxNames)-l.unfolded.Load())
			if err != nil {
				return err
			}
			added += n
			known += len(part) - n - full
			if full > 0 {
				return store.ErrFull
			}
		}
		list = list[:0]
		return l.growFilter()
	}
	for s := range names {
		if s.Name == "" || len(s.Name) > store.MaxName {
			err = store.ErrName
			break
		}
		n := folding{key: key{sc, s.Name}, isNew: true, quiet: true}
		if !s.First.IsZero() {
			n.first = millis(s.First)
			n.last, n.count = max(n.first, millis(s.Last)), max(s.Count, 1)
		}
		if list = append(list, n); len(list) == importBatch {
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

// Forget implements [store.Ledger].
func (l *ledger) Forget(ctx context.Context, scope string, names ...string) (int, error) {
	names = slices.Sorted(slices.Values(names))
	return l.forget(ctx, scope, func(c *bbolt.Cursor, _ string) (name []byte) {
		for len(names) > 0 {
			next := []byte(names[0])
			names = names[1:]
			if k, _ := c.Seek(next); bytes.Equal(k, next) {
				return next
			}
		}
		return nil
	})
}

// ForgetPrefix implements [store.Ledger].
func (l *ledger) ForgetPrefix(ctx context.Context, scope, prefix string) (int, error) {
	return l.forget(ctx, scope, func(c *bbolt.Cursor, last string) []byte {
		k, _ := c.Seek([]byte(max(prefix, last)))
		if !bytes.HasPrefix(k, []byte(prefix)) {
			return nil
		}
		return k
	})
}

// forget removes the names of scope that next finds: the first that is there after last, which it was called with before.
func (l *ledger) forget(ctx context.Context, scope string, next func(c *bbolt.Cursor, last string) []byte) (int, error) {
	if l.closed.Load() {
		return 0, store.ErrClosed
	}
	sc := l.scopes.find(scope)
	if sc == nil {
		return 0, nil
	}
	// What was claimed so far is in the database then, and in no journal, which would bring it back. What is claimed from now
	// on stays.
	if err := l.fold(); err != nil {
		return 0, err
	}
	total := 0
	for last := ""; ; {
		if err := ctx.Err(); err != nil {
			return total, err
		}
		gone, err := l.remove(sc, &last, next)
		total += len(gone)
		if err != nil || len(gone) == 0 {
			return total, err
		}
	}
}

// remove removes up to namesPerWrite names, with their first contacts and what is remembered of their last sightings.
func (l *ledger) remove(sc *scope, last *string, next func(*bbolt.Cursor, string) []byte) (map[string]bool, error) {
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	gone := make(map[string]bool)
	events := 0
	err := l.update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketNames).Bucket([]byte(sc.name))
		if b == nil {
			return nil
		}
		c := b.Cursor()
		for len(gone) < namesPerWrite {
			k := next(c, *last)
			if k == nil {
				break
			}
			*last = string(k)
			gone[*last] = true
			if err := b.Delete([]byte(*last)); err != nil {
				return err
			}
		}
		if len(gone) == 0 {
			return nil
		}
		var err error
		events, err = l.removeEvents(tx, sc, gone)
		return err
	})
	if err != nil {
		return nil, err
	}
	sc.stored.Add(-int64(len(gone)))
	l.stored.Add(-int64(len(gone)))
	l.tail.mu.Lock()
	l.tail.stored -= events
	l.tail.mu.Unlock()
	for name := range gone {
		s := &l.stripes[l.hash(sc, name)%numStripes]
		s.mu.Lock()
		delete(s.touched, key{sc, name})
		s.mu.Unlock()
	}
	if l.stored.Load() < int64(l.opt.MaxNames) {
		l.noRoom.clear()
	}
	return gone, nil
}

// removeEvents removes the first contacts of names that are gone.
func (l *ledger) removeEvents(tx *bbolt.Tx, sc *scope, gone map[string]bool) (n int, err error) {
	b := tx.Bucket(bucketEvents)
	var keys [][]byte
	err = b.ForEach(func(k, v []byte) error {
		if e, err := l.parseEvent(k, v); err == nil && e.key.scope == sc && gone[e.key.name] {
			keys = append(keys, bytes.Clone(k))
		}
		return nil
	})
	for _, k := range keys {
		if err == nil {
			err = b.Delete(k)
		}
	}
	return len(keys), err
}

// All implements [store.Ledger]. It merges the names in the database, read a part at a time, with those that are only in memory,
// and looks each up.
func (l *ledger) All(ctx context.Context, scope, after string) iter.Seq2[store.Sighting, error] {
	return func(yield func(store.Sighting, error) bool) {
		sc := l.scopes.find(scope)
		if sc == nil {
			return
		}
		// Memory first: a name that is folded meanwhile is then found twice, and not missed.
		memory := l.newNames(sc, after)
		for more := true; more; {
			part, err := l.readNames(sc, after)
			if err = cmp.Or(ctx.Err(), err); err != nil {
				yield(store.Sighting{}, err)
				return
			}
			n := len(memory)
			if more = len(part) == readBatch; more {
				after = part[len(part)-1]
				n, _ = slices.BinarySearch(memory, after+"\x00") // after itself too
			}
			part = append(part, memory[:n]...)
			memory = memory[n:]
			slices.Sort(part)
			for _, name := range slices.Compact(part) {
				if r, s := l.Lookup(scope, name); r == store.Seen && !yield(s, nil) {
					return
				}
			}
		}
	}
}

// newNames are the names after the given one that are not in the database yet, in order.
func (l *ledger) newNames(sc *scope, after string) (names []string) {
	for i := range l.stripes {
		s := &l.stripes[i]
		s.mu.Lock()
		for _, m := range []map[key]entry{s.fresh, s.folding} {
			for k := range m {
				if k.scope == sc && k.name > after {
					names = append(names, k.name)
				}
			}
		}
		s.mu.Unlock()
	}
	slices.Sort(names)
	return names
}

// readNames reads names after the given one from the database, up to readBatch.
func (l *ledger) readNames(sc *scope, after string) (names []string, err error) {
	err = l.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketNames).Bucket([]byte(sc.name))
		if b == nil {
			return nil
		}
		c := b.Cursor()
		k, _ := c.Seek([]byte(after))
		if k != nil && string(k) == after {
			k, _ = c.Next()
		}
		for ; k != nil && len(names) < readBatch; k, _ = c.Next() {
			names = append(names, string(k))
		}
		return nil
	})
	return names, err
}
