package registration

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"iter"
	"maps"
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

// Progress is how far the preloading has come.
type Progress struct {
	Names    int       `json:"names"`             // in the list, one for each registration
	Done     int       `json:"done"`              // of them looked up, or found in the cache
	Failed   int       `json:"failed"`            // of those done, what could not be had
	Resumed  int       `json:"resumed,omitempty"` // of those done, by a process before this one
	Started  time.Time `json:"started,omitzero"`  // by this process
	Finished time.Time `json:"finished,omitzero"` // zero while it goes on
}

// The preloader's measures.
const (
	perOperator  = 4   // lookups that wait at one operator: they are not to be in the way of anybody's
	mostAtOnce   = 256 // lookups under way
	saveProgress = 5 * time.Second
	logProgress  = time.Minute
	listRetry    = 10 * time.Second
	maxTries     = 10 // of a name whose operator asks to wait
)

// preloading is the preloader's state.
type preloading struct {
	s     *Source
	key   string // of the list in the store
	mu    sync.Mutex
	p     Progress
	done  map[string]int // how many of the names of each operator, in their order
	slots chan struct{}
	pace  *time.Ticker
}

// preload looks up the most popular names, each operator's one after the other and all operators at the same time. A process that
// was stopped in the middle goes on where it was, as long as what it had is fresh.
func (s *Source) preload() {
	names := s.topNames()
	if len(names) == 0 {
		return
	}
	l := &preloading{s: s, key: signature(names), done: make(map[string]int), slots: make(chan struct{}, mostAtOnce)}
	if s.opt.Preload.Delay > 0 {
		l.pace = time.NewTicker(s.opt.Preload.Delay)
		defer l.pace.Stop()
	}
	l.resume()
	l.p.Names, l.p.Started = len(names), s.opt.Now().UTC()
	queues := s.byOperator(names)
	from := make(map[string]int, len(queues))
	for op, queue := range queues {
		if n := l.done[op]; n < len(queue) { // the last few were under way at the same time
			l.done[op] = max(n-perOperator, 0)
		} else {
			l.done[op] = len(queue)
		}
		from[op] = l.done[op]
		l.p.Done += from[op]
	}
	l.p.Resumed = l.p.Done
	l.publish()
	s.log.Load().Info("preloading", zap.Int("names", l.p.Names), zap.Int("resumed", l.p.Resumed), zap.Int("operators", len(queues)))
	reporting, stop := context.WithCancel(s.ctx)
	var reporter, workers sync.WaitGroup
	reporter.Go(func() { l.report(reporting) })
	for op, queue := range queues {
		workers.Go(func() { l.operator(op, queue, from[op]) })
	}
	workers.Wait()
	stop()
	reporter.Wait()
	l.finish()
}

// topNames are the registrable names of the list, once each, in its order. It waits for the list to be there.
func (s *Source) topNames() (names []string) {
	for {
		seen := make(map[string]bool)
		for _, name := range s.opt.Preload.Top(s.opt.Preload.Names) {
			if d := enrich.DomainOf(name).Registrable(); d != "" && !seen[d] {
				seen[d] = true
				names = append(names, strings.Clone(d))
			}
		}
		if len(names) > 0 {
			return names
		}
		select {
		case <-time.After(listRetry):
		case <-s.ctx.Done():
			return nil
		}
	}
}

