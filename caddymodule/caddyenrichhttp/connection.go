package caddyenrichhttp

import (
	"context"
	"net"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// connection keeps what was made for a request for the next one on the same connection. In HTTP/1 they come one after the other, and
// the next one when all of the one before is done, its access log and its error pages too. Nothing else tells when a request is done:
// a pool that handlers give back to would hand a request's placeholders to another while they may still be used. Over HTTP/2 and
// HTTP/3, where requests of a connection run at the same time, each has its own, which the garbage collector takes.
type connection struct{ kept *request }

type connectionKey struct{}

// keepConnections has the servers of the configuration remember a connection for each of theirs.
func keepConnections(ctx caddy.Context) {
	for _, m := range ctx.Modules() {
		if app, ok := m.(*caddyhttp.App); ok {
			for _, s := range app.Servers {
				s.RegisterConnContext(withConnection)
			}
		}
	}
}

// withConnection may be called several times, since every module of this package registers it.
func withConnection(ctx context.Context, _ net.Conn) context.Context {
	if ctx.Value(connectionKey{}) != nil {
		return ctx
	}
	return context.WithValue(ctx, connectionKey{}, new(connection))
}

// newRequest is for a request of which nothing is known yet.
func newRequest(ctx context.Context, r *http.Request) *request {
	c, _ := ctx.Value(connectionKey{}).(*connection)
	if c == nil || r.ProtoMajor != 1 {
		return makeRequest()
	}
	q := c.kept
	switch {
	case q == nil:
		q = makeRequest()
		c.kept, q.connection = q, c
	case q.frames.Load() > 0:
		return makeRequest() // a request within a request
	default:
		q.reset()
	}
	return q
}

func makeRequest() *request {
	q := new(request)
	q.placeholder = q.get
	q.oneAnswer[0] = &q.first
	q.views, q.answers = q.oneView[:0], q.oneAnswer[:0]
	return q
}

// forget has the connection keep nothing. A nil connection keeps nothing anyway.
func (c *connection) forget() {
	if c != nil {
		c.kept = nil
	}
}
