package upstream

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	firstPause = 100 * time.Millisecond // after all servers failed, before they are tried again; doubled each time
	mostPause  = 200 * time.Millisecond
	mostBroken = 6 // connections that may be lost under a query; it may be what breaks them
	mostAgain  = 2 // times that a query is moved to another connection of the same server, without a pause
)

// ask is a query that has not been answered. Its fields are guarded by mu, but for frame and question, which do not change.
type ask struct {
	p        *Pool
	frame    []byte // as it goes out; the ID is the connection's
	question []byte // of frame
	id       uint16 // of the caller
	once     bool   // a probe: one attempt, also at a server that is down
	deadline int64
	done     func(reply []byte, from *Server, err error)
	wheel    wheelNode

	mu       sync.Mutex
	attempts []attempt
	tried    uint64 // servers of this round
	extra    int    // attempts beside those of the policy, since those are slow
	again    int
	broken   int // connections that were lost under it
	rounds   int
	paused   bool
	replies  []Reply // usable ones, for a quorum
	fallback Reply   // what a server said that another may say better
	fault    error   // the last
	finished bool
	reply    []byte // what to tell
	from     *Server
	err      error

	attemptsArray [2]attempt
	frameArray    [2 + paddedTo]byte // most queries are no longer
}

// attempt is an ask at one server.
type attempt struct {
	s    *Server
	c    *conn // nil: waits for one
	id   uint16
	live bool // false: its connection was given up; an answer would be welcome, but is not waited for
	sent int64
}

// newAsk is an ask for q, ErrQuery if that is not one.
func newAsk(p *Pool, q []byte, deadline int64, done func([]byte, *Server, error)) (*ask, error) {
	a := &ask{p: p, deadline: deadline, done: done}
	a.attempts = a.attemptsArray[:0]
	frame, end, err := appendFrame(a.frameArray[:0], q, p.padded, p.keepalive)
	if err != nil {
		return nil, err
	}
	a.frame, a.question, a.id = frame, frame[2+headerSize:2+end], binary.BigEndian.Uint16(q)
	return a, nil
}

// The methods from here to unlock want a.mu held.

// launch starts attempts until as many are under way as should be, or there is no server left to try. avoid are servers to take
// only if there is no other.
func (a *ask) launch(t int64, avoid uint64) {
	want := a.p.policy.width + a.extra
	for a.live()+len(a.replies) < want {
		i := a.p.pick(a, avoid)
		if i < 0 && avoid != 0 {
			i, avoid = a.p.pick(a, 0), 0
		}
		if i < 0 {
			return
		}
		a.tried |= 1 << i
		if err := a.p.servers[i].send(a, t); err != nil {
			a.fault = err
		}
	}
}

func (a *ask) live() int {
	n := 0
	for i := range a.attempts {
		if a.attempts[i].live {
			n++
		}
	}
	return n
}

// settle decides what becomes of an ask that has nothing under way: what it has is told, or it pauses before another round.
func (a *ask) settle(t int64) {
	switch {
	case a.finished || a.paused || a.live() > 0:
	case len(a.replies) > 0 || a.fallback.Msg != nil:
		a.giveBest(nil)
	case a.once:
		a.finish(nil, nil, a.fault)
	case a.p.allDown():
		a.finish(nil, nil, because(ErrDown, a.fault))
	default:
		// Nearly: what broke together does not come back together, so that a query that breaks connections is found alone.
		pause := min(firstPause<<min(a.rounds, 8), mostPause)
		again := t + int64(pause/2+rand.N(pause))
		if again < a.deadline {
			a.rounds++
			a.paused, a.tried, a.extra = true, 0, 0
			a.p.wheel.set(a, again)
		} else if len(a.attempts) == 0 {
			a.finish(nil, nil, because(ErrTimeout, a.fault))
		} else {
			a.p.wheel.set(a, a.deadline)
		}
	}
}

// giveBest finishes with the best there is: a reply that may not win, else err.
func (a *ask) giveBest(err error) {
	switch {
	case len(a.replies) > 0:
		a.p.disagreed(a.replies)
		a.finish(nil, nil, &DisagreeError{Want: a.p.policy.need, Replies: a.replies})
	case a.fallback.Msg != nil:
		a.finish(a.fallback.Msg, a.fallback.From, nil)
	default:
		a.finish(nil, nil, err)
	}
}

// finish ends the ask: what is under way is forgotten, and unlock tells the caller.
func (a *ask) finish(reply []byte, from *Server, err error) {
	a.finished, a.reply, a.from, a.err = true, reply, from, err
	a.p.wheel.remove(a)
	for _, at := range a.attempts {
		if at.c != nil {
			at.c.cancel(at.id, a)
		}
	}
	a.attempts = a.attempts[:0]
}

