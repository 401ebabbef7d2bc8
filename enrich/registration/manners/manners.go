// Package manners decides how often registries are asked. Registries limit those who ask them, each in his own way; who does not
// keep to it is answered wrongly, then not at all, and sometimes not for a year. So every query to a registry waits for its turn here:
//
//   - What counts is the operator, not the server: his RDAP and WHOIS hosts share their limits, and so do all his top-level domains.
//   - Those who wait are served by priority, then by order of arrival. Who cannot be served in time is told so at once.
//   - What servers say is learnt: an operator who asks to wait is left alone until then, one who says no more than "too often" for
//     a random time that grows (exponential back-off with full jitter). A server that does not work is left alone too, and
//     then tried with a single query (a circuit breaker).
//   - What is used up and what was learnt can be kept over a restart, see [Manners.Save].
//
// Nothing runs in the background, and nobody's goroutine but those of who waits.
package manners

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Priority is who goes first, the lowest number before the others. The values are those of the chain's queries.
type Priority uint8

// The priorities, the highest first.
const (
	Person     Priority = iota // somebody waits for the answer
	Pipeline                   // a machine waits, or will ask again
	Background                 // nobody waits
	priorities = iota
)

// Options are the settings of a [Manners]. Zero values stand for what is named.
type Options struct {
	Operators []Operator    // before those of [Defaults]; one of the same name changes what it sets
	Default   Limit         // of operators that are not listed: one query a second, five at once, four under way
	Sources   []netip.Addr  // the local addresses to ask from: the system's choice
	QueueLen  int           // how many may wait for one operator: 256
	Patience  time.Duration // a limit that is used up for longer counts as a pause in [Manners.Paused]: 5 min

	BackoffBase time.Duration // at most how long an operator is left alone who throttles without saying for how long: 30 s at first,
	BackoffMax  time.Duration // twice that each time, up to 1 h

	BreakerFailures int           // after so many failures in a row a server is not asked: 5
	BreakerBase     time.Duration // at most for how long, at first: 30 s,
	BreakerMax      time.Duration // twice that each time the attempt afterwards fails, up to 15 min

	Now func() time.Time // time.Now
}

// rise is after what time those who are not urgent enough are asked again how urgent they are.
const rise = time.Second

// maxOperators is how many operators that are not listed are remembered. Beyond that, those are forgotten first of whom there is
// least to remember.
const maxOperators = 4096

// Manners are the limits of all operators, and what has been used up of them. Safe for concurrent use.
type Manners struct {
	start  time.Time
	table  atomic.Pointer[table]
	random func(most time.Duration) time.Duration // from 0 up to but without most
	id     uint64                                 // tells what this Manners saved from what others did

	mu        sync.Mutex
	opt       Options
	operators map[string]*operator
	sweepAt   int // so many operators have those forgotten that are at rest
	totals    Counts
	restored  saveID // what was restored last
}

// New makes a Manners.
func New(o Options) *Manners {
	m := &Manners{
		operators: make(map[string]*operator), sweepAt: 64,
		random: func(most time.Duration) time.Duration { return rand.N(most) },
		id:     max(rand.Uint64(), 1),
	}
	o.setDefaults()
	m.opt = o
	m.start = o.Now()
	m.table.Store(newTable(o.Operators, o.Default))
	return m
}

func (o *Options) setDefaults() {
	o.QueueLen = cmp.Or(max(o.QueueLen, 0), 256)
	o.BreakerFailures = cmp.Or(max(o.BreakerFailures, 0), 5)
	for _, d := range [...]struct {
		v  *time.Duration
		to time.Duration
	}{
		{&o.Patience, 5 * time.Minute},
		{&o.BackoffBase, 30 * time.Second}, {&o.BackoffMax, time.Hour},
		{&o.BreakerBase, 30 * time.Second}, {&o.BreakerMax, 15 * time.Minute},
	} {
		if *d.v <= 0 {
			*d.v = d.to
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	sources := make([]netip.Addr, 0, len(o.Sources))
	for _, a := range o.Sources {
		if a = a.Unmap(); !slices.Contains(sources, a) {
			sources = append(sources, a)
		}
	}
	o.Sources = sources
}

// Configure has other settings apply from now on. What was learnt and what is used up stays, also where a limit or what counts as
// one client changes: then what several clients have used up is added, and what all have used up together counts for each.
// [Options.Now] is not changed.
func (m *Manners) Configure(o Options) {
	o.setDefaults()
	m.mu.Lock()
	defer m.mu.Unlock()
	o.Now = m.opt.Now
	m.opt = o
	t := newTable(o.Operators, o.Default)
	m.table.Store(t)
	now := m.now()
	for _, op := range m.operators {
		op.configure(t.rule(op.name), o.Sources, now)
		m.dispatch(op, now)
	}
}

// now is the time since the start, in ns.
func (m *Manners) now() int64 { return int64(m.opt.Now().Sub(m.start)) }

// time is a point in time that now() counts, the zero time for 0.
func (m *Manners) time(t int64) time.Time {
	if t <= 0 {
		return time.Time{}
	}
	return m.start.Add(time.Duration(t)).Round(0)
}

// operator is the state of an operator, made where there is none.
func (m *Manners) operator(name string, now int64) *operator {
	if op, ok := m.operators[name]; ok {
		return op
	}
	if len(m.operators) >= m.sweepAt {
		m.forget(now)
	}
	op := newOperator(name, m.table.Load().rule(name), m.opt.Sources)
	m.operators[name] = op
	return op
}
