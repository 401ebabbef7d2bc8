// Package domainstats answers over HTTP what an enrichment chain knows about names, and when this network first saw them: in the
// forms of domain_stats 1.1 (A), 2.0 (B) and 1.0.1 on PyPI (C), in those of freq_server and WHOIS-API, and in its own under /v1. It is a plain
// [net/http] handler and knows neither Caddy nor any source.
//
//	api, err := domainstats.New(domainstats.Options{Chain: chain, Ledger: ledger, Wait: 2 * time.Second})
//	…
//	http.ListenAndServe("127.0.0.1:8000", api)
package domainstats

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/limit"
	"github.com/whence-project/whence/store"
)

// Format is in which form GET /<domain> is answered.
type Format uint8

// The formats. The words of format A, /alexa, /domain and /created, are answered whichever is chosen.
const (
	FormatC  Format = iota // domain-stats 1.0.1: compact JSON, keys sorted
	FormatB                // domain_stats 2.0: JSON with spaces, keys in their own order
	FormatB0               // domain_stats2 of 2019: seen_by_us, rank, other
	FormatA                // domain_stats 1.1: no such route; a line of help
)

var formatNames = [...]string{FormatC: "c", FormatB: "b", FormatB0: "b0", FormatA: "a"}

// String is the format's name: c, b, b0 or a.
func (f Format) String() string { return formatNames[f] }

// ParseFormat is the Format of a name, in lower case.
func ParseFormat(name string) (Format, error) {
	for f, n := range formatNames {
		if n == name {
			return Format(f), nil
		}
	}
	return 0, fmt.Errorf("format %q: want a, b, b0 or c", name)
}

// Values is which of several values of a field format A shows. A field asked for with * shows all of them in any case.
type Values uint8

// What format A shows of several values.
const (
	LastValue  Values = iota // as its README says
	FirstValue               // as version 1.1 does
	AllValues                // as its option --all has it: a list in Python's notation
)

// DefaultScope is the ledger's scope where the options name none.
const DefaultScope = "stats"

// Options are the settings of an [API]. Only Chain is needed; every other zero value stands for what is named.
type Options struct {
	Chain  *enrich.Chain // what is asked
	Ledger store.Ledger  // knows first contacts: none, and no answer says when a name was first seen
	Scope  string        // the ledger's scope: DefaultScope
	Feed   *Feed         // what GET /v1/first-contacts reads, and what is told of claims: none, and the route is not answered

	Format  Format        // of GET /<domain>: FormatC
	Values  Values        // of several values in format A: LastValue
	Wait    time.Duration // how long an answer waits for sources that must fetch: not at all
	PerName bool          // first contact of every full name, not of the registrable domain

	EstablishedAge   time.Duration // from which a registration is ESTABLISHED, not NEW: 730 days
	FreqAverageAlert float64       // mean frequency below which it alerts: 5.0; negative for never
	FreqWordAlert    float64       // word frequency below which it alerts: 4.0; negative for never

	// Score is freq_server: the frequency scores of any string by a table, "" being the default one. ok is false where there is
	// no such table. nil: freq_server's routes say that none is loaded.
	Score func(table, s string) (average, word float64, ok bool)
	// Rank is the position of exactly this name in the list of popular names; loaded is false where there is no list. nil:
	// /alexa asks the chain.
	Rank func(name string) (rank int, ok, loaded bool)
	// Registrations counts, for /stats, what was learnt of registrations and what failed, since the start. nil: zeros.
	Registrations func() (good, failed uint64)
	// Workers are the machines that look registrations up for this one, for /check. nil, or none: the route is a name like any other.
	Workers func() []Worker

	// Registration is WHOIS-API: it asks for one registration at the server that the client named, a host, host:port or
	// [address]:port, or with server "" at those that know the name. domain is in A-labels and lower case. It returns at the
	// latest when ctx ends; ErrServerRefused where the client may not name that server. nil: those routes are not answered.
	Registration     func(ctx context.Context, domain, server string) (*Registration, error)
	RegistrationWait time.Duration // how long one name of those routes waits: 30 s

	NewNames    limit.Rate     // first contacts of one client: no limit
	Client      *limit.Network // what counts as one client: a /32 or a /48
	ClientAddr  func(*http.Request) netip.Addr
	History     bool // history is answered to everybody, not to loopback only
	BrowseLimit int  // most entries of one answer of /cache_browse: 100

	MaxStreams int           // streams open at the same time, POST /v1/lookup and GET /v1/first-contacts: 64; -1 is no limit
	MaxBody    int64         // bytes of a list posted: no limit, as none of it is kept
	Idle       time.Duration // in which a client must send more of its list: 5 min
	Write      time.Duration // in which a client must take a piece of a stream: 1 min
	KeepAlive  time.Duration // after which a stream without news sends an empty line: 15 s

	State  *State           // counters and buckets of the API whose place this one takes: new ones
	Now    func() time.Time // time.Now
	Logger *zap.Logger      // none
}

