package manners

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"time"
)

const (
	saveVersion = 1
	maxSaved    = 384 << 10 // bytes
)

// saveID is which state was saved: a Manners never saves two at the same time.
type saveID struct {
	ID uint64 `json:"id"` // of the Manners
	At int64  `json:"at"` // ns since 1970
}

// saved is what [Manners.Save] writes, as JSON. All times in it are milliseconds after At, rounded up, so that nothing is over sooner
// than it was.
type saved struct {
	Version int `json:"v"`
	saveID
	Operators []savedOperator `json:"operators,omitempty"` // those first of whom there is most to remember
}

type savedOperator struct {
	Name    string        `json:"name"`
	Clients []savedClient `json:"clients,omitempty"`
	Servers []savedServer `json:"servers,omitempty"`
	restAt  int64
}

type savedClient struct {
	Network     netip.Prefix `json:"net,omitzero"`
	Quotas      []savedQuota `json:"used,omitempty"` // of all rates, so that other rates find the one that is most like them
	Paused      int64        `json:"paused,omitempty"`
	Why         string       `json:"why,omitempty"`
	Throttles   int          `json:"throttles,omitempty"`
	ThrottledAt int64        `json:"throttled,omitempty"`
}

// savedQuota is the rate's Events, Per in nanoseconds, and Burst; then of a bucket when it is full again, and of a window three
// numbers for each mark: its last time, how long before that the first was, and n.
type savedQuota []int64

const (
	rateFields = 3
	markFields = 3
)

type savedServer struct {
	Name     string `json:"name"`
	Failures int    `json:"failures"`
	Opens    int    `json:"opens,omitempty"` // 0: the breaker is closed, and Until means nothing
	Last     int64  `json:"last"`
	Until    int64  `json:"until,omitempty"`
}

// Save is what there is to remember over a restart, for [Manners.Restore]: what is used up of the limits, pauses, and servers that
// failed, as of now; a query under way counts as asked. It is JSON of at most 384 KiB. Where that is too small, windows are saved with
// fewer marks, so that they fill again in larger steps and later, and after that operators are left out of whom there is least to
// remember.
func (m *Manners) Save() []byte { return m.snapshot().encode() }

// encode is s as JSON of at most maxSaved.
func (s *saved) encode() []byte {
	for most := maxMarks + 1; ; most = max(most/4, 1) {
		s.coarsen(most)
		b, err := json.Marshal(s)
		if err != nil {
			return nil // strings, numbers and prefixes: there is nothing that fails
		}
		if len(b) <= maxSaved {
			return b
		}
		if most == 1 {
			s.Operators = s.Operators[:len(s.Operators)*7/8]
		}
	}
}

// snapshot is the state as it is saved, so that it is encoded without the lock.
func (m *Manners) snapshot() *saved {
	m.mu.Lock()
	defer m.mu.Unlock()
	wall := m.opt.Now()
	now := int64(wall.Sub(m.start))
	s := &saved{Version: saveVersion, saveID: saveID{m.id, wall.UnixNano()}}
	for _, op := range m.operators {
		if o := op.save(m.opt.BackoffMax, m.opt.BreakerMax, now); o.restAt > now {
			s.Operators = append(s.Operators, o)
		}
	}
	slices.SortFunc(s.Operators, func(a, b savedOperator) int {
		return cmp.Or(cmp.Compare(b.restAt, a.restAt), strings.Compare(a.Name, b.Name))
	})
	return s
}

// save is op without the clients and servers of whom there is nothing to remember; its restAt is past where that is all.
func (op *operator) save(forgetClient, forgetServer time.Duration, now int64) savedOperator {
	o := savedOperator{Name: op.name}
	for _, c := range op.clients {
		if rest := c.restAt(forgetClient); rest > now {
			o.restAt = max(o.restAt, rest)
			o.Clients = append(o.Clients, c.save(now))
		}
	}
	for name, b := range op.servers {
		rest := b.restAt(forgetServer)
		if rest <= now {
			continue
		}
		o.restAt = max(o.restAt, rest)
		s := savedServer{Name: name, Failures: b.failures, Opens: b.opens, Last: after(b.last, now)}
		if b.opens > 0 {
			s.Until = after(b.until, now)
		}
		o.Servers = append(o.Servers, s)
	}
	slices.SortFunc(o.Servers, func(a, b savedServer) int { return strings.Compare(a.Name, b.Name) })
	return o
}

func (c *client) save(now int64) savedClient {
	s := savedClient{Network: c.network, Throttles: c.throttles}
	if c.paused > now {
		s.Paused, s.Why = after(c.paused, now), c.why
	}
	if c.throttles > 0 {
		s.ThrottledAt = after(c.throttledAt, now)
	}
	for i := range c.quotas {
		s.Quotas = append(s.Quotas, c.quotas[i].save(now))
	}
	return s
}

func (q *quota) save(now int64) savedQuota {
	s := savedQuota{int64(q.rate.Events), int64(q.rate.Per), int64(q.rate.Burst)}
	if !q.isWindow() {
		return append(s, after(max(q.full, now), now))
	}
	q.prune(now)
	s = slices.Grow(s, markFields*len(q.marks))
	for _, m := range q.marks {
		s = append(s, after(m.last, now), after(m.last, m.first), int64(m.n))
	}
	return s
}

// after is how many milliseconds t is after now, rounded up.
func after(t, now int64) int64 {
	ms := (t - now) / int64(time.Millisecond)
	if (t-now)%int64(time.Millisecond) > 0 {
		ms++
	}
	return ms
}

// coarsen leaves each window at most so many marks.
func (s *saved) coarsen(most int) {
	for _, o := range s.Operators {
		for _, c := range o.Clients {
			for i, q := range c.Quotas {
				c.Quotas[i] = q.coarsen(most)
			}
		}
	}
}

// coarsen joins marks that follow each other. What is joined counts until the last of it leaves the window.
func (s savedQuota) coarsen(most int) savedQuota {
	if s[2] > 0 || len(s) <= rateFields+markFields*most {
		return s
	}
	all := (len(s) - rateFields) / markFields
	each := (all + most - 1) / most
	kept := s[:rateFields]
	for marks := range slices.Chunk(s[rateFields:], markFields*each) {
		end := len(marks) - markFields
		joined := [markFields]int64{marks[end], marks[end] - (marks[0] - marks[1]), 0}
		for i := 2; i < len(marks); i += markFields {
			joined[2] += marks[i]
		}
		kept = append(kept, joined[:]...) // behind what is read next
	}
	return kept
}
