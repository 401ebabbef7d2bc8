package embedded

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/whence-project/whence/store"
)

// appendTo appends the event's form in the database, without its number, which is its key there.
func (e event) appendTo(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(e.ms))
	b = append(b, byte(len(e.key.scope.name)))
	b = append(b, e.key.scope.name...)
	return append(b, e.key.name...)
}

func (l *ledger) parseEvent(k, v []byte) (event, error) {
	var r record
	if len(k) != 8 || !r.readClaim(append([]byte{0}, v...)) {
		return event{}, fmt.Errorf("%w: first contact %x", errDamaged, k)
	}
	sc := l.scopes.intern(r.scope)
	if sc == nil {
		return event{}, fmt.Errorf("%w: first contact %x in scope %q", errDamaged, k, r.scope)
	}
	return event{binary.BigEndian.Uint64(k), key{sc, r.name}, r.ms}, nil
}

// Pending implements [store.Ledger].
func (l *ledger) Pending(scope string, after uint64, most int) ([]store.Sighting, error) {
	if l.closed.Load() {
		return nil, store.ErrClosed
	}
	sc := l.scopes.find(scope)
	if sc == nil || most <= 0 {
		return nil, nil
	}
	// No fold moves what is in memory to the database meanwhile, nor takes out what is done.
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	l.tail.mu.Lock()
	memory := l.tail.pending(nil, sc, after, most)
	stored := l.tail.stored > 0
	l.tail.mu.Unlock()
	var events []event
	if stored {
		var err error
		if events, err = l.storedEvents(sc, after, most); err != nil {
			return nil, err
		}
	}
	// A fold that failed in its last step has written no event, so that none is in both, and those in memory are the later ones.
	events = append(events, memory...)
	events = events[:min(len(events), most)]
	list := make([]store.Sighting, 0, len(events))
	for _, e := range events {
		s := value{first: e.ms, last: e.ms, count: 1}.sighting(scope, e.key.name)
		s.Event = e.number
		list = append(list, s)
	}
	return list, nil
}

// storedEvents reads first contacts from the database.
func (l *ledger) storedEvents(sc *scope, after uint64, most int) (events []event, err error) {
	err = l.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketEvents).Cursor()
		k, v := c.Seek(binary.BigEndian.AppendUint64(nil, after+1))
		for ; k != nil && len(events) < most; k, v = c.Next() {
			e, err := l.parseEvent(k, v)
			if err != nil {
				return err
			}
			if e.key.scope != sc {
				continue
			}
			l.tail.mu.Lock()
			done := l.tail.isDone(e.number)
			l.tail.mu.Unlock()
			if !done {
				events = append(events, e)
			}
		}
		return nil
	})
	return events, err
}

// Done implements [store.Ledger].
func (l *ledger) Done(events ...uint64) error {
	if l.closed.Load() {
		return store.ErrClosed
	}
	if len(events) == 0 {
		return nil
	}
	return l.tail.acknowledge(events)
}
