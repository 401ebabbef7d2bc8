package rdap

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/whence-project/whence/internal/egress"
)

// mediaType is that of RDAP answers (RFC 7480 §4.2).
const mediaType = "application/rdap+json"

// The limits of a [Client] that does not set its own.
const (
	DefaultMaxBody      = 1 << 20
	DefaultMaxRedirects = 5
	DefaultAgent        = "whence (+https://github.com/whence-project/whence)"
)

// maxErrorBody is how much is read of an answer that has no object.
const maxErrorBody = 64 << 10

// Client asks RDAP servers. It is safe for concurrent use. It neither waits for its turn nor asks twice: that is for its caller.
type Client struct {
	HTTP         *http.Client // see [NewHTTPClient]; only its Transport is used
	MaxBody      int64        // bytes of an answer, after decompression; 0: [DefaultMaxBody]
	MaxRedirects int          // 0: [DefaultMaxRedirects], negative: none
	Agent        string       // User-Agent; empty: [DefaultAgent]
}

// Response is the answer to a query.
type Response struct {
	Object *Object
	Raw    []byte        // what the server wrote
	URL    string        // that answered, after redirects
	Took   time.Duration // from the question to the end of the answer
}

// Get asks for the object that a URL names ([DomainURL], [IPURL], [ASURL], [EntityURL], or a server's link to one), and returns it
// only if it is that object. The deadline is that of ctx. Every error is an [*Error].
func (c *Client) Get(ctx context.Context, rawURL string) (*Response, error) {
	start := time.Now()
	u, err := parseURL(rawURL)
	if err != nil {
		return nil, &Error{URL: rawURL, Err: err}
	}
	q, ok := queryOf(u)
	if !ok {
		return nil, &Error{URL: rawURL, Err: errors.New("the URL is no query for an object (RFC 9082)")}
	}
	r, e := c.follow(ctx, u)
	if e != nil {
		return nil, e
	}
	r.query = q
	object, e := r.judge()
	if e != nil {
		e.URL = r.url.String()
		return nil, e
	}
	return &Response{Object: object, Raw: r.body, URL: r.url.String(), Took: time.Since(start)}, nil
}

// follow asks, and asks again where it is sent on to (RFC 7480 §5.2).
func (c *Client) follow(ctx context.Context, u *url.URL) (*reply, *Error) {
	most := cmp.Or(c.MaxRedirects, DefaultMaxRedirects)
	asked := map[string]bool{}
	for n := 0; ; n++ {
		asked[u.String()] = true
		r, err := c.once(ctx, u)
		if err != nil {
			return nil, failure(u, err)
		}
		switch r.status {
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		default:
			return r, nil
		}
		next, err := r.location()
		switch {
		case err != nil:
		case n >= most:
			err = errors.New("too many redirects")
		case asked[next.String()]:
			err = errors.New("it leads back to where it came from")
		}
		if err != nil {
			return nil, &Error{URL: u.String(), Kind: Redirect, Status: r.status, Err: err}
		}
		u = next
	}
}

// location is where a redirect leads. From https it leads to https only: on the way to http anybody could answer.
func (r *reply) location() (*url.URL, error) {
	to := r.header.Get("Location")
	if to == "" {
		return nil, errors.New("it leads nowhere")
	}
	next, err := r.url.Parse(to)
	if err != nil {
		return nil, errors.New("it leads to what is no URL")
	}
	if err := checkURL(next); err != nil {
		return nil, err
	}
	if r.url.Scheme == "https" && next.Scheme != "https" {
		return nil, errors.New("it leads from https to http")
	}
	next.Fragment, next.RawFragment = "", ""
	return next, nil
}

// once makes one request and reads its answer.
func (c *Client) once(ctx context.Context, u *url.URL) (*reply, error) {
	req := (&http.Request{Method: http.MethodGet, URL: u, Header: http.Header{
		"Accept":     {mediaType + ", application/json;q=0.9"},
		"User-Agent": {cmp.Or(c.Agent, DefaultAgent)},
	}}).WithContext(ctx)
	transport := c.HTTP.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	// Not through http.Client.Do, which would have a say in redirects and cookies.
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	r := &reply{url: u, status: resp.StatusCode, header: resp.Header}
	r.whole = resp.ContentLength >= 0 || len(resp.TransferEncoding) > 0 || resp.ProtoMajor >= 2
	most := cmp.Or(c.MaxBody, DefaultMaxBody)
	if r.status >= 300 {
		most = min(most, maxErrorBody)
	}
	r.body, err = io.ReadAll(io.LimitReader(resp.Body, most+1))
	matters := r.status < 300 || r.status == http.StatusNotFound // of the others the status alone tells enough
	switch {
	case err != nil && matters:
		return nil, &Error{Status: r.status, Kind: Network, Err: err}
	case int64(len(r.body)) > most && r.status < 300:
		return nil, &Error{Status: r.status, Kind: TooLarge}
	}
	return r, nil
}

// failure is why there is no whole answer.
func failure(u *url.URL, err error) *Error {
	e := &Error{URL: u.String(), Kind: Network}
	var partial *Error
	if errors.As(err, &partial) {
		if e.Status = partial.Status; partial.Kind == TooLarge {
			e.Kind = TooLarge
			return e
		}
		err = partial.Err
	}
	e.Err = err
	var refused *egress.RefusedError
	var timeout net.Error
	switch {
	case errors.As(err, &refused):
		e.Kind = Refused
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		e.Kind = Timeout
	}
	return e
}
