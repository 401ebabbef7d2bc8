// Package enrich is the chain that every door of Whence asks: whence does this address, this prefix, this AS number, this
// name come? A [Chain] runs its sources in order over one [Record]; each adds what it knows about the [Subject]. The package
// knows neither Caddy nor any protocol.
//
// A source is small:
//
//	type site struct{}
//
//	func (site) Add(q *enrich.Query, r *enrich.Record) enrich.Verdict {
//		if a := q.Subject.Addr(); a.IsPrivate() {
//			r.Set("site", "Berlin")
//		}
//		return enrich.Next
//	}
package enrich

import (
	"context"
	"sync/atomic"
	"time"
)

// Source adds what it knows about q.Subject to r. Add answers from what the source has in memory: it must not block, dial or
// fail, and it may be called from any goroutine. What it could not do it says in a note on the record, never by an error. Data
// that Add reads are swapped, not changed, under it.
type Source interface {
	Add(q *Query, r *Record) Verdict
}

// Verdict is what a source tells the chain after Add.
type Verdict uint8

const (
	// Next lets the following sources add to the record.
	Next Verdict = iota
	// Stop ends the chain: what the record holds now is the answer.
	Stop
	// Pending is Next from a [Fetcher] that could know more: the chain has it Fetch and, if the query waits, runs the chain again.
	Pending
	// Outdated is Next from a [Fetcher] whose answer is old: the chain has it Fetch, and no query waits for that.
	Outdated
)

// Fetcher is a source that can learn more than it has. Fetch fills the source's own cache with what can be learnt about a.Subject.
// The chain calls it once per subject however many queries ask, beside the chain, and lets it outlive the query that caused it: ctx
// ends when the chain is closed, not when the query is; Fetch sets its own deadlines. The error is for the log of whoever owns
// the source; a query sees only what the next Add says.
type Fetcher interface {
	Source
	Fetch(ctx context.Context, a *Ask) error
}

// Patient is a [Fetcher] for which no query waits longer than Patience, unless it insists.
type Patient interface{ Patience() time.Duration }

// Ask is what is to be fetched, and for whom. Queries that want the same join it while it is under way, so that what it says of
// them changes: it becomes more urgent, and less discreet, as they come.
type Ask struct {
	Subject  Subject // without what only tells how it was written: see [Subject.Key]
	priority atomic.Uint32
	open     atomic.Bool // somebody asks who is not discreet
}

// NewAsk is the Ask of one query.
func NewAsk(q *Query) *Ask {
	a := &Ask{Subject: q.Subject.Key()}
	a.priority.Store(uint32(q.Priority))
	a.open.Store(!q.Discreet)
	return a
}

// Join adds a query.
func (a *Ask) Join(q *Query) {
	for {
		p := a.priority.Load()
		if p <= uint32(q.Priority) || a.priority.CompareAndSwap(p, uint32(q.Priority)) {
			break
		}
	}
	if !q.Discreet {
		a.open.Store(true)
	}
}

// Priority is that of the most urgent query so far.
func (a *Ask) Priority() Priority { return Priority(a.priority.Load()) }

// Discreet reports that every query so far is: see [Query].
func (a *Ask) Discreet() bool { return !a.open.Load() }

// Warmer is a source with more data than the processor's caches hold. Warm is told the subjects of the next few queries, and may
// touch what Add will read for them, all at once instead of one after the other. It must cost little, answer nothing and change
// nothing; a subject may be the zero Subject.
type Warmer interface {
	Warm(subjects []Subject)
}

// Opener is a source with files, databases or goroutines. Open is called once before the first Add; it returns an error only
// for what the operator must mend before the server can start. A file that is missing or broken is not such an error: it is
// logged, shown in the status, watched, and taken in when it comes.
type Opener interface {
	Open(ctx context.Context) error
}

// Closer is a source that holds something to give back. Close is idempotent, and called after the last Add has been started;
// an Add still running must remain safe.
type Closer interface {
	Close() error
}

// Reporter is a source that can say how it is.
type Reporter interface {
	Status() Status
}

// Refresher is a source that can look for newer data at once, which it otherwise does when its files change or when it is time:
// it reads or fetches again what it has, also what looks unchanged. RefreshNow returns when what is new serves; the error says
// what could not be had or was refused, and the last good data serve on. It may be called at any time after Open, by several at
// once, and ends early with ctx where it waits for others.
type Refresher interface {
	RefreshNow(ctx context.Context) error
}

