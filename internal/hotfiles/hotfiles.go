// Package hotfiles keeps a set of data files loaded: what its patterns name is read, watched, and read again when it changes. A
// file that is missing is waited for; one that is broken is refused, and the last good one serves on.
package hotfiles

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/internal/watch"
)

// Options say what files a [Set] keeps and what is made of them.
type Options[T any] struct {
	// What is the word for one file's data in log lines: "list".
	What string
	// Patterns are files or globs (as of [path/filepath.Match]); relative ones are taken from the working folder. What they
	// name serves in their order, then in the order of the file names.
	Patterns []string
	// Load reads one file. The context ends when the set is closed.
	Load func(ctx context.Context, path string) (T, error)
	// Describe says what was loaded, for status and log; Path, Loaded and Error are filled in.
	Describe func(T) FileStatus
	// Changed hears what serves from now on and its generation, one call at a time.
	Changed func(generation uint64, serving []File[T])
	// News hears of each file that is taken in after those that Open found, and of each that is refused, which has an Error: after
	// Changed, in the order of what happened. It must not block. nil for nobody.
	News func(FileStatus)
	// Poll is how often the files are looked at where the file system does not notify; 0 for [watch.DefaultPoll].
	Poll time.Duration
	// Logger hears what is loaded and refused; nil for none.
	Logger *zap.Logger
	// Now is the clock; nil for time.Now.
	Now func() time.Time
}

// File is one file that serves.
type File[T any] struct {
	Path    string
	Pattern int // index of the pattern that names it
	Data    T
}

// Status says what a set has loaded and what went wrong last. Its errors may quote the files.
type Status struct {
	Generation uint64       // changes when the data do
	Records    int          // over all files
	Files      []FileStatus // in the order in which they serve, then the patterns that name nothing yet
	LastError  string       // the newest failure, after the file that it is about
	ErrorTime  time.Time    // when that was
}

// FileStatus says what one file is.
type FileStatus struct {
	Path        string
	Type        string    // what the file calls itself, or how it is written
	Built       time.Time // when the data were made, by their own word
	Loaded      time.Time // when they were read
	Records     int
	Bytes       int64  // size of the file
	Licence     string // by its SPDX identifier, or what it is called and where it is
	Attribution string // what its licence asks to be shown
	Error       string // why the file as it is now does not serve; the last good one serves on
	Missing     bool   // there is no such file yet; it is watched for
}

// Set is the files that the patterns of its options name. It is safe for concurrent use.
type Set[T any] struct {
	o       Options[T]
	log     atomic.Pointer[zap.Logger]
	status  atomic.Pointer[Status]
	watcher *watch.Watcher
	ctx     context.Context
	cancel  context.CancelFunc
	opened  sync.Once
	openErr error

	mu         sync.Mutex // one look at the files at a time; guards what follows
	looked     bool       // Open has
	news       []FileStatus
	files      []*file[T] // in the order in which they serve
	missing    map[string]bool
	generation uint64
	lastError  string
	errorTime  time.Time
}

// file is one file that the patterns name, or named.
type file[T any] struct {
	File[T]
	state  watch.Fingerprint // of the try at it that the data or err came of
	good   bool              // Data are there
	loaded time.Time
	err    error // why the file as it is now does not serve
}

var errGone = errors.New("the file is gone; what was loaded serves on until the configuration is reloaded or another file takes its place")

// New makes a set. It reads nothing and starts nothing before Open.
func New[T any](o Options[T]) *Set[T] {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Set[T]{o: o, missing: make(map[string]bool)}
	s.status.Store(new(Status))
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.SetLogger(o.Logger)
	s.watcher = watch.New(func(err error) {
		s.logger().Warn("files are watched by polling where notifications fail", zap.Error(err))
	}, s.reload, o.Patterns...)
	s.watcher.Poll = o.Poll
	return s
}

// SetLogger replaces the logger. It may be called at any time; nil stands for none.
func (s *Set[T]) SetLogger(l *zap.Logger) {
	if l == nil {
		l = zap.NewNop()
	}
	s.log.Store(l)
}

func (s *Set[T]) logger() *zap.Logger { return s.log.Load() }

// Open loads what is there and begins to watch. It fails only for a malformed pattern. Calls after the first do nothing and
// return the same.
func (s *Set[T]) Open() error {
	s.opened.Do(func() {
		if len(s.o.Patterns) == 0 {
			return
		}
		if s.openErr = s.watcher.Start(); s.openErr == nil {
			s.reload()
		}
	})
	return s.openErr
}

// Close stops watching, and loading if it goes on. It is idempotent; what is loaded is left to those that use it.
func (s *Set[T]) Close() error {
	s.cancel()
	return s.watcher.Close()
}

// Status says what is loaded, what is refused and why, and which patterns name nothing yet. It does not wait for a load.
func (s *Set[T]) Status() Status {
	st := *s.status.Load()
	st.Files = slices.Clone(st.Files)
	return st
}

// Refresh looks at the files now, and forgets those that are gone: what a reload of the configuration means for a source that
// outlives it.
func (s *Set[T]) Refresh() {
	if len(s.o.Patterns) > 0 {
		s.update(true, false)
	}
}

// Reread is Refresh that reads also the files that look as they did. Its error says of each file that does not serve as it is now why;
// where none serves, what is missing.
func (s *Set[T]) Reread() error {
	if len(s.o.Patterns) > 0 {
		s.update(true, true)
	}
	if s.ctx.Err() != nil {
		return errors.New("the files are no longer watched: the configuration that named them is gone")
	}
	var refused, missing []error
	serving := false
	for _, f := range s.Status().Files {
		serving = serving || !f.Loaded.IsZero()
		switch {
		case f.Missing:
			missing = append(missing, errors.New(f.Path+": "+f.Error))
		case f.Error != "":
			refused = append(refused, errors.New(f.Path+": "+f.Error))
		}
	}
	if !serving {
		refused = append(refused, missing...)
	}
	return errors.Join(refused...)
}

