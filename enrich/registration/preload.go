package registration

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
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

// ErrPreloading is that a preload is under way already.
var ErrPreloading = errors.New("a preload is under way already")

// ErrClosed is that the source is closed.
var ErrClosed = errors.New("the source is closed")

// StartPreload begins to look names up that nobody asks for yet, beside what runs; see [Source.Preloading] for how far it is. There is
// one at a time: [ErrPreloading]. One with the names of an earlier one goes on where that was, as long as what it had is fresh. It
// ends when the source is closed.
func (s *Source) StartPreload(want Preload) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.startPreload(want)
}

// startPreload is StartPreload with the lock held.
func (s *Source) startPreload(want Preload) error {
	if old := s.preloading.Load(); old != nil && !old.over() {
		return ErrPreloading
	}
	p := &preloading{s: s, want: want, slots: make(chan struct{}, mostAtOnce), ended: make(chan struct{})}
	p.p = Progress{State: PreloadWaiting, Started: s.opt.Now().UTC()}
	p.ctx, p.stop = context.WithCancel(s.ctx)
	if !s.spawn(p.preload) {
		return ErrClosed
	}
	s.preloading.Store(p)
	return nil
}

// StopPreload ends the preload that is under way, and reports whether there is one. What it is asking already is still taken in.
func (s *Source) StopPreload() bool {
	p := s.preloading.Load()
	if p == nil || p.over() {
		return false
	}
	p.stop()
	<-p.ended
	return true
}

// Preloading is how far the preload has come, the last one if none is under way; nil where there was none.
func (s *Source) Preloading() *Progress {
	p := s.preloading.Load()
	if p == nil {
		return nil
	}
	now := p.progress()
	return &now
}

// preloading is a preload.
type preloading struct {
	s     *Source
	want  Preload
	key   string // of the list in the store
	slots chan struct{}
	pace  *time.Ticker
	ctx   context.Context // ends when it is stopped, or the source closed
	stop  context.CancelFunc

	ended chan struct{} // closed when it is over
	// What was done of it has been forgotten since, so that no other is to go on where it was.
	unsaved atomic.Bool

	mu    sync.Mutex
	p     Progress
	lanes map[string]*lane // nil until the names are known
}

// over reports that nothing more is begun.
func (p *preloading) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
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

// preload looks up the names, each operator's one after the other and all operators at the same time. A process that was stopped
// in the middle goes on where it was, as long as what it had is fresh.
func (p *preloading) preload() {
	defer p.finish()
	names := p.s.topNames(p.ctx, p.want)
	if len(names) == 0 {
		return
	}
	if p.want.Delay > 0 {
		p.pace = time.NewTicker(p.want.Delay)
		defer p.pace.Stop()
	}
	p.begun(names)
	reporting, stop := context.WithCancel(p.ctx)
	var reporter, workers sync.WaitGroup
	reporter.Go(func() { p.report(reporting) })
	for _, l := range p.lanes {
		workers.Go(func() { p.run(l) })
	}
	workers.Wait()
	stop()
	reporter.Wait()
}

// begun says that the names are known.
func (p *preloading) begun(names []string) {
	lanes := p.s.lanes(names)
	p.mu.Lock()
	p.key, p.lanes = signature(names), lanes
	p.p.State, p.p.Names, p.p.Started = PreloadRunning, len(names), p.s.opt.Now().UTC()
	p.resume()
	now := p.p
	p.mu.Unlock()
	p.s.log.Load().Info("preloading", zap.Int("names", now.Names), zap.Int("resumed", now.Resumed), zap.Int("operators", len(lanes)))
}

// lanes are the names by the operator who answers for them; those that nobody answers for are in one, too.
func (s *Source) lanes(names []string) map[string]*lane {
	lanes := make(map[string]*lane)
	for _, name := range names {
		op := s.operatorOf(name)
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
		case <-p.ctx.Done():
			return
		}
		i := p.begin(l)
		if i < 0 {
			return
		}
		wg.Go(func() {
			defer func() { <-few }()
			if ok := p.name(l.names[i]); p.ctx.Err() == nil {
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
		select {
		case <-f.done:
			<-p.slots
		case <-p.ctx.Done(): // the lookup goes on
			return false
		}
		if f.entry != nil || f.problem == nil || f.problem.kind == enrich.Failed {
			return f.entry != nil
		}
		wait := f.problem.again.Sub(p.s.opt.Now())
		select {
		case <-time.After(min(max(wait, pauseRetry), time.Hour)):
		case <-p.ctx.Done():
			return false
		}
	}
	return false
}

// turn waits for the delay, and for a slot. It is false when the preload is stopped.
func (p *preloading) turn() bool {
	if p.pace != nil {
		select {
		case <-p.pace.C:
		case <-p.ctx.Done():
			return false
		}
	}
	select {
	case p.slots <- struct{}{}:
		return true
	case <-p.ctx.Done():
		return false
	}
}
