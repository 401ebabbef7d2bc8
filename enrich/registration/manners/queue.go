package manners

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"
)

// ErrQueueFull is that as many wait for the operator as may, and none of them is less urgent.
var ErrQueueFull = errors.New("too many queries wait for the same operator")

// PausedError is that the operator may not be asked in time: he asked to be left alone, or his limits are used up.
type PausedError struct {
	Operator string
	Until    time.Time // when it can be one's turn at the earliest
	Why      string
	Reserved bool // what is left is kept for who is more urgent: he would have had his turn
}

func (e *PausedError) Error() string {
	return e.Operator + " " + e.Why + ", until " + e.Until.UTC().Format("2006-01-02 15:04:05 MST")
}

// BrokenError is that the server has failed too often to be asked again now.
type BrokenError struct {
	Server string
	Until  time.Time // when it will be tried again
}

func (e *BrokenError) Error() string {
	return e.Server + " has failed repeatedly and is not asked until " + e.Until.UTC().Format("2006-01-02 15:04:05 MST")
}

// Request is what somebody wants a turn for.
type Request struct {
	Operator string // as [Manners.Operator] tells
	Server   string // the host that is to be asked
	// Priority is read each time a turn is given, as it may rise while waiting; nil is Person. It must be quick, and must not call the
	// Manners.
	Priority func() Priority
	Family   int // 4 or 6: the server has only such addresses, so that local ones of that family must ask it; 0: any will do
}

func (r *Request) priority() Priority {
	if r.Priority == nil {
		return Person
	}
	return min(r.Priority(), priorities-1)
}

// waiter is somebody in the queue. Everything but done is guarded by the lock of the Manners.
type waiter struct {
	Request
	ctx      context.Context
	deadline int64         // 0: none
	done     chan struct{} // closed when there is a turn or an error
	turn     *Turn
	err      error
}

// Turn is the right to ask once. Who has it calls Done when the answer, or none, has come.
type Turn struct {
	m      *Manners
	op     *operator
	source *source
	server string
	at     int64
	done   bool
}

// Source is the local address to ask from; the zero Addr is the system's choice.
func (t *Turn) Source() netip.Addr { return t.source.addr }

// Wait blocks until r may be asked. It fails with [*PausedError], at once, where that cannot be before the deadline of ctx; with
// [*BrokenError] where the server is not to be asked; with [ErrQueueFull] where too many wait, which also happens to who waits
// already when somebody more urgent comes; and with the error of ctx.
func (m *Manners) Wait(ctx context.Context, r Request) (*Turn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	now := m.now()
	op := m.operator(r.Operator, now)
	r.Family = op.family(r.Family)
	if len(op.queue) == 0 && !op.held(r.Server, now) {
		if s := op.pick(r.Family, r.priority(), now); s != nil {
			defer m.mu.Unlock()
			return m.grant(op, s, r.Server, now), nil
		}
	}
	w, err := m.enqueue(ctx, op, r, now)
	if err == nil {
		m.dispatch(op, now)
	}
	m.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case <-w.done:
		return w.turn, w.err
	case <-ctx.Done():
		return m.leave(ctx, op, w)
	}
}

// leave takes w out of the queue. A turn that it was given meanwhile is not wasted.
func (m *Manners) leave(ctx context.Context, op *operator, w *waiter) (*Turn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.Index(op.queue, w); i >= 0 {
		op.queue = slices.Delete(op.queue, i, i+1)
		m.count(op, func(c *Counts) { c.GaveUp++ })
		m.dispatch(op, m.now())
		return nil, ctx.Err()
	}
	return w.turn, w.err
}

// enqueue puts a request into the queue, unless it is certain that it will not be its turn in time.
func (m *Manners) enqueue(ctx context.Context, op *operator, r Request, now int64) (*waiter, error) {
	if b := op.servers[r.Server]; b != nil && b.until > now {
		m.count(op, func(c *Counts) { c.Broken++ })
		return nil, &BrokenError{Server: r.Server, Until: m.time(b.until)}
	}
	w := &waiter{Request: r, ctx: ctx, done: make(chan struct{})}
	if d, ok := ctx.Deadline(); ok {
		w.deadline = max(now+int64(time.Until(d)), 1)
	}
	ahead, last, p := 0, -1, r.priority()
	lowest := p
	for i, other := range op.queue {
		o := other.priority()
		if o <= p {
			ahead++
		}
		if o > p && o >= lowest {
			last, lowest = i, o
		}
	}
	if err := m.late(op, w, p, ahead+1, now); err != nil {
		return nil, err
	}
	if len(op.queue) >= m.opt.QueueLen {
		m.count(op, func(c *Counts) { c.QueueFull++ })
		if last < 0 {
			return nil, ErrQueueFull
		}
		op.dismiss(last, ErrQueueFull)
	}
	op.queue = append(op.queue, w)
	return w, nil
}

