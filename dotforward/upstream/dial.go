package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

const (
	attemptDelay = 250 * time.Millisecond // RFC 8305 §5: the next address is tried when the last has not answered for so long
	firstBackoff = 50 * time.Millisecond  // before a connection is tried again; doubled each time
	mostBackoff  = 100 * time.Millisecond // soon the server is down, and the probes have a back-off of their own
)

// NewDoT is a server that is asked over TLS (RFC 7858), TLS 1.2 at least. It connects when it is first asked, or warmed.
func NewDoT(o Options) (*Server, error) {
	if o.URL != "" || o.Path != "" || o.Network != "" {
		return nil, errors.New("an upstream server over TLS has no URL and no other network than TCP")
	}
	if o.Port == 0 {
		o.Port = 853
	}
	config, err := o.encryption("dot")
	if err != nil {
		return nil, err
	}
	return newServer(o, config, nil)
}

// NewPlain is a server that is asked in the clear, for zones on the operator's own network that he named it for: over TCP (RFC 7766), or
// with Options.Network udp over UDP, and TCP where the reply is truncated. Over UDP each query has a socket and an ID of its own, and
// is sent once more when Silence/2 has passed. The options about TLS and HTTPS must be empty.
func NewPlain(o Options) (*Server, error) {
	if o.Name != "" || o.Roots != nil || len(o.Pins) > 0 || o.URL != "" || o.Path != "" {
		return nil, errors.New("an upstream server in the clear has no certificate to verify, and no URL")
	}
	if o.Network != "" && o.Network != "tcp" && o.Network != "udp" {
		return nil, fmt.Errorf("the network %q of an upstream server is neither tcp nor udp", o.Network)
	}
	if o.Port == 0 {
		o.Port = 53
	}
	return newServer(o, nil, nil)
}

func newServer(o Options, config *tls.Config, http *target) (*Server, error) {
	if o.Host == "" {
		return nil, errors.New("an upstream server has an address or a name")
	}
	if _, err := netip.ParseAddr(o.Host); err != nil && len(o.Addrs) == 0 && o.Lookup == nil {
		return nil, fmt.Errorf("upstream server %s: nothing to find its address with", o.Host)
	}
	probe, err := probeQuery(o.Probe)
	if err != nil {
		return nil, err
	}
	defaults(&o.MaxConns, DefaultMaxConns)
	defaults(&o.MaxInFlight, DefaultMaxInFlight)
	defaults(&o.DialTimeout, DefaultDialTimeout)
	defaults(&o.Silence, DefaultSilence)
	defaults(&o.Idle, DefaultIdle)
	o.MaxInFlight = min(o.MaxInFlight, 16384)
	o.Addrs = slices.Clone(o.Addrs)
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	s := &Server{o: o, tls: config, http: http, all: make(map[*conn]struct{})}
	s.conns.Store(new([]*conn))
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.health.query = probe
	if s.prober, err = NewPool(PoolOptions{Patience: 24 * time.Hour}, s); err != nil {
		return nil, err
	}
	return s, nil
}

func defaults[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

func (s *Server) address() string { return net.JoinHostPort(s.o.Host, strconv.Itoa(int(s.o.Port))) }

// startDial opens a connection beside what goes on; s.mu is held. The asks in the queue get it, or its fault.
func (s *Server) startDial() {
	s.dialing = true
	s.work.Add(1)
	go func() {
		defer s.work.Done()
		l, kind, err := s.connect()
		s.dialed(err)
		if err == nil {
			if !s.serve(l) {
				l.close()
				err = ErrClosed
			}
		} else {
			s.failed(kind, err)
		}
		s.afterDial(err)
	}()
}

// dialed notes how a dial ended, and when the next may be.
func (s *Server) dialed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.dialFails, s.dialFault, s.notBefore = 0, nil, 0
		return
	}
	backoff := min(firstBackoff<<min(s.dialFails, 10), mostBackoff)
	s.dialFails++
	s.rotate++
	s.dialFault = err
	s.notBefore = now() + int64(backoff/2+rand.N(backoff/2))
}

