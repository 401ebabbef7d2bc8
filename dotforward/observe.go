package dotforward

import (
	"context"
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/whence-project/whence/dotforward/wire"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/store"
)

// Scope is where the ledger keeps the names that were seen here.
const Scope = "dns"

// The defaults of ObserveOptions.
const (
	DefaultObserveQueue = 8192
	DefaultObserveEvery = time.Minute
)

// ObserveOptions say what is made known of names that exist.
type ObserveOptions struct {
	Ledger store.Ledger // needed
	// PerName has each name kept in full. Otherwise it is the name that it was registered under: "example.org" for "www.example.org".
	PerName bool
	// Queue is how many names may wait for the ledger. 0: DefaultObserveQueue. What does not fit is dropped, and counted.
	Queue int
	// FirstContact is called after each claim that was a first sighting, beside the queries. It may be nil.
	FirstContact func()
	// Every is how often the ledger hears of a name that is asked for all the time. 0: DefaultObserveEvery.
	Every time.Duration
}

// Observe is a Handler that claims names that were answered with NOERROR in the ledger, beside the queries. Names blocked, or
// answered from hosts files, do not come so far.
type Observe struct {
	o       ObserveOptions
	seed    maphash.Seed
	recent  [1 << recentBits]recentSet // for names of several types, and hits that policies want to see each time
	queue   chan observation
	dropped atomic.Uint64
}

const (
	recentBits = 13
	recentWays = 8
	periodBits = 16 // of a mark; the rest is the hash's
)

// recentSet is marks of the names that were claimed last, with the period in which they were: a line of the processor's cache.
type recentSet [recentWays]atomic.Uint64

// add reports whether mark was not there yet. It takes the place of one of another period, if there is one.
func (r *recentSet) add(mark uint64) bool {
	const period = 1<<periodBits - 1
	place := int(mark >> periodBits % recentWays)
	for i := range r {
		m := r[i].Load()
		if m == mark {
			return false
		}
		if m&period != mark&period {
			place = i
		}
	}
	r[place].Store(mark)
	return true
}

var _ Stable = (*Observe)(nil)

type observation struct {
	name string // in wire form
	at   time.Time
}

// NewObserve makes an Observe. It claims nothing until Run.
func NewObserve(o ObserveOptions) *Observe {
	if o.Queue == 0 {
		o.Queue = DefaultObserveQueue
	}
	if o.Every <= 0 {
		o.Every = DefaultObserveEvery
	}
	return &Observe{o: o, seed: maphash.MakeSeed(), queue: make(chan observation, o.Queue)}
}

// Stage is Answered.
func (o *Observe) Stage() Stage { return Answered }

// Generation changes when names are to be claimed again, so that in between most hits need not come by.
func (o *Observe) Generation(now time.Time) uint64 { return uint64(now.UnixNano() / int64(o.o.Every)) }

// Handle has the name claimed, unless it was lately. It never says anything of the query.
func (o *Observe) Handle(q *Query) Verdict {
	if q.Rcode() != wire.RcodeSuccess || len(q.Name()) <= 1 {
		return Next
	}
	h := maphash.Bytes(o.seed, q.Name())
	period := o.Generation(q.Time()) & (1<<periodBits - 1)
	if o.recent[h>>(64-recentBits)].add(h<<periodBits | period) {
		select {
		case o.queue <- observation{string(q.Name()), q.Time()}:
		default:
			o.dropped.Add(1)
		}
	}
	return Next
}

// Dropped is how many names the ledger was not told, since too many were waiting.
func (o *Observe) Dropped() uint64 { return o.dropped.Load() }

// Run claims names until ctx is done, and then those that wait. It is to be called once.
func (o *Observe) Run(ctx context.Context) {
	for {
		select {
		case ob := <-o.queue:
			o.claim(ob)
		case <-ctx.Done():
			for {
				select {
				case ob := <-o.queue:
					o.claim(ob)
				default:
					return
				}
			}
		}
	}
}

func (o *Observe) claim(ob observation) {
	subject := subjectOf([]byte(ob.name))
	name := subject.Name()
	if !o.o.PerName {
		if registrable := subject.Registrable(); registrable != "" {
			name = registrable
		}
	}
	if name == "" {
		return
	}
	// Who hears of first contacts has them from the ledger, where they outlive the process.
	if res, _ := o.o.Ledger.Claim(Scope, name, ob.at); res == store.First && o.o.FirstContact != nil {
		o.o.FirstContact()
	}
}

// subjectOf is what the chain is asked about a name in wire form; the zero Subject where it has bytes that no name has in text.
func subjectOf(name []byte) enrich.Subject {
	text := make([]byte, 0, len(name))
	for len(name) > 1 {
		n := int(name[0])
		for _, c := range name[1 : 1+n] {
			if c <= ' ' || c >= 0x7f || c == '.' || c == '\\' {
				return enrich.Subject{}
			}
			text = append(text, c)
		}
		if name = name[1+n:]; len(name) > 1 {
			text = append(text, '.')
		}
	}
	return enrich.DomainOf(string(text))
}
