package embedded

import (
	"cmp"
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"

	"go.etcd.io/bbolt"
)

// namesPerWrite bounds the names of a transaction. bbolt holds every page that it changes in memory, taken apart, until the
// commit, and names far apart each have a page: beside a million names, with 20,000 new ones a second, 1,024 take 53 MB of
// anonymous memory where 4,096 take 129, for a sixth more of CPU time.
const namesPerWrite = 1024

// batch is what a fold writes.
type batch struct {
	names   []folding
	journal uint64 // the last one in the batch
	event   uint64
	old     *journal
}

// folding is a new name, or sightings of one in the database.
type folding struct {
	key
	value
	isNew, quiet bool
}

// fold writes what is in memory to the database and deletes the journals that have it. Where it fails, all stays as it was, in
// memory and in the journals, and the next fold begins with the same.
func (l *ledger) fold() (err error) {
	l.foldMu.Lock()
	defer l.foldMu.Unlock()
	defer func() { l.noFold.settle(err) }()
	if l.batch != nil {
		if err := l.apply(); err != nil {
			return err
		}
	}
	if !l.worthFolding() {
		return nil
	}
	if err := l.cut(); err != nil {
		return err
	}
	return l.apply()
}

// worthFolding reports that there is anything to write.
func (l *ledger) worthFolding() bool {
	if l.leftover {
		return true
	}
	l.tail.mu.Lock()
	journal := l.tail.journal == nil || l.tail.journal.size > int64(journalHeader)
	l.tail.mu.Unlock()
	if journal {
		return true
	}
	for i := range l.stripes {
		s := &l.stripes[i]
		s.mu.Lock()
		n := len(s.fresh) + len(s.touched)
		s.mu.Unlock()
		if n > 0 {
			return true
		}
	}
	return false
}

// cut begins a new journal and takes what the old one has, and the sightings, into a batch: all at one point of time, with all
// stripes locked. The file is made before. Where it cannot be made the old journal goes on, and is left to a later fold.
func (l *ledger) cut() error {
	number := l.nextJournal
	next, err := createJournal(l.dir, number, l.opt.createJournal)
	if errors.Is(err, fs.ErrExist) {
		l.nextJournal++ // left by an earlier try
	}
	if err != nil {
		return err
	}
	for i := range l.stripes {
		l.stripes[i].mu.Lock()
	}
	l.tail.mu.Lock()
	l.nextJournal++
	b := &batch{journal: number - 1, event: l.tail.event, old: l.tail.journal}
	l.tail.journal = next
	l.tail.folding, l.tail.recent = l.tail.recent, nil
	l.tail.foldingDone, l.tail.done = l.tail.done, make(map[uint64]struct{})
	l.tail.mu.Unlock()
	for i := range l.stripes {
		s := &l.stripes[i]
		s.folding, s.fresh = s.fresh, make(map[key]entry)
		s.foldingTouched, s.touched = s.touched, make(map[key]touch)
		s.mu.Unlock()
	}
	l.noJournal.clear()
	b.names = l.gather()
	l.batch = b
	// What the old journal has is not in the database yet.
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	l.noSync.settle(b.old.sync())
	_ = b.old.close()
	return nil
}

// apply writes the batch and lets it go.
func (l *ledger) apply() error {
	b := l.batch
	for len(b.names) > 0 {
		part := b.names[:min(namesPerWrite, len(b.names))]
		if _, _, err := l.write(part, math.MaxInt64); err != nil {
			return err
		}
		b.names = b.names[len(part):]
	}
	if err := l.writeEvents(b); err != nil {
		return err
	}
	for i := range l.stripes {
		s := &l.stripes[i]
		s.mu.Lock()
		s.folding, s.foldingTouched = nil, nil
		s.mu.Unlock()
	}
	l.batch, l.leftover = nil, false
	if l.stored.Load() < int64(l.opt.MaxNames) {
		l.noRoom.clear()
	}
	return errors.Join(l.dropJournals(b.journal), l.growFilter())
}

// gather lists the names of the batch in the order of the database.
func (l *ledger) gather() []folding {
	names := make([]folding, 0, l.opt.FoldNames)
	for i := range l.stripes {
		s := &l.stripes[i]
		for k, e := range s.folding {
			names = append(names, folding{k, e.value, true, e.quiet})
		}
		for k, t := range s.foldingTouched {
			names = append(names, folding{key: k, value: value{last: t.last, count: t.count}})
		}
	}
	sortNames(names)
	return names
}

func sortNames(names []folding) {
	slices.SortFunc(names, func(a, b folding) int {
		return cmp.Or(cmp.Compare(a.scope.index, b.scope.index), strings.Compare(a.name, b.name))
	})
}

// update is a write transaction, with no read transaction kept open beside it.
func (l *ledger) update(fn func(*bbolt.Tx) error) error {
	l.readers.pause()
	defer l.readers.resume()
	return l.db.Update(fn)
}

