package natsstore

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// fault is that the buckets cannot be used, until they can: it is logged when it begins and when it ends.
type fault struct {
	mu    sync.Mutex
	up    bool
	since time.Time
	err   string // why not; empty where nobody has tried yet
	told  bool
}

func (f *fault) init() { f.since = time.Now() }

// report notes why the buckets cannot be used.
func (f *fault) report(log *zap.Logger, now time.Time, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.up || f.since.IsZero() {
		f.since = now
	}
	f.up = false
	if err == nil {
		return
	}
	if !f.told {
		log.Warn("the store in NATS is away: names that are known here are answered, new ones are unknown until it is back", zap.Error(err))
		f.told = true
	}
	f.err = err.Error()
}

// clear notes that the buckets can be used.
func (f *fault) clear(log *zap.Logger, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.told {
		log.Info("the store in NATS is back", zap.Duration("after", now.Sub(f.since)))
	}
	f.up, f.since, f.err, f.told = true, now, "", false
}

// text is what is wrong, and since when.
func (f *fault) text() (text string, since time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.up {
		return "", time.Time{}
	}
	if f.err == "" {
		return ErrAway.Error() + ": not connected yet", f.since
	}
	return f.err, f.since
}

// at is since when the buckets can be used, or not.
func (f *fault) at() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.since
}