func signature(names []string) string {
	h := sha256.New()
	for _, n := range names {
		h.Write(append([]byte(n), '\n'))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// byOperator are the names that each operator answers for. What nobody answers for is left out.
func (s *Source) byOperator(names []string) map[string][]string {
	queues := make(map[string][]string)
	for _, name := range names {
		who := s.services(enrich.DomainOf(name), name)
		op := ""
		if len(who.RDAP) > 0 || who.Whois.Host != "" {
			op = s.operator(who)
		}
		queues[op] = append(queues[op], name)
	}
	return queues
}

// operator looks up the names of one operator from the given one on, a few at a time.
func (l *preloading) operator(op string, names []string, from int) {
	var wg sync.WaitGroup
	defer wg.Wait()
	few := make(chan struct{}, perOperator)
	for _, name := range names[from:] {
		select {
		case few <- struct{}{}:
		case <-l.s.ctx.Done():
			return
		}
		wg.Go(func() {
			ok := l.name(name)
			if <-few; l.s.ctx.Err() == nil {
				l.count(op, ok)
			}
		})
	}
}

// name looks up one name, again and again while its operator asks to wait, and reports whether it is known then.
func (l *preloading) name(name string) bool {
	for range maxTries {
		if e := l.s.entry(name, l.s.opt.Now()); e != nil && e.isFresh(l.s.opt.Now()) {
			return true
		}
		if !l.turn() {
			return false
		}
		q := &enrich.Query{Subject: enrich.DomainOf(name), Priority: enrich.Background}
		f := l.s.fly(name, q.Subject, enrich.NewAsk(q))
		<-f.done
		<-l.slots
		if f.entry != nil || f.problem == nil || f.problem.kind == enrich.Failed {
			return f.entry != nil
		}
		wait := f.problem.again.Sub(l.s.opt.Now())
		select {
		case <-time.After(min(max(wait, logProgress), time.Hour)):
		case <-l.s.ctx.Done():
			return false
		}
	}
	return false
}

// turn waits for the delay, and for a slot. It is false when the source is closed.
func (l *preloading) turn() bool {
	if l.pace != nil {
		select {
		case <-l.pace.C:
		case <-l.s.ctx.Done():
			return false
		}
	}
	select {
	case l.slots <- struct{}{}:
		return true
	case <-l.s.ctx.Done():
		return false
	}
}

func (l *preloading) count(op string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done[op]++
	if l.p.Done++; !ok {
		l.p.Failed++
	}
}

// publish shows the progress in the status.
func (l *preloading) publish() Progress {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.p
	l.s.progress.Store(&p)
	return p
}

// report shows, logs and keeps the progress until ctx ends.
func (l *preloading) report(ctx context.Context) {
	save, log := time.NewTicker(saveProgress), time.NewTicker(logProgress)
	defer save.Stop()
	defer log.Stop()
	for {
		select {
		case <-save.C:
			l.publish()
			l.save()
		case <-log.C:
			p := l.publish()
			l.s.log.Load().Info("preloading", zap.Int("done", p.Done), zap.Int("failed", p.Failed), zap.Int("names", p.Names),
				zap.Duration("left", l.left(&p)))
		case <-ctx.Done():
			return
		}
	}
}

// left is how long the rest takes at the speed so far.
func (l *preloading) left(p *Progress) time.Duration {
	here := p.Done - p.Resumed
	if here == 0 {
		return 0
	}
	return (l.s.opt.Now().Sub(p.Started) * time.Duration(p.Names-p.Done) / time.Duration(here)).Round(time.Second)
}

// saved is what is kept of the progress.
type saved struct {
	Done   map[string]int `json:"done"`
	Failed int            `json:"failed"`
}

func (l *preloading) save() {
	if l.s.opt.Cache == nil {
		return
	}
	l.mu.Lock()
	b, err := json.Marshal(saved{maps.Clone(l.done), l.p.Failed})
	l.mu.Unlock()
	if err == nil {
		l.s.opt.Cache.Put(l.s.opt.Bucket+bucketState, "preload "+l.key, b, l.s.opt.Now().Add(max(l.s.opt.TTL, time.Hour)))
	}
}

// resume takes what a process before this one has done of the same list.
func (l *preloading) resume() {
	if l.s.opt.Cache == nil {
		return
	}
	var was saved
	if b, _, ok := l.s.opt.Cache.Get(l.s.opt.Bucket+bucketState, "preload "+l.key); ok && json.Unmarshal(b, &was) == nil && was.Done != nil {
		l.done, l.p.Failed = was.Done, was.Failed
	}
}

// finish says that it is done, or how far it came.
func (l *preloading) finish() {
	if l.s.ctx.Err() != nil {
		l.save()
		return
	}
	l.mu.Lock()
	l.p.Finished = l.s.opt.Now().UTC()
	l.mu.Unlock()
	l.save()
	p := l.publish()
	l.s.log.Load().Info("preloaded", zap.Int("names", p.Names), zap.Int("failed", p.Failed),
		zap.Duration("took", p.Finished.Sub(p.Started)), zap.Strings("operators", slices.Sorted(maps.Keys(l.done))[:min(len(l.done), 10)]))
}
