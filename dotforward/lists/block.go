package lists

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/internal/hotfiles"
)

// DefaultMaxFile is the size in bytes, packed or unpacked, above which a file is refused where the options have none.
const DefaultMaxFile = 256 << 20

// OwnRules is what matches call the rules that the options have themselves.
const OwnRules = "configuration"

// BlockOptions say what a [Blocklist] reads.
type BlockOptions struct {
	// Files are files or globs (as of [path/filepath.Match]) of lists, plain, gzip or zip. What they name may be missing, now or
	// later.
	Files []string
	// AllowFiles are lists whose rules are all exceptions: a name in them is let through.
	AllowFiles []string
	// Rules are rules of its own, one a line, as a list has them. They come before those of files.
	Rules string
	// Subdomains says that lines with a name alone, and hosts files' lines, hold for what is below the names too.
	Subdomains bool
	// MaxFile is the size in bytes, packed or unpacked, above which a file is refused; 0 for DefaultMaxFile.
	MaxFile int64
	// Poll is how often the files are looked at where the file system does not notify; 0 for the default of 30 s.
	Poll time.Duration
	// Logger hears what is loaded and refused; nil for none. See SetLogger.
	Logger *zap.Logger
	// News hears of each file that is taken in after those that Open found, and of each that is refused, which has an Error. It must
	// not block. nil for nobody.
	News func(hotfiles.FileStatus)
	// Now is the clock; nil for time.Now.
	Now func() time.Time
}

// Blocklist is the rules of a set of files that are kept loaded. It is safe for concurrent use.
type Blocklist struct {
	o     BlockOptions
	own   *list
	files *hotfiles.Set[*list]
	state atomic.Pointer[blockState]
	log   atomic.Pointer[zap.Logger]
}

type blockState struct {
	set        *Set
	generation uint64
	lists      []ListStatus
}

// ListStatus says what was read of one list.
type ListStatus struct {
	Path  string `json:"path"`
	Rules int    `json:"rules"`
	Left  []Left `json:"left_out,omitempty"` // what is not taken in, by reason
}

// NewBlocklist makes a blocklist with the rules of its own; it reads no file before Open. It fails where one of its own rules is
// not taken in.
func NewBlocklist(o BlockOptions) (*Blocklist, error) {
	if o.MaxFile <= 0 {
		o.MaxFile = DefaultMaxFile
	}
	b := &Blocklist{o: o, own: &list{name: OwnRules}}
	r := ruleReader{list: b.own, subdomains: o.Subdomains}
	if err := r.read(context.Background(), strings.NewReader(o.Rules)); err != nil {
		return nil, err
	}
	if left, _ := b.own.all(); len(left) > 0 {
		return nil, fmt.Errorf("rule in line %d is %s: %s", left[0].Line, left[0].Reason, left[0].Text)
	}
	set, err := newSet([]*list{b.own}, []flags{0})
	if err != nil {
		return nil, err
	}
	b.state.Store(&blockState{set: set})
	b.setLogger(o.Logger)
	b.files = hotfiles.New(hotfiles.Options[*list]{
		What: "list", Patterns: slices.Concat(o.Files, o.AllowFiles), Load: b.load, Describe: describeList, Changed: b.changed,
		News: o.News, Poll: o.Poll, Logger: o.Logger, Now: o.Now,
	})
	return b, nil
}

// load reads one file.
func (b *Blocklist) load(ctx context.Context, path string) (*list, error) {
	in, err := hotfiles.Open(path, b.o.MaxFile)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	l := &list{name: filepath.Base(path), size: in.Info.Size(), built: in.Info.ModTime()}
	r := ruleReader{list: l, subdomains: b.o.Subdomains}
	if err := r.read(ctx, in); err != nil {
		return nil, err
	}
	return l, l.verdict()
}

// changed makes what serves from now on.
func (b *Blocklist) changed(generation uint64, serving []hotfiles.File[*list]) {
	state := &blockState{generation: generation}
	all, roles := []*list{b.own}, []flags{0}
	for _, f := range serving {
		role := flags(0)
		if f.Pattern >= len(b.o.Files) {
			role = allow
		}
		all, roles = append(all, f.Data), append(roles, role)
		left, _ := f.Data.all()
		state.lists = append(state.lists, ListStatus{Path: f.Path, Rules: f.Data.rules, Left: left})
	}
	set, err := newSet(all, roles)
	if err != nil {
		b.log.Load().Error("lists refused; what was loaded serves on", zap.Error(err))
		return
	}
	if set.crowded > 0 {
		b.log.Load().Warn("rules left out, as lists have too many for one name", zap.Int("rules", set.crowded), zap.Int("most", maxPerName))
	}
	state.set = set
	b.state.Store(state)
}

func describeList(l *list) hotfiles.FileStatus {
	typ := l.form()
	if _, left := l.all(); left > 0 {
		typ += ", " + strconv.Itoa(left) + " left out"
	}
	return hotfiles.FileStatus{Type: typ, Built: l.built.UTC().Truncate(time.Second), Records: l.rules, Bytes: l.size}
}

// Match finds the rule that decides about a name, as [Set.Match] does.
func (b *Blocklist) Match(name []byte, qtype uint16) Match {
	return b.state.Load().set.Match(name, qtype)
}

// Set is the rules that serve now, for who asks about many names at once.
func (b *Blocklist) Set() *Set { return b.state.Load().set }

// Generation changes when the rules do.
func (b *Blocklist) Generation() uint64 { return b.state.Load().generation }

// Lists says what was read of each file that serves, in their order.
func (b *Blocklist) Lists() []ListStatus { return slices.Clone(b.state.Load().lists) }

// Status says what is loaded, refused and missing.
func (b *Blocklist) Status() hotfiles.Status { return b.files.Status() }

// Open loads what is there and begins to watch. It fails only for malformed patterns. Calls after the first do nothing and return
// the same.
func (b *Blocklist) Open() error { return b.files.Open() }

// Refresh looks at the files now, and forgets those that are gone. Call it after Open.
func (b *Blocklist) Refresh() { b.files.Refresh() }

// Close stops watching, and loading if it goes on. What is loaded answers until the blocklist is let go of. It is idempotent.
func (b *Blocklist) Close() error { return b.files.Close() }

// SetLogger replaces the logger, as a blocklist may outlive the configuration that brought it; nil stands for none.
func (b *Blocklist) SetLogger(l *zap.Logger) {
	b.setLogger(l)
	b.files.SetLogger(l)
}

func (b *Blocklist) setLogger(l *zap.Logger) {
	if l == nil {
		l = zap.NewNop()
	}
	b.log.Store(l)
}
