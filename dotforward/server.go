package dotforward

import (
	"context"
	"errors"
	"hash/fnv"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/whence-project/whence/dotforward/upstream"
	"github.com/whence-project/whence/dotforward/wire"
)

// Server answers DNS queries. It is safe for concurrent use.
type Server struct {
	o       Options
	state   *State
	stages  [over][]link
	stables []Stable
	routes  []*Route
	space   uint32
	salt    uint64                      // tells the verdicts of this server's handlers from others'
	numbers map[*upstream.Server]uint16 // see State.number

	workers, queries, fetches sync.Pool
	logged                    atomic.Uint64
	lame                      atomic.Int64 // Unix ns from when on queries are refused, 0 if not lame
	pending                   atomic.Int64 // queries that wait
	closing                   atomic.Bool
	idleOnce                  sync.Once
	idle                      chan struct{}
}

// servers counts Servers, so that no verdict of one is taken for another's.
var servers atomic.Uint64

// New makes a server. It starts nothing: it works where it is called. Where no handler is an ACL, one with no options is the first,
// so that nobody runs a resolver for the whole Internet by leaving something out.
func New(o Options) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{o: o, state: o.State, salt: servers.Add(1), space: SpaceOf(o.Pool), idle: make(chan struct{}),
		numbers: make(map[*upstream.Server]uint16)}
	s.workers.New = func() any { return &worker{tally: s.state.counters.tally()} }
	s.queries.New = func() any { return &Query{s: s, tally: s.state.counters.tally()} }
	s.fetches.New = func() any { return newFetch(s) }
	s.number(o.Pool)
	if !slices.ContainsFunc(o.Handlers, isACL) {
		acl, err := NewACL(ACLOptions{})
		if err != nil {
			return nil, err
		}
		o.Handlers = append([]Handler{acl}, o.Handlers...)
	}
	if err := s.place(o.Handlers); err != nil {
		return nil, err
	}
	return s, nil
}

func isACL(h Handler) bool {
	_, ok := h.(*ACL)
	return ok
}

// place puts handlers into their stages.
func (s *Server) place(handlers []Handler) error {
	for _, h := range handlers {
		if h.Stage() >= over {
			return errors.New("a handler of a stage that there is not")
		}
		if r, ok := h.(*Route); ok {
			s.routes = append(s.routes, r)
			for _, z := range r.zones {
				s.number(z.Pool)
			}
			continue
		}
		st, ok := h.(Stable)
		if ok = ok && (h.Stage() == Decide || h.Stage() == Answered); ok {
			s.stables = append(s.stables, st)
		}
		s.stages[h.Stage()] = append(s.stages[h.Stage()], link{h, ok})
	}
	return nil
}

func (s *Server) number(p *upstream.Pool) {
	for _, u := range p.Servers() {
		s.numbers[u] = s.state.number(u)
	}
}

// SpaceOf tells pools apart in the cache: what one set of servers answered is no answer of another's. It depends on nothing but the
// policy's and the servers' names, their order aside.
func SpaceOf(p *upstream.Pool) uint32 {
	h := fnv.New32a()
	h.Write([]byte(p.Policy().String()))
	var names []string
	for _, u := range p.Servers() {
		names = append(names, u.String())
	}
	slices.Sort(names)
	for _, n := range names {
		h.Write([]byte{0})
		h.Write([]byte(n))
	}
	return h.Sum32()
}

// State is what to give to the server that takes this one's place.
func (s *Server) State() *State { return s.state }

// ServeMessage answers msg, a message that did not come in a batch. It does not keep msg. respond is called once, from any goroutine
// and perhaps before ServeMessage returns, with a reply that is valid during the call, or with nil where there will be none.
func (s *Server) ServeMessage(msg []byte, client netip.AddrPort, t Transport, respond func(reply []byte)) {
	q := s.queries.Get().(*Query)
	q.reset(msg, netip.AddrPortFrom(client.Addr().Unmap(), client.Port()), t, s.o.Now(), nil)
	q.worker, q.respond = nil, respond
	s.serve(q)
}

// serve takes q, that was just reset, as far as it gets.
func (s *Server) serve(q *Query) {
	q.parsed = wire.ParseQuery(q.msg, &q.wire)
	v := Next
	if q.parsed == wire.Drop {
		q.wire, v = wire.Query{}, Drop
	} else if q.wire.QuestionEnd == wire.HeaderLen {
		q.wire.Type, q.wire.Class = 0, 0 // those of the query before
	}
	s.proceed(q, v)
}

