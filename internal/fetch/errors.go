package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// StatusError is a server's refusal.
type StatusError struct {
	Code       int           // of HTTP
	RetryAfter time.Duration // how long the server wants to be left alone, 0 where it does not say (RFC 9110 §10.2.3)
}

func (e *StatusError) Error() string {
	s := fmt.Sprintf("the server answers %d %s", e.Code, http.StatusText(e.Code))
	switch {
	case e.Code == http.StatusUnauthorized, e.Code == http.StatusForbidden:
		s += ": are the token, or the account and its key, right?"
	case e.RetryAfter > 0:
		s += fmt.Sprintf(", and asks to come back in %v", e.RetryAfter)
	}
	return s
}

// Missing reports that the server has no such file.
func (e *StatusError) Missing() bool {
	return e.Code == http.StatusNotFound || e.Code == http.StatusGone
}

// MismatchError is a download that is not what it should be.
type MismatchError struct{ Why string }

func (e *MismatchError) Error() string { return e.Why }

// maxRetryAfter is the longest that a server is believed to want.
const maxRetryAfter = 7 * 24 * time.Hour

func statusError(resp *http.Response, now time.Time) *StatusError {
	e := &StatusError{Code: resp.StatusCode}
	after := resp.Header.Get("Retry-After")
	if s, err := strconv.ParseUint(after, 10, 31); err == nil {
		e.RetryAfter = time.Duration(s) * time.Second
	} else if at, err := http.ParseTime(after); err == nil {
		e.RetryAfter = at.Sub(now).Round(time.Second)
	}
	e.RetryAfter = max(0, min(e.RetryAfter, maxRetryAfter))
	return e
}

func tooLarge(limit int64) error {
	return &MismatchError{fmt.Sprintf("it has more than %d bytes", limit)}
}

// idleError is what ends a download that stands still.
type idleError time.Duration

func errIdle(d time.Duration) error { return idleError(d) }

func (e idleError) Error() string {
	return fmt.Sprintf("the server sent nothing for %v", time.Duration(e))
}

// Timeout is net.Error's.
func (e idleError) Timeout() bool { return true }

// reason is err, or what ended ctx, without the URL that net/http puts into its errors.
func reason(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, context.DeadlineExceeded) {
			return errors.New("it takes too long")
		}
		return cause
	}
	for u := (*url.Error)(nil); errors.As(err, &u); {
		err = u.Err
	}
	return err
}
