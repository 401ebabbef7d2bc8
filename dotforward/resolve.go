package dotforward

import (
	"time"

	"github.com/whence-project/whence/dotforward/cache"
	"github.com/whence-project/whence/dotforward/wire"
)

// The verdicts that are kept beside answers.
const (
	unasked uint8 = iota
	passed        // all Stable handlers let it pass
)

// generation changes when any Stable handler's does. It is never 0, which is that of answers from a file.
func (s *Server) generation(now time.Time) uint32 {
	h := s.salt
	for _, st := range s.stables {
		h = (h ^ st.Generation(now)) * 0x9e3779b97f4a7c15
		h ^= h >> 29
	}
	return uint32(h>>32^h) | 1
}

// look finds what the cache knows. The answer is left in buf, not addressed to the client yet.
func (s *Server) look(q *Query) {
	if q.zone == nil {
		for _, r := range s.routes {
			r.Handle(q)
		}
	}
	q.looked = true
	q.key = cache.Key{Question: q.wire.Key(), Space: s.space, DO: q.wire.EDNS.DO, CD: q.wire.CD()}
	if q.zone != nil {
		q.key.Space = q.zone.space
	}
	if s.o.PassSubnet && q.wire.EDNS.HasSubnet() {
		q.key.Subnet = q.wire.EDNS.Subnet(q.msg)
	}
	room := q.room()
	buf := q.space()
	q.found, q.hit = s.o.Cache.Get(&q.key, q.now, buf[:min(room, len(buf))])
	if q.hit.Truncated && room > len(buf) {
		q.buf = make([]byte, wire.MaxLen)
		again := q.hit.Refetch
		q.found, q.hit = s.o.Cache.Get(&q.key, q.now, q.buf[:room])
		q.hit.Refetch = q.hit.Refetch || again
	}
	q.stable = len(s.stables) > 0 && q.hit.State == cache.Fresh && q.hit.Verdict == passed && q.hit.Generation == s.generation(q.now)
}

// remember keeps beside the answer that no Stable handler had anything to do.
func (s *Server) remember(q *Query) {
	if len(s.stables) > 0 && !q.stable && !q.noted && !q.hit.Truncated { // of what was cut nobody saw the addresses
		s.o.Cache.SetVerdict(&q.key, passed, s.generation(q.now))
	}
}

// resolve answers q from the cache, or has it wait.
func (s *Server) resolve(q *Query) Verdict {
	if !q.looked {
		s.look(q)
	}
	switch {
	case q.hit.State == cache.Fresh:
		if q.hit.Refetch {
			s.refetch(q)
		}
		return q.fromCache()
	case !q.RD():
		q.Refuse(wire.EDEOther, "recursion was not desired, and nothing is known")
		q.outcome = OutcomeRefused
		return Done
	case q.hit.State == cache.Stale && !q.hit.Refetch:
		return q.fromCache()
	case q.hit.State == cache.Stale && s.o.StaleWait < 0:
		s.refetch(q)
		return q.fromCache()
	}
	return s.wait(q)
}

// fromCache replies with what was found.
func (q *Query) fromCache() Verdict {
	q.reply, q.scanned = q.buf[:q.found], false
	wire.Readdress(q.reply, q.msg, &q.wire)
	q.ede, q.edeText, q.outcome = q.hit.EDE, "", OutcomeHit
	if q.hit.State == cache.Stale {
		q.outcome, q.ede = OutcomeStale, wire.EDEStaleAnswer
		if q.hit.Kind == wire.NXDomain {
			q.ede = wire.EDEStaleNXDomain
		}
	} else if q.hit.Kind == wire.Failure {
		q.edeText = edeText(q.ede)
	}
	return Next
}

// waiter is a Query that waits for a flight.
type waiter Query

// wait has q wait for the servers' answer, or, where there is a stale one, for so long as StaleWait.
func (s *Server) wait(q *Query) Verdict {
	var timer *time.Timer
	stale := q.hit.State == cache.Stale
	q.detach()
	q.outcome = OutcomeJoined
	q.waiting.Store(true)
	if stale {
		// The flight may hold it when it has long been answered. The timer runs below, when all here is done with it.
		q.kept = true
		timer = time.AfterFunc(time.Hour, (*waiter)(q).impatient)
		q.timer = timer
	}
	lead, ok := s.o.Cache.Join(&q.key, (*waiter)(q), q.now)
	switch {
	case lead != nil:
		q.outcome = OutcomeMiss // nobody else ends this flight before its leader does, so that q is still ours
		s.ask(lead, q)
	case !ok:
		s.state.counters.shed.Add(1)
		(*waiter)(q).Answered(nil)
	}
	if timer != nil {
		timer.Reset(s.o.StaleWait)
	}
	return Pending
}

// Answered takes q on with the answer: see fetch.end for the form of msg.
func (w *waiter) Answered(msg []byte) {
	q := (*Query)(w)
	if !q.waiting.CompareAndSwap(true, false) {
		return
	}
	if q.timer != nil {
		q.timer.Stop()
	}
	s := q.s
	q.now = s.o.Now()
	failed := len(msg) == 0 || !answered(msg)
	if failed && q.useStale() {
		s.proceed(q, Next)
		return
	}
	if len(msg) == 0 {
		q.ServFail(wire.EDEOther, edeText(wire.EDEOther))
		q.outcome = OutcomeFailed
		s.proceed(q, Done)
		return
	}
	q.reply, q.scanned = append(q.space()[:0], msg...), false
	q.ede = wire.ID(msg)
	if failed {
		q.outcome, q.edeText = OutcomeFailed, edeText(q.ede)
	}
	wire.Readdress(q.reply, q.msg, &q.wire)
	s.proceed(q, Next)
}

// answered reports whether msg answers its question, if only by saying that there is no such name.
func answered(msg []byte) bool {
	rcode := wire.Flags(msg) & 0xf
	return rcode == wire.RcodeSuccess || rcode == wire.RcodeNXDomain
}

// useStale replies with what is in the cache, unless it is a failure too.
func (q *Query) useStale() bool {
	q.s.look(q)
	if q.hit.State == cache.Miss || q.hit.Kind == wire.Failure {
		return false
	}
	q.fromCache()
	return true
}

// impatient answers with what is stale when the servers take too long.
func (w *waiter) impatient() {
	q := (*Query)(w)
	if !q.waiting.CompareAndSwap(true, false) {
		return
	}
	q.now = q.s.o.Now()
	if q.useStale() {
		q.s.proceed(q, Next)
		return
	}
	q.ServFail(wire.EDENetworkError, edeText(wire.EDENetworkError)) // it has left the cache meanwhile
	q.outcome = OutcomeFailed
	q.s.proceed(q, Done)
}
