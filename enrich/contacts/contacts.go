// Package contacts emits what a ledger of first sightings has pending: first contacts, with what the enrichment chain knows of them,
// and among those the names whose registration is young.
package contacts

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/store"
)

// Contact is a first contact with what is known when it is emitted.
type Contact struct {
	Event uint64 // its number in the ledger, which grows
	Scope string
	Name  string
	First time.Time
	// Domain is the name that Name was registered under, Name itself where none could be; empty for an address.
	Domain string
	// Created is when Domain was registered; zero where that is not known.
	Created time.Time
	// Record is the chain's answer about Domain, or the address. It is valid during the call only.
	Record *enrich.Record
}

// Options are the settings of an [Emitter]. Ledger and Scope are needed; every other zero value stands for what is named.
type Options struct {
	Ledger store.Ledger
	Scope  string        // of the ledger
	Settle time.Duration // how long after its claim a first contact waits for the chain to know the registration: 30 s
	Use    Use           // what may change later
	Now    func() time.Time
	Logger *zap.Logger // none
}

// Use is what a configuration gives to an emitter that outlives it.
type Use struct {
	// Chain is asked about the names. nil: nothing is emitted until there is one.
	Chain *enrich.Chain
	// Offline has the chain say what it has, without asking other servers.
	Offline bool
	// Discreet has nobody on the way read the names: see [enrich.Query].
	Discreet bool

	// Emit is called with every first contact, in their order: the place for a log line or an event. Where it says false, it is
	// called again, later and maybe by another configuration. It may be nil.
	Emit func(*Contact) bool
	// Young is the age of a registration below which EmitNew is called, too; 0 is never.
	Young time.Duration
	// EmitNew is called for first contacts whose registration was younger than Young when they were made: after Emit, or hours
	// later where the registration could not be learnt before. It is called once for a domain, of whose names several may be
	// first contacts. What is said of Emit's answer holds here, too.
	EmitNew func(*Contact) bool
}

// Emitter emits the first contacts of one scope of a ledger: each once, in the order in which the ledger tells of them, which is that
// of their numbers unless many machines share it, when the chain knows the registration or could not learn it. Then it marks them as
// done; what a process that died had not marked is emitted again, with its number. There must be one Emitter a scope.
type Emitter struct {
	opt  Options
	use  atomic.Pointer[Use]
	wake chan struct{}
	late late

	cancel context.CancelFunc
	ran    sync.WaitGroup
}

const (
	batchSize = 256         // first contacts that are looked up together
	poll      = time.Second // how often the ledger is asked without a claim of ours
)

// New makes an emitter and starts it.
func New(opt Options) (*Emitter, error) {
	if opt.Ledger == nil || opt.Scope == "" {
		return nil, errors.New("first contacts without a ledger or a scope")
	}
	if opt.Settle == 0 {
		opt.Settle = 30 * time.Second
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Logger == nil {
		opt.Logger = zap.NewNop()
	}
	e := &Emitter{opt: opt, wake: make(chan struct{}, 1)}
	e.Use(opt.Use)
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	e.ran.Go(func() { e.run(ctx) })
	return e, nil
}

// Use gives the emitter another chain and others to tell. What is being emitted meanwhile may still go to the ones before.
func (e *Emitter) Use(u Use) {
	e.use.Store(&u)
	e.Wake()
}

// Wake tells the emitter that there was a claim. It does not block.
func (e *Emitter) Wake() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Close ends the emitter. It is idempotent.
func (e *Emitter) Close() error {
	e.cancel()
	e.ran.Wait()
	return nil
}

func (e *Emitter) run(ctx context.Context) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	var after uint64
	var undone []uint64
	failing := false
	for ctx.Err() == nil {
		n, err := e.batch(ctx, &after, &undone)
		if err != nil && !failing {
			e.opt.Logger.Error("first contacts cannot be read from the ledger, or not marked as emitted", zap.Error(err))
		}
		failing = err != nil
		if n == batchSize && err == nil {
			continue
		}
		e.revisit(ctx)
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-e.wake:
		}
	}
}

// batch emits the next first contacts and marks them, and those that could not be marked before. It returns how many were emitted.
func (e *Emitter) batch(ctx context.Context, after *uint64, undone *[]uint64) (n int, err error) {
	use := e.use.Load()
	if use.Chain == nil {
		return 0, nil
	}
	pending, err := e.opt.Ledger.Pending(e.opt.Scope, *after, batchSize)
	if err != nil {
		return 0, err
	}
	rec := new(enrich.Record)
	for _, s := range pending { // what must be fetched is fetched for all at once
		use.lookup(ctx, subjectOf(s.Name), time.Time{}, enrich.Pipeline, rec)
	}
	for _, s := range pending {
		if !e.one(ctx, use, s, rec) {
			break
		}
		n++
		*after = s.Event
		*undone = append(*undone, s.Event)
	}
	if len(*undone) > 0 {
		if err := e.opt.Ledger.Done(*undone...); err != nil {
			return n, err
		}
		*undone = (*undone)[:0]
	}
	if len(pending) < batchSize {
		*after = 0 // where many machines share the ledger, what another one did not emit comes late, with its number
	}
	return n, nil
}

// one emits a first contact, and reports whether it has.
func (e *Emitter) one(ctx context.Context, use *Use, s store.Sighting, rec *enrich.Record) bool {
	var wait time.Time
	if deadline := s.First.Add(e.opt.Settle); e.opt.Now().Before(deadline) {
		wait = time.Now().Add(deadline.Sub(e.opt.Now())) // the chain waits by the system's clock
	}
	subject := subjectOf(s.Name)
	use.lookup(ctx, subject, wait, enrich.Pipeline, rec)
	// A chain that another has taken the place of is closed, and fetches nothing more: the event is the other's.
	if ctx.Err() != nil || e.use.Load() != use {
		return false
	}
	c := e.contact(s, subject, rec)
	if use.Emit != nil && !use.Emit(c) {
		return false
	}
	e.judge(use, c, s)
	return true
}

// contact is a first contact with what rec says of its subject.
func (e *Emitter) contact(s store.Sighting, subject enrich.Subject, rec *enrich.Record) *Contact {
	c := &Contact{Event: s.Event, Scope: e.opt.Scope, Name: s.Name, First: s.First, Record: rec}
	if subject.Kind() == enrich.Domain {
		c.Domain = subject.Name()
	}
	c.Created, _ = time.Parse(time.RFC3339, rec.Value(enrich.Created))
	return c
}

// lookup asks the chain about a subject.
func (u *Use) lookup(ctx context.Context, subject enrich.Subject, wait time.Time, priority enrich.Priority, rec *enrich.Record) {
	u.Chain.Lookup(ctx, &enrich.Query{Subject: subject, Wait: wait, Priority: priority, Offline: u.Offline, Discreet: u.Discreet}, rec)
}

// subjectOf is what the chain is asked about a name of the ledger: the address that it is, or the domain that it was registered under.
func subjectOf(name string) enrich.Subject {
	if a, err := netip.ParseAddr(name); err == nil {
		return enrich.AddressOf(a)
	}
	s := enrich.DomainOf(name)
	if domain := s.Registrable(); domain != "" && domain != name {
		return enrich.DomainOf(domain)
	}
	return s
}
