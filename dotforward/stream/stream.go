// Package stream is DNS for clients over connections: TCP (RFC 7766) and TLS (RFC 7858), with many queries under way on each and
// answered in any order, and HTTPS (RFC 8484) as a handler of net/http. It frames, bounds and times out; what a message says is
// for the handler to know.
//
//	srv, err := stream.New(stream.Options{Handler: forwarder.ServeMessage})
//	…
//	l := srv.Serve(ln) // or by ServeConn, from an accept loop of one's own
//	…
//	l.Close()
//	srv.Shutdown(ctx)
package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/dotforward"
	"github.com/whence-project/whence/internal/limit"
	"github.com/whence-project/whence/internal/sockets"
)

// Handler is what dotforward.Server has as ServeMessage. It answers msg, a message as it came from client, without the length of its
// frame and valid only during the call. It must not block: what takes time is answered later, through respond, which any goroutine
// may call. The reply that respond is given is copied during the call; nil says that there will be none, which frees the query's
// place at once. Only the first call counts. A respond that is never called is given up after [Options.Answer].
type Handler func(msg []byte, client netip.AddrPort, t dotforward.Transport, respond func(reply []byte))

// Options are a server's settings. Only Handler is needed; every other zero value stands for the default that is named.
type Options struct {
	Handler Handler

	// Idle is how long a connection may be open with nothing to answer (RFC 7766 section 6.2.3), and in which a frame and a TLS
	// handshake must be complete: 10 s. What the handler announces as keepalive (RFC 7828) should be no more.
	Idle   time.Duration
	Write  time.Duration // in which the client must take each piece of its replies, at most 64 KiB: 5 s
	Answer time.Duration // after which a query that was not answered is taken as dropped: 10 s

	MaxConns     int // open connections: 1024; -1 is no limit. One more takes the place of the longest idle one
	MaxPerClient int // of one client: 64; -1 is no limit
	// Client is what counts as one client: a /32 or a /64. Whose network has MaxPerClient connections gets one more in place of
	// the network's longest idle one, so that many hosts behind one address do not shut each other out.
	Client      *limit.Network
	MaxPipeline int   // queries under way on one connection: 128. More of them wait unread
	MaxBuffered int64 // bytes of replies that wait for clients to read, over all connections: 64 MiB

	Logger *zap.Logger // for what the operator should know: none
}

// Server serves DNS connections. Make one with [New]. It goes by the system's clock, as deadlines of connections do.
type Server struct {
	opt      Options
	handler  atomic.Pointer[Handler]
	conns    limit.Conns
	buffered atomic.Int64
	counts   counts
	closing  atomic.Bool
	parting  time.Time // until when connections are read after Shutdown; set before closing is

	mu    sync.Mutex
	open  map[*conn]struct{}
	empty chan struct{} // closed when closing and no connection is open
}

// New makes a server. It fails where an option makes no sense.
func New(o Options) (*Server, error) {
	if o.Handler == nil {
		return nil, errors.New("dns: no handler for queries over TCP")
	}
	if o.Idle < 0 || o.Write < 0 || o.Answer < 0 {
		return nil, errors.New("dns: a time is negative")
	}
	if o.MaxPipeline < 0 || o.MaxPipeline > mostPipeline || o.MaxBuffered < 0 {
		return nil, errors.New("dns: max pipeline must be 1 to 65535, max buffered positive")
	}
	o.setDefaults()
	if c := o.Client; c.Bits4 < 0 || c.Bits4 > 32 || c.Bits6 < 0 || c.Bits6 > 128 {
		return nil, errors.New("dns: a client is a network of 0 to 32 bits in IPv4, 0 to 128 in IPv6")
	}
	s := &Server{opt: o, open: make(map[*conn]struct{}), empty: make(chan struct{})}
	s.SetHandler(o.Handler)
	return s, nil
}

func (o *Options) setDefaults() {
	setDefault(&o.Idle, 10*time.Second)
	setDefault(&o.Write, 5*time.Second)
	setDefault(&o.Answer, defaultAnswer)
	setDefault(&o.MaxConns, 1024)
	setDefault(&o.MaxPerClient, 64)
	setDefault(&o.Client, &limit.Network{Bits4: 32, Bits6: 64})
	setDefault(&o.MaxPipeline, 128)
	setDefault(&o.MaxBuffered, 64<<20)
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// SetHandler makes h answer the queries that are read from now on, on all connections: a new configuration takes over without
// closing any. Queries under way are answered by the handler that got them.
func (s *Server) SetHandler(h Handler) { s.handler.Store(&h) }

// Serve accepts and serves the connections of ln, TCP or TLS (with the ALPN protocol "dot" in its configuration), until the listener that it returns is closed. Connections that are
// open then are served on; see [Server.Shutdown].
func (s *Server) Serve(ln net.Listener) *sockets.Listener {
	attached := make(chan struct{})
	defer close(attached)
	l := sockets.Serve(heldBack{ln, attached})
	l.Attach(func(nc net.Conn) { go s.ServeConn(nc) })
	return l
}

// heldBack accepts nothing before it may: a connection that waits already would find nobody to serve it.
type heldBack struct {
	net.Listener
	until <-chan struct{}
}

func (h heldBack) Accept() (net.Conn, error) {
	<-h.until
	return h.Listener.Accept()
}

// ServeConn serves one connection and closes it. A connection that has a TLS handshake to make, such as *tls.Conn, is served as
// TLS. It returns when the client is done or out of time, or when it was cut off.
func (s *Server) ServeConn(nc net.Conn) {
	c := newConn(s, nc)
	// Before RemoteAddr, which reads from the connection where the PROXY protocol is spoken.
	nc.SetDeadline(c.idleSince.Add(s.opt.Idle))
	c.client = addrPort(nc.RemoteAddr())
	if !s.admit(c) {
		s.counts.refused.Add(1)
		c.raw.Close()
		return
	}
	s.counts.accepted.Add(1)
	defer c.end()
	if c.handshake() {
		c.serve()
	}
}

// partingTime is for how long connections are read after Shutdown: queries that had arrived by then are answered.
const partingTime = 50 * time.Millisecond

// Shutdown ends the server: queries that have arrived are answered, with a keepalive of 0 for those who are told one (RFC 7828),
// and connections are closed when they have nothing more to answer. New ones are closed at once. When ctx ends,
// what is left is cut off, and Shutdown returns ctx's error. Listeners are for the caller to close, before.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.closing.Load() {
		s.parting = time.Now().Add(partingTime)
		s.closing.Store(true)
		for c := range s.open {
			c.mu.Lock()
			c.nc.SetReadDeadline(s.parting)
			c.mu.Unlock()
		}
		if len(s.open) == 0 {
			close(s.empty)
		}
	}
	s.mu.Unlock()
	select {
	case <-s.empty:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	for c := range s.open {
		c.cut()
	}
	s.mu.Unlock()
	return ctx.Err()
}

// addrPort is the address of a client, IPv4-mapped ones unmapped; the zero AddrPort for anything that has none.
func addrPort(a net.Addr) netip.AddrPort {
	if a == nil {
		return netip.AddrPort{}
	}
	var p netip.AddrPort
	if t, ok := a.(*net.TCPAddr); ok {
		p = t.AddrPort()
	} else {
		p, _ = netip.ParseAddrPort(a.String())
	}
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// secured is a connection with a handshake to make: *tls.Conn, and what wraps one.
type secured interface {
	HandshakeContext(context.Context) error
	ConnectionState() tls.ConnectionState
}
