package caddyenrich

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/internal/events"
	"github.com/whence-project/whence/caddymodule/internal/livelog"
	"github.com/whence-project/whence/caddymodule/internal/prom"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/licence"
	"github.com/whence-project/whence/internal/newest"
	"github.com/whence-project/whence/internal/update"
)

// reader is how a source reads files.
type reader struct {
	kind       string // of the source
	paths      []string
	reads      func(path string) bool // whether the source reads a file of that path, though none of paths is that
	extensions []string               // of what it reads, the best first
	packed     func(path string) bool // whether it unpacks a file of that path itself
	limit      int64                  // the most bytes that it reads
	probe      func(ctx context.Context, path string) (enrich.DataStatus, error)
}

// Upkeep is the keeping fresh of one file of a source, as one configuration wants it.
type Upkeep struct {
	File  string // its path
	Terms licence.Terms

	kind    string
	options update.Options
	key     string
	own     *update.Updater // asks when it is told to, for commands and for the time before Start
	storage update.Locker
	logger  *zap.Logger
	emitter *events.Emitter

	mu       sync.Mutex
	shared   *sharedUpdater // nil where none runs
	withdraw []func()
}

// newUpkeep reads the settings. Nothing is asked before Start.
func newUpkeep(ctx caddy.Context, u *Update, r reader) (*Upkeep, error) {
	o, terms, err := u.settings(r.kind)
	if err != nil {
		return nil, err
	}
	if o.File, err = u.fileOf(r.paths, r.reads); err != nil {
		return nil, err
	}
	o.Unpacked, o.Extensions, o.Packed = r.limit, r.extensions, r.packed != nil && r.packed(o.File)
	o.Probe = func(ctx context.Context, path string) (update.Facts, error) {
		d, err := r.probe(ctx, path)
		return update.Facts{Type: d.Type, Built: d.Built, Records: d.Records}, err
	}
	k := &Upkeep{File: o.File, Terms: terms, kind: r.kind, options: o, logger: ctx.Logger(), storage: ctx.Storage()}
	settings, err := json.Marshal([]any{u, r.kind, o.File, o.Origin, r.limit})
	if err != nil {
		return nil, err
	}
	k.key = fmt.Sprintf("%x", sha256.Sum256(settings)) // a hash: a secret may be written there
	o.Locker, o.Logger, o.Observe = k.storage, k.logger, observer(o.Origin.Name, k.File)
	if k.own, err = update.New(o); err != nil {
		return nil, err
	}
	if k.emitter, err = events.For(ctx); err != nil {
		return nil, err
	}
	return k, prom.Register(ctx, updatesTotal, updateSuccess)
}

// newUpkeeps is newUpkeep of each, with errors that say whose they are.
func newUpkeeps(ctx caddy.Context, updates []*Update, r reader) (ks []*Upkeep, err error) {
	for _, u := range updates {
		k, err := newUpkeep(ctx, u, r)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", r.kind, u.shown(), err)
		}
		if slices.ContainsFunc(ks, func(other *Upkeep) bool { return other.File == k.File }) {
			return nil, fmt.Errorf("%s: %s: %s is updated from two places", r.kind, u.shown(), k.File)
		}
		ks = append(ks, k)
	}
	return ks, nil
}

// termsOf are the licences that upkeeps know of, by path.
func termsOf(ks []*Upkeep) map[string]licence.Terms {
	terms := make(map[string]licence.Terms)
	for _, k := range ks {
		if k.Terms != (licence.Terms{}) {
			terms[k.File] = k.Terms
		}
	}
	return terms
}

// updater is the one that runs, or else our own.
func (k *Upkeep) updater() *update.Updater {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.shared != nil {
		return k.shared.Updater
	}
	return k.own
}

// Status says how the updates are.
func (k *Upkeep) Status() update.Status { return k.updater().Status() }

// Check asks now whether there are newer data, and puts them in place.
func (k *Upkeep) Check(ctx context.Context, how update.How) (update.Outcome, error) {
	return k.updater().Check(ctx, how)
}

// Probe reads a file as the source does, and says what is in it.
func (k *Upkeep) Probe(ctx context.Context, path string) (update.Facts, error) {
	return k.options.Probe(ctx, path)
}

// start has the file kept fresh from now on, by the updater of the configuration before this one if that had the same settings.
func (k *Upkeep) start() error {
	v, _, err := updaters.LoadOrNew(k.key, func() (caddy.Destructor, error) { return newSharedUpdater(k) })
	if err != nil {
		return err
	}
	s := v.(*sharedUpdater)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.shared = s
	k.withdraw = []func(){s.loggers.Push(k.logger), s.events.Push(k.emitter), s.lockers.stack.Push(k.storage)}
	s.begin.Do(func() { go s.run() })
	return nil
}

