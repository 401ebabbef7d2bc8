package update

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
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

// take unpacks what was downloaded, tries it out, and puts it in place.
func (r *round) take(got *os.File, next *state) (Outcome, error) {
	data, err := r.unpack(got, next)
	if err != nil {
		return outcomeOf(err), err
	}
	if data != got {
		defer os.Remove(data.Name())
		defer data.Close()
	}
	setTime(data.Name(), next.Modified)
	if next.Facts, err = r.u.o.Probe(r.ctx, data.Name()); err != nil {
		if r.ctx.Err() == nil {
			err = &RefusedError{err}
		}
		return outcomeOf(err), err
	}
	same := false
	if r.had.SHA256 == "" {
		sum, err := Sum(r.file)
		same = err == nil && sum == next.SHA256
	} else {
		same = r.had.SHA256 == next.SHA256
	}
	if !same {
		if err := r.compare(next.Facts); err != nil {
			return Refused, err
		}
		if err := swap(data.Name(), r.file); err != nil {
			return Failed, err
		}
	}
	return r.done(next, same)
}

func outcomeOf(err error) Outcome {
	var refused *RefusedError
	if errors.As(err, &refused) {
		return Refused
	}
	return Failed
}

// done remembers what is in place now.
func (r *round) done(next *state, same bool) (Outcome, error) {
	next.Checked = time.Now()
	next.Changed = next.Checked
	outcome := Updated
	if same {
		outcome, next.Changed = Unchanged, r.had.Changed
	}
	r.after = next
	if err := next.describe(r.file); err != nil {
		return Failed, err
	}
	if outcome == Updated {
		r.u.log.Info("data updated", zap.String("type", next.Facts.Type), zap.Time("built", next.Facts.Built),
			zap.Int("records", next.Facts.Records), zap.Int64("bytes", next.Size))
	}
	return outcome, next.write(r.file)
}

// unpack is the data file in what was downloaded: that itself, or a new one.
func (r *round) unpack(got *os.File, next *state) (*os.File, error) {
	p := fetch.Packed{Extensions: r.u.o.Extensions, Member: r.u.o.Origin.Member, Limit: r.u.o.Unpacked}
	if r.u.o.Packed {
		_, err := fetch.Unpack(r.ctx, got, p, io.Discard)
		return got, r.mismatch(err)
	}
	data, err := create(r.file)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	if _, err := fetch.Unpack(r.ctx, got, p, io.MultiWriter(data, sum)); err != nil {
		data.Close()
		os.Remove(data.Name())
		return nil, r.mismatch(err)
	}
	next.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return data, nil
}

// mismatch makes a refusal of what cannot be unpacked.
func (r *round) mismatch(err error) error {
	var mismatch *fetch.MismatchError
	if errors.As(err, &mismatch) {
		return &RefusedError{err}
	}
	return err
}

// compare holds new data against those that are there.
func (r *round) compare(now Facts) error {
	least := max(r.u.o.Origin.Least, 1)
	if r.how.Force {
		least = 1
	}
	if now.Records < least {
		return refused("it has %d records, of which there should be %d at least", now.Records, least)
	}
	if r.how.Force {
		return nil
	}
	before := r.had.Facts
	if r.had.SHA256 == "" {
		var err error
		if before, err = r.u.o.Probe(r.ctx, r.file); err != nil {
			return nil // what is there does not serve, or nothing is there
		}
	}
	switch {
	case !now.Built.IsZero() && now.Built.Before(before.Built):
		return refused("it was built %s, and what is there %s", now.Built.UTC().Format(time.RFC3339), before.Built.UTC().Format(time.RFC3339))
	case now.Records < (before.Records+1)/2:
		return refused("it has %d records, less than half of the %d that are there", now.Records, before.Records)
	}
	return nil
}

// setTime gives a file the time that the server says it was changed at.
func setTime(name, modified string) {
	if at, err := http.ParseTime(modified); err == nil && at.Before(time.Now()) {
		_ = os.Chtimes(name, at, at) // else it has the time it was written
	}
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

// clean is err without what must not be shown.
func (r *round) clean(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, t := range r.tries {
		for _, secret := range t.secrets {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	if text == err.Error() {
		return err
	}
	return &cleaned{text, err}
}

// cleaned is an error with another text.
type cleaned struct {
	text string
	err  error
}

func (c *cleaned) Error() string { return c.text }

// Unwrap is for errors.As alone: the text of what it returns may have a secret in it.
func (c *cleaned) Unwrap() error { return c.err }
