package lists

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/internal/hotfiles"
)

// The most that is kept of one name and of one address; a DNS message could hold more, but none of use.
const (
	maxAddresses = 64
	maxNames     = 16
)

// HostsOptions say what a [Hosts] reads.
type HostsOptions struct {
	// Files are files or globs (as of [path/filepath.Match]) of hosts files, plain, gzip or zip. What they name may be missing, now
	// or later.
	Files []string
	// Records are lines of its own, as a hosts file has them. They come before those of files.
	Records string
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

// Hosts knows the addresses of names, and the names of addresses, from hosts files that are kept loaded. It is safe for concurrent
// use.
type Hosts struct {
	o     HostsOptions
	own   *hostsFile
	files *hotfiles.Set[*hostsFile]
	state atomic.Pointer[hostsState]
	log   atomic.Pointer[zap.Logger]
}

type hostsState struct {
	*table
	files      []*hostsFile
	generation uint64
	names      map[netip.Addr][]uint32 // places of the entries of an address
}

// hostsFile is one file. An entry is a name with one address.
type hostsFile struct {
	arena
	report
	name  string // of the file, without its folder
	size  int64
	built time.Time
}

// NewHosts makes a Hosts with the records of its own; it reads no file before Open. It fails where one of its own lines is not
// taken in.
func NewHosts(o HostsOptions) (*Hosts, error) {
	if o.MaxFile <= 0 {
		o.MaxFile = DefaultMaxFile
	}
	h := &Hosts{o: o, own: &hostsFile{name: OwnRules}}
	h.setLogger(o.Logger)
	if err := h.own.read(context.Background(), strings.NewReader(o.Records)); err != nil {
		return nil, err
	}
	if left, _ := h.own.all(); len(left) > 0 {
		return nil, fmt.Errorf("record in line %d is %s: %s", left[0].Line, left[0].Reason, left[0].Text)
	}
	state, err := newHostsState([]*hostsFile{h.own})
	if err != nil {
		return nil, err
	}
	h.state.Store(state)
	h.files = hotfiles.New(hotfiles.Options[*hostsFile]{
		What: "hosts file", Patterns: o.Files, Load: h.load, Describe: describeHosts, Changed: h.changed, Poll: o.Poll,
		News: o.News, Logger: o.Logger, Now: o.Now,
	})
	return h, nil
}

func (h *Hosts) load(ctx context.Context, path string) (*hostsFile, error) {
	in, err := hotfiles.Open(path, h.o.MaxFile)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	f := &hostsFile{name: filepath.Base(path), size: in.Info.Size(), built: in.Info.ModTime()}
	if err := f.read(ctx, in); err != nil {
		return nil, err
	}
	return f, f.verdict()
}

func describeHosts(f *hostsFile) hotfiles.FileStatus {
	typ := "hosts"
	if _, left := f.all(); left > 0 {
		typ += ", " + strconv.Itoa(left) + " left out"
	}
	return hotfiles.FileStatus{Type: typ, Built: f.built.UTC().Truncate(time.Second), Records: f.rules, Bytes: f.size}
}

func (h *Hosts) changed(generation uint64, serving []hotfiles.File[*hostsFile]) {
	all := []*hostsFile{h.own}
	for _, f := range serving {
		all = append(all, f.Data)
	}
	state, err := newHostsState(all)
	if err != nil {
		h.log.Load().Error("hosts files refused; what was loaded serves on", zap.Error(err))
		return
	}
	state.generation = generation
	h.state.Store(state)
}

// Lookup appends the addresses of a name, on the wire in lower case, to dst, as the first file that has the name has them: an
// earlier file overrides a later one. IPv4 addresses are not mapped. It reports whether the name is known; where dst has room, it
// does not allocate.
func (h *Hosts) Lookup(dst []netip.Addr, name []byte) ([]netip.Addr, bool) {
	if labels(name) == 0 {
		return dst, false
	}
	s := h.state.Load()
	p, found := s.probe(name), false
	for {
		place, ok := s.next(&p, name)
		if !ok {
			return dst, found
		}
		found = true
		dst = append(dst, s.address(place, len(name)))
	}
}

// Names appends the names of an address, on the wire, to dst: at most 16, the first in the files first. The unspecified addresses,
// which lists give to what they block, have none. The names are the Hosts' own memory.
func (h *Hosts) Names(dst [][]byte, a netip.Addr) [][]byte {
	s := h.state.Load()
	for _, place := range s.names[a.Unmap()] {
		dst = append(dst, s.entry(place).name())
	}
	return dst
}

// Where says which file has a name, without its folder, and in which line; empty where none has.
func (h *Hosts) Where(name []byte) (file string, line int) {
	if labels(name) == 0 {
		return "", 0
	}
	s := h.state.Load()
	p := s.probe(name)
	place, ok := s.next(&p, name)
	if !ok {
		return "", 0
	}
	return s.files[s.ownerOf(place)].name, s.lineOf(place)
}

// Len is how many addresses of names are known.
func (h *Hosts) Len() int { return h.state.Load().count }

// Generation changes when the files do.
func (h *Hosts) Generation() uint64 { return h.state.Load().generation }

// Status says what is loaded, refused and missing.
func (h *Hosts) Status() hotfiles.Status { return h.files.Status() }

// Open loads what is there and begins to watch. It fails only for malformed patterns. Calls after the first do nothing and return
// the same.
func (h *Hosts) Open() error { return h.files.Open() }

// Refresh looks at the files now, and forgets those that are gone. Call it after Open.
func (h *Hosts) Refresh() { h.files.Refresh() }

// Close stops watching, and loading if it goes on. What is loaded answers until the Hosts is let go of. It is idempotent.
func (h *Hosts) Close() error { return h.files.Close() }

// SetLogger replaces the logger, as a Hosts may outlive the configuration that brought it; nil stands for none.
func (h *Hosts) SetLogger(l *zap.Logger) {
	h.setLogger(l)
	h.files.SetLogger(l)
}

func (h *Hosts) setLogger(l *zap.Logger) {
	if l == nil {
		l = zap.NewNop()
	}
	h.log.Store(l)
}
