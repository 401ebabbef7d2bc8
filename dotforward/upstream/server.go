package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// The limits of a Server where its options are zero.
const (
	DefaultMaxConns    = 2
	DefaultMaxInFlight = 1024
	DefaultDialTimeout = 2 * time.Second
	DefaultSilence     = 2 * time.Second
	DefaultIdle        = 20 * time.Second
)

const mostQueued = 8192 // asks that wait for a connection of a server

// Options are what a Server is made of. Host is needed, and for a Host that is a name Addrs or Lookup.
type Options struct {
	// Host is the server's address or name.
	Host string
	// Port is its port. 0: 853 with TLS, 443 with HTTPS, 53 without.
	Port uint16
	// Network is tcp or udp for a server in the clear. Empty: tcp.
	Network string
	// URL is where a server over HTTPS is asked, as https://dns.example/dns-query; a "{?dns}" at its end (RFC 8484 §3) is allowed. Its
	// host is what Host and Name are if they are empty. It excludes Port and Path.
	URL string
	// Path is that of the URL of a server over HTTPS that is given by Host instead. Empty: /dns-query.
	Path string
	// Addrs are the addresses of a Host that is a name: nothing is looked up.
	Addrs []netip.Addr
	// Lookup finds the addresses of a Host that is a name and has no Addrs, each time that a connection is made; where it fails, those
	// that it found last are dialled. It must not ask this server.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)

	// Name must be in the server's certificate. Empty: Host, unless there are Pins and Host is an address.
	Name string
	// Roots verify the certificate. nil: the system's.
	Roots *x509.CertPool
	// Pins are SHA-256 digests of public keys (SPKI) in base64, "sha256/" before them or not. With a Name one of them must be in the
	// chain that was verified; without, it must be the server's own, and nothing else is verified (RFC 7858 §4.2).
	Pins []string

	// MaxConns are open at the same time, a second one only if one does not suffice. 0: [DefaultMaxConns].
	MaxConns int
	// MaxInFlight are queries under way on a connection. 0: [DefaultMaxInFlight]; at most 16384.
	MaxInFlight int
	// DialTimeout is for a connection in all, TLS included. 0: [DefaultDialTimeout].
	DialTimeout time.Duration
	// Silence is how long a connection may go without an answer while queries wait, before they are moved to another. Halfway it
	// is asked for something that every server knows at once, so that one slow name is not taken for it. 0: [DefaultSilence].
	Silence time.Duration
	// Idle is how long a connection is kept that nothing is asked on, unless the server says so itself (RFC 7828). 0: [DefaultIdle].
	Idle time.Duration
	// Probe is the domain name that probes ask for the NS records of. Empty: the root.
	Probe string

	// Dial makes connections, network is tcp, or udp for a server of that Network. nil: directly.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// OnEvent hears when the server goes down and comes up. It must not block or call the package. It may be nil.
	OnEvent func(Event)
}

// Server is an upstream server: its connections, its health, what was measured of it. It is safe for concurrent use, and may be in
// several pools.
type Server struct {
	o       Options
	tls     *tls.Config // nil: plain DNS
	http    *target     // nil: not over HTTPS
	prober  *Pool
	stats   counters
	health  health
	latency atomic.Int64 // moving average in ns, 0: not measured
	sampled atomic.Int64 // when it was last measured

	conns  atomic.Pointer[[]*conn] // those that take queries; changed under mu
	queued atomic.Int32            // len(queue)

	mu        sync.Mutex
	closed    bool
	all       map[*conn]struct{} // also those that only wait for late answers
	queue     []*ask
	dialing   bool
	dialFails int
	dialFault error
	notBefore int64 // no connection is tried until then
	known     []netip.Addr
	rotate    int // which address is tried first
	work      sync.WaitGroup
	stop      context.CancelFunc
	ctx       context.Context
}

// String is the server as it is written in a configuration.
func (s *Server) String() string {
	switch {
	case s.http != nil:
		return "https://" + s.address() + s.http.path
	case s.tls != nil:
		return "tls://" + s.address()
	}
	if s.o.Network == "udp" {
		return "udp://" + s.address()
	}
	return "dns://" + s.address()
}