// refuse ends what is not served, whoever asks for it.
func (s *Server) refuse(q *Query) Verdict {
	v := Done
	switch until := s.lame.Load(); {
	case q.parsed == wire.NoQuestion:
		q.begin(wire.RcodeSuccess, wire.NoEDE, "")
		return Done
	case q.parsed != wire.OK:
		q.fail(q.parsed.Rcode(), wire.NoEDE, "")
	case until != 0 && q.now.UnixNano() >= until || s.closing.Load():
		q.Refuse(wire.EDENotReady, "shutting down")
	case q.Class() != wire.ClassIN:
		q.Refuse(wire.EDENotSupported, "only class IN is served")
	case q.Type() == wire.TypeANY:
		q.begin(wire.RcodeSuccess, wire.NoEDE, "")
		q.reply = wire.AppendANY(q.reply, anyTTL)
		return Done
	case q.Type() >= firstMeta && q.Type() < wire.TypeANY || q.Type() == wire.TypeOPT || q.Type() == 0:
		q.Refuse(wire.EDENotSupported, "no such type is forwarded")
	default:
		v = Next
	}
	if v == Done {
		q.outcome = OutcomeRefused
	}
	return v
}

const (
	anyTTL    = 3600 // seconds
	firstMeta = 249  // TKEY, TSIG, IXFR, AXFR, MAILB, MAILA and ANY end at 255 (RFC 6895 section 3.1)
)

// finish ends q, with its reply or without one.
func (s *Server) finish(q *Query) {
	if q.stage == Admit && q.outcome != OutcomeDropped {
		q.outcome = OutcomeRefused
	}
	if q.reply != nil {
		s.finishReply(q)
	}
	q.tally.count(q)
	if q.outcome == OutcomeMiss || q.outcome == OutcomeJoined {
		q.tally.took(q.now.Sub(q.came))
	}
	if s.o.Log != nil && s.logged.Add(1)%uint64(s.o.LogEvery) == 0 {
		s.o.Log(q)
	}
	if q.worker != nil {
		return // the loop has the reply
	}
	if q.respond != nil {
		q.respond(q.reply)
	} else if q.reply != nil {
		q.origin.write(q.reply)
	}
	s.release(q)
}

// detach makes q wait: what it needs is its own from here on.
func (q *Query) detach() {
	if q.owned {
		return
	}
	q.owned = true
	q.s.pending.Add(1)
	q.memory = append(q.memory[:0], q.msg...)
	q.msg, q.looked = q.memory, false
	if len(q.key.Subnet) > 0 {
		q.key.Subnet = q.wire.EDNS.Subnet(q.msg)
	}
	if q.worker != nil {
		q.worker.query, q.worker = nil, nil
		q.origin.leave()
		q.buf = nil
		if q.reply != nil {
			q.reply = append(q.space()[:0], q.reply...)
		}
	} else if q.reply == nil {
		q.giveBack() // it may take long, and there may be many
	}
}

// giveBack returns the memory for replies.
func (q *Query) giveBack() {
	if q.lent != nil {
		buffers.Put(q.lent)
	}
	q.lent, q.buf = nil, nil
}

const mostKept = 4096 // bytes of memory that a query keeps for the next one

// release gives q back, to be used again, and what it was lent.
func (s *Server) release(q *Query) {
	owned := q.owned
	q.giveBack()
	q.reply, q.msg, q.respond = nil, nil, nil
	if !q.kept && cap(q.memory) <= mostKept {
		s.queries.Put(q)
	}
	if owned && s.pending.Add(-1) == 0 && s.closing.Load() {
		s.idleOnce.Do(func() { close(s.idle) })
	}
}

// LameDuck has the server announce that it goes: it is not Healthy any more and tells clients to close their connections, and after
// grace it answers REFUSED, so that they ask their next server. A second call may shorten the grace.
func (s *Server) LameDuck(grace time.Duration) {
	until := max(s.o.Now().Add(grace).UnixNano(), 1)
	if old := s.lame.Load(); old == 0 || until < old {
		s.lame.CompareAndSwap(old, until)
	}
}

// Healthy reports whether clients should ask this server: it is neither a lame duck nor closed.
func (s *Server) Healthy() bool { return s.lame.Load() == 0 && !s.closing.Load() }

// Close refuses further queries and waits until those that wait are answered, or ctx is done, whose error it then returns.
func (s *Server) Close(ctx context.Context) error {
	s.closing.Store(true)
	if s.pending.Load() == 0 {
		return nil
	}
	select {
	case <-s.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
