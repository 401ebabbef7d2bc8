package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/whence-project/whence/store"
)

const (
	ledgerFile    = "ledger.db"
	ledgerVersion = 1

	minFilter    = 1 << 20 // names the filter has room for at least
	bytesPerName = 48      // in the database, at least: for a guess at how many there are before they are read
	retryEvery   = 5 * time.Second
)

// openLedger opens the ledger in dir, which is locked.
func openLedger(dir string, opt *Options) (*ledger, error) {
	l := &ledger{
		dir: dir, opt: opt, log: opt.Logger, seed: maphash.MakeSeed(),
		stop: make(chan struct{}), foldNow: make(chan struct{}, 1),
	}
	l.tail.wake, l.tail.done = make(chan struct{}, 1), make(map[uint64]struct{})
	l.noJournal.init(opt, "the ledger's journal cannot be written: new names are unknown, known names are answered")
	l.noFold.init(opt, "the ledger's database cannot be written: new names stay in the journal")
	l.noSync.init(opt, "the ledger's journal cannot be synced to the disk: a power cut may lose first sightings")
	l.noRoom.init(opt, "the ledger takes no new names: they are unknown, known names are answered")
	l.dropped.init(opt, "first contacts were dropped")
	for i := range l.stripes {
		l.stripes[i].fresh, l.stripes[i].touched = make(map[key]entry), make(map[key]touch)
	}
	db, err := openDatabase(filepath.Join(dir, ledgerFile), format{
		version: ledgerVersion, buckets: [][]byte{bucketNames, bucketEvents}, check: l.read,
	}, opt)
	if err != nil {
		return nil, err
	}
	if l.known.Load() == nil {
		l.known.Store(newFilter(minFilter))
	}
	l.db, l.readers.db = db, db
	if err := l.recover(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	l.running.Go(l.run)
	l.running.Go(l.syncer)
	return l, nil
}

// read reads all of the database: that it is whole, what is in it, and the filter.
func (l *ledger) read(tx *bbolt.Tx) error {
	l.scopes.all.Store(nil)
	known := newFilter(max(minFilter, int(tx.Size()/bytesPerName)))
	names, err := l.walk(tx, known)
	if err != nil {
		return err
	}
	l.stored.Store(int64(names))
	l.known.Store(known)
	l.tail.stored = 0
	return tx.Bucket(bucketEvents).ForEach(func(k, v []byte) error {
		if _, err := l.parseEvent(k, v); err != nil {
			return err
		}
		l.tail.stored++
		return nil
	})
}

// walk reads all names into the filter, counts them in their scopes, and in all.
func (l *ledger) walk(tx *bbolt.Tx, known *filter) (names int, err error) {
	root := tx.Bucket(bucketNames)
	if root == nil || tx.Bucket(bucketEvents) == nil {
		return 0, fmt.Errorf("%w: a bucket is missing", errDamaged)
	}
	err = root.ForEachBucket(func(k []byte) error {
		sc := l.scopes.intern(string(k))
		if sc == nil {
			return fmt.Errorf("%w: scope %q", errDamaged, k)
		}
		var last []byte
		n := 0
		c := root.Bucket(k).Cursor()
		for name, v := c.First(); name != nil; name, v = c.Next() {
			if _, ok := parseValue(v); !ok || bytes.Compare(last, name) >= 0 {
				return fmt.Errorf("%w: name %q in scope %q", errDamaged, name, k)
			}
			known.add(maphash.Bytes(l.seed, name) ^ sc.salt)
			last = name
			n++
		}
		sc.stored.Store(int64(n))
		names += n
		return nil
	})
	return names, err
}

// growFilter makes a larger filter when there are more names than the filter was made for.
func (l *ledger) growFilter() error {
	if l.stored.Load() <= int64(l.known.Load().capacity) {
		return nil
	}
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	known := newFilter(2 * int(l.stored.Load()))
	err := l.db.View(func(tx *bbolt.Tx) error {
		_, err := l.walk(tx, known)
		return err
	})
	if err == nil {
		l.known.Store(known)
	}
	return err
}

// recover takes up the journals that are not in the database, and begins a new one.
func (l *ledger) recover() error {
	var folded uint64
	err := l.db.View(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		folded, l.tail.event = getNumber(meta, metaFolded), getNumber(meta, metaEvent)
		return nil
	})
	if err != nil {
		return err
	}
	numbers, err := journals(l.dir)
	if err != nil {
		return err
	}
	start := l.opt.Now()
	l.nextJournal = folded + 1
	for _, n := range numbers {
		name := journalName(l.dir, n)
		if n <= folded {
			if err := os.Remove(name); err != nil {
				return err
			}
			continue
		}
		if err := l.replay(name, l.take); err != nil {
			return err
		}
		l.nextJournal, l.leftover = n+1, true
	}
	if n := l.unfolded.Load(); n > 0 {
		l.log.Info("took up the ledger's journal", zap.Int64("names", n), zap.Duration("took", l.opt.Now().Sub(start)))
	}
	// No number is given twice, also where the file that says which were is lost: no clock is a million events a second late.
	l.tail.event = max(l.tail.event, uint64(max(l.opt.Now().UnixMicro(), 0)))
	l.tail.journal, err = createJournal(l.dir, l.nextJournal, l.opt.createJournal)
	if err != nil {
		l.noJournal.report(err)
	}
	l.nextJournal++
	if l.leftover {
		l.kick()
	}
	return nil
}

