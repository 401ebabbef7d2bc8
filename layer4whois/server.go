// Package layer4whois is a WHOIS server (RFC 3912) on an enrichment chain: framing, query grammar, the forms of answers, limits.
// It knows neither Caddy nor any source: a listener hands it connections, and it serves them.
//
//	srv, err := layer4whois.New(layer4whois.Options{Chain: chain})
//	…
//	conn, err := ln.Accept()
//	go srv.ServeConn(conn)
package layer4whois

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gaissmai/bart"
	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/limit"
)

// Options are a server's settings. Only Chain is needed; every other zero value stands for the default that is named.
type Options struct {
	Chain   *enrich.Chain // what is asked
	Dialect Dialect       // form of answers where the query names none: Lines
	Host    string        // how the server calls itself in the greeting of bulk queries and to -q version: whence
	Footer  []string      // lines at the end of answers in the dialects that have a place for them
	Credits bool          // and below them what the licences of the loaded data ask to be shown
	Wait    time.Duration // how long a single query waits for sources that must fetch: not at all. Bulk queries never wait

	FirstLine time.Duration // in which the first line must be complete: 30 s
	Idle      time.Duration // in which each further line of a bulk or persistent connection must be complete: 3 min
	Write     time.Duration // in which the client must take each piece of a reply, at most 64 KiB: 60 s
	Total     time.Duration // how long a connection may last in all: 24 h

	MaxConns          int            // open connections: 1024; -1 is no limit
	MaxConnsPerClient int            // of one client: 64; -1 is no limit
	Rate              limit.Rate     // connections of one client: no limit
	Client            *limit.Network // what counts as one client: a /32 or a /48
	Allow             []netip.Prefix // who may ask: everybody
	Deny              []netip.Prefix // who may not, though it be in Allow: nobody
	State             *State         // counts and buckets, where those of another server are to be gone on with: new ones

	Access       func(*Access)    // the audit log: none. It is called by the connection's goroutine
	LogBulkLines bool             // log each line of a bulk query, beside its counts
	Now          func() time.Time // the clock of limits and log: time.Now. Deadlines of connections go by the system's
	Logger       *zap.Logger      // for what the operator should know: none
}

// State is what a server knows about its clients. A server that takes another's place is given the other's, so that a reload
// refills no bucket and forgets no connection.
type State struct {
	conns   limit.Conns
	buckets *limit.Buckets
}

// clientBuckets is for how many clients a State has room; what it holds of more is forgotten in a harmless order.
const clientBuckets = 1 << 15

// NewState is the state of a server that has had no clients yet.
func NewState() *State { return &State{buckets: limit.NewBuckets(clientBuckets, time.Now())} }

// Open is how many connections are open, over all servers that share the state.
func (s *State) Open() int { return s.conns.Open() }

// Server serves WHOIS connections. Make one with [New].
type Server struct {
	opt         Options
	allow, deny *bart.Lite // nil where there is no such list
	ctx         context.Context
	cancel      context.CancelFunc
	sessions    sync.Pool
	credits     *footer // nil where there are none
	lingering   atomic.Int32

	mu      sync.Mutex
	first   *session // open sessions, a list
	closing bool
	empty   chan struct{} // closed when closing and no session is open
}

