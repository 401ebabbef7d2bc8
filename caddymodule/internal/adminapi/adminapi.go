// Package adminapi is what the routes of Whence in Caddy's admin API have in common: methods, queries, answers and errors.
package adminapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// Methods are a route's handlers by method. One for GET is asked for HEAD too; OPTIONS is answered, other methods are refused.
type Methods map[string]caddy.AdminHandlerFunc

// ServeHTTP implements [caddy.AdminHandler].
func (m Methods) ServeHTTP(w http.ResponseWriter, r *http.Request) error {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if h, ok := m[method]; ok {
		return h(w, r)
	}
	allowed := []string{http.MethodOptions}
	for method := range m {
		if allowed = append(allowed, method); method == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	slices.Sort(allowed)
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	if method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return Failf(http.StatusMethodNotAllowed, "this route takes %s", strings.Join(allowed, ", "))
}

// Fail is an error with its status code, as Caddy answers it: {"error":"…"}.
func Fail(status int, err error) error { return caddy.APIError{HTTPStatus: status, Err: err} }

// Failf is Fail with a text.
func Failf(status int, format string, args ...any) error {
	return Fail(status, fmt.Errorf(format, args...))
}

// Reply answers with v as JSON.
func Reply(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // who has gone need not be told
	return nil
}

// Patient takes away the time limit that Caddy sets on requests to the admin API, which would also end the request's context.
func Patient(w http.ResponseWriter) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{})
	_ = c.SetWriteDeadline(time.Time{})
}

// Query is what stands behind the question mark of a request.
type Query struct{ url.Values }

// QueryOf reads it, and refuses what is not known: a slip must not change what is done.
func QueryOf(r *http.Request, known ...string) (Query, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return Query{}, Fail(http.StatusBadRequest, err)
	}
	for name := range values {
		if !slices.Contains(known, name) {
			if len(known) == 0 {
				return Query{}, Failf(http.StatusBadRequest, "%q: this route has no parameters", name)
			}
			return Query{}, Failf(http.StatusBadRequest, "no parameter is named %q; there are: %s", name, strings.Join(known, ", "))
		}
	}
	return Query{values}, nil
}

// Bool is a switch: true for "true", "1" or nothing behind the name; false where it is absent.
func (q Query) Bool(name string) (bool, error) {
	if !q.Has(name) {
		return false, nil
	}
	text := q.Get(name)
	if text == "" {
		return true, nil
	}
	on, err := strconv.ParseBool(text)
	if err != nil {
		return false, Failf(http.StatusBadRequest, "%s=%s: neither true nor false", name, text)
	}
	return on, nil
}

// Duration is a time from 0 up to most (0: of any length), with the units of a Caddyfile; absent stands for where it is absent.
func (q Query) Duration(name string, absent, most time.Duration) (time.Duration, error) {
	if !q.Has(name) {
		return absent, nil
	}
	d, err := caddy.ParseDuration(q.Get(name))
	switch {
	case err != nil || d < 0:
		return 0, Failf(http.StatusBadRequest, "%s=%s: want a duration, as in 2s or 30d", name, q.Get(name))
	case most > 0 && d > most:
		return 0, Failf(http.StatusBadRequest, "%s=%s: want at most %s", name, q.Get(name), most)
	}
	return d, nil
}

// Count is a whole number from 1 to most, 0 where it is absent.
func (q Query) Count(name string, most int) (int, error) {
	if !q.Has(name) {
		return 0, nil
	}
	n, err := strconv.Atoi(q.Get(name))
	if err != nil || n < 1 || n > most {
		return 0, Failf(http.StatusBadRequest, "%s=%s: want a number from 1 to %d", name, q.Get(name), most)
	}
	return n, nil
}

// What is what a request is to forget: names, or what begins with a prefix, or all.
type What struct {
	Names  []string
	Prefix string // empty: all
}

// What reads "name", which may be repeated, "prefix" or "all=true": one of them must be there, so that nothing is lost by a slip.
func (q Query) What() (w What, err error) {
	all, err := q.Bool("all")
	if err != nil {
		return w, err
	}
	w.Names, w.Prefix = q.Values["name"], q.Get("prefix")
	given := 0
	for _, is := range []bool{all, len(w.Names) > 0, w.Prefix != ""} {
		if is {
			given++
		}
	}
	if given != 1 || slices.Contains(w.Names, "") || q.Has("prefix") && w.Prefix == "" || len(q.Values["prefix"]) > 1 {
		return w, Fail(http.StatusBadRequest, errWhat)
	}
	return w, nil
}

var errWhat = errors.New("say what to forget: name=example.org, which may be repeated, prefix=exam, or all=true for everything")

// Body is a request's body, with an error for one that has more than so many bytes.
func Body(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		return nil, Failf(http.StatusRequestEntityTooLarge, "more than %d bytes: send it in parts", most)
	}
	if err != nil {
		return nil, Fail(http.StatusBadRequest, err)
	}
	return b, nil
}
