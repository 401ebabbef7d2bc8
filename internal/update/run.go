package update

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"

	"github.com/whence-project/whence/internal/fetch"
)

const (
	startWithin = time.Minute // the first check where there is a file of which it is not known how old it is, or that is overdue
	firstWithin = time.Second // and where there is none
	backOff     = time.Minute // after the first failure
)

// Run asks the origin from time to time until ctx ends: at once where there is no file, and then when it was last asked Options.Every
// ago, 10 % more or less, so that many machines do not ask at the same time. After a failure it asks again after about a minute, and
// after ever longer times up to Options.Every, but not before the server says.
func (u *Updater) Run(ctx context.Context) {
	defer u.next(time.Time{})
	failures := u.backOff()
	known, wait := u.first()
	for sleep(ctx, u, wait) {
		outcome, err := u.check(ctx, How{scheduled: true, since: known})
		if ctx.Err() != nil {
			return
		}
		s := readState(u.file())
		known = s.Checked
		switch {
		case outcome == Elsewhere:
			wait = u.due(s)
		case err == nil:
			failures.Reset()
			wait = u.spread(u.o.Every)
		default:
			wait = max(failures.NextBackOff(), retryAfter(err))
			u.log.Warn("data not updated; what is there serves on", zap.Error(err), zap.Duration("next", wait))
		}
	}
}

// sleep is false when ctx has ended.
func sleep(ctx context.Context, u *Updater, wait time.Duration) bool {
	u.next(time.Now().Add(wait))
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (u *Updater) backOff() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.Multiplier, b.MaxInterval = min(backOff, u.o.Every), 2, u.o.Every
	b.Reset()
	return b
}

// first is when the origin was last asked, as far as that is known, and how long to wait before it is asked now.
func (u *Updater) first() (known time.Time, wait time.Duration) {
	file := u.file()
	s := readState(file)
	wait = u.due(s)
	if _, err := os.Stat(file); err != nil {
		wait = rand.N(min(firstWithin, u.o.Every))
	}
	if slices.Contains(u.o.Origin.keys(time.Now()), s.Leave.Key) {
		wait = max(wait, time.Until(s.Leave.Until))
	}
	return s.Checked, wait
}

// due is until the file with state s is due.
func (u *Updater) due(s *state) time.Duration {
	due := min(time.Until(s.Checked.Add(u.o.Every)), u.o.Every) // the clock may have been wrong
	if s.Checked.IsZero() || due <= 0 {
		return rand.N(min(startWithin, u.o.Every))
	}
	return u.spread(due)
}

// spread is d, 10 % of Options.Every more or less.
func (u *Updater) spread(d time.Duration) time.Duration {
	tenth := u.o.Every / 10
	return max(0, d-tenth+rand.N(2*tenth+1))
}

// retryAfter is how long the server wants to be left alone.
func retryAfter(err error) time.Duration {
	var status *fetch.StatusError
	if errors.As(err, &status) {
		return status.RetryAfter
	}
	return 0
}
