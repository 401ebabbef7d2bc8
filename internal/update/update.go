// Package update keeps a data file fresh: it asks where the file comes from whether there is a newer one, downloads that, unpacks it,
// holds it against its checksum and tries it out as the source that will read it does, and only then puts it in place of the one that
// is there, in one step. Whatever goes wrong, the file that is there stays.
//
// What watches the file takes it in; this package does not know who that is.
package update

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/internal/fetch"
)

// What an Updater goes by where its options are zero.
const (
	DefaultEvery   = 24 * time.Hour
	DefaultTimeout = 30 * time.Minute
)

// Options say what file an [Updater] keeps fresh, and how.
type Options struct {
	// File is the path of the file. Its folder is made if it is not there.
	File string
	// Origin is where it comes from.
	Origin Origin
	// Every is after how long the origin is asked again, 10 % more or less; 0 for DefaultEvery.
	Every time.Duration
	// Timeout is the longest that a download may take; 0 for DefaultTimeout.
	Timeout time.Duration
	// Limit is the most bytes that are downloaded, Unpacked the most that are unpacked; 0 for [fetch.DefaultLimit].
	Limit, Unpacked int64
	// Packed has the file stay packed as it came, for a reader that unpacks.
	Packed bool
	// Extensions are those of the file that is wanted out of an archive, the best first: ".mmdb".
	Extensions []string
	// Probe reads the file at path as its reader will, and says what is in it. Its error is why the file must not serve.
	Probe func(ctx context.Context, path string) (Facts, error)
	// Client downloads.
	Client *fetch.Client
	// Expand replaces what the operator's placeholders stand for in a text, and those of vars, as in {year}; nil for those of vars
	// alone. It is called when the text is used, and not before: what comes of it may be a secret.
	Expand func(text string, vars map[string]string) (string, error)
	// Locker is what processes that may update the same file share; nil for nothing.
	Locker Locker
	// Observe, if not nil, hears what came of each check.
	Observe func(Outcome, error)
	// Logger hears what was updated and refused; nil for none.
	Logger *zap.Logger
}

// Locker is a lock that processes share, as Caddy's storage has.
type Locker interface {
	// Lock returns when nobody else has the lock of that name any more, or ctx ends.
	Lock(ctx context.Context, name string) error
	// Unlock gives it back.
	Unlock(ctx context.Context, name string) error
}

// Facts are what a file holds, by its own word.
type Facts struct {
	Type    string    `json:"type,omitempty"`
	Built   time.Time `json:"built,omitzero"` // zero where the file does not say
	Records int       `json:"records"`
}

// Outcome is what came of a check.
type Outcome string

// The outcomes.
const (
	Updated   Outcome = "updated"   // new data are in place
	Unchanged Outcome = "unchanged" // what is there is current
	Elsewhere Outcome = "elsewhere" // another process has checked meanwhile
	Refused   Outcome = "refused"   // what came is not what it should be, and was thrown away
	Failed    Outcome = "failed"    // nothing came
)

// RefusedError is why data that came were not taken.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string { return "refused: " + e.Err.Error() }

func (e *RefusedError) Unwrap() error { return e.Err }

func refused(format string, args ...any) error { return &RefusedError{fmt.Errorf(format, args...)} }

// Updater keeps one file fresh. It is safe for concurrent use.
type Updater struct {
	o        Options
	log      *zap.Logger
	checking chan struct{} // holds one token while nobody checks

	mu     sync.Mutex // guards what follows
	status Status
	loaded bool // the status has what the state file says
}

// New makes an Updater. It neither reads nor starts anything. Its error says which option is wrong.
func New(o Options) (*Updater, error) {
	if !filepath.IsAbs(o.File) || o.Probe == nil || o.Client == nil {
		return nil, errors.New("update: no absolute path, no probe or no client")
	}
	if err := o.Origin.Check(); err != nil {
		return nil, err
	}
	if o.Every <= 0 {
		o.Every = DefaultEvery
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Observe == nil {
		o.Observe = func(Outcome, error) {}
	}
	if o.Expand == nil {
		o.Expand = expand
	}
	u := &Updater{o: o, checking: make(chan struct{}, 1)}
	u.log = o.Logger.With(zap.String("file", o.File), zap.String("from", o.Origin.Name))
	u.checking <- struct{}{}
	u.status = Status{File: o.File, From: o.Origin.Name, URL: o.Origin.Shown(), Every: o.Every}
	return u, nil
}

// expand is Options.Expand without placeholders of an operator.
func expand(text string, vars map[string]string) (string, error) {
	for name, value := range vars {
		text = strings.ReplaceAll(text, "{"+name+"}", value)
	}
	return text, nil
}

// Status is how a file's updates are.
type Status struct {
	File      string
	From      string // the origin's name: a preset's, or a host's
	URL       string // without what could be a secret
	Every     time.Duration
	Checked   time.Time // when the origin last said what is current
	Changed   time.Time // when the file last changed by that
	Next      time.Time // when the origin is asked next; zero where nothing does
	Error     string    // what went wrong last, if it did since
	ErrorTime time.Time
	SHA256    string // of the file as it was put in place, hexadecimal; empty where it is another now
}

// Status says how the updates are. It does not wait for a check that is under way.
func (u *Updater) Status() Status {
	u.mu.Lock()
	loaded := u.loaded
	u.mu.Unlock()
	var s *state
	if !loaded {
		s = readState(u.file())
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if s != nil && !u.loaded {
		u.take(s)
	}
	return u.status
}

// take has the status say what the state file does. The caller holds mu.
func (u *Updater) take(s *state) {
	u.loaded = true
	u.status.Checked, u.status.Changed, u.status.SHA256 = s.Checked, s.Changed, s.SHA256
}

// note has the status tell of a check that ended.
func (u *Updater) note(s *state, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if s != nil {
		u.take(s)
	}
	u.status.Error, u.status.ErrorTime = "", time.Time{}
	if err != nil {
		u.status.Error, u.status.ErrorTime = err.Error(), time.Now()
	}
}

func (u *Updater) next(at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.status.Next = at
}
