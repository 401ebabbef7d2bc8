package upstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The limits of a Pool where its options are zero.
const (
	DefaultMaxQueries = 16384
	DefaultPatience   = time.Second
)

const (
	mostServers = 64
	probeEvery  = int64(10 * time.Second) // for servers that Fastest has not asked for so long
)

// PoolOptions are what a Pool is made of. The zero options are a sequential pool with the defaults.
type PoolOptions struct {
	Policy Policy
	// MaxQueries are asked at the same time; more are refused with [ErrOverload]. 0: [DefaultMaxQueries].
	MaxQueries int
	// Patience is how long a query waits for a server before another is asked beside it. 0: [DefaultPatience].
	Patience time.Duration
	// OnDisagree hears of each quorum in which servers said different things: the reply that won, nil if none did, and the others.
	// It is called where a reply was read, and must not block, keep the slices or call the package. It may be nil.
	OnDisagree func(won *Reply, others []Reply)
}

// Pool asks servers under a policy. It is safe for concurrent use.
type Pool struct {
	o         PoolOptions
	policy    Policy
	servers   []*Server
	padded    bool
	keepalive bool
	patience  int64
	wheel     wheel
	pending   atomic.Int64
	stats     poolCounters
	probed    atomic.Int64 // when Fastest last looked for servers to probe

	mu     sync.Mutex
	closed bool
	empty  chan struct{} // closed when nothing is pending after Close
}

type poolCounters struct{ queries, overload, disagreed, dissent atomic.Uint64 }

// PoolStats are counts since the pool was made, but for Pending, which is now.
type PoolStats struct {
	Queries, Overload  uint64
	Disagreed, Dissent uint64 // quorums not reached; quorums reached while a server said something else
	Pending            int
}

// NewPool is a Pool of the servers, all of one protocol: a pool that may send one query encrypted and the next in the clear
// would be no better than one in the clear. The servers are the caller's to close, after the pool.
func NewPool(o PoolOptions, servers ...*Server) (*Pool, error) {
	if len(servers) == 0 || len(servers) > mostServers {
		return nil, fmt.Errorf("an upstream pool has 1 to %d servers, not %d", mostServers, len(servers))
	}
	for i, s := range servers {
		if s.tls == nil != (servers[0].tls == nil) {
			return nil, errors.New("an upstream pool has no servers with and without encryption")
		}
		if (s.http == nil) != (servers[0].http == nil) {
			return nil, errors.New("an upstream pool has no servers both over TLS and over HTTPS")
		}
		if slices.Contains(servers[:i], s) {
			return nil, fmt.Errorf("upstream server %v is in the pool twice", s)
		}
	}
	if o.Policy.width == 0 {
		o.Policy = Sequential()
	}
	if err := o.Policy.check(len(servers)); err != nil {
		return nil, err
	}
	if o.MaxQueries <= 0 {
		o.MaxQueries = DefaultMaxQueries
	}
	if o.Patience <= 0 {
		o.Patience = DefaultPatience
	}
	p := &Pool{o: o, policy: o.Policy, servers: slices.Clone(servers), padded: servers[0].tls != nil,
		keepalive: servers[0].tls != nil && servers[0].http == nil, patience: int64(o.Patience), empty: make(chan struct{})}
	p.wheel.due, p.wheel.start = (*ask).due, now()
	return p, nil
}

