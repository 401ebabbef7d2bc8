package domainstats

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strconv"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/store"
)

// Exchange is a form in which histories are handed from one domain_stats to another.
type Exchange uint8

// The forms of histories.
const (
	ExchangeJSON Exchange = iota // format C's import and export: a JSON array
	ExchangeFeed                 // format B's updates: lines "+,domain,created,expires" and "-,domain,…"
	ExchangeList                 // a name a line, or a list of popular names: "rank,domain"
)

var exchangeNames = [...]string{ExchangeJSON: "json", ExchangeFeed: "feed", ExchangeList: "list"}

// String is the form's name: json, feed or list.
func (e Exchange) String() string { return exchangeNames[e] }

// ParseExchange is the Exchange of a name.
func ParseExchange(name string) (Exchange, error) {
	for e, n := range exchangeNames {
		if n == name {
			return Exchange(e), nil
		}
	}
	return 0, fmt.Errorf("form %q: want json, feed or list", name)
}

// Entry is one name of a history.
type Entry struct {
	Domain  string    // as A-labels in lower case, as it was written: not reduced to what is registrable
	Remove  bool      // the name is to be forgotten
	Created time.Time // registration; zero where it is not told
	Expires time.Time // of the registration; zero where it is not told, or never
	Tag     string    // how the registration is known: seen_by_isc
	First   time.Time // first sighting; zero where it is not told
}

// EntryError says what is wrong with one entry of a history. The others can be read.
type EntryError struct {
	Position int    // line, or element of the array, from 1
	Reason   string // one line
}

// Error is the position and the reason.
func (e *EntryError) Error() string { return strconv.Itoa(e.Position) + ": " + e.Reason }

// maxErrors is how many entries' errors an import tells one by one.
const maxErrors = 20

// ImportOptions are the settings of [Import]. Every zero value stands for what is named.
type ImportOptions struct {
	Form  Exchange
	Scope string // of the ledger: DefaultScope
	// PerName keeps full names, as [Options.PerName] does. Otherwise names are reduced to what is registrable.
	PerName bool
	// KeepNew leaves the ledger alone: names that it does not know stay new, so that their first contact is told when it comes.
	// Only registrations are handed on.
	KeepNew bool
	// NeverExpire takes the registrations' ends away, as format C's option -nx does.
	NeverExpire bool
	// Registration is called with each registration that the history tells. It may be nil.
	Registration func(domain string, created, expires time.Time, tag string)
	// Progress is called now and then with how many entries were read. It may be nil.
	Progress func(entries int)
}

// ImportResult counts what an import did.
type ImportResult struct {
	Entries       int           // that were read
	Added         int           // names that are new in the ledger
	Known         int           // names that were there
	Removed       int           // names that were forgotten
	Registrations int           // that were handed on
	Bad           int           // entries that cannot be used
	Errors        []*EntryError // of these, the first
}

// Import reads a history into a ledger, as a stream. Entries that cannot be used are counted, and do not end it; an error is
// r's, ctx's or the ledger's, or the history is no history at all. What was read before an error has been imported.
func Import(ctx context.Context, ledger store.Ledger, r io.Reader, opt ImportOptions) (ImportResult, error) {
	setDefault(&opt.Scope, DefaultScope)
	var res ImportResult
	next, stop := iter.Pull2(Entries(r, opt.Form))
	defer stop()
	for done := false; !done; {
		// Removals are done between imports, so that what a history says last holds.
		var remove []string
		var failed error
		sightings := func(yield func(store.Sighting) bool) {
			done = true
			for e, err := range pulled(next) {
				if failed = res.count(err); failed != nil {
					return
				}
				if err != nil {
					continue
				}
				name := e.name(opt.PerName)
				if name == "" {
					_ = res.count(&EntryError{res.Entries + res.Bad + 1, cut(e.Domain) + " is under no public suffix, or is one"})
					continue
				}
				if res.Entries++; opt.Progress != nil && res.Entries%1024 == 0 {
					opt.Progress(res.Entries)
				}
				if e.Remove {
					remove, done = append(remove, name), false
					return
				}
				opt.register(&res, name, &e)
				if !opt.KeepNew && !yield(store.Sighting{Scope: opt.Scope, Name: name, First: e.First, Last: e.First}) {
					return
				}
			}
		}
		added, known, err := ledger.Import(ctx, opt.Scope, sightings)
		res.Added += added
		res.Known += known
		if err = errors.Join(failed, err); err != nil {
			return res, err
		}
		if len(remove) > 0 {
			n, err := ledger.Forget(ctx, opt.Scope, remove...)
			if res.Removed += n; err != nil {
				return res, err
			}
		}
		if err := ctx.Err(); err != nil {
			return res, err
		}
	}
	if opt.Progress != nil {
		opt.Progress(res.Entries)
	}
	return res, nil
}

