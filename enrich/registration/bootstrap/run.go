package bootstrap

import (
	"context"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"
)

const (
	startWithin = time.Minute // the first refresh where there is something to answer from meanwhile
	backOff     = time.Minute // after the first failure
	leastWait   = time.Second // between two tries
)

// Run refreshes the files in the background until ctx ends: when they are Options.Every old, 10 % more or less, so that many machines
// do not ask at the same time; after a failure with exponential back-off and full jitter, from one minute up to Options.Every.
func (b *Bootstrap) Run(ctx context.Context) {
	if b.opt.URL == "" {
		return
	}
	failures := 0
	for wait := b.firstWait(); ; {
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
		err := b.Refresh(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			failures, wait = 0, spread(b.opt.Every)
			continue
		}
		failures++
		wait = retryAfter(failures, b.opt.Every)
		b.opt.Logger.Warn("registries of RDAP servers not refreshed; the last good ones are used", zap.Error(err), zap.Duration("next", wait))
	}
}

// firstWait is until the oldest file is due. Where there is nothing to answer from, nothing is waited for.
func (b *Bootstrap) firstWait() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	oldest := b.opt.Now()
	for _, h := range b.held {
		if h.registry == nil {
			if b.compiled == nil {
				return 0
			}
			oldest = time.Time{}
		} else if h.checked.Before(oldest) {
			oldest = h.checked
		}
	}
	due := min(oldest.Add(b.opt.Every).Sub(b.opt.Now()), b.opt.Every) // the clock may have been wrong
	if due <= 0 {
		return rand.N(min(startWithin, b.opt.Every))
	}
	return spread(due)
}

// spread is d, 10 % more or less.
func spread(d time.Duration) time.Duration {
	tenth := d / 10
	return max(d-tenth+rand.N(2*tenth+1), leastWait)
}

// retryAfter is how long to wait after so many failures in a row.
func retryAfter(failures int, every time.Duration) time.Duration {
	most := min(backOff, every)
	for range failures - 1 {
		if most = 2 * most; most >= every {
			most = every
			break
		}
	}
	return max(rand.N(most), leastWait)
}