// usableConn is the connection for the next query, nil if all are full or there is none. The second is used when the first has much to
// do: fewer connections mean fewer, fuller records.
func (s *Server) usableConn() *conn {
	var best *conn
	for _, c := range *s.conns.Load() {
		n, most := int(c.load.Load()), int(c.most.Load())
		if n < most/2 {
			return c
		}
		if n < most && (best == nil || n < int(best.load.Load())) {
			best = c
		}
	}
	return best
}

// send starts an attempt of a, whose lock is held: on a connection, or in the queue for one. An error says that there is none.
func (s *Server) send(a *ask, t int64) error {
	if s.isDown() && !a.once {
		return errServer
	}
	c := s.usableConn()
	if c != nil && c.send(a, t) {
		if c.load.Load() >= c.most.Load()/2 && len(*s.conns.Load()) < s.o.MaxConns {
			s.grow(t)
		}
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if len(s.queue) >= mostQueued {
		return errBusy
	}
	// Counted before the second look: who makes room looks at the count afterwards, so one of the two sees the other.
	s.queued.Add(1)
	if c := s.usableConn(); c != nil && c.send(a, t) {
		s.queued.Add(-1)
		return nil
	}
	if len(*s.conns.Load()) < s.o.MaxConns && !s.dialing {
		if t < s.notBefore && !a.once {
			if len(*s.conns.Load()) == 0 {
				s.queued.Add(-1)
				return s.dialFault
			}
		} else {
			s.startDial()
		}
	}
	s.queue = append(s.queue, a)
	a.attempts = append(a.attempts, attempt{s: s, live: true, sent: t})
	return nil
}

// grow opens another connection beside those that are half full.
func (s *Server) grow(t int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed && !s.dialing && t >= s.notBefore && len(*s.conns.Load()) < s.o.MaxConns {
		s.startDial()
	}
}

// drain sends the asks that wait, as far as there is room; each at most once, since those that find none after all come back.
func (s *Server) drain() {
	for range s.queued.Load() {
		s.mu.Lock()
		if len(s.queue) == 0 || s.usableConn() == nil {
			s.mu.Unlock()
			return
		}
		a := s.queue[0]
		s.queue[0] = nil
		s.queue = s.queue[1:]
		s.queued.Add(-1)
		s.mu.Unlock()
		a.assign(s, now())
	}
}

// Warm opens a connection, if there is none, so that the first query does not wait for it. It does not wait itself.
func (s *Server) Warm() {
	if len(*s.conns.Load()) == 0 {
		s.grow(now())
	}
}

// add takes a new connection into use. It is not when the server was closed meanwhile.
func (s *Server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.all[c] = struct{}{}
	conns := append([]*conn{c}, *s.conns.Load()...)
	s.conns.Store(&conns)
	return true
}

// retire sends no more queries on a connection.
func (s *Server) retire(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.withoutConn(c)
}

// forget is for a connection that is gone.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.withoutConn(c)
	delete(s.all, c)
}

func (s *Server) withoutConn(c *conn) {
	var conns []*conn
	for _, other := range *s.conns.Load() {
		if other != c {
			conns = append(conns, other)
		}
	}
	s.conns.Store(&conns)
	if len(conns) == 0 && len(s.queue) > 0 && !s.dialing && !s.closed {
		s.startDial() // nobody else would, for those that wait
	}
}

// Close takes no further queries, waits until those under way are answered or ctx is done, and closes the connections. Queries
// that are still under way then fail here; their pools ask other servers, if they have some. The error is that of ctx.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	queue := s.queue
	s.queue = nil
	s.queued.Store(0)
	var all []*conn
	for c := range s.all {
		all = append(all, c)
	}
	s.mu.Unlock()
	s.health.stop()
	for _, a := range queue {
		a.lost(s, nil, 0, ErrClosed, false)
	}
	for _, c := range all {
		c.leave()
	}
	gone := make(chan struct{})
	go func() {
		s.work.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		s.stop()
		return nil
	case <-ctx.Done():
	}
	s.stop() // dials
	for _, c := range all {
		c.fail(failNone, ErrClosed)
	}
	<-gone
	return ctx.Err()
}
