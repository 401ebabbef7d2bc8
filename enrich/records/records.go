// Package records is the source of the operator's own records: a folder of text files, one per name, as simple-whois keeps them
// in its db/. A record is shown as it was written and overrides what the sources after it would say. The folder is read into
// memory and watched; no file is opened for a query.
package records

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/watch"
)

// The bounds where Options has none.
const (
	DefaultMaxFileSize = 64 << 10 // bytes
	DefaultMaxFiles    = 100_000
	DefaultMaxBytes    = 256 << 20
)

// What a server that has nothing but records says, in simple-whois' words.
const (
	notFound = "Record not found"
	refused  = "Error"
)

// Options say where the records are and how much of them is taken in. A bound that is zero has its default.
type Options struct {
	Dir         string      // the folder; it may be missing at first
	MaxFileSize int64       // bytes of one file; a larger one is refused
	MaxFiles    int         // files in all; further ones are left out
	MaxBytes    int64       // bytes of all files together; further files are left out
	Logger      *zap.Logger // nil: no log
	// News hears of the folder when records in it have changed after Open, and of what is refused, which has an Error. It must not
	// block. nil for nobody.
	News func(enrich.DataStatus)
}

// Source is a folder of records: an [enrich.Source] that answers with [enrich.Stop] where it has a record.
type Source struct {
	o     Options
	now   func() time.Time
	log   atomic.Pointer[zap.Logger]
	table atomic.Pointer[table]
	watch *watch.Watcher

	mu         sync.Mutex // what follows, and reading the folder
	files      map[string]*file
	problems   map[string]string
	generation uint64
	loaded     time.Time
	lastError  string
	errorTime  time.Time
	folderErr  string // why the folder as it is now cannot be read
	missing    bool   // there is no folder
	looked     bool   // Open has
}

