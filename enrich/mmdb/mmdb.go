// Package mmdb is the source of the enrichment chain that answers from databases in the MaxMind DB format: IPinfo, GeoLite2,
// DB-IP, IPLocate or the operator's own, of any schema. Several can serve at once. They are read into memory, watched, and
// replaced while the server runs; a broken file is refused and the last good one serves on.
package mmdb

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/licence"
	"github.com/whence-project/whence/internal/watch"
)

// The limits a Source goes by where its options are zero.
const (
	DefaultMaxFile = 4 << 30  // bytes
	DefaultKeep    = 64 << 20 // bytes, enough for some 80,000 records of IPinfo Lite
)

// Options say what a [Source] serves.
type Options struct {
	// Patterns are files, globs (as of [path/filepath.Match]), or folders, of which every *.mmdb counts; at least one. What they
	// name may be missing, now or later. The databases answer in the order of the patterns, then of the file names.
	Patterns []string
	// Languages are those of the names that are shown, where a database has names in several: language codes as the database
	// writes them ("en", "pt-BR"), or [AllLanguages] alone. None stands for "en". A name without any of them is shown in the
	// first language that it has. The canonical fields are English whatever is shown.
	Languages []string
	// Attribution replaces what is known of the databases' licences, for every database of this source.
	Attribution string
	// Terms are the licences of files by their paths, where it is known where they come from. The others' are told by their types.
	Terms map[string]licence.Terms
	// MaxFile is the size in bytes from which a file is refused unread; 0 for DefaultMaxFile.
	MaxFile int64
	// Keep bounds, by estimate and in bytes, the memory of decoded records that are kept for the next query; 0 for DefaultKeep.
	// Where more is needed, all are dropped and decoded again as they are asked for.
	Keep int64
	// Poll is how often the files are looked at where the file system does not notify; 0 for [watch.DefaultPoll].
	Poll time.Duration
	// Logger hears what is loaded and refused; nil for none. See SetLogger.
	Logger *zap.Logger
	// News hears of each file that is taken in after those that Open found, and of each that is refused, which has an Error. It must
	// not block. nil for nobody.
	News func(enrich.DataStatus)
}

// Source is a set of databases. It implements [enrich.Source], [enrich.Opener], [enrich.Closer] and [enrich.Reporter].
type Source struct {
	opt     Options
	limits  limits
	log     atomic.Pointer[zap.Logger]
	current atomic.Pointer[generation]
	status  atomic.Pointer[enrich.Status]
	watcher *watch.Watcher
	ctx     context.Context
	cancel  context.CancelFunc
	opened  sync.Once
	openErr error
	now     func() time.Time

	mu      sync.Mutex // one look at the files at a time; guards what follows
	files   []*file    // in the order in which they answer
	looked  bool       // Open has
	news    []enrich.DataStatus
	missing map[string]bool
	fault   fault
}

// generation is what answers between two changes of the data.
type generation struct {
	number    uint64
	databases []*database
}

// New makes a source. It reads nothing before Open.
func New(opt Options) *Source {
	s := &Source{opt: opt, limits: opt.limits(), now: time.Now, missing: make(map[string]bool)}
	if s.opt.Keep <= 0 {
		s.opt.Keep = DefaultKeep
	}
	s.current.Store(new(generation))
	s.status.Store(&enrich.Status{Kind: "mmdb"})
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.SetLogger(opt.Logger)
	s.watcher = watch.New(s.watchFault, s.reload, opt.Patterns...)
	s.watcher.Poll = opt.Poll
	return s
}

func (o *Options) limits() limits {
	l := limits{maxFile: o.MaxFile, languages: o.Languages, attribution: enrich.Clean(o.Attribution), terms: o.Terms}
	if l.maxFile <= 0 {
		l.maxFile = DefaultMaxFile
	}
	switch {
	case len(o.Languages) == 0:
		l.languages = []string{"en"}
	case o.Languages[0] == AllLanguages:
		l.languages = nil
	}
	return l
}

// SetLogger replaces the logger, as a source outlives the configuration that brought it. It may be called at any time; nil
// stands for none.
func (s *Source) SetLogger(l *zap.Logger) {
	if l == nil {
		l = zap.NewNop()
	}
	s.log.Store(l)
}

// Open loads what is there and begins to watch. It fails only for patterns that are malformed, or none. Calls after the first
// do nothing and return the same.
func (s *Source) Open(context.Context) error {
	s.opened.Do(func() {
		if len(s.opt.Patterns) == 0 {
			s.openErr = errors.New("mmdb: no file, glob or folder named")
			return
		}
		if s.openErr = s.watcher.Start(); s.openErr == nil {
			s.reload()
		}
	})
	return s.openErr
}

// Close stops watching, and loading if it goes on. What is loaded answers until the source is let go of.
func (s *Source) Close() error {
	s.cancel()
	return s.watcher.Close()
}

// Add adds what each database says about an address, about the first address of a prefix, or about an AS.
func (s *Source) Add(q *enrich.Query, r *enrich.Record) enrich.Verdict {
	g := s.current.Load()
	switch q.Subject.Kind() {
	case enrich.Address, enrich.Prefix:
		s.addAddress(g, q.Subject.Addr(), r)
	case enrich.AS:
		for _, db := range g.databases {
			if f := s.system(db, q.Subject.ASN()); f != nil {
				r.Attach(f, netip.Prefix{})
			}
		}
	}
	return enrich.Next
}

func (s *Source) addAddress(g *generation, a netip.Addr, r *enrich.Record) {
	for _, db := range g.databases {
		record, network := db.tree.lookup(a)
		if record < 0 {
			r.Cover(network)
			continue
		}
		k := db.kept.Load()
		f := k.records[record].Load()
		if f == nil {
			if f = db.keep(k, record); f == nil {
				continue
			}
			s.bound(g)
		}
		if len(f.Fields()) == 0 {
			r.Cover(network) // a record, but an empty one: GeoIP2 Anonymous IP has them
			continue
		}
		r.Attach(f, network)
	}
}

// bound drops the kept fragments when they have become too many.
func (s *Source) bound(g *generation) {
	var n int64
	for _, db := range g.databases {
		n += db.kept.Load().bytes.Load()
	}
	if n > s.opt.Keep {
		for _, db := range g.databases {
			db.drop()
		}
	}
}

func (s *Source) system(db *database, asn uint32) *enrich.Fragment {
	f, made := db.system(asn)
	if made {
		s.bound(s.current.Load())
	}
	return f
}

var (
	_ enrich.Source    = (*Source)(nil)
	_ enrich.Opener    = (*Source)(nil)
	_ enrich.Closer    = (*Source)(nil)
	_ enrich.Reporter  = (*Source)(nil)
	_ enrich.Refresher = (*Source)(nil)
)