// Ask asks q, a query in wire form of which nothing is kept, and returns at once. done is called exactly once, at the latest
// some 20 ms after the deadline: with a reply as the server sent it but for the ID, which is q's, and the server that it came
// from; or with an error: [ErrTimeout], [ErrDown], [ErrBroken], [ErrOverload], [ErrQuery], [ErrClosed],
// [*DisagreeError]. A reply may be SERVFAIL or the like (see [Policy]), or truncated, if no server said better. It may have an OPT record though q has none, with padding and keepalive, which end here
// (RFC 6891 §6.1.1).
//
// done is called by the goroutine that read the reply, by a timer, or (errors only) before Ask returns. It must not block; it
// may change the reply, and must copy what it keeps of it.
func (p *Pool) Ask(q []byte, deadline time.Time, done func(reply []byte, from *Server, err error)) {
	p.stats.queries.Add(1)
	if n := p.pending.Add(1); n > int64(p.o.MaxQueries) || n <= 0 {
		err := ErrOverload
		if n <= 0 {
			err = ErrClosed
		} else {
			p.stats.overload.Add(1)
		}
		p.left()
		done(nil, nil, err)
		return
	}
	t := now()
	a, err := newAsk(p, q, int64(deadline.Sub(epoch)), done)
	if err != nil {
		p.left()
		done(nil, nil, err)
		return
	}
	a.start(t)
	if p.policy.kind == fastest {
		p.probeForgotten(t)
	}
}

// start sends a new ask on its way.
func (a *ask) start(t int64) {
	a.mu.Lock()
	if t >= a.deadline {
		a.finish(nil, nil, ErrTimeout)
	} else {
		a.p.wheel.set(a, min(a.deadline, t+a.p.patience))
		a.launch(t, 0)
		a.settle(t)
	}
	a.unlock()
}

// closedPool is added to pending by Close, so that one counter says both how many and whether.
const closedPool = -1 << 40

// left counts an ask out. The last one lets Close return.
func (p *Pool) left() {
	if p.pending.Add(-1) == closedPool {
		p.mu.Lock()
		defer p.mu.Unlock()
		select {
		case <-p.empty:
		default:
			close(p.empty)
		}
	}
}

// Close lets no further query in and waits until those under way are answered or ctx is done, whose error it then returns. The
// queries still end, at their deadlines. The servers stay as they are.
func (p *Pool) Close(ctx context.Context) error {
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	p.mu.Unlock()
	if first {
		p.pending.Add(closedPool + 1) // one more, so that left sees it where there is none
		p.left()
	}
	select {
	case <-p.empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Servers are the servers of the pool in its order.
func (p *Pool) Servers() []*Server { return slices.Clone(p.servers) }

// Policy is the policy of the pool.
func (p *Pool) Policy() Policy { return p.policy }

// Stats are the counts of the pool.
func (p *Pool) Stats() PoolStats {
	pending := p.pending.Load()
	if pending < 0 {
		pending -= closedPool
	}
	return PoolStats{
		Queries: p.stats.queries.Load(), Overload: p.stats.overload.Load(),
		Disagreed: p.stats.disagreed.Load(), Dissent: p.stats.dissent.Load(), Pending: int(max(pending, 0)),
	}
}

func (p *Pool) bit(s *Server) uint64 { return 1 << slices.Index(p.servers, s) }

func (p *Pool) allDown() bool {
	for _, s := range p.servers {
		if !s.isDown() {
			return false
		}
	}
	return true
}

// probeForgotten probes the servers that have not answered for long, so that the averages that Fastest goes by are of now.
func (p *Pool) probeForgotten(t int64) {
	last := p.probed.Load()
	if t-last < probeEvery/10 || !p.probed.CompareAndSwap(last, t) {
		return
	}
	for _, s := range p.servers {
		if t-s.sampled.Load() >= probeEvery && !s.isDown() {
			s.probe()
		}
	}
}

// disagreed reports a quorum that was not reached.
func (p *Pool) disagreed(replies []Reply) {
	p.stats.disagreed.Add(1)
	if p.o.OnDisagree != nil {
		p.o.OnDisagree(nil, replies)
	}
}

// dissent reports the replies that do not agree with the one that won.
func (p *Pool) dissent(replies []Reply, won int) {
	var others []Reply
	for i, r := range replies {
		if i != won && !p.policy.agree(replies[won].Msg, r.Msg) {
			others = append(others, r)
		}
	}
	if others == nil {
		return
	}
	p.stats.dissent.Add(1)
	if p.o.OnDisagree != nil {
		p.o.OnDisagree(&replies[won], others)
	}
}
