// Package fetch downloads files from servers that may do anything: it bounds what they send and how long they take, follows their
// redirections without telling anybody a secret, holds what came against the checksums that are offered, and unpacks it.
//
// No error of this package shows a URL, as there may be a token in it.
package fetch

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"time"
)

// The times and sizes that a Client goes by where its options are zero, and those that it always does.
const (
	DefaultIdle  = time.Minute
	DefaultLimit = 1 << 30 // bytes

	maxHeader = 64 << 10 // bytes of a response's header
	agent     = "whence (+https://github.com/whence-project/whence)"
)

// Options are what a [Client] is made of.
type Options struct {
	// Dial makes connections; nil for [net.Dialer]'s. Proxies are its business, not the environment's.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Roots verify servers; nil for the system's.
	Roots *x509.CertPool
	// Idle is how long a server may send nothing; 0 for DefaultIdle.
	Idle time.Duration
	// Transport takes the place of Dial and Roots, for tests.
	Transport http.RoundTripper
}

// Client downloads. It is safe for concurrent use, and keeps no connection.
type Client struct {
	http *http.Client
	idle time.Duration
}

// New makes a client.
func New(o Options) *Client {
	if o.Idle <= 0 {
		o.Idle = DefaultIdle
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{
			DialContext:            o.Dial,
			TLSClientConfig:        &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    30 * time.Second,
			ResponseHeaderTimeout:  o.Idle,
			MaxResponseHeaderBytes: maxHeader,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true, // limits and checksums are about what is sent
			DisableKeepAlives:      true, // a file a day
		}
	}
	return &Client{
		http: &http.Client{
			Transport:     o.Transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		idle: o.Idle,
	}
}

// Request is what to download.
type Request struct {
	// URL is http or https, without user and password.
	URL string
	// Header is sent to the URL's own scheme, host and port alone: credentials.
	Header http.Header
	// ETag and Modified are those of what is here already (RFC 9110 §13.1); empty for none.
	ETag, Modified string
	// Limit is the most bytes that are taken; 0 for DefaultLimit.
	Limit int64
	// Progress, if not nil, hears how many bytes came, and how many there will be, -1 where that is not known.
	Progress func(done, total int64)
}

// Response is what came of a request.
type Response struct {
	NotModified    bool   // what is here already is current, and nothing was written
	ETag, Modified string // for the next request; empty where the server has none
	Size           int64  // bytes written
	SHA256         string // of them, hexadecimal
}

// Get writes what is at the URL to w, unless the server says that what is here already is current. It takes as long as ctx lasts,
// and no longer than Options.Idle without a byte. Errors are [*StatusError] for what a server refuses, [*MismatchError] for what is
// not what the server says it is.
func (c *Client) Get(ctx context.Context, r Request, w io.Writer) (*Response, error) {
	if r.Limit <= 0 {
		r.Limit = DefaultLimit
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(c.idle, func() { cancel(errIdle(c.idle)) })
	defer watchdog.Stop()
	resp, err := c.follow(ctx, &r)
	if err != nil {
		return nil, reason(ctx, err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotModified && r.ETag+r.Modified != "":
		return &Response{NotModified: true, ETag: r.ETag, Modified: r.Modified}, nil
	case resp.StatusCode != http.StatusOK:
		return nil, statusError(resp, time.Now())
	case resp.ContentLength > r.Limit:
		return nil, tooLarge(r.Limit)
	}
	body := &body{r: resp.Body, left: r.Limit, limit: r.Limit, total: resp.ContentLength, progress: r.Progress,
		alive: func() { watchdog.Reset(c.idle) }}
	sum := sha256.New()
	offered := digestsOf(resp.Header)
	n, err := io.Copy(io.MultiWriter(append(offered.writers(), w, sum)...), body)
	if err != nil {
		return nil, reason(ctx, err)
	}
	if err := offered.check(); err != nil {
		return nil, err
	}
	return &Response{
		ETag: header(resp, "ETag"), Modified: header(resp, "Last-Modified"), Size: n, SHA256: hexOf(sum),
	}, nil
}

// body is what a server sends, bounded and watched.
type body struct {
	r           io.Reader
	done, total int64
	left, limit int64
	alive       func()
	progress    func(done, total int64)
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if n > 0 {
		b.alive()
		b.done += int64(n)
		if b.left -= int64(n); b.left < 0 {
			return 0, tooLarge(b.limit)
		}
		if b.progress != nil {
			b.progress(b.done, b.total)
		}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("the server ended after %d of %d bytes", b.done, b.total)
	}
	return n, err
}

// header is a header as it is to be sent back, empty where it is too long to be one.
func header(resp *http.Response, name string) string {
	if v := resp.Header.Get(name); len(v) <= 256 {
		return v
	}
	return ""
}

func hexOf(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
