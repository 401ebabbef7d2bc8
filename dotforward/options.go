package dotforward

import (
	"errors"
	"time"

	"github.com/whence-project/whence/dotforward/cache"
	"github.com/whence-project/whence/dotforward/upstream"
	"github.com/whence-project/whence/dotforward/wire"
)

// The defaults of Options.
const (
	DefaultUDPSize   = 1232                    // no fragments on any link
	DefaultDeadline  = 4500 * time.Millisecond // dig and stub resolvers wait for 5 s
	DefaultStaleWait = 1800 * time.Millisecond // RFC 8767 section 5
	DefaultKeepalive = 10 * time.Second
)

// Options are what a Server is made of. Cache and Pool are needed, and are the caller's to close, after the server.
type Options struct {
	Cache *cache.Cache
	// Pool are the servers asked where no Route names others.
	Pool *upstream.Pool
	// Handlers are run in their stages, in this order. Each is opened and closed by the caller.
	Handlers []Handler
	// State is that of the server whose place is taken; nil for a first one.
	State *State

	// UDPSize is the longest reply over UDP, and what is said of queries. 0: DefaultUDPSize; at least 512.
	UDPSize int
	// Deadline is how long upstream servers have for an answer, less than the cache's FlightTimeout. 0: DefaultDeadline; under 10 s.
	Deadline time.Duration
	// StaleWait is how long a client waits for them where there is a stale answer. 0: DefaultStaleWait; negative: not at all.
	StaleWait time.Duration
	// Keepalive is the idle timeout that clients on connections are told (RFC 7828). 0: DefaultKeepalive.
	Keepalive time.Duration
	// PassSubnet has the clients' networks told to upstream servers, where clients tell them (RFC 7871). By default nobody is told.
	PassSubnet bool
	// AnswerDisagreed has a quorum that was not reached answered with what came first, in place of SERVFAIL.
	AnswerDisagreed bool

	// Log hears of one in LogEvery queries at their end, nil for none. It must not block, nor keep the query.
	Log func(q *Query)
	// LogEvery is 1 if it is 0.
	LogEvery int
	// OnPanic hears of a handler that panicked, whose query was then answered SERVFAIL. It may be nil.
	OnPanic func(h Handler, value any)
	// Now is the clock; nil for time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() (Options, error) {
	if o.Cache == nil || o.Pool == nil {
		return o, errors.New("a forwarder needs a cache and a pool of upstream servers")
	}
	if o.UDPSize == 0 {
		o.UDPSize = DefaultUDPSize
	}
	if o.UDPSize < 512 || o.UDPSize > wire.MaxLen {
		return o, errors.New("the UDP size must be between 512 and 65535 bytes")
	}
	if o.Deadline == 0 {
		o.Deadline = DefaultDeadline
	}
	if o.Deadline < 0 || o.Deadline >= 10*time.Second {
		return o, errors.New("the deadline for upstream servers must be below 10 s")
	}
	if o.StaleWait == 0 {
		o.StaleWait = DefaultStaleWait
	}
	if o.Keepalive == 0 {
		o.Keepalive = DefaultKeepalive
	}
	o.LogEvery = max(o.LogEvery, 1)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.State == nil {
		o.State = NewState()
	}
	return o, nil
}