// pulled is what is left of a sequence that is read in parts.
func pulled(next func() (Entry, error, bool)) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for {
			e, err, ok := next()
			if !ok || !yield(e, err) {
				return
			}
		}
	}
}

// count counts what is wrong with one entry, and returns what is wrong with all.
func (res *ImportResult) count(err error) error {
	var bad *EntryError
	if !errors.As(err, &bad) {
		return err
	}
	if res.Bad++; len(res.Errors) < maxErrors {
		res.Errors = append(res.Errors, bad)
	}
	return nil
}

// register hands on a registration, if the entry tells one.
func (opt *ImportOptions) register(res *ImportResult, name string, e *Entry) {
	if e.Created.IsZero() || opt.Registration == nil {
		return
	}
	if reg := registrable(name); reg != "" {
		name = reg
	}
	if opt.NeverExpire {
		e.Expires = time.Time{}
	}
	opt.Registration(name, e.Created, e.Expires, e.Tag)
	res.Registrations++
}

// name is the name that the ledger has for an entry.
func (e *Entry) name(perName bool) string {
	if reg := registrable(e.Domain); reg == "" || !perName {
		return reg
	}
	return e.Domain
}

// Export writes the ledger's names of the API's scope as format C's utilities do, with what the chain has of each at hand, and
// returns how many there were. To what C writes, seen_by_you is added, which C keeps in the same record; names whose registration
// is not known are left out unless all is set, as C cannot read them.
func (a *API) Export(ctx context.Context, w io.Writer, all bool, progress func(entries int)) (n int, err error) {
	if a.opt.Ledger == nil {
		return 0, errors.New("domain_stats: no ledger to export")
	}
	bw := bufio.NewWriterSize(w, 64<<10)
	c := new(call)
	between := "["
	for s, err := range a.opt.Ledger.All(ctx, a.opt.Scope, "") {
		if err != nil {
			return n, err
		}
		f, expires := a.known(ctx, c, s)
		if f.created.IsZero() && !all {
			continue
		}
		c.buf = appendExport(append(c.buf[:0], between...), &f, expires, s)
		if _, err := bw.Write(c.buf); err != nil {
			return n, err
		}
		between = ",\n"
		if n++; progress != nil && n%1024 == 0 {
			progress(n)
		}
	}
	if n == 0 {
		_, _ = bw.WriteString("[")
	}
	_, _ = bw.WriteString("]\n")
	return n, bw.Flush()
}

func appendExport(b []byte, f *facts, expires time.Time, s store.Sighting) []byte {
	b = append(b, '{')
	if f.scored {
		b = appendNumber(append(b, `"freq_score":[`...), f.average)
		b = append(appendNumber(append(b, ',', ' '), f.word), "],"...)
	}
	via := f.via
	if via == "" {
		via = "ERROR"
	}
	b = appendJSONString(append(b, `"seen_by_isc":`...), via)
	b = appendDate(append(b, `,"seen_by_web":"`...), f.created, timeFormatC)
	if !s.First.IsZero() {
		b = appendDate(append(b, `","seen_by_you":"`...), s.First, timeFormatC)
	}
	b = append(b, `","expires":`...)
	if expires.IsZero() {
		b = append(b, "null"...)
	} else {
		b = append(strconv.AppendInt(b, expires.Unix(), 10), ".0"...)
	}
	return append(appendJSONString(append(b, `,"domain":`...), s.Name), '}')
}

// domainEntry is an entry of a name as a history has it.
func domainEntry(position int, name string) (Entry, error) {
	if d := domainOf(name); d != "" && enrich.DomainOf(d).IsValid() {
		return Entry{Domain: d}, nil
	}
	return Entry{}, &EntryError{position, cut(name) + " is no domain"}
}

// epoch is a time in seconds since 1970, the zero time where it is none.
func epoch(seconds float64) time.Time {
	if math.IsNaN(seconds) || seconds < 1 || seconds > 253402300799 { // the end of the year 9999
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0).UTC()
}

// cut is the beginning of what was read, for an error: one line of printable characters.
func cut(s string) string { return strconv.QuoteToASCII(s[:min(len(s), 64)]) }
