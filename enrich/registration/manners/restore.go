package manners

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/whence-project/whence/internal/limit"
)

// What nobody has saved is cut to this, so that sums of it stay numbers.
const (
	longest   = 50 * 365 * day // before or after now, or a rate's Per
	mostTimes = 1 << 31        // a mark's n, or of anything in a row
)

// Restore takes over what [Manners.Save] of another Manners, of a process before this one, wrote. It is added to what has been used up
// since, and whoever waits and is too late now is told so. What is over is dropped. Limits, and what counts as one client, may
// have changed in between, see [Manners.Configure].
//
// Times are those of the machine's clock, so that one that is set forward makes them pass sooner. Where it has been set back, so that
// b is from the future, b counts as saved just now: pauses and used up limits then last longer, but never longer than they had to when
// they were saved. What this Manners saved itself and what it restored last is known already, and changes nothing. What is no save of
// this version changes nothing either, and is an error.
func (m *Manners) Restore(b []byte) error {
	s, err := parseSaved(b)
	if err != nil {
		return fmt.Errorf("limits that were saved: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.ID == m.id || s.saveID == m.restored {
		return nil
	}
	m.restored = s.saveID
	wall := m.opt.Now()
	now := int64(wall.Sub(m.start))
	elapsed := min(max(wall.Sub(time.Unix(0, s.At)), 0), longest)
	then := restoring{now: now, at: now - int64(elapsed)}
	for i := range s.Operators {
		m.merge(then.operator(&s.Operators[i], m.opt.BackoffMax, m.opt.BreakerMax), now)
	}
	return nil
}

// merge adds what is known from elsewhere of an operator.
func (m *Manners) merge(old *operator, now int64) {
	if len(old.clients) == 0 && len(old.servers) == 0 {
		return
	}
	op := m.operator(old.name, now)
	for _, c := range op.clients {
		for _, o := range old.clients {
			c.inherit(o, now)
		}
	}
	for name, o := range old.servers {
		b := op.servers[name]
		if b == nil {
			b = m.newBreaker(op, name, now)
		}
		b.inherit(o)
		if b.until > now {
			m.dismissBroken(op, name, b)
		}
	}
	m.dismissLate(op, now)
	m.dispatch(op, now)
}

// inherit has b remember the worse of what it and old do.
func (b *breaker) inherit(old *breaker) {
	b.last, b.failures = max(b.last, old.last), max(b.failures, old.failures)
	if old.opens == 0 {
		return
	}
	if b.opens == 0 || old.until > b.until {
		b.until = old.until
	}
	b.opens = max(b.opens, old.opens)
}

// parseSaved reads what Save wrote. Whatever passes can be merged: rates are rates, and counts are of something.
func parseSaved(b []byte) (*saved, error) {
	if len(b) > maxSaved {
		return nil, fmt.Errorf("%d bytes are more than are ever saved", len(b))
	}
	s := &saved{}
	err := json.Unmarshal(b, s)
	if s.Version != saveVersion && s.Version != 0 {
		return nil, fmt.Errorf("version %d is not the one that can be read, %d", s.Version, saveVersion)
	}
	if err != nil {
		return nil, err
	}
	if s.Version == 0 || s.ID == 0 || s.At <= 0 {
		return nil, errors.New("no version, or not whose it is and when it was saved")
	}
	for i := range s.Operators {
		if err := s.Operators[i].check(); err != nil {
			return nil, fmt.Errorf("operator %q: %w", s.Operators[i].Name, err)
		}
	}
	return s, nil
}

func (o *savedOperator) check() error {
	if o.Name == "" {
		return errors.New("no name")
	}
	for _, c := range o.Clients {
		if c.Throttles < 0 {
			return fmt.Errorf("throttled %d times", c.Throttles)
		}
		for _, q := range c.Quotas {
			if err := q.check(); err != nil {
				return err
			}
		}
	}
	for _, s := range o.Servers {
		if s.Failures < 1 || s.Opens < 0 {
			return fmt.Errorf("server %q failed %d times and was left alone %d times", s.Name, s.Failures, s.Opens)
		}
	}
	return nil
}

func (s savedQuota) check() error {
	if len(s) < rateFields || s[0] < 1 || s[1] < 1 || s[1] > int64(longest) {
		return errors.New("no rate")
	}
	rest := s[rateFields:]
	if s[2] > 0 {
		if len(rest) != 1 {
			return fmt.Errorf("a bucket of %d numbers", len(rest))
		}
		return nil
	}
	if len(rest)%markFields != 0 {
		return fmt.Errorf("a window of %d numbers", len(rest))
	}
	for i := 0; i < len(rest); i += markFields {
		if rest[i+1] < 0 || rest[i+2] < 1 {
			return fmt.Errorf("%d events in %d ms", rest[i+2], rest[i+1])
		}
	}
	return nil
}

// restoring is the time of a save as this Manners counts it, and the present.
type restoring struct{ at, now int64 }

// time is what was saved as so many milliseconds after the save, at most some time after now.
func (r restoring) time(ms int64, most time.Duration) int64 {
	return min(r.at+span(ms), r.now+int64(most))
}

// span is milliseconds in ns.
func span(ms int64) int64 {
	const most = int64(longest / time.Millisecond)
	return min(max(ms, -most), most) * int64(time.Millisecond)
}

// operator is what was saved of one, without what is over.
func (r restoring) operator(o *savedOperator, forgetClient, forgetServer time.Duration) *operator {
	op := &operator{name: o.Name, servers: make(map[string]*breaker)}
	for i := range o.Clients {
		if c := r.client(&o.Clients[i]); c.restAt(forgetClient) > r.now {
			op.clients = append(op.clients, c)
		}
	}
	for _, s := range o.Servers {
		b := &breaker{failures: min(s.Failures, mostTimes), opens: min(s.Opens, mostTimes), last: r.time(s.Last, 0)}
		if b.opens > 0 {
			b.until = cmp.Or(r.time(s.Until, forgetServer), -1) // 0 means closed
		}
		if b.restAt(forgetServer) > r.now {
			op.servers[s.Name] = b
		}
	}
	return op
}

func (r restoring) client(s *savedClient) *client {
	c := &client{network: s.Network, throttles: min(s.Throttles, mostTimes), throttledAt: r.time(s.ThrottledAt, 0)}
	if s.Paused > 0 {
		c.paused, c.why = r.time(s.Paused, maxWait), cmp.Or(s.Why, asked)
	}
	for _, q := range s.Quotas {
		c.quotas = append(c.quotas, r.quota(q))
	}
	return c
}

func (r restoring) quota(s savedQuota) quota {
	q := quota{rate: limit.Rate{Events: int(s[0]), Per: time.Duration(s[1]), Burst: int(s[2])}}
	if !q.isWindow() {
		q.full = min(r.time(s[rateFields], longest), r.now+q.tolerance()+q.interval()+int64(maxWait))
		return q
	}
	for i := rateFields; i < len(s); i += markFields {
		last := r.time(s[i], 0)
		m := mark{first: last - span(s[i+1]), last: last, n: int(min(s[i+2], mostTimes))}
		q.marks = append(q.marks, m)
		q.used += m.n
	}
	return q
}
