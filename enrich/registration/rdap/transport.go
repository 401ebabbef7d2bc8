package rdap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/whence-project/whence/internal/egress"
)

// NewHTTPClient is a client that keeps connections, over HTTP/2 where the server has it. They are dialled with dial, nil for
// [net.Dialer]'s; proxies are dial's business, not the environment's. roots verify servers, nil for the system's. Timeouts of
// the parts are here, that of the whole is the request's.
func NewHTTPClient(dial func(ctx context.Context, network, address string) (net.Conn, error), roots *x509.CertPool) *http.Client {
	return &http.Client{Transport: &transports{dial: dial, roots: roots, of: make(map[netip.Addr]*http.Transport)}}
}

type sourceKey struct{}

// WithSource has requests leave from the local address a, over connections that were dialled from there: [egress.WithSource] for
// those that are yet to be dialled, and a pool for each source for those that are kept.
func WithSource(ctx context.Context, a netip.Addr) context.Context {
	return context.WithValue(egress.WithSource(ctx, a), sourceKey{}, a.Unmap())
}

// maxSources is for how many sources connections are kept; those of a pool that is dropped are closed once they are idle.
const maxSources = 64

// transports are a pool of connections for each source.
type transports struct {
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	roots *x509.CertPool

	mu sync.Mutex
	of map[netip.Addr]*http.Transport
}

// RoundTrip sends a request over a connection from its source.
func (t *transports) RoundTrip(req *http.Request) (*http.Response, error) {
	source, _ := req.Context().Value(sourceKey{}).(netip.Addr)
	return t.from(source).RoundTrip(req)
}

// CloseIdleConnections closes what is kept and not in use.
func (t *transports) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, one := range t.of {
		one.CloseIdleConnections()
	}
}

func (t *transports) from(source netip.Addr) *http.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one, ok := t.of[source]; ok {
		return one
	}
	for a, one := range t.of {
		if len(t.of) >= maxSources {
			one.CloseIdleConnections()
			delete(t.of, a)
		}
	}
	one := t.make()
	t.of[source] = one
	return one
}

func (t *transports) make() *http.Transport {
	return &http.Transport{
		DialContext:            t.dial,
		TLSClientConfig:        &tls.Config{RootCAs: t.roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
		MaxIdleConns:           512,
		MaxIdleConnsPerHost:    4,
		MaxConnsPerHost:        8, // else a burst of questions dials a connection each, before the first can tell that it takes them all
		IdleConnTimeout:        60 * time.Second,
		ResponseHeaderTimeout:  30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}