// New returns the source of a folder, which [Source.Open] reads.
func New(o Options) *Source {
	if o.MaxFileSize <= 0 {
		o.MaxFileSize = DefaultMaxFileSize
	}
	if o.MaxFiles <= 0 {
		o.MaxFiles = DefaultMaxFiles
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	s := &Source{o: o, now: time.Now}
	s.SetLogger(o.Logger)
	s.table.Store(newTable(nil))
	return s
}

// SetLogger has the source log to l from now on; nil is no log. It may be called at any time.
func (s *Source) SetLogger(l *zap.Logger) {
	if l == nil {
		l = zap.NewNop()
	}
	s.log.Store(l)
}

// Add attaches the record of q.Subject and stops the chain. Names and domains are found as they were written, domains and AS
// numbers also in any other spelling, addresses and prefixes in the record of the smallest network that holds them.
func (s *Source) Add(q *enrich.Query, r *enrich.Record) enrich.Verdict {
	t := s.table.Load()
	kind := q.Subject.Kind()
	if t.kinds&(1<<kind) == 0 {
		r.Miss(notFound)
		return enrich.Next
	}
	e, network := t.find(q.Subject)
	switch {
	case e == nil && kind == enrich.Name && t.trick(q.Subject.Written()), e != nil && e.refused:
		r.Miss(refused)
	case e == nil:
		r.Miss(notFound)
	default:
		r.Attach(e.fragment, network)
		return enrich.Stop
	}
	return enrich.Next
}

// Open reads the folder and has it watched from now on. Only a source without a folder's name is an error.
func (s *Source) Open(context.Context) error {
	if s.o.Dir == "" {
		return errors.New("records: no folder is named")
	}
	s.watch = watch.New(s.unwatched, s.reload, patterns(s.o.Dir)...)
	if err := s.watch.Start(); err != nil {
		s.unwatched(err)
	}
	s.reload()
	return nil
}

// patterns are what to watch: the folder, and what lies in the folders below as deep as records may.
func patterns(dir string) []string {
	ps := []string{dir}
	glob := dir
	if filepath.Separator == '/' {
		glob = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
	}
	glob = filepath.Join(glob, "*")
	for range maxDepth {
		glob = filepath.Join(glob, "*")
		ps = append(ps, glob)
	}
	return ps
}

func (s *Source) unwatched(err error) {
	s.log.Load().Error("records are not watched", zap.String("path", s.o.Dir), zap.Error(err))
}

// Close ends the watching. The records that were read remain.
func (s *Source) Close() error {
	if s.watch == nil {
		return nil
	}
	return s.watch.Close()
}

// Refresh looks at the folder now, and lets go of the records if it is gone: what a reload of the configuration means for a
// source that outlives it.
func (s *Source) Refresh() { s.refresh(false) }

// RefreshNow is Refresh that reads also the files that look as they did. Its error says why the folder cannot be read; what is
// wrong with single records is in the status.
func (s *Source) RefreshNow(context.Context) error {
	s.refresh(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.folderErr != "" {
		return errors.New(s.folderErr)
	}
	return nil
}

func (s *Source) refresh(reread bool) {
	s.read(reread)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := os.Stat(s.o.Dir); errors.Is(err, fs.ErrNotExist) && len(s.files) > 0 {
		s.log.Load().Info("records let go, as their folder is gone", zap.String("path", s.o.Dir), zap.Int("records", s.table.Load().count))
		s.files = nil
		s.table.Store(newTable(nil))
		s.generation++
	}
}

// reload reads what changed in the folder.
func (s *Source) reload() { s.read(false) }

// read reads what changed in the folder, or all of it, and swaps the table.
func (s *Source) read(reread bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.looked = true }()
	l := &loader{maxFile: s.o.MaxFileSize, maxFiles: s.o.MaxFiles, maxBytes: s.o.MaxBytes, now: s.now, prev: s.files, reread: reread}
	if err := l.load(s.o.Dir); err != nil {
		s.folderFailed(err)
		return
	}
	first := s.loaded.IsZero() || s.folderErr != ""
	s.folderErr, s.missing, s.loaded = "", false, s.now()
	if l.changed {
		entries := make([]*entry, 0, len(l.files))
		for _, f := range l.files {
			entries = append(entries, f.entry)
		}
		t := newTable(entries)
		t.bytes = l.bytes
		s.table.Store(t)
		s.generation++
	}
	for _, c := range s.table.Load().collisions {
		if _, ok := l.problems[c.shadowed]; !ok {
			l.problems[c.shadowed] = "means the same as " + c.used + ", and is found only as it is written"
		}
	}
	if l.changed || first {
		s.log.Load().Info("records loaded", zap.String("path", s.o.Dir), zap.Int("records", s.table.Load().count),
			zap.Int64("bytes", l.bytes))
	}
	if l.changed && s.looked {
		s.news("")
	}
	s.report(l.problems)
	s.files, s.problems = l.files, l.problems
}

// folderFailed keeps what was read last: a folder that is gone is more likely moved or not mounted than emptied on purpose.
func (s *Source) folderFailed(err error) {
	text := err.Error()
	s.missing = errors.Is(err, fs.ErrNotExist)
	if s.folderErr == text {
		return
	}
	s.folderErr = text
	s.lastError, s.errorTime = text, s.now()
	kept := zap.Int("records", s.table.Load().count)
	if s.missing {
		s.log.Load().Warn("folder of records is missing; it is taken in when it comes", zap.String("path", s.o.Dir), kept)
		if !s.loaded.IsZero() {
			s.news(text)
		}
		return
	}
	s.news(text)
	s.log.Load().Error("folder of records cannot be read", zap.String("path", s.o.Dir), kept, zap.Error(err))
}

// maxReports bounds the log lines of one reading.
const maxReports = 20

// report logs the problems that were not there before.
func (s *Source) report(problems map[string]string) {
	log, reported, first := s.log.Load(), 0, ""
	for _, name := range slices.Sorted(maps.Keys(problems)) {
		text := problems[name]
		if s.problems[name] == text {
			continue
		}
		at := filepath.Join(s.o.Dir, filepath.FromSlash(name))
		s.lastError, s.errorTime = at+": "+text, s.now()
		if reported++; reported == 1 {
			first = at + ": " + text
		}
		if reported <= maxReports {
			log.Warn("record", zap.String("path", at), zap.String("problem", text))
		}
	}
	if reported > maxReports {
		log.Warn("records with problems that are not listed", zap.Int("count", reported-maxReports))
	}
	switch {
	case reported == 1:
		s.news(first)
	case reported > 1:
		s.news(fmt.Sprintf("%d records with problems, the first: %s", reported, first))
	}
}

// news tells that records have changed or, with an error, that some were refused.
func (s *Source) news(err string) {
	if s.o.News != nil {
		d := s.data()
		d.Error = enrich.Clean(err)
		s.o.News(d)
	}
}

// Status says how many records are served, since when, and what went wrong last.
func (s *Source) Status() enrich.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table.Load()
	return enrich.Status{
		Kind:       "records",
		Generation: s.generation,
		Records:    t.count,
		LastError:  s.lastError,
		ErrorTime:  s.errorTime,
		Data:       []enrich.DataStatus{s.data()},
		Problems:   s.listed(),
	}
}

// data says how the folder is. The lock is held.
func (s *Source) data() enrich.DataStatus {
	t := s.table.Load()
	return enrich.DataStatus{Path: s.o.Dir, Loaded: s.loaded, Records: t.count, Bytes: t.bytes, Error: s.folderErr, Missing: s.missing}
}

// listed are the problems with single records, as many as are logged. The lock is held.
func (s *Source) listed() (list []enrich.Problem) {
	for _, name := range slices.Sorted(maps.Keys(s.problems)) {
		if len(list) == maxReports {
			return append(list, enrich.Problem{Text: fmt.Sprintf("%d more records with problems", len(s.problems)-maxReports)})
		}
		list = append(list, enrich.Problem{Text: filepath.Join(s.o.Dir, filepath.FromSlash(name)) + ": " + s.problems[name]})
	}
	return list
}

// Interface guards.
var (
	_ enrich.Source    = (*Source)(nil)
	_ enrich.Opener    = (*Source)(nil)
	_ enrich.Closer    = (*Source)(nil)
	_ enrich.Reporter  = (*Source)(nil)
	_ enrich.Refresher = (*Source)(nil)
)
