// Package rank is the source of the enrichment chain that knows how popular a domain name is: its position in top-1M lists
// (Umbrella, Tranco, Majestic, Alexa, or a list of the operator's own). Lists are read into memory, watched, and replaced while
// the server runs; a broken file is refused and the last good one serves on.
package rank

import (
	"context"
	"errors"
	"iter"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/internal/hotstatus"
	"github.com/whence-project/whence/internal/hotfiles"
	"github.com/whence-project/whence/internal/licence"
)

// DefaultMaxFile is the size in bytes, packed or unpacked, above which a file is refused where the options have none.
const DefaultMaxFile = 1 << 30

// Options say what a [Source] serves.
type Options struct {
	// Files are files or globs (as of [path/filepath.Match]), at least one. What they name may be missing, now or later. The
	// lists answer in this order, then in that of the file names.
	Files []string
	// Name is what rank_list calls the lists; empty for each its file's name without .csv, .tsv, .txt, .gz and .zip.
	Name string
	// Attribution is what the lists' licence asks to be shown.
	Attribution string
	// Terms are the licences of files by their paths, where it is known where they come from.
	Terms map[string]licence.Terms
	// MaxFile is the size in bytes, packed or unpacked, above which a file is refused; 0 for DefaultMaxFile.
	MaxFile int64
	// Poll is how often the files are looked at where the file system does not notify; 0 for the default of 30 s.
	Poll time.Duration
	// Logger hears what is loaded and refused; nil for none. See SetLogger.
	Logger *zap.Logger
	// News hears of each file that is taken in after those that Open found, and of each that is refused, which has an Error. It must
	// not block. nil for nobody.
	News func(enrich.DataStatus)
}

// Source is a set of lists. It implements [enrich.Source], [enrich.Opener], [enrich.Closer] and [enrich.Reporter].
type Source struct {
	files *hotfiles.Set[*list]
	none  bool // no file was named
	lists atomic.Pointer[[]*list]
}

// New makes a source. It reads nothing before Open.
func New(o Options) *Source {
	s := &Source{none: len(o.Files) == 0}
	s.lists.Store(new([]*list))
	s.files = hotfiles.New(hotfiles.Options[*list]{
		What: "list", Patterns: o.Files, Poll: o.Poll, Logger: o.Logger,
		Load:     o.loader().load,
		Describe: describe, News: hotstatus.News(o.News),
		Changed: func(_ uint64, serving []hotfiles.File[*list]) {
			lists := make([]*list, len(serving))
			for i, f := range serving {
				lists[i] = f.Data
			}
			s.lists.Store(&lists)
		},
	})
	return s
}

func describe(l *list) hotfiles.FileStatus {
	typ := l.format
	if l.bad > 0 {
		typ += ", " + strconv.Itoa(l.bad) + " bad lines left out"
	}
	return hotfiles.FileStatus{
		Type: typ, Built: l.origin.Built, Records: l.count, Bytes: l.bytes,
		Licence: l.licence, Attribution: l.origin.Attribution,
	}
}

// SetLogger replaces the logger, as a source outlives the configuration that brought it. It may be called at any time; nil
// stands for none.
func (s *Source) SetLogger(l *zap.Logger) { s.files.SetLogger(l) }

// Open loads what is there and begins to watch. It fails only for patterns that are malformed, or none. Calls after the first
// do nothing and return the same.
func (s *Source) Open(context.Context) error {
	if s.none {
		return errors.New("rank: no file is named")
	}
	return s.files.Open()
}

// Refresh looks at the files now, and forgets the lists whose files are gone: what a reload of the configuration means for a
// source that outlives it. Call it after Open.
func (s *Source) Refresh() { s.files.Refresh() }

// RefreshNow is Refresh that reads also the files that look as they did. Its error says of each that does not serve as it is now why;
// where none serves, what is missing.
func (s *Source) RefreshNow(context.Context) error { return s.files.Reread() }

// Close stops watching, and loading if it goes on. What is loaded answers until the source is let go of.
func (s *Source) Close() error { return s.files.Close() }

// Status says what is loaded, with how many names and the files' dates, what is refused and why, and what is missing.
func (s *Source) Status() enrich.Status { return hotstatus.Of("rank", s.files.Status()) }

