package embedded

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
	"go.uber.org/zap"
)

// The buckets of ledger.db. Under names there is one for each scope: name to value. Events are the first contacts that
// are not done: number, 8 bytes big endian, to length of scope, scope, name.
var (
	bucketMeta   = []byte("meta")
	bucketNames  = []byte("names")
	bucketEvents = []byte("events")

	metaVersion = []byte("version")
	metaFolded  = []byte("folded") // the last journal whose records are all here
	metaEvent   = []byte("event")  // the last event number given as of that journal
)

// VersionError says that a file was written by a newer Whence. It is left alone.
type VersionError struct {
	File    string
	Version uint64
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("%s has format version %d, newer than this program knows: use the newer one, or move the file away", e.File, e.Version)
}

// errDamaged says that a database is not one, or not whole.
var errDamaged = errors.New("damaged")

func corruptSuffix(now time.Time) string {
	return ".corrupt-" + now.UTC().Format("20060102T150405.000Z")
}

// format is what a database of ours looks like.
type format struct {
	version uint64
	buckets [][]byte
	check   func(*bbolt.Tx) error // reads all of it and returns errDamaged, or panics, where it is not what was written
}

// checkAll looks whether a database is whole: its pages' sizes, what is in them, and bbolt's own bookkeeping. The order matters.
// bbolt's check believes the sizes, and runs on a goroutine of its own, so that a fault in it is the end of the process; the
// same pages have been read by then. bbolt has no checksums: what is another valid name now is not found.
func (f format) checkAll(tx *bbolt.Tx) error {
	pages := int(tx.Size()) / tx.DB().Info().PageSize
	for id := 2; id < pages; {
		p, err := tx.Page(id)
		if err != nil {
			return err
		}
		if p.Type == "free" {
			id++
			continue
		}
		if id += 1 + p.OverflowCount; id > pages || p.Type != "leaf" && p.Type != "branch" && p.Type != "freelist" {
			return fmt.Errorf("%w: page %d is of type %s with %d more", errDamaged, p.ID, p.Type, p.OverflowCount)
		}
	}
	if err := f.check(tx); err != nil {
		return err
	}
	var first error
	for err := range tx.Check() {
		first = cmp.Or(first, err)
	}
	if first != nil {
		return fmt.Errorf("%w: %w", errDamaged, first)
	}
	return nil
}

// openDatabase opens a bbolt file of that format. One that is damaged is moved aside and begun anew.
func openDatabase(path string, f format, opt *Options) (*bbolt.DB, error) {
	db, err := tryDatabase(path, f)
	if !errors.Is(err, errDamaged) {
		return db, err
	}
	aside := path + corruptSuffix(opt.Now())
	if rerr := os.Rename(path, aside); rerr != nil {
		return nil, fmt.Errorf("%w; moving it aside: %w", err, rerr)
	}
	opt.Logger.Error("a file of the store is damaged; it was moved aside and a new one begun: what it knew is forgotten until it is "+
		"restored from a backup or imported", zap.String("file", path), zap.String("moved_to", aside), zap.Error(err))
	return tryDatabase(path, f)
}

func tryDatabase(path string, f format) (db *bbolt.DB, err error) {
	// bbolt panics where a page is not what it should be, and the system faults where a file ends before its pages do. The
	// database is then left open, as closing it may wait for the transaction that failed: the process has it twice, and the
	// damaged file has another name.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			db, err = nil, fmt.Errorf("%s: %w: %v", path, errDamaged, p)
		}
	}()
	db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType, NoStatistics: true})
	switch {
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return nil, fmt.Errorf("%s: %w: %w", path, errDamaged, err)
	case err != nil:
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	if err = inspect(db, path, f); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// inspect looks at a database that was opened, and makes a new one ours.
func inspect(db *bbolt.DB, path string, f format) error {
	isNew := false
	err := db.View(func(tx *bbolt.Tx) error {
		if info, err := os.Stat(path); err == nil && info.Size() < tx.Size() {
			return fmt.Errorf("%s: %w: %d bytes long, it had %d", path, errDamaged, info.Size(), tx.Size())
		}
		meta := tx.Bucket(bucketMeta)
		if meta == nil {
			if k, _ := tx.Cursor().First(); k != nil {
				return fmt.Errorf("%s: %w: not a database of this program", path, errDamaged)
			}
			isNew = true
			return nil
		}
		if v := getNumber(meta, metaVersion); v > f.version {
			return &VersionError{File: path, Version: v}
		}
		return f.checkAll(tx)
	})
	if err != nil || !isNew {
		return err
	}
	return db.Update(func(tx *bbolt.Tx) error {
		meta, err := tx.CreateBucket(bucketMeta)
		if err != nil {
			return err
		}
		for _, name := range f.buckets {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return putNumber(meta, metaVersion, f.version)
	})
}

func getNumber(b *bbolt.Bucket, key []byte) uint64 {
	v := b.Get(key)
	if len(v) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(v)
}

func putNumber(b *bbolt.Bucket, key []byte, n uint64) error {
	return b.Put(key, binary.BigEndian.AppendUint64(nil, n))
}
