package update

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/internal/fetch"
)

// How is how a check is made.
type How struct {
	// Force has data taken that are older, or far fewer, than those that are there, and what is there downloaded again.
	Force bool
	// Progress, if not nil, hears how many bytes came, and how many there will be, -1 where that is not known.
	Progress func(done, total int64)
	// scheduled has the check do nothing where another process made one after since, which is what the schedule was made by.
	scheduled bool
	since     time.Time
}

// Check asks the origin now whether it has newer data, and puts them in place if it has. One check is made at a time; another one
// waits for it. The error is a [*RefusedError] where data came that must not serve, and shows no secret.
func (u *Updater) Check(ctx context.Context, how How) (Outcome, error) {
	outcome, err := u.check(ctx, how)
	if err != nil && ctx.Err() == nil {
		u.log.Warn("data not updated; what is there serves on", zap.Error(err))
	}
	return outcome, err
}

func (u *Updater) check(ctx context.Context, how How) (Outcome, error) {
	select {
	case <-u.checking:
		defer func() { u.checking <- struct{}{} }()
	case <-ctx.Done():
		return Failed, context.Cause(ctx)
	}
	within, cancel := context.WithTimeout(ctx, u.o.Timeout)
	defer cancel()
	r := &round{u: u, ctx: within, file: u.file(), how: how}
	outcome, err := r.run()
	if ctx.Err() != nil {
		return Failed, context.Cause(ctx) // nothing is wrong with the data, or with who has them
	}
	err = r.clean(err)
	u.note(r.after, err)
	u.o.Observe(outcome, err)
	return outcome, err
}

// round is one check.
type round struct {
	u     *Updater
	ctx   context.Context
	how   How
	file  string
	had   *state
	after *state // what is remembered now; nil where that is not known
	tries []try
}

func (r *round) run() (Outcome, error) {
	if err := os.MkdirAll(filepath.Dir(r.file), 0o755); err != nil {
		return Failed, err
	}
	unlock, err := r.lock()
	if err != nil {
		return Failed, err
	}
	defer unlock()
	r.had = readState(r.file)
	r.after = r.had
	if r.how.scheduled && r.had.Checked.After(r.how.since) {
		return Elsewhere, nil
	}
	sweep(r.file, time.Now())
	if r.tries, err = r.u.o.Origin.tries(time.Now(), r.u.o.Expand); err != nil {
		return Failed, err
	}
	for i, t := range r.tries {
		outcome, err := r.ask(t)
		if missing(err) && i+1 < len(r.tries) {
			continue // today's is not there yet
		}
		r.remember(t, err)
		return outcome, err
	}
	return Failed, errors.New("there is nothing to ask for")
}

// missing reports whether the server has no such file. Some that have files by date say 403 of one that is not there.
func missing(err error) bool {
	var status *fetch.StatusError
	return errors.As(err, &status) && (status.Missing() || status.Code == http.StatusForbidden)
}

// lock waits until no other process is updating the file. A lock that is out of order keeps nobody from doing so: it is there to
// spare the origin.
func (r *round) lock() (unlock func(), err error) {
	l := r.u.o.Locker
	if l == nil {
		return func() {}, nil
	}
	sum := sha256.Sum256([]byte(r.file))
	name := "whence_update_" + hex.EncodeToString(sum[:8])
	if err := l.Lock(r.ctx, name); err != nil {
		if r.ctx.Err() != nil {
			return nil, errors.New("another process has been updating it for too long")
		}
		r.u.log.Warn("updating without the lock of the storage", zap.Error(err))
		return func() {}, nil
	}
	return func() { _ = l.Unlock(context.WithoutCancel(r.ctx), name) }, nil
}

// ask asks for one file of the origin.
func (r *round) ask(t try) (Outcome, error) {
	known := r.had.SHA256 != "" && r.had.Key == t.key && !r.how.Force
	want, err := r.sum(t)
	if err != nil {
		return Failed, fmt.Errorf("the checksum: %w", err)
	}
	if known && want != "" && want == r.had.Download {
		return r.current()
	}
	got, err := create(r.file)
	if err != nil {
		return Failed, err
	}
	defer os.Remove(got.Name())
	defer got.Close()
	req := fetch.Request{URL: t.url, Header: t.header, Limit: r.u.o.Limit, Progress: r.how.Progress}
	if known && want == "" {
		req.ETag, req.Modified = r.had.ETag, r.had.Modified
	}
	resp, err := r.u.o.Client.Get(r.ctx, req, got)
	var mismatch *fetch.MismatchError
	switch {
	case errors.As(err, &mismatch):
		return Refused, &RefusedError{err}
	case err != nil:
		return Failed, err
	case resp.NotModified:
		return r.current()
	case want != "" && want != resp.SHA256:
		return Refused, refused("its SHA-256 is %s, not %s as it should be", resp.SHA256, want)
	}
	next := &state{Key: t.key, ETag: resp.ETag, Modified: resp.Modified, Download: resp.SHA256, SHA256: resp.SHA256}
	return r.take(got, next)
}

// sum is the SHA-256 that the download must have, empty where none is offered.
func (r *round) sum(t try) (string, error) {
	if t.sum == "" || fetch.IsSum(t.sum) {
		return t.sum, nil
	}
	req := fetch.Request{URL: t.sum}
	if t.sumToo {
		req.Header = t.header
	}
	return r.u.o.Client.Sum(r.ctx, req, t.name)
}

// current notes that what is there is what the origin has.
func (r *round) current() (Outcome, error) {
	s := *r.had
	s.Checked, s.Leave = time.Now(), leave{}
	r.after = &s
	return Unchanged, s.write(r.file)
}

// remember keeps until when the server wants to be left alone.
func (r *round) remember(t try, err error) {
	var status *fetch.StatusError
	if errors.As(err, &status) && status.RetryAfter > 0 {
		s := *r.had
		s.Leave = leave{t.key, time.Now().Add(status.RetryAfter)}
		r.after = &s
		_ = s.write(r.file) // the next process asks too early then
	}
}