// State is what an API counts, and knows about its clients. An API that takes another's place is given the other's, so that a
// reload neither sets back a counter nor gives a client a new allowance.
type State struct {
	buckets *limit.Buckets
	wary    atomic.Int64 // until then (ns since 1970), a name is looked for before it is claimed
	streams atomic.Int64

	answers  [numRoutes][numOutcomes]atomic.Uint64
	contacts atomic.Uint64
	refused  atomic.Uint64
	lines    atomic.Uint64
	hits     atomic.Uint64 // for /stats, which /stats-reset sets back
	misses   atomic.Uint64
	firsts   atomic.Uint64
}

// clientBuckets is for how many clients a State has room; what it holds of more is forgotten in a harmless order.
const clientBuckets = 1 << 14

// NewState is the state of an API that has had no clients yet.
func NewState() *State { return &State{buckets: limit.NewBuckets(clientBuckets, time.Now())} }

// Answers calls yield with how many answers each route gave with each outcome, those without an answer left out. The words are
// the program's own; no client chooses one.
func (s *State) Answers(yield func(route, outcome string, n uint64)) {
	for r := range s.answers {
		for o := range s.answers[r] {
			if n := s.answers[r][o].Load(); n > 0 {
				yield(route(r).String(), outcome(o).String(), n)
			}
		}
	}
}

// FirstContacts is how many first contacts were answered.
func (s *State) FirstContacts() uint64 { return s.contacts.Load() }

// Refused is how many new names were not claimed since their client had used up its NewNames.
func (s *State) Refused() uint64 { return s.refused.Load() }

// BulkLines is how many lines of lists were answered.
func (s *State) BulkLines() uint64 { return s.lines.Load() }

// Streams is how many streams are open: lists that are posted, and first contacts.
func (s *State) Streams() int { return int(s.streams.Load()) }

// API answers requests. Make one with [New]; it is safe for concurrent use.
type API struct {
	opt    Options
	state  *State
	ctx    context.Context
	cancel context.CancelFunc
	calls  sync.Pool
	chunks sync.Pool
	ahead  int // chunks of one list under way

	fetches bool          // a source of the chain can fetch, so that a list may have something to wait for
	waiting chan struct{} // a place for each line of a list that waits
}

// New makes an API. It fails where an option makes no sense.
func New(opt Options) (*API, error) {
	switch {
	case opt.Chain == nil:
		return nil, errors.New("domain_stats: no chain to ask")
	case opt.Wait < 0 || opt.EstablishedAge < 0 || opt.RegistrationWait < 0 || opt.Idle < 0 || opt.Write < 0 || opt.KeepAlive < 0:
		return nil, errors.New("domain_stats: a time is negative")
	case len(opt.Scope) > store.MaxScope:
		return nil, fmt.Errorf("domain_stats: a scope of more than %d bytes", store.MaxScope)
	case opt.BrowseLimit < 0:
		return nil, errors.New("domain_stats: a negative number of entries")
	}
	opt.setDefaults()
	if c := opt.Client; c.Bits4 < 0 || c.Bits4 > 32 || c.Bits6 < 0 || c.Bits6 > 128 {
		return nil, fmt.Errorf("domain_stats: a client of /%d in IPv4, /%d in IPv6: want 0 to 32, 0 to 128", c.Bits4, c.Bits6)
	}
	a := &API{opt: opt, state: opt.State, ahead: 2 * runtime.GOMAXPROCS(0)}
	a.waiting = make(chan struct{}, maxWaiting)
	for _, l := range opt.Chain.Links() {
		_, ok := l.Source.(enrich.Fetcher)
		a.fetches = a.fetches || ok
	}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.calls.New = func() any { return new(call) }
	a.chunks.New = func() any { return &chunk{in: make([]byte, 0, chunkSize), done: make(chan struct{}, 1)} }
	return a, nil
}

func (o *Options) setDefaults() {
	setDefault(&o.Scope, DefaultScope)
	setDefault(&o.EstablishedAge, 730*24*time.Hour)
	setDefault(&o.FreqAverageAlert, 5)
	setDefault(&o.FreqWordAlert, 4)
	setDefault(&o.RegistrationWait, 30*time.Second)
	setDefault(&o.Client, &limit.Network{Bits4: 32, Bits6: 48})
	setDefault(&o.BrowseLimit, 100)
	setDefault(&o.MaxStreams, 64)
	setDefault(&o.Idle, 5*time.Minute)
	setDefault(&o.Write, time.Minute)
	setDefault(&o.KeepAlive, 15*time.Second)
	if o.ClientAddr == nil {
		o.ClientAddr = remoteAddr
	}
	if o.State == nil {
		o.State = NewState()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// remoteAddr is the client's address as of the connection.
func remoteAddr(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// State is what the API counts and knows, for the one that takes its place.
func (a *API) State() *State { return a.state }

// Close ends the streams of first contacts, so that their clients come again. Other requests are answered to their end.
func (a *API) Close() error {
	a.cancel()
	return nil
}
