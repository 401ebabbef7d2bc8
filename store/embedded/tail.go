package embedded

import (
	"cmp"
	"slices"
	"sync"
)

// tail is the end of the ledger's history: the journal that is written to, and the first contacts in it. One lock holds them
// together, so that the events are in the order of their numbers and a fold finds both at the same point.
type tail struct {
	mu       sync.Mutex
	journal  *journal // nil where none could be made
	event    uint64   // the last number given
	unsynced bool
	wake     chan struct{} // tells the syncer that there is something to sync

	// First contacts: recent since the last fold, folding as in a batch's. Those of them that are done have no key.
	recent, folding []event
	// Numbers that are done and still in the database or in folding.
	done, foldingDone map[uint64]struct{}
	stored            int // first contacts in the database
}

// event is a first contact that is not done.
type event struct {
	number uint64
	key    key
	ms     int64
}

// claim writes a claim to the journal, with a first contact if it is one. The name is kept as it is: see add.
func (t *tail) claim(k key, ms int64, first bool) (number uint64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if first {
		number = t.event + 1
	}
	if err := t.journal.claim(k.scope.name, k.name, number, ms); err != nil {
		return 0, err
	}
	if first {
		t.event = number
		t.recent = append(t.recent, event{number, k, ms})
	}
	t.written()
	return number, nil
}

// written has what was written synced, soon.
func (t *tail) written() {
	if t.unsynced {
		return
	}
	t.unsynced = true
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// acknowledge writes to the journal that events are done.
func (t *tail) acknowledge(numbers []uint64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.journal.done(numbers); err != nil {
		return err
	}
	t.forget(numbers)
	t.written()
	return nil
}

// forget drops first contacts from memory, and remembers to drop those that are, or will be, in the database.
func (t *tail) forget(numbers []uint64) {
	for _, n := range numbers {
		if n == 0 || n > t.event {
			continue
		}
		if i, ok := search(t.recent, n); ok {
			t.recent[i].key = key{}
		} else if len(t.recent) == 0 || n < t.recent[0].number {
			t.done[n] = struct{}{}
		}
	}
}

func search(events []event, number uint64) (int, bool) {
	return slices.BinarySearchFunc(events, number, func(e event, n uint64) int { return cmp.Compare(e.number, n) })
}

// isDone reports that the first contact of that number is done although it is still in folding or in the database.
func (t *tail) isDone(number uint64) bool {
	_, now := t.done[number]
	_, before := t.foldingDone[number]
	return now || before
}

// pending appends up to most first contacts of sc in memory with numbers above after.
func (t *tail) pending(list []event, sc *scope, after uint64, most int) []event {
	for _, events := range [][]event{t.folding, t.recent} {
		i, _ := search(events, after+1)
		for _, e := range events[i:] {
			if len(list) >= most {
				return list
			}
			if e.key.scope == sc && !t.isDone(e.number) {
				list = append(list, e)
			}
		}
	}
	return list
}

// count is how many first contacts are pending, at most: numbers that were done but never pending are taken off too.
func (t *tail) count() int {
	n := t.stored + len(t.folding) - len(t.done) - len(t.foldingDone)
	for _, e := range t.recent {
		if e.key.scope != nil {
			n++
		}
	}
	return max(n, 0)
}