// reload takes in what has changed, as the watcher tells.
func (s *Set[T]) reload() { s.update(false, false) }

// update takes in what has changed since the last look; or, to reread, all there is.
func (s *Set[T]) update(forget, reread bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return
	}
	known := make(map[string]*file[T], len(s.files))
	for _, f := range s.files {
		known[f.Path] = f
	}
	changed := false
	var files []*file[T]
	for pattern, p := range s.o.Patterns {
		for _, path := range s.expand(p) {
			if slices.ContainsFunc(files, func(f *file[T]) bool { return f.Path == path }) {
				continue // an earlier pattern names it too
			}
			f := known[path]
			if f == nil {
				f = &file[T]{File: File[T]{Path: path}}
			}
			delete(known, path)
			if f.Pattern = pattern; reread {
				f.state = watch.Fingerprint{}
			}
			changed = s.try(f) || changed
			files = append(files, f)
		}
	}
	for _, f := range s.files {
		if known[f.Path] == nil {
			continue
		}
		if !s.gone(f, files, forget) {
			changed = changed || f.good
		} else {
			files = append(files, f)
		}
	}
	slices.SortStableFunc(files, func(a, b *file[T]) int {
		return cmp.Or(cmp.Compare(a.Pattern, b.Pattern), strings.Compare(a.Path, b.Path))
	})
	s.files = files
	if changed {
		s.swap()
	}
	s.publish()
	s.tell()
}

// expand is the files that a pattern names now. One that names none is said to be missing, once.
func (s *Set[T]) expand(pattern string) []string {
	paths := watch.Expand(pattern)
	if len(paths) > 0 {
		delete(s.missing, pattern)
	} else if !s.missing[pattern] {
		s.missing[pattern] = true
		s.logger().Warn("no "+s.o.What+" there yet; watching for it", zap.String("path", pattern))
	}
	return paths
}

// gone decides about a file that is no longer there, and reports whether it serves on: until it is to be forgotten, or another
// file of the same pattern serves, as tomorrow's list comes under tomorrow's name.
func (s *Set[T]) gone(f *file[T], files []*file[T], forget bool) bool {
	if forget || !f.good || slices.ContainsFunc(files, func(g *file[T]) bool { return g.Pattern == f.Pattern && g.good && g.err == nil }) {
		s.logger().Info(s.o.What+" let go, as its file is gone", zap.String("file", f.Path))
		return false
	}
	if f.err != errGone {
		s.fail(f, errGone)
		f.state = watch.Fingerprint{} // whatever comes back under this name is new
	}
	return true
}

// try loads f if it is not as it was at the last try, and reports whether its data have changed.
func (s *Set[T]) try(f *file[T]) bool {
	state, err := watch.Stat(f.Path)
	if err == nil && state == f.state {
		return false
	}
	f.state = state
	start := s.o.Now()
	var data T
	if err == nil {
		data, err = s.o.Load(s.ctx, f.Path)
	}
	if err != nil {
		var p *fs.PathError
		if errors.As(err, &p) {
			err = p.Err // the file is named beside it
		}
		s.fail(f, err)
		return false
	}
	f.Data, f.good, f.err, f.loaded = data, true, nil, s.o.Now()
	d := s.o.Describe(data)
	s.logger().Info(s.o.What+" loaded", zap.String("file", f.Path), zap.String("type", d.Type), zap.Time("built", d.Built),
		zap.Int("records", d.Records), zap.Int64("bytes", d.Bytes), zap.Duration("duration", f.loaded.Sub(start)))
	if s.looked {
		s.news = append(s.news, s.statusOf(f))
	}
	return true
}

// fail notes and logs that f as it is now does not serve.
func (s *Set[T]) fail(f *file[T], err error) {
	f.err = err
	s.lastError, s.errorTime = f.Path+": "+err.Error(), s.o.Now()
	s.logger().Error(s.o.What+" refused", zap.String("file", f.Path), zap.Error(err), zap.Bool("last_good_serves", f.good))
	s.news = append(s.news, s.statusOf(f))
}

// tell has the news heard.
func (s *Set[T]) tell() {
	s.looked = true
	if s.o.News != nil {
		for _, d := range s.news {
			s.o.News(d)
		}
	}
	s.news = nil
}

// swap tells what serves from now on.
func (s *Set[T]) swap() {
	s.generation++
	var serving []File[T]
	for _, f := range s.files {
		if f.good {
			serving = append(serving, f.File)
		}
	}
	s.o.Changed(s.generation, serving)
}

// publish makes the status after a look at the files.
func (s *Set[T]) publish() {
	st := &Status{Generation: s.generation, LastError: s.lastError, ErrorTime: s.errorTime}
	for _, f := range s.files {
		d := s.statusOf(f)
		st.Records += d.Records
		st.Files = append(st.Files, d)
	}
	for _, p := range s.o.Patterns {
		if s.missing[p] {
			st.Files = append(st.Files, FileStatus{Path: p, Error: "no " + s.o.What + " there yet; watched", Missing: true})
		}
	}
	s.status.Store(st)
}

// statusOf says how one file is.
func (s *Set[T]) statusOf(f *file[T]) (d FileStatus) {
	if f.good {
		d = s.o.Describe(f.Data)
		d.Loaded = f.loaded
	}
	d.Path = f.Path
	if f.err != nil {
		d.Error = f.err.Error()
	}
	return d
}