// stop lets the updater go; the last configuration that uses it ends it. It is idempotent.
func (k *Upkeep) stop() error {
	k.mu.Lock()
	s, withdraw := k.shared, k.withdraw
	k.shared, k.withdraw = nil, nil
	k.mu.Unlock()
	if s == nil {
		return nil
	}
	_, err := updaters.Delete(k.key)
	for _, w := range withdraw {
		w()
	}
	return err
}

var updaters = caddy.NewUsagePool()

// sharedUpdater is an updater in the pool, with what it needs of the configurations that use it.
type sharedUpdater struct {
	*update.Updater
	loggers livelog.Loggers
	events  events.Newest
	lockers lockers
	begin   sync.Once
	ctx     context.Context
	cancel  context.CancelFunc
	done    chan struct{}
}

func newSharedUpdater(k *Upkeep) (*sharedUpdater, error) {
	s := &sharedUpdater{done: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	o, count, kind, file := k.options, observer(k.options.Origin.Name, k.File), k.kind, k.File
	o.Locker, o.Logger = &s.lockers, s.loggers.Logger()
	o.Observe = func(outcome update.Outcome, err error) {
		count(outcome, err)
		if outcome == update.Refused {
			_, statErr := os.Stat(file)
			s.events.Post(events.SourceRefused, events.Refused(kind, file, err.Error(), statErr == nil))
		}
	}
	var err error
	s.Updater, err = update.New(o)
	return s, err
}

func (s *sharedUpdater) run() {
	defer close(s.done)
	s.Run(s.ctx)
}

// Destruct ends the updater. A download that is under way is given up.
func (s *sharedUpdater) Destruct() error {
	s.cancel()
	s.begin.Do(func() { close(s.done) })
	<-s.done
	return nil
}

// lockers are the storages of the configurations that use an updater, of which the newest locks.
type lockers struct {
	stack newest.Stack[update.Locker]
	mu    sync.Mutex
	held  map[string]update.Locker
}

// Lock implements update.Locker.
func (l *lockers) Lock(ctx context.Context, name string) error {
	var storage update.Locker
	if !l.stack.Do(func(newest update.Locker) { storage = newest }) {
		return errors.New("no configuration is there any more")
	}
	if err := storage.Lock(ctx, name); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = make(map[string]update.Locker)
	}
	l.held[name] = storage
	return nil
}

// Unlock implements update.Locker, for the storage that locked.
func (l *lockers) Unlock(ctx context.Context, name string) error {
	l.mu.Lock()
	storage := l.held[name]
	delete(l.held, name)
	l.mu.Unlock()
	if storage == nil {
		return nil
	}
	return storage.Unlock(ctx, name)
}

// keeper is a source with files that are kept fresh.
type keeper interface{ Upkeeps() []*Upkeep }

// UpkeepsOf are the files of a source that are kept fresh.
func UpkeepsOf(source enrich.Source) []*Upkeep {
	if k, ok := source.(keeper); ok {
		return k.Upkeeps()
	}
	return nil
}

// addUpkeeps enters upkeeps into a source's status.
func addUpkeeps(st *enrich.Status, ks []*Upkeep) {
	if len(ks) > 0 {
		st.Data = slices.Clone(st.Data)
	}
	for _, k := range ks {
		i := slices.IndexFunc(st.Data, func(d enrich.DataStatus) bool { return d.Path == k.File })
		if i < 0 {
			i = len(st.Data)
			st.Data = append(st.Data, enrich.DataStatus{Path: k.File, Error: "not there yet; it is downloaded", Missing: true})
		}
		s := k.Status()
		st.Data[i].Update = &enrich.Update{
			From: s.From, URL: s.URL, Every: int64(s.Every.Seconds()), Checked: s.Checked, Changed: s.Changed, Next: s.Next,
			Error: enrich.Clean(s.Error), ErrorTime: s.ErrorTime,
		}
	}
}

// refreshUpkeeps checks all of them now.
func refreshUpkeeps(ctx context.Context, ks []*Upkeep) error {
	var all []error
	for _, k := range ks {
		if _, err := k.Check(ctx, update.How{}); err != nil {
			all = append(all, fmt.Errorf("%s: %w", k.File, err))
		}
	}
	return errors.Join(all...)
}

// plain reports whether a path names one file: it has no metacharacters and is no folder.
func plain(path string) bool {
	info, err := os.Stat(path)
	return !strings.ContainsAny(path, `*?[`) && (err != nil || !info.IsDir())
}

// matches reports whether a glob names path, or a folder has it.
func matches(patterns []string, path string, inFolder func(path string) bool) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, _ := filepath.Match(p, path)
		return ok || p == filepath.Dir(path) && inFolder(path)
	})
}
