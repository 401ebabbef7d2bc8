package update

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/internal/fetch"
)

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
