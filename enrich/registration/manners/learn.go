package manners

import (
	"math"
	"time"
)

// Outcome is what came of a query, as far as it teaches manners.
type Outcome struct {
	Kind OutcomeKind
	Wait time.Duration // with Throttled: how long the reply asks to wait; 0: it does not say
}

// OutcomeKind is what a query taught.
type OutcomeKind uint8

// The kinds of outcomes.
const (
	OK        OutcomeKind = iota // the server answered, whatever the answer
	Throttled                    // the server wants to be asked less
	Failed                       // the server did not answer, or not sensibly
)

// asked is why an operator is paused who said for how long.
const asked = "asked to be left alone"

const (
	maxWait      = 24 * time.Hour // a reply that asks for more is taken to ask for this
	leastBackoff = time.Second    // chance may not make an operator be asked again in the same breath
	maxBreakers  = 256            // servers of one operator that are remembered to have failed
)

// Done tells what came of the turn, and gives its place back. Only the first call counts.
func (t *Turn) Done(o Outcome) {
	m := t.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.done {
		return
	}
	t.done = true
	now := m.now()
	t.source.inFlight--
	t.source.client.inFlight--
	switch o.Kind {
	case OK:
		m.count(t.op, func(c *Counts) { c.OK++ })
		if c := t.source.client; t.at > c.throttledAt {
			c.throttles = 0
		}
		delete(t.op.servers, t.server)
	case Throttled:
		m.count(t.op, func(c *Counts) { c.Throttled++ })
		delete(t.op.servers, t.server) // it works, and says so
		m.throttled(t, o.Wait, now)
	case Failed:
		m.count(t.op, func(c *Counts) { c.Failed++ })
		m.failed(t, now)
	}
	m.dispatch(t.op, now)
}

// throttled leaves the operator alone, as far as he can see who asks.
func (m *Manners) throttled(t *Turn, wait time.Duration, now int64) {
	c := t.source.client
	again := c.throttles > 0 && t.at <= c.throttledAt // it was under way when another was throttled: that is one offence
	if again && wait <= 0 {
		return
	}
	if !again {
		c.throttles++
		c.throttledAt = now
	}
	why := asked
	if wait <= 0 {
		why = "answers no more queries"
		wait = m.backoff(m.opt.BackoffBase, m.opt.BackoffMax, c.throttles)
	}
	until := now + int64(min(wait, maxWait))
	if until <= c.paused {
		return
	}
	c.paused, c.why = until, why
	c.drain(until)
	m.dismissLate(t.op, now)
}

// backoff is a random time of at most base the first time, twice that the second, up to most.
func (m *Manners) backoff(base, most time.Duration, n int) time.Duration {
	ceiling := min(base, most)
	for ; n > 1 && ceiling < most; n-- {
		ceiling = min(2*ceiling, most)
	}
	return max(m.random(ceiling), min(leastBackoff, ceiling))
}

// breaker is what is known of a server that failed. It is closed (queries pass) while until is 0, then open until then, then half
// open: one query passes, the probe.
type breaker struct {
	failures int // in a row
	opens    int // in a row
	last     int64
	until    int64
	probe    *Turn
}

func (b *breaker) restAt(forget time.Duration) int64 {
	if b.probe != nil {
		return math.MaxInt64
	}
	return max(b.last, b.until) + int64(forget)
}

// held reports that nobody may ask server now: its breaker is open, or half open with the probe under way.
func (op *operator) held(server string, now int64) bool {
	b := op.servers[server]
	return b != nil && (b.until > now || b.probe != nil)
}

// failed counts a failure of the turn's server.
func (m *Manners) failed(t *Turn, now int64) {
	b := t.op.servers[t.server]
	if b == nil || b.restAt(m.opt.BreakerMax) <= now {
		b = m.newBreaker(t.op, t.server, now)
	}
	b.last = now
	if b.until != 0 && b.probe != t {
		return // asked before the breaker opened
	}
	b.failures++
	if b.until == 0 && b.failures < m.opt.BreakerFailures {
		return
	}
	b.opens++
	b.probe = nil
	b.until = now + int64(m.backoff(m.opt.BreakerBase, m.opt.BreakerMax, b.opens))
	m.dismissBroken(t.op, t.server, b)
}

// newBreaker remembers a server of op, in place of the one that failed longest ago where there are too many.
func (m *Manners) newBreaker(op *operator, server string, now int64) *breaker {
	if op.servers == nil {
		op.servers = make(map[string]*breaker)
	}
	if len(op.servers) >= maxBreakers {
		oldest, at := "", int64(math.MaxInt64)
		for name, b := range op.servers {
			if r := b.restAt(m.opt.BreakerMax); r <= now {
				delete(op.servers, name)
			} else if r < at {
				oldest, at = name, r
			}
		}
		if len(op.servers) >= maxBreakers {
			delete(op.servers, oldest)
		}
	}
	b := &breaker{}
	op.servers[server] = b
	return b
}