// unlock releases the lock, and tells the caller if this is when the ask was finished. Handlers return at once where it was
// finished before, so that it is told once.
func (a *ask) unlock() {
	finished := a.finished
	a.mu.Unlock()
	if !finished {
		return
	}
	if a.reply != nil {
		binary.BigEndian.PutUint16(a.reply, a.id)
	}
	a.done(a.reply, a.from, a.err)
	a.p.left()
}

// take removes the attempt on a connection, or at a server where it waits for one (c nil).
func (a *ask) take(s *Server, c *conn, id uint16) (attempt, bool) {
	for i, at := range a.attempts {
		if at.s == s && at.c == c && at.id == id {
			last := len(a.attempts) - 1
			a.attempts[i] = a.attempts[last]
			a.attempts = a.attempts[:last]
			return at, true
		}
	}
	return attempt{}, false
}

// answered is a reply to the question, valid during the call.
func (a *ask) answered(c *conn, id uint16, reply []byte, t int64) {
	a.mu.Lock()
	at, ok := a.take(c.s, c, id)
	if a.finished || !ok {
		a.mu.Unlock()
		return
	}
	c.s.answered(reply, t, t-at.sent)
	a.judge(c, reply)
	if !a.finished {
		a.launch(t, 0)
		a.settle(t)
	}
	a.unlock()
}

// judge finishes the ask if the reply wins, else remembers it.
func (a *ask) judge(c *conn, reply []byte) {
	switch {
	case a.once:
		a.finish(reply, c.s, nil)
	case !usable(reply):
		if a.fallback.Msg == nil {
			a.fallback = Reply{c.s, append([]byte(nil), reply...)}
		}
	case a.p.policy.kind == quorum:
		msg := append([]byte(nil), reply...)
		binary.BigEndian.PutUint16(msg, a.id)
		a.replies = append(a.replies, Reply{c.s, msg})
		if i := a.p.policy.agreed(a.replies); i >= 0 {
			a.p.dissent(a.replies, i)
			a.finish(a.replies[i].Msg, a.replies[i].From, nil)
		}
	default:
		a.finish(reply, c.s, nil)
	}
}

// lost is an attempt that came to nothing: its connection is gone, could not be had (c nil), or gave a reply that is none. With
// again the query may go to the same server at once: what failed was the connection.
func (a *ask) lost(s *Server, c *conn, id uint16, err error, again bool) {
	a.mu.Lock()
	at, ok := a.take(s, c, id)
	if a.finished || !ok {
		a.mu.Unlock()
		return
	}
	if again {
		a.broken++
	}
	a.moveOn(s, err, again && at.live, 0)
}

// givenUp is an attempt on a connection that has fallen silent: the query goes elsewhere, but the answer may still come.
func (a *ask) givenUp(c *conn, id uint16) {
	a.mu.Lock()
	for i := range a.attempts {
		if at := &a.attempts[i]; at.c == c && at.id == id && at.live && !a.finished {
			at.live = false
			a.moveOn(c.s, errSilent, true, a.p.bit(c.s))
			return
		}
	}
	a.mu.Unlock()
}

func (a *ask) moveOn(s *Server, err error, again bool, avoid uint64) {
	t := now()
	a.fault = err
	if again && a.again < mostAgain && !a.once {
		a.again++
		a.tried &^= a.p.bit(s)
	}
	if a.broken >= mostBroken {
		a.giveBest(because(ErrBroken, err))
	} else {
		if !a.once && !a.paused {
			a.launch(t, avoid)
		}
		a.settle(t)
	}
	a.unlock()
}

// assign sends an ask that waited for a connection of s.
func (a *ask) assign(s *Server, t int64) {
	a.mu.Lock()
	if _, ok := a.take(s, nil, 0); a.finished || !ok {
		a.mu.Unlock()
		return
	}
	if err := s.send(a, t); err != nil {
		a.fault = err
		a.launch(t, 0)
		a.settle(t)
	}
	a.unlock()
}

// due is called by the wheel: the deadline, the end of a pause, or that the attempts under way are slow, so that one more is
// made beside them.
func (a *ask) due() {
	t := now()
	a.mu.Lock()
	switch {
	case a.finished:
		a.mu.Unlock()
		return
	case t >= a.deadline:
		a.expire(t)
	case a.paused:
		a.paused = false
		a.p.wheel.set(a, min(a.deadline, t+a.p.patience))
		a.launch(t, 0)
		a.settle(t)
	default:
		for _, at := range a.attempts {
			if at.live && at.c != nil {
				at.s.slow(t - at.sent)
			}
		}
		a.p.wheel.set(a, min(a.deadline, t+a.p.patience))
		if !a.once && a.live() > 0 {
			a.extra++
			a.launch(t, 0)
		}
	}
	a.unlock()
}

// expire ends an ask at its deadline. Who had the time to answer and did not has failed.
func (a *ask) expire(t int64) {
	for _, at := range a.attempts {
		if at.live && at.c != nil && t-at.sent >= a.p.patience {
			at.s.failed(failTimeout, ErrTimeout)
		}
	}
	a.giveBest(because(ErrTimeout, a.fault))
}
