package registration

import (
	"context"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich"
)

// Preload is what is looked up before anybody asks.
type Preload struct {
	Names int           // how many names of the list; 0 is none
	Delay time.Duration // between the beginnings of two lookups, over all registries; 0 is none
	// Top are the n most popular names with their ranks. It may be called before its list is there, and then has none.
	Top func(n int) iter.Seq2[int, string]
}

// The preloader's measures.
const (
	perOperator = 4   // lookups that wait at one operator: they are not to be in the way of anybody's
	mostAtOnce  = 256 // lookups under way
	listRetry   = 10 * time.Second
	filesRetry  = 100 * time.Millisecond
	pauseRetry  = time.Minute // after which an operator who asked to wait is tried again at the earliest
	maxTries    = 10          // of a name whose operator asks to wait
)

// preloading is the preloader's state.
type preloading struct {
	s     *Source
	key   string // of the list in the store
	slots chan struct{}
	pace  *time.Ticker

	mu    sync.Mutex
	p     Progress
	lanes map[string]*lane
}

// lane is the names of one operator. They are begun in their order, and some end before others.
type lane struct {
	names  []string
	next   int   // the first that is not begun
	flying []int // those that are begun and have not ended
}

// done is how many names, from the first, have ended without a gap: where another process goes on.
func (l *lane) done() int {
	if len(l.flying) == 0 {
		return l.next
	}
	return slices.Min(l.flying)
}

// preload looks up the most popular names, each operator's one after the other and all operators at the same time. A process that
// was stopped in the middle goes on where it was, as long as what it had is fresh.
func (s *Source) preload() {
	names := s.topNames()
	if len(names) == 0 {
		return
	}
	p := &preloading{s: s, key: signature(names), slots: make(chan struct{}, mostAtOnce), lanes: s.lanes(names)}
	if s.opt.Preload.Delay > 0 {
		p.pace = time.NewTicker(s.opt.Preload.Delay)
		defer p.pace.Stop()
	}
	p.p.Names, p.p.Started = len(names), s.opt.Now().UTC()
	p.resume()
	p.publish()
	s.log.Load().Info("preloading", zap.Int("names", p.p.Names), zap.Int("resumed", p.p.Resumed), zap.Int("operators", len(p.lanes)))
	reporting, stop := context.WithCancel(s.ctx)
	var reporter, workers sync.WaitGroup
	reporter.Go(func() { p.report(reporting) })
	for _, l := range p.lanes {
		workers.Go(func() { p.run(l) })
	}
	workers.Wait()
	stop()
	reporter.Wait()
	p.finish()
}

// topNames are the registrable names of the list, once each, in its order. It waits for the list to be there, and until it is known
// who answers for what.
func (s *Source) topNames() (names []string) {
	for {
		retry := filesRetry
		if !s.awaits() {
			seen := make(map[string]bool)
			for _, name := range s.opt.Preload.Top(s.opt.Preload.Names) {
				if d := s.keyOf(&enrich.Query{Subject: enrich.DomainOf(name)}); d != "" && !seen[d] {
					d = strings.Clone(d)
					seen[d] = true
					names = append(names, d)
				}
			}
			retry = listRetry
		}
		if len(names) > 0 {
			return names
		}
		select {
		case <-time.After(retry):
		case <-s.ctx.Done():
			return nil
		}
	}
}

// lanes are the names by the operator who answers for them; those that nobody answers for are in one, too.
func (s *Source) lanes(names []string) map[string]*lane {
	lanes := make(map[string]*lane)
	for _, name := range names {
		who := s.services(enrich.DomainOf(name), name)
		op := ""
		if len(who.RDAP) > 0 || who.Whois.Host != "" {
			op = s.operator(who)
		}
		if lanes[op] == nil {
			lanes[op] = new(lane)
		}
		lanes[op].names = append(lanes[op].names, name)
	}
	return lanes
}

// run looks up the names of one operator, a few at a time.
func (p *preloading) run(l *lane) {
	var wg sync.WaitGroup
	defer wg.Wait()
	few := make(chan struct{}, perOperator)
	for {
		select {
		case few <- struct{}{}:
		case <-p.s.ctx.Done():
			return
		}
		i := p.begin(l)
		if i < 0 {
			return
		}
		wg.Go(func() {
			defer func() { <-few }()
			if ok := p.name(l.names[i]); p.s.ctx.Err() == nil {
				p.end(l, i, ok)
			}
		})
	}
}

// begin is the next name, -1 where there is none.
func (p *preloading) begin(l *lane) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.next == len(l.names) {
		return -1
	}
	l.next++
	l.flying = append(l.flying, l.next-1)
	return l.next - 1
}

func (p *preloading) end(l *lane, i int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.flying = slices.DeleteFunc(l.flying, func(f int) bool { return f == i })
	if p.p.Done++; !ok {
		p.p.Failed++
	}
}

// name looks up one name, again and again while its operator asks to wait, and reports whether it is known then.
func (p *preloading) name(name string) bool {
	for range maxTries {
		if e := p.s.entry(name, p.s.opt.Now()); e != nil && e.isFresh(p.s.opt.Now()) {
			return true
		}
		if !p.turn() {
			return false
		}
		q := &enrich.Query{Subject: enrich.DomainOf(name), Priority: enrich.Background}
		f := p.s.fly(name, q.Subject, enrich.NewAsk(q))
		<-f.done
		<-p.slots
		if f.entry != nil || f.problem == nil || f.problem.kind == enrich.Failed {
			return f.entry != nil
		}
		wait := f.problem.again.Sub(p.s.opt.Now())
		select {
		case <-time.After(min(max(wait, pauseRetry), time.Hour)):
		case <-p.s.ctx.Done():
			return false
		}
	}
	return false
}

// turn waits for the delay, and for a slot. It is false when the source is closed.
func (p *preloading) turn() bool {
	if p.pace != nil {
		select {
		case <-p.pace.C:
		case <-p.s.ctx.Done():
			return false
		}
	}
	select {
	case p.slots <- struct{}{}:
		return true
	case <-p.s.ctx.Done():
		return false
	}
}