// afterDial serves the queue: with the new connection, and another one if it does not suffice; or not at all.
func (s *Server) afterDial(err error) {
	if err == nil {
		s.drain()
	}
	s.mu.Lock()
	s.dialing = false
	var failed []*ask
	switch {
	case len(s.queue) == 0 || s.closed:
	case err != nil && len(*s.conns.Load()) == 0:
		failed, s.queue = s.queue, nil
		s.queued.Store(0)
	case err == nil && len(*s.conns.Load()) < s.o.MaxConns:
		s.startDial()
	}
	s.mu.Unlock()
	for _, a := range failed {
		a.lost(s, nil, 0, err, false)
	}
}

// connect makes a connection.
func (s *Server) connect() (l link, kind failure, err error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.o.DialTimeout)
	defer cancel()
	addrs, err := s.addresses(ctx)
	if err != nil {
		return l, failResolve, err
	}
	if s.o.Network == "udp" {
		s.mu.Lock()
		s.rotate++ // nothing tells here whether there is a server: the next is asked elsewhere, if this falls silent
		s.mu.Unlock()
		return link{udp: newDatagrams(s.ctx, addrs[0])}, failNone, nil
	}
	raw, err := s.dialAny(ctx, addrs)
	if err != nil {
		return l, failDial, err
	}
	s.stats.connects.Add(1)
	if s.tls == nil {
		return link{raw: raw, nc: raw}, failNone, nil
	}
	t := tls.Client(raw, s.tls)
	if err := t.HandshakeContext(ctx); err != nil {
		raw.Close()
		return l, failTLS, fmt.Errorf("TLS with %v: %w", s, err)
	}
	if t.ConnectionState().DidResume {
		s.stats.resumed.Add(1)
	} else {
		s.stats.full.Add(1)
	}
	l = link{raw: raw, nc: t}
	if s.http != nil {
		if l.http, err = s.http.client(ctx, t); err != nil {
			raw.Close()
			return l, failHTTP, fmt.Errorf("HTTP with %v: %w", s, err)
		}
	}
	return l, failNone, nil
}

// addresses are where the server is, another one first after each fault.
func (s *Server) addresses(ctx context.Context) ([]netip.AddrPort, error) {
	found := s.o.Addrs
	if a, err := netip.ParseAddr(s.o.Host); err == nil {
		found = []netip.Addr{a}
	} else if len(found) == 0 {
		found, err = s.o.Lookup(ctx, s.o.Host)
		s.mu.Lock()
		if err == nil && len(found) > 0 {
			s.known = slices.Clone(found)
		}
		found = s.known
		s.mu.Unlock()
		if len(found) == 0 {
			return nil, because(fmt.Errorf("no address for upstream server %s", s.o.Host), err)
		}
	}
	s.mu.Lock()
	first := s.rotate % len(found)
	s.mu.Unlock()
	addrs := make([]netip.AddrPort, len(found))
	for i := range found {
		addrs[i] = netip.AddrPortFrom(found[(first+i)%len(found)].Unmap(), s.o.Port)
	}
	return addrs, nil
}

// dialAny is a connection to the first address that takes one, tried one after another without waiting for those that hang.
func (s *Server) dialAny(ctx context.Context, addrs []netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		c   net.Conn
		err error
	}
	results := make(chan result, len(addrs))
	next := time.NewTimer(0)
	defer next.Stop()
	var fault error
	for started, ended := 0, 0; ended < len(addrs); {
		select {
		case <-next.C:
			if started == len(addrs) {
				continue
			}
			address := addrs[started].String()
			started++
			next.Reset(attemptDelay)
			go func() {
				c, err := s.o.Dial(ctx, "tcp", address)
				results <- result{c, err}
			}()
		case r := <-results:
			ended++
			if r.err == nil {
				go func(more int) {
					for range more {
						if late := <-results; late.err == nil {
							late.c.Close()
						}
					}
				}(started - ended)
				return r.c, nil
			}
			if fault == nil {
				fault = r.err
			}
			next.Reset(0)
		}
	}
	return nil, fault
}
