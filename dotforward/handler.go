// Package dotforward is a DNS server that asks others over TLS (RFC 7858): nobody on the path reads what the network asks. A query
// passes four stages of handlers, Admit, Decide, Resolve and Answered. What the cache has is answered on the goroutine that read the
// query, from the bytes that are kept and without allocation; what it has not is asked for, and no goroutine waits. Nothing is
// answered with silence but what is no query, and what handlers drop.
package dotforward

import (
	"time"

	"github.com/whence-project/whence/dotforward/wire"
)

// Stage is a part of a query's way.
type Stage uint8

// The stages, in their order.
const (
	// Admit is about who asks. What cannot be read or is not served here comes by too, and is refused behind it.
	Admit Stage = iota
	// Decide is about what is asked: there is one question, of class IN.
	Decide
	// Resolve answers; behind its handlers stand the cache and the upstream servers.
	Resolve
	// Answered is about what the cache or a server answered.
	Answered
	over
)

func (s Stage) String() string {
	return [...]string{"admit", "decide", "resolve", "answered", "over"}[s]
}

// Verdict is what a handler says of a query.
type Verdict uint8

// The verdicts.
const (
	// Next lets the query go on.
	Next Verdict = iota
	// Done ends it: the handler has set the reply.
	Done
	// Drop ends it without a reply.
	Drop
	// Pending stops it until Resume. The handler has called Pause.
	Pending
)

// Handler is a part of a stage. Handle must not block; it may be called from any number of goroutines.
type Handler interface {
	Stage() Stage
	Handle(q *Query) Verdict
}

// Stable is a Handler of the stages Decide or Answered whose verdict, and what else it does, depends on nothing but the question,
// the answer and its generation. A query that all Stable handlers let pass is not shown to them again while its answer is in the cache and the
// generation stays the same. It never pauses, and never changes the zone.
type Stable interface {
	Handler
	// Generation changes when what it goes by does.
	Generation(now time.Time) uint64
}

// Pause takes the query off the goroutine that it came on, so that the handler can return Pending and somebody Resume it later. It
// must be resumed, once.
func (q *Query) Pause() {
	q.detach()
	q.kept = true
	q.parking.Store(running)
}

// Resume has a paused query go on, from any goroutine, with the verdict that its handler would have returned. The query must not be
// touched afterwards.
func (q *Query) Resume(v Verdict) {
	q.resumed = v
	if q.parking.CompareAndSwap(running, resumed) {
		return // Handle has not returned yet, and goes on with it
	}
	if !q.parking.CompareAndSwap(parked, 0) {
		return // it has ended: its handler panicked after it paused
	}
	q.now = q.s.o.Now()
	q.s.proceed(q, v)
}

// What a paused query does: its handler has not returned; it waits; it was resumed before its handler returned.
const (
	running int32 = 1 + iota
	parked
	resumed
)

// park is what comes of q after its handler returned Pending: it waits, unless it was resumed already.
func (q *Query) park() Verdict {
	switch {
	case q.parking.CompareAndSwap(running, parked):
		return Pending
	case q.parking.CompareAndSwap(resumed, 0):
		return q.resumed
	}
	return q.ServFail(wire.EDEOther, "a handler waits without a pause")
}

// link is a handler in its stage.
type link struct {
	Handler
	stable bool
}

// run takes q through the handlers of its stage that it has not seen, and reports Next if all let it pass.
func (s *Server) run(q *Query) (v Verdict) {
	links := s.stages[q.stage]
	if q.next >= len(links) {
		return Next
	}
	defer s.caught(q, &v)
	for q.next < len(links) {
		l := &links[q.next]
		q.next++
		if l.stable && q.stable {
			continue
		}
		noted := q.noted
		v := l.Handle(q)
		if v == Pending {
			if v = q.park(); v == Pending {
				return v // q may be elsewhere already
			}
		}
		if !l.stable {
			q.noted = noted
		}
		if v != Next {
			return v
		}
	}
	return Next
}

// caught has a query whose handler panicked answered, and the others not suffer for it.
func (s *Server) caught(q *Query, v *Verdict) {
	if r := recover(); r != nil {
		q.parking.Store(0)
		*v = q.ServFail(wire.EDEOther, "a handler failed")
		if s.o.OnPanic != nil {
			s.o.OnPanic(s.stages[q.stage][q.next-1].Handler, r)
		}
	}
}

// proceed takes q on, from where it is, after a verdict: to its end, or to where it has to wait.
func (s *Server) proceed(q *Query, v Verdict) {
	for {
		if v == Next {
			v = s.run(q)
		}
		if v == Next {
			v = s.leave(q)
		}
		switch v {
		case Next:
			continue
		case Pending:
			return
		case Drop:
			q.reply, q.outcome = nil, OutcomeDropped
		default:
			if q.reply == nil {
				q.ServFail(wire.EDEOther, "a handler did not answer")
			}
		}
		s.finish(q)
		return
	}
}

// leave ends a stage that let q pass, with what the server itself does there.
func (s *Server) leave(q *Query) Verdict {
	stage := q.stage
	q.stage, q.next = stage+1, 0
	switch stage {
	case Admit:
		if v := s.refuse(q); v != Next {
			return v
		}
		s.look(q)
	case Decide:
		return Next
	case Resolve:
		return s.resolve(q)
	default:
		s.remember(q)
		return Done
	}
	return Next
}
