package manners

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// operator is what is known of one operator.
type operator struct {
	name    string
	rule    rule
	sources []*source
	clients []*client
	servers map[string]*breaker // those that failed
	queue   []*waiter           // in order of arrival
	timer   *time.Timer         // of the next turn, where the queue waits for time to pass
	wakeAt  int64               // when the timer fires; 0: it does not
	counts  Counts
}

// source is a local address to ask from.
type source struct {
	addr     netip.Addr // the zero Addr is the system's choice
	client   *client
	inFlight int
	last     uint64 // which of the operator's turns it had last
}

// client is what the operator takes for one: all sources in one network of his choice.
type client struct {
	network     netip.Prefix // the zero Prefix is all that we have
	quotas      []quota
	inFlight    int
	paused      int64  // until then it asks nothing
	why         string // it is paused
	throttles   int    // in a row
	throttledAt int64
}

func newOperator(name string, r rule, sources []netip.Addr) *operator {
	op := &operator{name: name}
	op.configure(r, sources, 0)
	return op
}

// configure gives op another rule and other sources, and takes over what those it had have used up.
func (op *operator) configure(r rule, addrs []netip.Addr, now int64) {
	if len(addrs) == 0 {
		addrs = []netip.Addr{{}}
	}
	oldSources, oldClients := op.sources, op.clients
	op.rule, op.sources, op.clients = r, nil, nil
	for _, a := range addrs {
		i := slices.IndexFunc(oldSources, func(s *source) bool { return s.addr == a })
		s := &source{addr: a}
		if i >= 0 {
			s = oldSources[i]
		}
		op.sources = append(op.sources, s)
	}
	for _, s := range op.sources {
		network := r.limit.clientOf(s.addr)
		i := slices.IndexFunc(op.clients, func(c *client) bool { return c.network == network })
		if i < 0 {
			i = len(op.clients)
			op.clients = append(op.clients, &client{network: network, quotas: newQuotas(r.limit.Rates)})
			for _, old := range oldClients {
				op.clients[i].inherit(old, now)
			}
		}
		s.client = op.clients[i]
		s.client.inFlight += s.inFlight
	}
	for _, w := range op.queue {
		w.Family = op.family(w.Family)
	}
}

// family is the one that is wanted, or any where no source has it: that the server cannot be reached is for who dials to say.
func (op *operator) family(wanted int) int {
	if slices.ContainsFunc(op.sources, func(s *source) bool { return s.serves(wanted) }) {
		return wanted
	}
	return 0
}

// inherit takes over what old, a client of a former configuration, has learnt and used up, if they have addresses in common.
func (c *client) inherit(old *client, now int64) {
	if c.network.IsValid() && old.network.IsValid() && !c.network.Overlaps(old.network) {
		return
	}
	inherit(c.quotas, old.quotas, now)
	if old.paused > c.paused {
		c.paused, c.why = old.paused, old.why
	}
	if c.paused > now {
		c.drain(c.paused)
	}
	if old.throttles > 0 {
		if c.throttles == 0 {
			c.throttledAt = old.throttledAt
		}
		c.throttles = max(c.throttles, old.throttles)
		c.throttledAt = max(c.throttledAt, old.throttledAt)
	}
}

// drain has c come back from a pause without a burst.
func (c *client) drain(until int64) {
	for i := range c.quotas {
		c.quotas[i].drain(until)
	}
}

// readyAt is when the k-th query from now on, of priority p, may be asked at the earliest, k from 1.
func (c *client) readyAt(k int, p Priority, now int64) int64 {
	t := max(now, c.paused)
	for i := range c.quotas {
		q := &c.quotas[i]
		t = max(t, q.at(k+q.reserve(p), now))
	}
	return t
}

// left is how many queries may be asked at once now.
func (c *client) left(now int64) int {
	n := math.MaxInt
	for i := range c.quotas {
		n = min(n, c.quotas[i].left(now))
	}
	return n
}

// serves reports that s has addresses of the family that is wanted: 4 or 6, others are any.
func (s *source) serves(family int) bool {
	i := familyIndex(family)
	return i == 0 || !s.addr.IsValid() || s.addr.Is4() == (i == 1)
}

// pick is the source whose turn it is for a query of priority p: of the client with most queries left, the one that rested
// longest. It is nil where none is ready.
func (op *operator) pick(family int, p Priority, now int64) *source {
	var best *source
	most := 0
	for _, s := range op.sources {
		c := s.client
		full := op.rule.limit.Concurrent > 0 && c.inFlight >= op.rule.limit.Concurrent
		if full || !s.serves(family) || c.readyAt(1, p, now) > now {
			continue
		}
		if left := c.left(now); best == nil || left > most || left == most && s.last < best.last {
			best, most = s, left
		}
	}
	return best
}

// earliest is when the k-th query from now on, of priority p, may be asked at the earliest, however lucky we are: at least one
// client must ask its share of the k.
func (op *operator) earliest(k, family int, p Priority, now int64) int64 {
	share := (k + len(op.clients) - 1) / len(op.clients)
	t := int64(math.MaxInt64)
	for _, s := range op.sources {
		if s.serves(family) {
			t = min(t, s.client.readyAt(share, p, now))
		}
	}
	return t
}

// wake is when a client that has to let time pass will be ready for some priority, 0 where there is none.
func (op *operator) wake(now int64) int64 {
	t := int64(0)
	for _, c := range op.clients {
		for p := range Priority(priorities) {
			if r := c.readyAt(1, p, now); r > now && (t == 0 || r < t) {
				t = r
			}
		}
	}
	if soon := now + int64(rise); t > soon && op.pick(0, Person, now) != nil {
		return soon
	}
	return t
}

// restAt is from when on there is nothing to remember of op, math.MaxInt64 where that depends on others.
func (op *operator) restAt(forget time.Duration) int64 {
	if len(op.queue) > 0 {
		return math.MaxInt64
	}
	t := int64(0)
	for _, s := range op.sources {
		if s.inFlight > 0 {
			return math.MaxInt64
		}
	}
	for _, c := range op.clients {
		t = max(t, c.restAt(forget))
	}
	for _, b := range op.servers {
		t = max(t, b.restAt(forget))
	}
	return t
}

// restAt is from when on there is nothing to remember of c, apart from what is under way.
func (c *client) restAt(forget time.Duration) int64 {
	t := c.paused
	if c.throttles > 0 {
		t = max(t, max(c.paused, c.throttledAt)+int64(forget))
	}
	for i := range c.quotas {
		t = max(t, c.quotas[i].restAt())
	}
	return t
}

// forget drops the operators of whom there is nothing to remember, and where that leaves too many, those of whom there is
// least. Operators that the table lists stay: their number is bounded.
func (m *Manners) forget(now int64) {
	type resting struct {
		op *operator
		at int64
	}
	var others []resting
	for name, op := range m.operators {
		if op.rule.listed {
			continue
		}
		switch at := op.restAt(m.opt.BackoffMax); {
		case at <= now:
			delete(m.operators, name)
		case at < math.MaxInt64:
			others = append(others, resting{op, at})
		}
	}
	if len(others) > maxOperators*3/4 {
		slices.SortFunc(others, func(a, b resting) int {
			return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.op.name, b.op.name))
		})
		for _, r := range others[:len(others)-maxOperators*3/4] {
			delete(m.operators, r.op.name)
		}
	}
	m.sweepAt = max(64, min(2*len(m.operators), len(m.operators)+maxOperators/4))
}