// late is the error of w, whose priority is p, if the k-th turn from now on comes too late for it.
func (m *Manners) late(op *operator, w *waiter, p Priority, k int, now int64) error {
	if w.deadline == 0 {
		return nil
	}
	t := op.earliest(k, w.Family, p, now)
	if t <= w.deadline {
		return nil
	}
	m.count(op, func(c *Counts) { c.Paused++ })
	return &PausedError{
		Operator: op.name, Until: m.time(t), Why: op.why(now), Reserved: op.earliest(1, w.Family, Person, now) <= w.deadline,
	}
}

// dismiss tells the i-th of the queue that it gets no turn.
func (op *operator) dismiss(i int, err error) {
	w := op.queue[i]
	w.err = err
	close(w.done)
	op.queue = slices.Delete(op.queue, i, i+1)
}

// dismissLate tells those who wait for op whom his wish to be left alone makes too late.
func (m *Manners) dismissLate(op *operator, now int64) {
	for i := len(op.queue) - 1; i >= 0; i-- {
		w := op.queue[i]
		if err := m.late(op, w, w.priority(), 1, now); err != nil {
			op.dismiss(i, err)
		}
	}
}

// dismissBroken tells those who wait for a server whose breaker has opened.
func (m *Manners) dismissBroken(op *operator, server string, b *breaker) {
	for i := len(op.queue) - 1; i >= 0; i-- {
		if op.queue[i].Server == server {
			m.count(op, func(c *Counts) { c.Broken++ })
			op.dismiss(i, &BrokenError{Server: server, Until: m.time(b.until)})
		}
	}
}

// dispatch gives the turns that can be given, and sees to it that somebody comes back for the next. The lock is held, as for all of
// the below.
func (m *Manners) dispatch(op *operator, now int64) {
	for len(op.queue) > 0 {
		i, s := op.next(now)
		if i < 0 {
			break
		}
		w := op.queue[i]
		op.queue = slices.Delete(op.queue, i, i+1)
		w.turn = m.grant(op, s, w.Server, now)
		close(w.done)
	}
	m.arm(op, now)
}

// next is who of the queue is to have the next turn, and from which source; -1 where it is nobody's turn now.
func (op *operator) next(now int64) (int, *source) {
	if op.pick(0, Person, now) == nil {
		return -1, nil
	}
	var ready [priorities][3]struct { // by priority and family
		known  bool
		source *source
	}
	best, lowest, from := -1, Priority(priorities), (*source)(nil)
	for i, w := range op.queue {
		p := w.priority()
		if p >= lowest || w.gone(now) || op.held(w.Server, now) {
			continue
		}
		r := &ready[p][familyIndex(w.Family)]
		if !r.known {
			r.known, r.source = true, op.pick(w.Family, p, now)
		}
		if r.source != nil {
			best, lowest, from = i, p, r.source
		}
	}
	return best, from
}

func familyIndex(family int) int {
	switch family {
	case 4:
		return 1
	case 6:
		return 2
	}
	return 0
}

// gone reports that nobody waits any longer, whether he knows already or not.
func (w *waiter) gone(now int64) bool {
	return w.ctx.Err() != nil || w.deadline != 0 && w.deadline < now
}

// grant gives a turn.
func (m *Manners) grant(op *operator, s *source, server string, now int64) *Turn {
	t := &Turn{m: m, op: op, source: s, server: server, at: now}
	for i := range s.client.quotas {
		s.client.quotas[i].take(now)
	}
	s.inFlight++
	s.client.inFlight++
	if b := op.servers[server]; b != nil && b.until != 0 {
		b.probe = t
	}
	m.count(op, func(c *Counts) { c.Turns++ })
	s.last = op.counts.Turns
	return t
}

// arm sets the timer for the next turn that time alone will bring.
func (m *Manners) arm(op *operator, now int64) {
	t := int64(0)
	if len(op.queue) > 0 {
		t = op.wake(now)
	}
	if t == op.wakeAt {
		return
	}
	op.wakeAt = t
	switch {
	case t == 0:
		op.timer.Stop()
	case op.timer == nil:
		op.timer = time.AfterFunc(time.Duration(t-now), func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			op.wakeAt = 0
			m.dispatch(op, m.now())
		})
	default:
		op.timer.Reset(time.Duration(t - now))
	}
}