// Status says how a source is: what it has loaded and what went wrong last.
type Status struct {
	Kind       string       `json:"kind"`                 // the source's kind, as in the Caddyfile: "mmdb"
	Generation uint64       `json:"generation"`           // changes when the data do
	Records    int          `json:"records"`              // distinct records over all data sets
	Data       []DataStatus `json:"data,omitempty"`       // one entry a file or registry
	LastError  string       `json:"last_error,omitempty"` // the newest failure, with the file it names
	ErrorTime  time.Time    `json:"error_time,omitzero"`  // when that was
	Problems   []Problem    `json:"problems,omitempty"`   // what is wrong now, beside the errors in Data
	Detail     any          `json:"detail,omitempty"`     // what there is to say of a source of this kind alone
}

// Problem is what is wrong with a source now.
type Problem struct {
	Text   string `json:"text"`
	Severe bool   `json:"severe,omitempty"` // the source cannot do what it is for, not only a part of it
}

// DataStatus says what one data set of a source is.
type DataStatus struct {
	Path        string    `json:"path,omitempty"`        // the file, empty for what is compiled in
	Type        string    `json:"type,omitempty"`        // what the file calls itself: an MMDB's database_type
	Built       time.Time `json:"built,omitzero"`        // when the data were made, by their own word
	Loaded      time.Time `json:"loaded,omitzero"`       // when they were read
	Records     int       `json:"records"`               // distinct records
	Bytes       int64     `json:"bytes,omitempty"`       // size of the file
	Licence     string    `json:"licence,omitempty"`     // its SPDX identifier, or what it is called and where it is
	Attribution string    `json:"attribution,omitempty"` // what its licence asks to be shown
	Error       string    `json:"error,omitempty"`       // why the file as it is now was refused; the last good one serves on
	Missing     bool      `json:"missing,omitempty"`     // there is no such file yet, which is no fault: it is taken in when it comes
	Update      *Update   `json:"update,omitempty"`      // how it is kept fresh, nil where it is not
}

// Update says how a data set is kept fresh.
type Update struct {
	From      string    `json:"from"`                // a preset, or a host
	URL       string    `json:"url"`                 // where it comes from, without what could be a secret
	Every     int64     `json:"every_seconds"`       // how often that is asked
	Checked   time.Time `json:"checked,omitzero"`    // when that last said what is current
	Changed   time.Time `json:"changed,omitzero"`    // when the data last changed by it
	Next      time.Time `json:"next,omitzero"`       // when it is asked next
	Error     string    `json:"error,omitempty"`     // what went wrong last, if it did since
	ErrorTime time.Time `json:"error_time,omitzero"` // when that was
}

// Priority is who is served first.
type Priority uint8

// The priorities, the highest first.
const (
	Person     Priority = iota // somebody waits for the answer
	Pipeline                   // a program asks for many
	Background                 // nobody asks yet: preloading, refreshing
)

// Query is one question to a chain.
type Query struct {
	// Subject is what is asked about.
	Subject Subject
	// Wait is until when the query waits for sources that must fetch. Zero: not at all, the answer is what is here now and what
	// was missing is fetched behind it.
	Wait time.Time
	// Insist has the query wait until then even for sources that are not usually worth it: see [Patient].
	Insist bool
	// Offline keeps the chain from fetching anything on behalf of this query.
	Offline bool
	// Want are the canonical fields that the caller will read; zero is all of them, and the sources' own. A source that has none
	// of them to add may leave the record alone.
	Want KeySet
	// Priority says who is served first where a source has to queue for what it fetches.
	Priority Priority
	// Discreet is a question that nobody on the way may read along: about a name that was learnt from DNS traffic, for which a
	// source asks over encrypted protocols only.
	Discreet bool
	// AskRegistry has addresses, networks and AS numbers looked up at their registries too, which log lines by the thousand must
	// not be. Names always are.
	AskRegistry bool
	// Raw asks for what a server wrote, word by word, beside what was read out of it, where a source has kept it.
	Raw bool

	parent struct { // what Registrable found last
		of   Subject
		name string
	}
}

// Wants reports whether the caller will read one of ks.
func (q *Query) Wants(ks KeySet) bool { return q.Want == 0 || q.Want&ks != 0 }

// Registrable is [Subject.Registrable] of the query's subject, worked out once for all sources.
func (q *Query) Registrable() string {
	if q.parent.of != q.Subject {
		q.parent.of, q.parent.name = q.Subject, q.Subject.Registrable()
	}
	return q.parent.name
}
