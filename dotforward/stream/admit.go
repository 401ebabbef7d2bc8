package stream

import (
	"net/netip"
	"time"
)

// admit counts a connection among those that are open. Where there are too many, the one that has been idle the longest gives
// way, of the same client if that one has too many. It reports false if nobody can, or if the server is being shut down.
func (s *Server) admit(c *conn) bool {
	perClient := s.opt.MaxPerClient
	if a := c.client.Addr(); a.IsValid() {
		c.network = s.opt.Client.Of(a)
	} else {
		c.network, perClient = netip.Addr{}, 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return false
	}
	if !s.conns.Acquire(c.network, s.opt.MaxConns, perClient) &&
		!(s.evict(c.network, perClient) && s.conns.Acquire(c.network, s.opt.MaxConns, perClient)) {
		return false
	}
	c.counted = true
	s.open[c] = struct{}{}
	return true
}

// evict cuts off the connection that has been idle the longest, of all or, where network has as many as it may, of network. That
// it may be half through a frame does not save it. The server's mutex is held.
func (s *Server) evict(network netip.Addr, perClient int) bool {
	var longest, own *conn
	var since, ownSince time.Time
	count := 0
	for c := range s.open {
		if !c.counted {
			continue
		}
		t, idle := c.idle()
		if idle && (longest == nil || t.Before(since)) {
			longest, since = c, t
		}
		if c.network != network {
			continue
		}
		count++
		if idle && (own == nil || t.Before(ownSince)) {
			own, ownSince = c, t
		}
	}
	if perClient > 0 && count >= perClient {
		longest = own
	}
	if longest == nil {
		return false
	}
	longest.cut()
	s.release(longest)
	s.counts.evicted.Add(1)
	return true
}

// release counts a connection as gone. The server's mutex is held.
func (s *Server) release(c *conn) {
	if c.counted {
		c.counted = false
		s.conns.Release(c.network)
	}
}

// leave takes a connection off those that are open.
func (s *Server) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release(c)
	delete(s.open, c)
	if len(s.open) == 0 && s.closing.Load() {
		select {
		case <-s.empty:
		default:
			close(s.empty)
		}
	}
}
