package upstream

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	attemptDelay = 250 * time.Millisecond // RFC 8305 §5: the next address is tried when the last has not answered for so long
	firstBackoff = 50 * time.Millisecond  // before a connection is tried again; doubled each time
	mostBackoff  = 100 * time.Millisecond // soon the server is down, and the probes have a back-off of their own
)

// NewDoT is a server that is asked over TLS (RFC 7858), TLS 1.2 at least. It connects when it is first asked, or warmed.
func NewDoT(o Options) (*Server, error) {
	pins, err := parsePins(o.Pins)
	if err != nil {
		return nil, err
	}
	if o.Port == 0 {
		o.Port = 853
	}
	_, addrErr := netip.ParseAddr(o.Host)
	if o.Name == "" && (len(pins) == 0 || addrErr != nil) {
		o.Name = o.Host
	}
	config := &tls.Config{
		ServerName: strings.TrimSuffix(o.Name, "."), RootCAs: o.Roots, MinVersion: tls.VersionTLS12, NextProtos: []string{"dot"},
		ClientSessionCache: tls.NewLRUClientSessionCache(4),
		// Small first records are for pages that render early; a query is whole or nothing.
		DynamicRecordSizingDisabled: true,
	}
	if len(pins) > 0 {
		config.VerifyConnection = func(state tls.ConnectionState) error { return checkPins(pins, o.Name != "", state) }
		config.InsecureSkipVerify = o.Name == "" // the pin alone is what the server is known by
	}
	return newServer(o, config)
}

// NewPlain is a server that is asked in the clear, over TCP (RFC 7766): for zones on the operator's own network that he named it for. The
// options about TLS must be empty.
func NewPlain(o Options) (*Server, error) {
	if o.Name != "" || o.Roots != nil || len(o.Pins) > 0 {
		return nil, errors.New("an upstream server in the clear has no certificate to verify")
	}
	if o.Port == 0 {
		o.Port = 53
	}
	return newServer(o, nil)
}

func newServer(o Options, config *tls.Config) (*Server, error) {
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
	s := &Server{o: o, tls: config, all: make(map[*conn]struct{})}
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

func parsePins(pins []string) ([][sha256.Size]byte, error) {
	var parsed [][sha256.Size]byte
	for _, pin := range pins {
		b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(pin, "sha256/"))
		if err != nil || len(b) != sha256.Size {
			return nil, fmt.Errorf("pin %q is not a SHA-256 digest in base64", pin)
		}
		parsed = append(parsed, [sha256.Size]byte(b))
	}
	return parsed, nil
}

// checkPins reports an error unless a pin fits. In a chain that was not verified only the first certificate is one that the
// peer has proved to have the key of; the others anyone may send.
func checkPins(pins [][sha256.Size]byte, verified bool, state tls.ConnectionState) error {
	fits := func(cert *x509.Certificate) bool {
		return slices.Contains(pins, sha256.Sum256(cert.RawSubjectPublicKeyInfo))
	}
	if verified {
		for _, chain := range state.VerifiedChains {
			if slices.ContainsFunc(chain, fits) {
				return nil
			}
		}
	} else if len(state.PeerCertificates) > 0 && fits(state.PeerCertificates[0]) {
		return nil
	}
	return errors.New("tls: no key of the server is one that is pinned")
}

// startDial opens a connection beside what goes on; s.mu is held. The asks in the queue get it, or its fault.
func (s *Server) startDial() {
	s.dialing = true
	s.work.Add(1)
	go func() {
		defer s.work.Done()
		raw, nc, kind, err := s.connect()
		s.dialed(err)
		if err == nil {
			if !s.serve(raw, nc) {
				raw.Close()
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

// connect makes a connection. raw is under nc.
func (s *Server) connect() (raw, nc net.Conn, kind failure, err error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.o.DialTimeout)
	defer cancel()
	addrs, err := s.addresses(ctx)
	if err != nil {
		return nil, nil, failResolve, err
	}
	raw, err = s.dialAny(ctx, addrs)
	if err != nil {
		return nil, nil, failDial, err
	}
	s.stats.connects.Add(1)
	if s.tls == nil {
		return raw, raw, failNone, nil
	}
	t := tls.Client(raw, s.tls)
	if err := t.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, nil, failTLS, fmt.Errorf("TLS with %v: %w", s, err)
	}
	s.stats.handshakes.Add(1)
	if t.ConnectionState().DidResume {
		s.stats.resumed.Add(1)
	}
	return raw, t, failNone, nil
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