// New makes a server. It fails where an option makes no sense; nothing needs to be closed then.
func New(opt Options) (*Server, error) {
	if opt.Chain == nil {
		return nil, errors.New("whois: no chain to ask")
	}
	if opt.FirstLine < 0 || opt.Idle < 0 || opt.Write < 0 || opt.Total < 0 || opt.Wait < 0 {
		return nil, errors.New("whois: a time is negative")
	}
	for i, l := range opt.Footer {
		if opt.Footer[i] = enrich.Clean(l); opt.Footer[i] != l {
			return nil, fmt.Errorf("whois: footer line %d has control characters or is not UTF-8", i+1)
		}
	}
	opt.setDefaults()
	if c := opt.Client; c.Bits4 < 0 || c.Bits4 > 32 || c.Bits6 < 0 || c.Bits6 > 128 {
		return nil, fmt.Errorf("whois: a client of /%d in IPv4, /%d in IPv6: want 0 to 32, 0 to 128", c.Bits4, c.Bits6)
	}
	s := &Server{opt: opt, allow: table(opt.Allow), deny: table(opt.Deny), empty: make(chan struct{})}
	if opt.Credits {
		s.credits = &footer{chain: opt.Chain, own: opt.Footer}
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.sessions.New = func() any { return newSession(s) }
	return s, nil
}

func (o *Options) setDefaults() {
	setDefault(&o.Dialect, Lines)
	setDefault(&o.Host, "whence")
	setDefault(&o.FirstLine, 30*time.Second)
	setDefault(&o.Idle, 3*time.Minute)
	setDefault(&o.Write, time.Minute)
	setDefault(&o.Total, 24*time.Hour)
	setDefault(&o.MaxConns, 1024)
	setDefault(&o.MaxConnsPerClient, 64)
	setDefault(&o.Client, &limit.Network{Bits4: 32, Bits6: 48})
	if o.State == nil {
		o.State = NewState()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
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

func table(ps []netip.Prefix) *bart.Lite {
	if len(ps) == 0 {
		return nil
	}
	t := new(bart.Lite)
	for _, p := range ps {
		t.Insert(p.Masked())
	}
	return t
}

// State is what the server knows about its clients, for the one that takes its place.
func (s *Server) State() *State { return s.opt.State }

// ServeConn serves one connection and closes it. It returns when the client is done, or out of time, or cut off by Shutdown.
func (s *Server) ServeConn(conn net.Conn) {
	c := s.sessions.Get().(*session)
	c.begin(conn)
	defer c.end()
	c.serve()
}

// admit decides whether a client may ask, and counts its connection where it may.
func (s *Server) admit(c *session) *Error {
	a := c.client.Addr().WithZone("")
	switch known := a.IsValid(); {
	case known && (s.deny != nil && s.deny.Lookup(a) || s.allow != nil && !s.allow.Lookup(a)):
		return errDenied.with("for "+a.String(), 0)
	case known:
		c.network = s.opt.Client.Of(a)
	default:
		c.network = netip.Addr{}
	}
	perClient := s.opt.MaxConnsPerClient
	if !c.network.IsValid() {
		perClient = 0
	}
	if !s.opt.State.conns.Acquire(c.network, s.opt.MaxConns, perClient) {
		return &errConnections
	}
	c.counted = true
	if c.network.IsValid() && !s.opt.State.buckets.Allow(c.network, s.opt.Rate, c.since) {
		return errDenied.with("too many queries, try again later", 0)
	}
	return nil
}

// Shutdown ends the server: a connection gets the answer it is waiting for, or if it has not asked yet the first one, and no
// further; a bulk query goes on to its end. When ctx ends, what is left is cut off, and Shutdown returns ctx's error.
// Connections that are handed to ServeConn later are served in the same way.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.closing {
		s.closing = true
		if s.first == nil {
			close(s.empty)
		}
	}
	for c := s.first; c != nil; c = c.next {
		if c.idle {
			c.conn.SetReadDeadline(longAgo)
		}
	}
	s.mu.Unlock()
	select {
	case <-s.empty:
		s.cancel()
		return nil
	case <-ctx.Done():
	}
	s.cancel()
	s.mu.Lock()
	for c := s.first; c != nil; c = c.next {
		c.cut = true
		c.conn.SetDeadline(longAgo)
	}
	s.mu.Unlock()
	return ctx.Err()
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// enter puts a session on the list of those that are open.
func (s *Server) enter(c *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.next = s.first; c.next != nil {
		c.next.prev = c
	}
	s.first = c
}

// leave takes a session off the list.
func (s *Server) leave(c *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.next != nil {
		c.next.prev = c.prev
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else if s.first = c.next; s.first == nil && s.closing {
		select {
		case <-s.empty:
		default:
			close(s.empty)
		}
	}
	c.prev, c.next = nil, nil
}

// footer is the lines that end an answer at that time.
func (s *Server) footer(now time.Time) []string {
	if s.credits == nil {
		return s.opt.Footer
	}
	return s.credits.at(now)
}

// describe is what the server says about itself to -q version.
func (s *Server) describe() string { return s.opt.Host + " WHOIS server (RFC 3912)" }
