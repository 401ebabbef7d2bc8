package registration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration/manners"
)

// Fault is where a lookup failed, for the codes of WHOIS-API.
type Fault uint8

// The faults. Their numbers are kept in the cache.
const (
	NoFault     Fault = iota
	Timeout           // nothing came in time
	Unreachable       // the server has no address, or does not take connections
	ReadError         // the connection broke
	OtherFault        // what came was no answer
	Refused           // an empty answer, throttled or banned
)

// problem is why there is no answer.
type problem struct {
	kind     enrich.NoteKind // Throttled, Failed or Unfetched
	text     string
	again    time.Time // not to be tried before; zero: as the source thinks fit
	soon     bool      // nobody was asked, so that it may be tried again at once
	absent   Class     // a server has no such object: Available or Reserved, for who asked it to make an answer of
	discreet bool      // somebody could be asked for queries that are not discreet
	turn     bool      // nobody was asked since it was not this machine's turn
	holder   string    // the machine whose turn it is
	fault    Fault
}

// flight is one lookup under way, for all who want it.
type flight struct {
	done   chan struct{}
	public bool // a client named the server: it must be on the public Internet
	here   bool // it is another machine's errand, and asked for from here
	// patience is how long it may wait for its turn; zero: as long as the settings say.
	patience time.Duration
	mu       sync.Mutex
	asks     []*enrich.Ask
	// Set when done is closed.
	entry   *entry
	problem *problem
}

func (f *flight) join(a *enrich.Ask) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a != nil {
		f.asks = append(f.asks, a)
	}
}

// priority is that of the most urgent who wants the answer. It rises as others come.
func (f *flight) priority() manners.Priority {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := enrich.Background
	for _, a := range f.asks {
		if p = min(p, a.Priority()); p == enrich.Person {
			break
		}
	}
	return manners.Priority(p)
}

// discreet reports that everybody who wants the answer is.
func (f *flight) discreet() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.asks {
		if !a.Discreet() {
			return false
		}
	}
	return true
}

// Fetch looks a subject up, once however many ask. It returns nil also where that failed: the next Add tells why.
func (s *Source) Fetch(ctx context.Context, a *enrich.Ask) error {
	key := s.keyOf(&enrich.Query{Subject: a.Subject, AskRegistry: true})
	if key == "" {
		return nil
	}
	select {
	case <-s.fly(key, a.Subject, a).done:
	case <-ctx.Done(): // the chain is closed; the lookup goes on
	}
	return nil
}

// fly joins the lookup of key that is under way, or starts one, as with sets it. It goes on when the chain that wanted it is closed: the one that
// takes its place wants it too.
func (s *Source) fly(key string, sub enrich.Subject, a *enrich.Ask, with ...func(*flight)) *flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f, ok := s.flights[key]; ok {
		f.join(a)
		return f
	}
	f := &flight{done: make(chan struct{})}
	for _, set := range with {
		set(f)
	}
	f.join(a)
	s.flights[key] = f
	if !s.spawn(func() {
		s.run(key, sub, f)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.land(key, f)
	}) {
		s.land(key, f)
	}
	return f
}

// land ends a flight. The lock is held.
func (s *Source) land(key string, f *flight) {
	delete(s.flights, key)
	close(f.done)
}

// run looks key up and keeps what came of it.
func (s *Source) run(key string, sub enrich.Subject, f *flight) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Load().Error("panic in a lookup", zap.String("subject", key), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			f.problem = &problem{kind: enrich.Failed, text: fmt.Sprint("internal error: ", p), fault: OtherFault}
			s.fail(key, f.problem, s.opt.Now())
		}
	}()
	if e := s.entry(key, s.opt.Now()); e != nil && e.isFresh(s.opt.Now()) {
		f.entry = e // somebody was quicker
		return
	}
	if f.entry = s.others(key); f.entry != nil {
		return
	}
	for {
		discreet := f.discreet()
		answer, raw, p, ok := s.elsewhere(sub, key, f)
		if !ok {
			answer, raw, p = s.lookup(sub, key, f)
		}
		if p != nil && p.discreet && discreet && !f.discreet() {
			continue // somebody who is not has joined meanwhile
		}
		s.conclude(key, f, answer, raw, p)
		return
	}
}

// conclude keeps an answer, or remembers that there is none.
func (s *Source) conclude(key string, f *flight, answer *Answer, raw *Raw, p *problem) {
	if p != nil {
		f.problem = p
		if s.ctx.Err() == nil && !p.discreet && !(f.here && p.turn) {
			s.fail(key, p, s.opt.Now())
		}
		s.log.Load().Debug("no answer", zap.String("subject", key), zap.Stringer("kind", p.kind), zap.String("why", p.text))
		return
	}
	f.entry = s.keep(key, answer)
	if raw != nil && f.entry != nil {
		s.keepRaw(key, raw, f.entry.stale)
	}
	s.log.Load().Debug("answer", zap.String("subject", key), zap.Stringer("class", answer.Class), zap.String("via", answer.Via),
		zap.String("server", answer.Server))
}

// jitter is a random part of most.
func (s *Source) jitter(most time.Duration) time.Duration { return rand.N(most) }
