// Package dottest is a DNS-over-TLS server for tests that answers everything, and misbehaves on demand. It listens on loopback, or
// is dialled in memory, which works in a testing/synctest bubble.
package dottest

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Fault is what a server does wrong with a query, or with a connection.
type Fault int

const (
	None          Fault = iota
	Silent              // takes queries and never answers
	Deaf                // does not even read, once the connection stands
	Stall               // accepts, and does not speak TLS
	Hangup              // accepts, and closes
	Reset               // closes when a query comes
	Cut                 // half an answer, then closes
	Short               // a message shorter than a header
	WrongID             // an answer with another ID
	WrongQuestion       // an answer to another question
	NoQuestion          // FORMERR without the question
	ServFail            // SERVFAIL
	Refused             // REFUSED
	Truncated           // TC
)

// Behaviour is how a server behaves. The zero Behaviour answers at once.
type Behaviour struct {
	Fault Fault
	Delay time.Duration       // before each answer; those of one connection do not wait for each other
	Only  func(q []byte) bool // which queries Fault and Delay are for; nil: all
	// Address is the last byte of the addresses in answers; 0: it depends on the name.
	Address byte
	// Keepalive is announced to who asks (RFC 7828), in units of 100 ms; 0: nothing is; negative: that of 0.
	Keepalive int
	// EachItsRecord writes each answer as a TLS record of its own.
	EachItsRecord bool
}

// Stats are what a server saw.
type Stats struct {
	Conns, Resumed, Open, MostOpen                 int64
	Queries, Reads, Padded, EDNS, Keepalive, Proto int64 // Proto: connections with ALPN "dot"
}

// Server is the server. Start it with Listen, dial it with Dial, or both.
type Server struct {
	config    *tls.Config // nil: plain DNS
	behaviour atomic.Pointer[Behaviour]

	conns, resumed, open, mostOpen                 atomic.Int64
	queries, reads, padded, edns, keepalive, proto atomic.Int64

	mu       sync.Mutex
	listener net.Listener
	live     map[net.Conn]chan struct{}
	down     bool
	work     sync.WaitGroup
}

// New is a server with the certificate.
func New(cert tls.Certificate) *Server {
	return newServer(&tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"dot"}, MinVersion: tls.VersionTLS12,
		DynamicRecordSizingDisabled: true})
}

// NewPlain is a server without TLS.
func NewPlain() *Server { return newServer(nil) }

func newServer(config *tls.Config) *Server {
	s := &Server{config: config, live: make(map[net.Conn]chan struct{})}
	s.Behave(Behaviour{})
	return s
}

// Config is the server's TLS configuration, to change before it is used.
func (s *Server) Config() *tls.Config { return s.config }

// Behave changes the behaviour, from the next query or connection on.
func (s *Server) Behave(b Behaviour) { s.behaviour.Store(&b) }

// Listen listens on a TCP address. With the port 0 the kernel chooses one; the address is returned.
func (s *Server) Listen(address string) (string, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	s.listener, s.down = l, false
	s.mu.Unlock()
	s.work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if !s.take(c) {
				c.Close()
			}
		}
	})
	return l.Addr().String(), nil
}

// Dial connects to the server in memory, whatever the address. It fails while the server is down.
func (s *Server) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	here, there := net.Pipe()
	if !s.take(there) {
		return nil, &net.OpError{Op: "dial", Net: network, Err: net.UnknownNetworkError("the server is down")}
	}
	return here, nil
}

func (s *Server) take(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return false
	}
	ended := make(chan struct{})
	s.live[c] = ended
	s.work.Go(func() {
		s.serve(c, ended)
		c.Close()
		s.mu.Lock()
		delete(s.live, c)
		s.mu.Unlock()
	})
	return true
}

// Stop takes the server down: nothing is accepted, and all connections are reset.
func (s *Server) Stop() {
	s.mu.Lock()
	s.down = true
	if s.listener != nil {
		s.listener.Close()
		s.listener = nil
	}
	s.mu.Unlock()
	s.Drop()
	s.work.Wait()
}

// Drop resets all connections.
func (s *Server) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c, ended := range s.live {
		close(ended)
		delete(s.live, c)
		reset(c)
	}
}

// Start has a server that is dialled in memory take connections again.
func (s *Server) Start() {
	s.mu.Lock()
	s.down = false
	s.mu.Unlock()
}

// Stats are what the server has seen.
func (s *Server) Stats() Stats {
	return Stats{
		Conns: s.conns.Load(), Resumed: s.resumed.Load(), Open: s.open.Load(), MostOpen: s.mostOpen.Load(),
		Queries: s.queries.Load(), Reads: s.reads.Load(), Padded: s.padded.Load(), EDNS: s.edns.Load(),
		Keepalive: s.keepalive.Load(), Proto: s.proto.Load(),
	}
}

func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	c.Close()
}