// write writes names, which are in order, as far as the ledger then has no more than most; full are those that had no room. The
// ones that a fold repeats after a crash are found to be there.
func (l *ledger) write(names []folding, most int64) (added, full int, err error) {
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	known := l.known.Load()
	for i := range names {
		if n := &names[i]; n.isNew {
			known.add(l.hash(n.scope, n.name))
		}
	}
	w := nameWriter{room: most - l.stored.Load()}
	err = l.update(func(tx *bbolt.Tx) error {
		for i := range names {
			if err := w.put(tx, &names[i]); err != nil {
				return err
			}
		}
		l.mark(names, tx.ID())
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	for _, sc := range w.added {
		sc.stored.Add(1)
	}
	l.stored.Add(int64(len(w.added)))
	for i := range names {
		if n := &names[i]; n.isNew && !n.quiet {
			n.scope.unfolded.Add(-1)
			l.unfolded.Add(-1)
		}
	}
	return len(w.added), w.full, nil
}

// mark notes the transaction that writes sightings, so that who reads its outcome does not count them again.
func (l *ledger) mark(names []folding, tx int) {
	for i := range names {
		n := &names[i]
		if n.isNew {
			continue
		}
		s := &l.stripes[l.hash(n.scope, n.name)%numStripes]
		s.mu.Lock()
		t := s.foldingTouched[n.key]
		t.tx = tx
		s.foldingTouched[n.key] = t
		s.mu.Unlock()
	}
}

// nameWriter writes names into the bucket of their scope.
type nameWriter struct {
	scope  *scope
	bucket *bbolt.Bucket
	room   int64 // for new names
	added  []*scope
	full   int // new names that there was no room for
}

// put writes n. Sightings of a name that is not there are those of a forgotten one.
func (w *nameWriter) put(tx *bbolt.Tx, n *folding) (err error) {
	if w.scope != n.scope {
		if w.bucket, err = tx.Bucket(bucketNames).CreateBucketIfNotExists([]byte(n.scope.name)); err != nil {
			return err
		}
		w.scope = n.scope
	}
	v, there := parseValue(w.bucket.Get([]byte(n.name)))
	switch {
	case there && n.isNew:
		v.merge(n.value)
	case there:
		v.touch(touch{last: n.last, count: n.count})
	case !n.isNew:
		return nil
	case int64(len(w.added)) >= w.room:
		w.full++
		return nil
	default:
		v = n.value
		w.added = append(w.added, n.scope)
	}
	return w.bucket.Put([]byte(n.name), v.appendTo(make([]byte, 0, 24)))
}

// writeEvents writes the batch's first contacts that are not done, takes those that are out, drops the oldest beyond what is
// kept, and notes that the journals are in the database: the last step of a fold.
func (l *ledger) writeEvents(b *batch) error {
	l.tail.mu.Lock()
	events, done := l.tail.folding, l.tail.foldingDone
	l.tail.mu.Unlock()
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	var stored, dropped int
	err := l.update(func(tx *bbolt.Tx) error {
		stored, dropped = l.tail.stored, 0
		bucket := tx.Bucket(bucketEvents)
		bucket.FillPercent = 0.9
		for number := range done {
			k := binary.BigEndian.AppendUint64(nil, number)
			if bucket.Get(k) == nil {
				continue
			}
			if err := bucket.Delete(k); err != nil {
				return err
			}
			stored--
		}
		for _, e := range events {
			if _, ok := done[e.number]; ok || e.key.scope == nil {
				continue
			}
			k := binary.BigEndian.AppendUint64(nil, e.number)
			if bucket.Get(k) == nil {
				stored++
			}
			if err := bucket.Put(k, e.appendTo(nil)); err != nil {
				return err
			}
		}
		c := bucket.Cursor()
		for k, _ := c.First(); k != nil && stored > l.opt.MaxEvents; k, _ = c.First() {
			if err := c.Delete(); err != nil {
				return err
			}
			stored--
			dropped++
		}
		meta := tx.Bucket(bucketMeta)
		return errors.Join(putNumber(meta, metaEvent, b.event), putNumber(meta, metaFolded, b.journal))
	})
	if err != nil {
		return err
	}
	l.tail.mu.Lock()
	l.tail.stored, l.tail.folding, l.tail.foldingDone = stored, nil, nil
	l.tail.mu.Unlock()
	if dropped > 0 {
		l.eventsDropped.Add(uint64(dropped))
		l.dropped.report(errEventsDropped)
	}
	return nil
}

var errEventsDropped = errors.New("nobody took them in time; the oldest go first")

// dropJournals deletes the journals up to last, which are in the database. One that stays is passed over at the next start.
func (l *ledger) dropJournals(last uint64) error {
	numbers, err := journals(l.dir)
	if err != nil {
		return err
	}
	for _, n := range numbers {
		if n <= last {
			err = errors.Join(err, os.Remove(journalName(l.dir, n)))
		}
	}
	return err
}