// Add adds the rank of a domain in each list: of the name itself, first, and from the lists without it that of the registrable
// domain it lies under, which rank_name then names.
func (s *Source) Add(q *enrich.Query, r *enrich.Record) enrich.Verdict {
	if q.Subject.Kind() != enrich.Domain || !q.Wants(enrich.SetOf(enrich.Rank)) {
		return enrich.Next
	}
	lists, name := *s.lists.Load(), q.Subject.Name()
	hash := hashOf(name)
	exact := 0
	for _, l := range lists {
		if rank, place := l.find(hash, name); rank != 0 {
			r.Attach(l.fragment(rank, place, ""), netip.Prefix{})
			exact++
		}
	}
	if exact == len(lists) || !underRanked(lists, name) {
		return enrich.Next
	}
	parent := q.Registrable()
	if parent == "" || parent == name {
		return enrich.Next
	}
	parentHash := hashOf(parent)
	for _, l := range lists {
		if exact > 0 {
			if rank, _ := l.find(hash, name); rank != 0 {
				continue
			}
		}
		if rank, place := l.find(parentHash, parent); rank != 0 {
			r.Attach(l.fragment(rank, place, parent), netip.Prefix{})
		}
	}
	return enrich.Next
}

// maxLabels is one more than the longest rule of the public suffix list has: how far a registrable domain can reach.
const maxLabels = 8

// underRanked reports whether a list has a domain that name lies under and that may be the registrable one. Looking that up in
// the public suffix list costs more than looking here, and most names that are in no list are under none.
func underRanked(lists []*list, name string) bool {
	at := strings.LastIndexByte(name, '.')
	for range maxLabels {
		if at <= 0 {
			return false
		}
		if at = strings.LastIndexByte(name[:at], '.'); at < 0 {
			return false
		}
		parent := name[at+1:]
		hash := hashOf(parent)
		for _, l := range lists {
			if rank, _ := l.find(hash, parent); rank != 0 {
				return true
			}
		}
	}
	return false
}

// fragment is what a list says of the name at place; parent is that name where it is not the one asked for. Names asked for
// again and again share one.
func (l *list) fragment(rank, place uint32, parent string) *enrich.Fragment {
	k := key{place, parent == ""}
	hash := uint64(place)*0x9e3779b97f4a7c15>>32 + uint64(len(parent))
	if f, ok := l.kept.Get(hash, k); ok {
		return f
	}
	text := strconv.FormatUint(uint64(rank), 10)
	b := enrich.NewBuilder(l.origin).Grow(2)
	b.Add(enrich.Field{Key: "rank", Value: text, Canon: enrich.Rank, Type: enrich.Number}).Canonical(enrich.Rank, text)
	b.Field("rank_list", l.name)
	if parent != "" {
		b.Field("rank_name", strings.Clone(parent))
	}
	f := b.Build()
	l.kept.Put(hash, k, f)
	return f
}

// Rank is the position of a domain name, in any case, in the first list that has it: the name itself in any of the lists, else
// its registrable domain, for which exact is false. Where no list has either, rank is 0.
func (s *Source) Rank(name string) (rank int, listName string, exact bool) {
	lists := *s.lists.Load()
	if rank, listName = first(lists, name); rank != 0 {
		return rank, listName, true
	}
	sub := enrich.DomainOf(name)
	if !sub.IsValid() {
		if sub, _ = enrich.ParseSubject(name); sub.Kind() != enrich.Domain {
			return 0, "", false
		}
	}
	if sub.Name() != name {
		if rank, listName = first(lists, sub.Name()); rank != 0 {
			return rank, listName, true
		}
	}
	if underRanked(lists, sub.Name()) {
		if parent := sub.Registrable(); parent != sub.Name() {
			rank, listName = first(lists, parent)
		}
	}
	return rank, listName, false
}

func first(lists []*list, name string) (int, string) {
	hash := hashOf(name)
	for _, l := range lists {
		if rank, _ := l.find(hash, name); rank != 0 {
			return int(rank), l.name
		}
	}
	return 0, ""
}

// Loaded reports whether any list serves.
func (s *Source) Loaded() bool { return len(*s.lists.Load()) > 0 }

// Top are the n best names of the first list with their ranks, best first: what is worth preloading. A list that comes in
// meanwhile does not change an iteration under way.
func (s *Source) Top(n int) iter.Seq2[int, string] {
	lists := *s.lists.Load()
	if len(lists) == 0 {
		return func(func(int, string) bool) {}
	}
	return lists[0].top(n)
}

// Interface guards.
var (
	_ enrich.Source    = (*Source)(nil)
	_ enrich.Opener    = (*Source)(nil)
	_ enrich.Closer    = (*Source)(nil)
	_ enrich.Reporter  = (*Source)(nil)
	_ enrich.Refresher = (*Source)(nil)
)
