package natsstore

import (
	"context"
	"time"

	"github.com/whence-project/whence/store/bus"
)

// Status is how a node's part in the store is. The counters are since the start. There is no secret in it.
type Status struct {
	NATS   bus.Status `json:"nats"`
	Node   string     `json:"node"`
	Bucket string     `json:"bucket"`
	// Ready is that the buckets are open, or not, since when, and why not.
	Ready bool      `json:"ready"`
	Since time.Time `json:"since"`
	Error string    `json:"error,omitempty"`
	// Slow is that NATS did not answer in time and has not answered since.
	Slow bool `json:"slow,omitempty"`
	// Synced is that the copy of the ledger has what was in NATS when the buckets were opened; Behind is how many changes it lacks.
	Synced bool   `json:"synced"`
	Behind uint64 `json:"behind"`
	// Unclaimed are names that were seen while NATS was away and are not claimed yet.
	Unclaimed int `json:"unclaimed"`
	// Taken are first contacts that this node took and did not mark as Done.
	Taken int `json:"taken"`
	// Of the cache: bytes that wait to be put into NATS, values that were, that were not as too much waited or they are too large,
	// that were fetched from others, and that others did not have.
	Waiting  int    `json:"waiting"`
	Shared   uint64 `json:"shared"`
	Unshared uint64 `json:"unshared"`
	Fetched  uint64 `json:"fetched"`
	Missed   uint64 `json:"missed"`
}

// Status is how the node's part is.
func (s *Store) Status() Status {
	st := Status{
		NATS: s.bus.Status(), Node: s.opt.Node, Bucket: s.opt.Bucket, Unclaimed: int(s.ledger.waiting.Load()),
		Shared: s.cache.shared.Load(), Unshared: s.cache.unshared.Load(), Fetched: s.cache.fetched.Load(), Missed: s.cache.missed.Load(),
	}
	if link := s.state.link.Load(); link != nil {
		st.Ready, st.Slow = true, link.slow.Load()
	}
	st.Error, _ = s.state.text()
	st.Since = s.state.at()
	st.Synced, st.Behind = s.ledger.follow.isSynced() && st.Ready, s.ledger.follow.behind()
	s.ledger.events.mu.Lock()
	st.Taken = len(s.ledger.events.taken)
	s.ledger.events.mu.Unlock()
	s.cache.mu.Lock()
	st.Waiting = s.cache.size
	s.cache.mu.Unlock()
	return st
}

// WaitSynced waits until the buckets are open and the copy of the ledger has all that is in NATS. Nothing needs it but who wants to be
// sure: tests, and commands that read all.
func (s *Store) WaitSynced(ctx context.Context) error {
	for {
		if s.state.link.Load() != nil {
			wait, cancel := context.WithTimeout(ctx, s.opt.Timeout) // the connection may be lost meanwhile
			_, err := s.ledger.current(wait)
			cancel()
			if err == nil {
				return nil
			}
		}
		if !sleep(ctx, 5*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
}
