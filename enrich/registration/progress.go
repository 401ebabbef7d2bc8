package registration

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"go.uber.org/zap"
)

// Progress is how far the preloading has come.
type Progress struct {
	Names    int       `json:"names"`             // in the list, one for each registration
	Done     int       `json:"done"`              // of them looked up, or found in the cache
	Failed   int       `json:"failed"`            // of those done, what could not be had
	Resumed  int       `json:"resumed,omitempty"` // of those done, by a process before this one
	Started  time.Time `json:"started,omitzero"`  // by this process
	Finished time.Time `json:"finished,omitzero"` // zero while it goes on
}

const (
	saveProgress = 5 * time.Second
	logProgress  = time.Minute
)

// saved is what is kept of the progress.
type saved struct {
	Done   map[string]int `json:"done"` // by operator
	Failed int            `json:"failed"`
}

// signature tells lists apart: the progress of one is none of another's.
func signature(names []string) string {
	h := sha256.New()
	for _, n := range names {
		h.Write(append([]byte(n), '\n'))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// publish shows the progress in the status.
func (p *preloading) publish() Progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.p
	p.s.progress.Store(&now)
	return now
}

// report shows, logs and keeps the progress until ctx ends.
func (p *preloading) report(ctx context.Context) {
	save, log := time.NewTicker(saveProgress), time.NewTicker(logProgress)
	defer save.Stop()
	defer log.Stop()
	for {
		select {
		case <-save.C:
			p.publish()
			p.save()
		case <-log.C:
			now := p.publish()
			p.s.log.Load().Info("preloading", zap.Int("done", now.Done), zap.Int("failed", now.Failed), zap.Int("names", now.Names),
				zap.Duration("left", p.left(&now)))
		case <-ctx.Done():
			return
		}
	}
}

// left is how long the rest takes at the speed so far.
func (p *preloading) left(now *Progress) time.Duration {
	here := now.Done - now.Resumed
	if here <= 0 {
		return 0
	}
	return (p.s.opt.Now().Sub(now.Started) * time.Duration(now.Names-now.Done) / time.Duration(here)).Round(time.Second)
}

// save keeps how far each operator's names are done, as long as the first of them stay fresh.
func (p *preloading) save() {
	if p.s.opt.Cache == nil {
		return
	}
	p.mu.Lock()
	now := saved{make(map[string]int, len(p.lanes)), p.p.Failed}
	for op, l := range p.lanes {
		now.Done[op] = l.done()
	}
	p.mu.Unlock()
	if b, err := json.Marshal(now); err == nil {
		p.s.opt.Cache.Put(p.s.opt.Bucket+bucketState, "preload "+p.key, b, p.s.opt.Now().Add(max(p.s.opt.TTL, time.Hour)))
	}
}

// resume goes on where a process before this one was with the same list.
func (p *preloading) resume() {
	if p.s.opt.Cache == nil {
		return
	}
	var was saved
	b, _, ok := p.s.opt.Cache.Get(p.s.opt.Bucket+bucketState, "preload "+p.key)
	if !ok || json.Unmarshal(b, &was) != nil {
		return
	}
	for op, l := range p.lanes {
		l.next = min(max(was.Done[op], 0), len(l.names))
		p.p.Done += l.next
	}
	p.p.Resumed, p.p.Failed = p.p.Done, was.Failed
}

// finish says that it is done, or how far it came.
func (p *preloading) finish() {
	if p.s.ctx.Err() != nil {
		p.save()
		return
	}
	p.mu.Lock()
	p.p.Finished = p.s.opt.Now().UTC()
	p.mu.Unlock()
	p.save()
	now := p.publish()
	p.s.log.Load().Info("preloaded", zap.Int("names", now.Names), zap.Int("failed", now.Failed),
		zap.Duration("took", now.Finished.Sub(now.Started)))
}
