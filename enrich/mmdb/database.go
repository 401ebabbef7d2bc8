package mmdb

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"
	"github.com/oschwald/maxminddb-golang/v2/mmdbdata"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/licence"
)

// database is one file, read into memory and found good. It is immutable but for the fragments that it keeps.
type database struct {
	origin   *enrich.Origin
	licence  string
	typ      string // database_type
	size     int64  // of the file, bytes
	networks uint64
	tree     *tree
	data     []byte   // the data section
	offsets  []uint32 // of the records in it
	systems  systems
	readers  sync.Pool // of *flattener
	kept     atomic.Pointer[kept]
}

// kept are the fragments made of a database's records so far. They are dropped all at once, by taking another.
type kept struct {
	records []atomic.Pointer[enrich.Fragment] // by number of the record
	systems sync.Map                          // by AS number
	bytes   atomic.Int64                      // estimate of what they take
}

// limits are what load goes by beside the file.
type limits struct {
	maxFile     int64
	languages   []string
	attribution string
	terms       map[string]licence.Terms // by path
}

// termsOf is what the licence of a file's data is and asks for: the operator's word first, and then where the file comes from.
func (l *limits) termsOf(path string, m *maxminddb.Metadata) licence.Terms {
	t, known := l.terms[path]
	if !known {
		t = termsOf(m)
	}
	t.Attribution = cmp.Or(l.attribution, t.Attribution)
	return t
}

var (
	metadataMarker = []byte("\xAB\xCD\xEFMaxMind.com")
	errNotMMDB     = errors.New("this is no MMDB file: there is no metadata section at its end")
)

// metadataRoom is how far before the end of a file its metadata may start.
const metadataRoom = 128 << 10

// load reads the file at path.
func load(ctx context.Context, path string, lim limits) (*database, error) {
	file, err := readFile(path, lim.maxFile)
	if err != nil {
		return nil, err
	}
	return parse(ctx, path, file, lim)
}

// parse walks all of a file: what it does not refuse answers every query. Neither a panic nor unbounded time or memory comes of
// any file. The time is some 0.3 µs a field of each distinct record. The file is not kept.
func parse(ctx context.Context, path string, file []byte, lim limits) (db *database, err error) {
	// Whatever a broken file may bring out in a decoder, it is a fault of the file, not the end of the server.
	defer func() {
		if p := recover(); p != nil {
			db, err = nil, fmt.Errorf("reading it failed: %v", p)
		}
	}()
	r, err := maxminddb.OpenBytes(file, maxminddb.DisableStringCache())
	if err != nil {
		return nil, fmt.Errorf("its metadata: %w", err)
	}
	m := r.Metadata
	end := bytes.LastIndex(file, metadataMarker)
	start := int(m.NodeCount*(m.RecordSize/4)) + separator
	if end < start {
		return nil, errors.New("its metadata lie within its search tree")
	}
	tree, census, err := newTree(file, m.NodeCount, m.RecordSize, m.IPVersion, end-start)
	if err != nil {
		return nil, err
	}
	db = &database{
		typ: enrich.Clean(m.DatabaseType), size: int64(len(file)), tree: tree, offsets: census.offsets,
		data: slices.Clone(file[start:end]), // the file's own tree is not needed any more
	}
	terms := lim.termsOf(path, &m)
	db.licence = terms.Licence
	db.origin = &enrich.Origin{
		Source: "mmdb", Name: enrich.Clean(filepath.Base(path)), Built: buildTime(m.BuildEpoch), Attribution: terms.Attribution,
	}
	return db, db.readAll(ctx, census, lim.languages)
}