// take takes up a record of a journal.
func (l *ledger) take(r record) {
	t := &l.tail
	if r.kind == kindDone {
		t.forget(r.done)
		return
	}
	sc := l.scopes.intern(r.scope)
	if sc == nil {
		return
	}
	k := key{sc, r.name}
	s := &l.stripes[l.hash(sc, r.name)%numStripes]
	e, ok := s.fresh[k]
	if !ok {
		e = entry{quiet: r.event == 0}
		if !e.quiet {
			sc.unfolded.Add(1)
			l.unfolded.Add(1)
		}
	}
	e.merge(value{first: r.ms, last: r.ms, count: 1})
	s.fresh[k] = e
	if r.event > t.event {
		t.event = r.event
		t.recent = append(t.recent, event{r.event, k, r.ms})
	}
}

// run folds when enough has come together, and now and then.
func (l *ledger) run() {
	flush, retry := time.NewTicker(l.opt.FlushEvery), time.NewTicker(retryEvery)
	defer flush.Stop()
	defer retry.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-l.foldNow:
		case <-flush.C:
		case <-retry.C:
			if !l.noFold.active.Load() && !l.noJournal.active.Load() {
				continue
			}
		}
		_ = l.fold() // it has said so
	}
}

// kick has the ledger folded soon.
func (l *ledger) kick() {
	select {
	case l.foldNow <- struct{}{}:
	default:
	}
}

// syncer syncs the journal a little after it was written to.
func (l *ledger) syncer() {
	for {
		select {
		case <-l.stop:
			return
		case <-l.tail.wake:
		}
		select {
		case <-l.stop:
			return
		case <-time.After(l.opt.SyncEvery):
		}
		if err := l.sync(); err != nil {
			l.kick() // so that what the journal may have lost comes to the disk otherwise
		}
	}
}

func (l *ledger) sync() error {
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	l.tail.mu.Lock()
	j := l.tail.journal
	l.tail.unsynced = false
	l.tail.mu.Unlock()
	err := j.sync()
	l.noSync.settle(err)
	return err
}

// close folds what is in memory and closes the files. Where the fold fails the journal is still there.
func (l *ledger) close() error {
	l.ending.Do(func() {
		l.closed.Store(true)
		close(l.stop)
		l.running.Wait()
		l.endErr = l.fold()
		l.tail.mu.Lock()
		j := l.tail.journal
		l.tail.journal = nil
		l.tail.mu.Unlock()
		l.endErr = errors.Join(l.endErr, j.sync(), j.close())
		if j != nil && l.endErr == nil && j.size == int64(journalHeader) {
			l.endErr = os.Remove(journalName(l.dir, j.number))
		}
		l.readers.pause()
		l.endErr = errors.Join(l.endErr, l.db.Close())
	})
	return l.endErr
}

// Status implements [store.Ledger].
func (l *ledger) Status() store.LedgerStatus {
	s := store.LedgerStatus{
		Names: int(l.stored.Load() + l.unfolded.Load()), MaxNames: l.opt.MaxNames, Unfolded: int(l.unfolded.Load()),
		EventsDropped: l.eventsDropped.Load(), Unknown: l.unknown.Load(), Bytes: sizeOf(filepath.Join(l.dir, "ledger*")),
	}
	s.Error, s.Since = worst(&l.noJournal, &l.noFold, &l.noSync, &l.noRoom, &l.dropped)
	l.tail.mu.Lock()
	s.Events = l.tail.count()
	l.tail.mu.Unlock()
	return s
}

// sizeOf is the size of the files that pattern names, damaged ones that were moved aside not counted.
func sizeOf(pattern string) (size int64) {
	names, _ := filepath.Glob(pattern)
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && !isAside(name) {
			size += info.Size()
		}
	}
	return size
}
