package caddyenrichhttp

import (
	"fmt"
	"net/http"
	"net/textproto"
	"strings"

	"github.com/whence-project/whence/enrich"
)

// headerPrefix begins the names of the headers that tell the upstream, in canonical form.
const headerPrefix = "X-Whence-"

// header is a field as a request header.
type header struct {
	name string
	pick enrich.Pick
}

func headersOf(as string, fields []string) (hs []header, err error) {
	for _, field := range fields {
		if field == "" || !isWord(field) {
			return nil, fmt.Errorf("headers: the field %q has more than letters, digits and _, and cannot be a header's name", field)
		}
		name := field
		if as != "" {
			name = as + "_" + field
		}
		name = textproto.CanonicalMIMEHeaderKey(headerPrefix + strings.ReplaceAll(name, "_", "-"))
		hs = append(hs, header{name, enrich.PickOf(field)})
	}
	return hs, nil
}

// setHeaders sets the headers of what is known, after those of that kind that the client sent are gone.
func (q *request) setHeaders(v view, r *http.Request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.subject(v)
	if !q.stripped {
		q.stripped = true
		strip(r)
	}
	for _, h := range v.h.headerPicks {
		delete(r.Header, h.name)
		if rec := q.ask(v.h.door, s, h.pick.Want(), v); rec != nil {
			if text := h.pick.Text(rec); text != "" {
				r.Header[h.name] = []string{text}
			}
		}
	}
}

// strip removes what a client might forge: headers and trailers of our prefix, and their names from Connection, which would have a
// proxy on the way take ours out (RFC 9110 section 7.6.1).
func strip(r *http.Request) {
	for name := range r.Header {
		if isOurs(name) {
			delete(r.Header, name)
		}
	}
	for name := range r.Trailer {
		if isOurs(name) {
			delete(r.Trailer, name)
		}
	}
	lines := r.Header["Connection"]
	for i, line := range lines {
		var kept []string
		for option := range strings.SplitSeq(line, ",") {
			if !isOurs(strings.TrimSpace(option)) {
				kept = append(kept, option)
			}
		}
		lines[i] = strings.Join(kept, ",")
	}
}

func isOurs(name string) bool {
	return len(name) >= len(headerPrefix) && strings.EqualFold(name[:len(headerPrefix)], headerPrefix)
}
