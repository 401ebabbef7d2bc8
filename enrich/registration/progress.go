package registration

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"time"

	"go.uber.org/zap"
)

// What a preload is doing.
const (
	PreloadWaiting  = "waiting"  // for the list of names, or until it is known who answers for them
	PreloadRunning  = "running"  // names are looked up
	PreloadFinished = "finished" // all have been
	PreloadStopped  = "stopped"  // it was ended before that
)

// Progress is how far a preload has come.
type Progress struct {
	State    string    `json:"state"`             // waiting, running, finished or stopped
	Names    int       `json:"names"`             // in the list, one for each registration
	Done     int       `json:"done"`              // of them looked up, or found in the cache
	Failed   int       `json:"failed"`            // of those done, what could not be had
	Resumed  int       `json:"resumed,omitempty"` // of those done, by an earlier preload of the same names
	Rate     float64   `json:"rate,omitempty"`    // names a second since the beginning, those resumed aside; while it runs
	Left     float64   `json:"left,omitempty"`    // seconds that the rest takes at that rate; while it runs
	Started  time.Time `json:"started,omitzero"`
	Finished time.Time `json:"finished,omitzero"` // zero while it goes on, and where it was stopped
}

// preloadKey begins the keys of the progress in the store.
const preloadKey = "preload "

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

// progress is how far it is now.
func (p *preloading) progress() Progress {
	p.mu.Lock()
	now := p.p
	p.mu.Unlock()
	now.reckon(p.s.opt.Now())
	return now
}

// reckon works out the rate, and what is left of the time, while it runs.
func (p *Progress) reckon(now time.Time) {
	took := now.Sub(p.Started).Seconds()
	if p.State != PreloadRunning || took <= 0 {
		return
	}
	if p.Rate = float64(p.Done-p.Resumed) / took; p.Rate > 0 {
		p.Left = math.Ceil(float64(p.Names-p.Done) / p.Rate)
	}
	p.Rate = math.Round(p.Rate*10) / 10
}

// report logs and keeps the progress until ctx ends.
func (p *preloading) report(ctx context.Context) {
	save, log := time.NewTicker(saveProgress), time.NewTicker(logProgress)
	defer save.Stop()
	defer log.Stop()
	for {
		select {
		case <-save.C:
			p.save()
		case <-log.C:
			now := p.progress()
			p.s.log.Load().Info("preloading", zap.Int("done", now.Done), zap.Int("failed", now.Failed), zap.Int("names", now.Names),
				zap.Duration("left", time.Duration(now.Left)*time.Second))
		case <-ctx.Done():
			return
		}
	}
}

// save keeps how far each operator's names are done, as long as the first of them stay fresh.
func (p *preloading) save() {
	if p.s.opt.Cache == nil || p.unsaved.Load() {
		return
	}
	p.mu.Lock()
	now := saved{make(map[string]int, len(p.lanes)), p.p.Failed}
	for op, l := range p.lanes {
		now.Done[op] = l.done()
	}
	p.mu.Unlock()
	if b, err := json.Marshal(now); err == nil {
		p.s.opt.Cache.Put(p.s.opt.Bucket+bucketState, preloadKey+p.key, b, p.s.opt.Now().Add(max(p.s.opt.TTL, time.Hour)))
	}
}

// resume goes on where an earlier preload was with the same list. The lock is held.
func (p *preloading) resume() {
	if p.s.opt.Cache == nil {
		return
	}
	var was saved
	b, _, ok := p.s.opt.Cache.Get(p.s.opt.Bucket+bucketState, preloadKey+p.key)
	if !ok || json.Unmarshal(b, &was) != nil {
		return
	}
	for op, l := range p.lanes {
		l.next = min(max(was.Done[op], 0), len(l.names))
		p.p.Done += l.next
	}
	p.p.Resumed, p.p.Failed = p.p.Done, was.Failed
}

// finish says that it is over, and how far it came.
func (p *preloading) finish() {
	p.stop()
	p.mu.Lock()
	known := p.lanes != nil
	if p.p.State = PreloadStopped; known && p.p.Done == p.p.Names {
		p.p.State, p.p.Finished = PreloadFinished, p.s.opt.Now().UTC()
	}
	now := p.p
	p.mu.Unlock()
	if known {
		p.save()
	}
	close(p.ended)
	if now.State == PreloadStopped {
		p.s.log.Load().Info("preloading stopped", zap.Int("done", now.Done), zap.Int("failed", now.Failed), zap.Int("names", now.Names))
		return
	}
	p.s.log.Load().Info("preloaded", zap.Int("names", now.Names), zap.Int("failed", now.Failed),
		zap.Duration("took", now.Finished.Sub(now.Started)))
}
