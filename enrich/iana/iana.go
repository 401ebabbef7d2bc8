// Package iana is the source that says what IANA's registries say: what a special-purpose block is for and by which RFC, which
// regional registry an address block or AS number belongs to, which RDAP and WHOIS servers know more of it, and of a domain's
// top level. The tables are compiled in, so that every address has an answer before the first database is there; files of the
// registries, where there are any, take their place.
package iana

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/hotfiles"
)

//go:generate go -C ../.. run ./enrich/iana/gen

// Source is the source "iana". It implements [enrich.Source], [enrich.Opener], [enrich.Closer] and [enrich.Reporter].
type Source struct {
	tables atomic.Pointer[Tables]
	files  *hotfiles.Set[*loaded] // nil where there is no folder
	bad    atomic.Pointer[string] // why the files do not serve together, if they do not
	log    atomic.Pointer[zap.Logger]
}

// Options say what a [Source] serves beside what is compiled in.
type Options struct {
	// Folder holds files of IANA's registries, under the names of [Files]; those that are there take the place of what is compiled
	// in. It may be missing, now or later. Empty: none.
	Folder string
	// News hears of each file that is taken in after those that Open found, and of each that is refused, which has an Error. It must
	// not block. nil for nobody.
	News func(enrich.DataStatus)
	// Poll is how often the files are looked at where the file system does not notify; 0 for the default of 30 s.
	Poll time.Duration
	// Logger hears what is loaded and refused; nil for none. See SetLogger.
	Logger *zap.Logger
}

// New returns the source of what is compiled in. The first call in a process reads the tables, see [Load].
func New() *Source { return NewFrom(Options{}) }

// NewFrom returns the source. It reads no file before Open.
func NewFrom(o Options) *Source {
	s := new(Source)
	s.tables.Store(Load())
	s.SetLogger(o.Logger)
	if o.Folder != "" {
		s.files = hotfiles.New(s.hot(o))
	}
	return s
}

// Add adds the most specific block that has the subject, or what is known of a domain's top level.
func (s *Source) Add(q *enrich.Query, r *enrich.Record) enrich.Verdict {
	t := s.tables.Load()
	switch q.Subject.Kind() {
	case enrich.Address:
		if b, ok := t.addresses.Lookup(q.Subject.Addr()); ok {
			attach(r, b, q.Subject)
		}
	case enrich.Prefix:
		if b, ok := t.addresses.LookupPrefix(q.Subject.Prefix()); ok {
			attach(r, b, q.Subject)
		} else {
			r.Note(enrich.Info, "more than one block of IANA's registries is in "+q.Subject.String())
		}
	case enrich.AS:
		as, _ := t.findAS(q.Subject.ASN())
		r.Attach(as.build(q.Subject.ASN()), netip.Prefix{})
	case enrich.Domain:
		if q.Want != 0 {
			break // a top-level domain has no canonical field
		}
		r.Attach(t.tldFragment(q.Subject.Name()), netip.Prefix{})
	}
	return enrich.Next
}

func attach(r *enrich.Record, b *block, s enrich.Subject) {
	if b.embeds != nowhere {
		if more := b.embeds.fields(s.Prefix()); more != nil {
			r.Attach(b.build(more...), b.Prefix)
			return
		}
	}
	r.Attach(b.fragment, b.Prefix)
}

func (t *Tables) tldFragment(domain string) *enrich.Fragment {
	d, ok := t.tlds[lastLabel(domain)]
	if !ok {
		return t.noTLD
	}
	f := d.fragment.Load()
	if f == nil {
		f = d.build()
		if !d.fragment.CompareAndSwap(nil, f) {
			f = d.fragment.Load()
		}
	}
	return f
}

// Open loads the files that are there and begins to watch. It never fails. Calls after the first do nothing.
func (s *Source) Open(context.Context) error {
	if s.files == nil {
		return nil
	}
	return s.files.Open()
}

// Close stops watching. What is loaded answers until the source is let go of.
func (s *Source) Close() error {
	if s.files == nil {
		return nil
	}
	return s.files.Close()
}

// SetLogger replaces the logger, as a source outlives the configuration that brought it; nil stands for none.
func (s *Source) SetLogger(l *zap.Logger) {
	if l == nil {
		l = zap.NewNop()
	}
	s.log.Store(l)
	if s.files != nil {
		s.files.SetLogger(l)
	}
}

// Refresh looks at the files now, and goes back to what is compiled in for those that are gone.
func (s *Source) Refresh() {
	if s.files != nil {
		s.files.Refresh()
	}
}

// RefreshNow is Refresh that reads also the files that look as they did. Its error says of each that does not serve as it is now, or
// that is missing, why; without a folder there is nothing to read.
func (s *Source) RefreshNow(context.Context) error {
	if s.files == nil {
		return errors.New("what is compiled in has nothing to refresh")
	}
	return s.files.Reread()
}

// Status names the registries and their dates.
func (s *Source) Status() enrich.Status {
	t := s.tables.Load()
	st := enrich.Status{
		Kind: "iana", Generation: 1, Records: t.blocks + len(t.as) + len(t.asSpecial) + len(t.tlds), Data: t.data,
	}
	if s.files == nil {
		return st
	}
	hot := s.files.Status()
	st.Generation, st.Data = 1+hot.Generation, slices.Clone(t.data)
	st.LastError, st.ErrorTime = enrich.Clean(hot.LastError), hot.ErrorTime
	for _, f := range hot.Files {
		if i := slices.IndexFunc(st.Data, func(d enrich.DataStatus) bool { return d.Path == f.Path }); i >= 0 {
			st.Data[i].Loaded, st.Data[i].Error = f.Loaded, enrich.Clean(f.Error)
		} else if f.Error != "" {
			st.Data = append(st.Data, enrich.DataStatus{
				Path: f.Path, Error: enrich.Clean(f.Error) + "; what is compiled in serves", Missing: f.Missing,
			})
		}
	}
	if bad := s.bad.Load(); bad != nil {
		st.LastError = *bad
	}
	return st
}

var (
	_ enrich.Source    = (*Source)(nil)
	_ enrich.Opener    = (*Source)(nil)
	_ enrich.Closer    = (*Source)(nil)
	_ enrich.Reporter  = (*Source)(nil)
	_ enrich.Refresher = (*Source)(nil)
)
