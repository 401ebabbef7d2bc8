package dotforward

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/whence-project/whence/dotforward/wire"
	"github.com/whence-project/whence/internal/limit"
)

// LimitOptions say how much a client network may ask.
type LimitOptions struct {
	Rate limit.Rate // needed
	// Network is what counts as one client; zero is an address of IPv4 and a /56 of IPv6.
	Network limit.Network
	// BlockFor is for how long a client is not served at all after it was over its rate. 0: it is served as its rate allows.
	BlockFor time.Duration
	// Silent drops what is too much, which is refused otherwise.
	Silent bool
	// State is what is known of clients; nil for nothing yet. It outlives a Limit, whose options may be others next time.
	State *LimitState
}

// LimitState is what a Limit knows of clients, in memory that does not grow with their number.
type LimitState struct {
	buckets *limit.Buckets
	some    atomic.Int32 // how many are blocked
	mu      sync.RWMutex
	blocked map[netip.Addr]time.Time // until when
	swept   time.Time
	most    int
}

// NewLimitState has room for about so many clients: 24 bytes each, and as many as are blocked at a time up to a quarter of them.
func NewLimitState(clients int, now time.Time) *LimitState {
	return &LimitState{buckets: limit.NewBuckets(clients, now), blocked: make(map[netip.Addr]time.Time), most: max(clients/4, 1)}
}

// DefaultLimitClients is the room of the state that a Limit makes itself: 1.5 MiB.
const DefaultLimitClients = 1 << 16

// Limit is a Handler that refuses or drops what a client network asks beyond its rate, if told so all that it asks for a while.
type Limit struct {
	o    LimitOptions
	over atomic.Uint64
}

// NewLimit makes a Limit. now is when an own state begins.
func NewLimit(o LimitOptions, now time.Time) (*Limit, error) {
	if o.Rate.IsZero() {
		return nil, errors.New("a limit needs a rate")
	}
	if o.Network == (limit.Network{}) {
		o.Network = limit.Network{Bits4: 32, Bits6: 56}
	}
	if o.State == nil {
		o.State = NewLimitState(DefaultLimitClients, now)
	}
	return &Limit{o: o}, nil
}

// State is what is known of clients, for the Limit that takes this one's place.
func (l *Limit) State() *LimitState { return l.o.State }

// Over is how many queries were too many.
func (l *Limit) Over() uint64 { return l.over.Load() }

// Stage is Admit.
func (l *Limit) Stage() Stage { return Admit }

// Handle counts the query, and refuses or drops it if it is too much.
func (l *Limit) Handle(q *Query) Verdict {
	client, s := l.o.Network.Of(q.Client()), l.o.State
	text := "over the rate limit"
	switch {
	case l.o.BlockFor > 0 && s.some.Load() > 0 && s.isBlocked(client, q.Time()):
		text = "blocked for a while, having been over the rate limit"
	case s.buckets.Allow(client, l.o.Rate, q.Time()):
		return Next
	case l.o.BlockFor > 0:
		s.block(client, q.Time().Add(l.o.BlockFor), q.Time())
	}
	l.over.Add(1)
	if l.o.Silent {
		return Drop
	}
	return q.Refuse(wire.EDEProhibited, text)
}

func (s *LimitState) isBlocked(client netip.Addr, now time.Time) bool {
	s.mu.RLock()
	until, ok := s.blocked[client]
	s.mu.RUnlock()
	if ok && !now.Before(until) {
		s.mu.Lock()
		delete(s.blocked, client)
		s.some.Store(int32(len(s.blocked)))
		s.mu.Unlock()
		return false
	}
	return ok
}

// block blocks a client. Where too many are blocked already, it is only held to its rate.
func (s *LimitState) block(client netip.Addr, until, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.blocked) >= s.most && now.Sub(s.swept) >= time.Second {
		s.swept = now
		for c, u := range s.blocked {
			if !now.Before(u) {
				delete(s.blocked, c)
			}
		}
	}
	if len(s.blocked) < s.most {
		s.blocked[client] = until
	}
	s.some.Store(int32(len(s.blocked)))
}