// readFile reads a file of at most maxSize bytes. A file that cannot be an MMDB is not read to its beginning.
func readFile(path string, maxSize int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := info.Size()
	switch {
	case !info.Mode().IsRegular():
		return nil, errors.New("this is no regular file")
	case size == 0:
		return nil, errors.New("the file is empty")
	case size > maxSize:
		return nil, fmt.Errorf("the file has %d bytes, more than the %d allowed", size, maxSize)
	}
	tail := make([]byte, min(size, metadataRoom+int64(len(metadataMarker))))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil {
		return nil, err
	}
	if !bytes.Contains(tail, metadataMarker) {
		return nil, errNotMMDB
	}
	file := make([]byte, size)
	if _, err := io.ReadFull(f, file); err != nil {
		return nil, err
	}
	if again, err := f.Stat(); err != nil || again.Size() != size || !again.ModTime().Equal(info.ModTime()) {
		return nil, errors.New("the file changed while it was read")
	}
	return file, nil
}

// A file can point to the same bytes from many records. These bound what that may cost to read, by the size of the file; real
// ones need a twentieth.
const (
	maxValuesPerByte = 4
	maxBytesPerByte  = 256
	workFloor        = 1 << 20 // values, and as many times 64 bytes, that any file may have
)

// readAll reads every record once, which proves that it can be read, and makes the AS index.
func (db *database) readAll(ctx context.Context, c *census, languages []string) error {
	dec := mmdbdata.NewDecoder(db.data, 0, mmdbdata.WithStringCache())
	names := make(map[string]name)
	newReader := func() *flattener {
		return &flattener{dec: dec, languages: languages, names: names, seen: make(map[string]use)}
	}
	f := newReader()
	f.learn = true
	counts := make(systemCounts)
	values, size := workFloor+maxValuesPerByte*db.size, 64*workFloor+maxBytesPerByte*db.size
	for i, offset := range db.offsets {
		if i%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := f.flatten(offset); err != nil {
			return fmt.Errorf("record at %d of the data section: %w", offset, err)
		}
		values, size = values-int64(f.count), size-int64(f.bytes)
		if values < 0 || size < 0 {
			return errors.New("its records expand to far more than the file holds")
		}
		counts.add(f, i, c.v4[i], c.v6[i])
		db.networks += uint64(c.v4[i]) + uint64(c.v6[i])
	}
	db.systems = counts.index()
	db.readers.New = func() any { return newReader() }
	db.drop()
	return nil
}

// buildTime is the time of a build_epoch, zero where that is no time of this era.
func buildTime(epoch uint) time.Time {
	const year10000 = 253402300800
	if epoch == 0 || uint64(epoch) >= year10000 {
		return time.Time{}
	}
	return time.Unix(int64(epoch), 0).UTC()
}

// keep makes the fragment of a record, and keeps it in k.
func (db *database) keep(k *kept, record int) *enrich.Fragment {
	f := db.build(record)
	if f == nil {
		return nil
	}
	if !k.records[record].CompareAndSwap(nil, f) {
		return k.records[record].Load()
	}
	k.bytes.Add(estimate(f))
	return f
}

// build makes the fragment of a record. All records could be read when the database was loaded.
func (db *database) build(record int) *enrich.Fragment {
	r := db.readers.Get().(*flattener)
	defer db.readers.Put(r)
	if err := r.flatten(db.offsets[record]); err != nil {
		return nil
	}
	b := enrich.NewBuilder(db.origin)
	for _, fd := range r.fields {
		b.Add(fd)
	}
	for k, v := range r.best {
		if v != "" {
			b.Canonical(enrich.Key(k), v)
		}
	}
	return b.Build()
}

// drop forgets the kept fragments. Queries that hold one go on with it.
func (db *database) drop() {
	db.kept.Store(&kept{records: make([]atomic.Pointer[enrich.Fragment], len(db.offsets))})
}

// estimate is about how many bytes of memory a fragment takes, once a door has rendered it.
func estimate(f *enrich.Fragment) int64 {
	const fragment, field, rendered = 320, 56, 4
	n := int64(fragment)
	for _, fd := range f.Fields() {
		n += field + int64(len(fd.Key)+2*len(fd.Value)+rendered)
	}
	return n
}
