package mmdb

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/watch"
)

// file is one file that the patterns name, or named.
type file struct {
	path   string
	rank   int               // of the pattern that names it
	state  watch.Fingerprint // of the try at it that db or err came of
	db     *database         // the last good one, nil for none
	loaded time.Time
	err    error // why the file as it is now does not serve
}

// fault is the newest failure.
type fault struct {
	text string
	at   time.Time
}

var errGone = errors.New("the file is gone; what was loaded serves on until the server restarts or another of its type comes")

// Refresh looks at the files now, and forgets those that are gone: what a reload of the configuration means for a source that
// outlives it.
func (s *Source) Refresh() { s.update(true, false) }

// RefreshNow is Refresh that reads also the files that look as they did. Its error says of each that does not serve as it is now why;
// where none serves, what is missing.
func (s *Source) RefreshNow(context.Context) error {
	s.update(true, true)
	if s.ctx.Err() != nil {
		return errors.New("the source is closed")
	}
	var refused, missing []error
	serving := false
	for _, d := range s.Status().Data {
		serving = serving || !d.Loaded.IsZero()
		switch {
		case d.Missing:
			missing = append(missing, errors.New(d.Path+": "+d.Error))
		case d.Error != "":
			refused = append(refused, errors.New(d.Path+": "+d.Error))
		}
	}
	if !serving {
		refused = append(refused, missing...)
	}
	return errors.Join(refused...)
}

// reload looks at the files after a change.
func (s *Source) reload() { s.update(false, false) }

// update takes in what has changed since the last look, or, to reread, all there is; and swaps the generation if that changes any
// answer.
func (s *Source) update(forget, reread bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return
	}
	known := make(map[string]*file, len(s.files))
	for _, f := range s.files {
		known[f.path] = f
	}
	changed := false
	var files []*file
	for _, n := range s.expand() {
		f := known[n.path]
		if f == nil {
			f = &file{path: n.path}
		}
		if f.rank = n.rank; reread {
			f.state = watch.Fingerprint{}
		}
		delete(known, n.path)
		changed = s.try(f) || changed
		files = append(files, f)
	}
	for _, f := range s.files { // those that are gone, in their old order
		if known[f.path] == nil {
			continue
		}
		if forget || f.db == nil || succeeded(f, files) {
			s.logger().Info("database let go, as its file is gone", zap.String("file", f.path))
			changed = changed || f.db != nil
			continue
		}
		if f.err != errGone {
			s.fail(f, errGone)
			f.state = watch.Fingerprint{} // whatever comes back under this name is new
		}
		files = append(files, f)
	}
	// Files that are gone answer where they did before.
	slices.SortStableFunc(files, func(a, b *file) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), strings.Compare(a.path, b.path))
	})
	s.files = files
	if changed {
		s.swap()
	}
	s.publish()
	s.tell()
}

// named is a file that the pattern of that rank names.
type named struct {
	path string
	rank int
}

// succeeded reports whether another file that is there serves data of the same type: the next month's under the next month's
// name.
func succeeded(gone *file, files []*file) bool {
	return slices.ContainsFunc(files, func(f *file) bool { return f.db != nil && f.err == nil && f.db.typ == gone.db.typ })
}

// expand is the files that the patterns name now, each once. A pattern that names none is said to be missing.
func (s *Source) expand() []named {
	var files []named
	seen := make(map[string]bool)
	for rank, p := range s.opt.Patterns {
		paths := inside(p)
		for _, path := range paths {
			if !seen[path] {
				seen[path] = true
				files = append(files, named{path, rank})
			}
		}
		if len(paths) > 0 {
			delete(s.missing, p)
		} else if !s.missing[p] {
			s.missing[p] = true
			s.logger().Warn("no database there yet; watching for it", zap.String("path", p))
		}
	}
	return files
}

// inside is the files that pattern names now; of a folder, the databases in it.
func inside(pattern string) []string {
	var paths []string
	for _, name := range watch.Expand(pattern) {
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			dbs, _ := filepath.Glob(filepath.Join(escape(name), "*.mmdb"))
			paths = append(paths, dbs...)
			continue
		}
		paths = append(paths, name)
	}
	return paths
}

// escape makes a pattern of a path that means just that path.
func escape(path string) string {
	if filepath.Separator == '\\' {
		return path // Windows has no escape in patterns
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// try loads f if it is not as it was at the last try, and reports whether its database has changed.
func (s *Source) try(f *file) bool {
	state, err := watch.Stat(f.path)
	if err == nil && state == f.state {
		return false
	}
	f.state = state
	start := s.now()
	var db *database
	if err == nil {
		db, err = load(s.ctx, f.path, s.limits)
	}
	if err != nil {
		s.fail(f, short(err))
		return false
	}
	f.db, f.err, f.loaded = db, nil, s.now()
	s.logger().Info("database loaded",
		zap.String("file", f.path), zap.String("type", db.typ), zap.Time("built", db.origin.Built),
		zap.Int("records", len(db.offsets)), zap.Uint64("networks", db.networks), zap.Int("systems", len(db.systems)),
		zap.Int64("bytes", db.size), zap.Duration("duration", f.loaded.Sub(start)))
	if s.looked {
		s.news = append(s.news, f.status())
	}
	return true
}

// short is err without the file's name, which is said beside it.
func short(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// fail notes and logs that f as it is now does not serve.
func (s *Source) fail(f *file, err error) {
	f.err = err
	s.fault = fault{f.path + ": " + enrich.Clean(err.Error()), s.now()}
	s.logger().Error("database refused", zap.String("file", f.path), zap.Error(err), zap.Bool("last_good_serves", f.db != nil))
	s.news = append(s.news, f.status())
}

// tell has the news heard.
func (s *Source) tell() {
	s.looked = true
	if s.opt.News != nil {
		for _, d := range s.news {
			s.opt.News(d)
		}
	}
	s.news = nil
}

// swap makes what is loaded the current generation. The old one is left to the queries that hold it.
func (s *Source) swap() {
	g := &generation{number: s.current.Load().number + 1}
	for _, f := range s.files {
		if f.db != nil {
			g.databases = append(g.databases, f.db)
		}
	}
	s.current.Store(g)
}

func (s *Source) watchFault(err error) {
	s.logger().Warn("databases are watched by polling where notifications fail", zap.Error(err))
}

func (s *Source) logger() *zap.Logger { return s.log.Load() }

// Status says what is loaded, what is refused and why, and which patterns name nothing yet. It does not wait for a load.
func (s *Source) Status() enrich.Status {
	st := *s.status.Load()
	st.Data = slices.Clone(st.Data)
	return st
}

// publish makes the status after a look at the files.
func (s *Source) publish() {
	st := &enrich.Status{
		Kind: "mmdb", Generation: s.current.Load().number, LastError: s.fault.text, ErrorTime: s.fault.at,
	}
	for _, f := range s.files {
		d := f.status()
		st.Records += d.Records
		st.Data = append(st.Data, d)
	}
	for _, p := range s.opt.Patterns {
		if s.missing[p] {
			st.Data = append(st.Data, enrich.DataStatus{Path: p, Error: "no database there yet; watched", Missing: true})
		}
	}
	s.status.Store(st)
}

// status says how one file is.
func (f *file) status() enrich.DataStatus {
	d := enrich.DataStatus{Path: f.path}
	if f.db != nil {
		d = f.db.status(f.path)
		d.Loaded = f.loaded
	}
	if f.err != nil {
		d.Error = enrich.Clean(f.err.Error())
	}
	return d
}
