package registryfarm

import (
	"net/netip"
	"sync"
	"time"

	"github.com/whence-project/whence/internal/limit"
)

// Limit is what a registry allows each client. The zero Limit is none.
type Limit struct {
	// Rates hold all at once. One without a burst is a rolling window: never more than Events in any time of Per. One with a burst
	// is a token bucket.
	Rates []limit.Rate
	// Slack is by how much a query may come too early: two can be closer together on arrival than they were when they were sent.
	Slack      time.Duration
	Concurrent int // queries at the same time, 0: any number; of WHOIS it is connections

	// Who is one client: the source address, the networks of these sizes (0: the address), or everybody.
	Bits4, Bits6 int
	Global       bool
	Separate     bool // RDAP and WHOIS are counted apart, not together

	Over Over // what is answered over the limit
	// BanAfter violations a client is blocked for BanFor, 0 for good. 0: nobody is banned.
	BanAfter int
	BanFor   time.Duration
}

// Over is how a registry tells that its limit is reached.
type Over uint8

// The answers over a limit.
const (
	Tell     Over = iota // 429 with Retry-After in seconds; WHOIS says for how many seconds
	TellDate             // 429 with Retry-After as an HTTP date; WHOIS as Tell
	Silent               // 429 and nothing else; WHOIS says no more than that there is a limit
	Words                // as [ThrottleText]
	Drop                 // a reset
)

// verdict is what comes of a query.
type verdict struct {
	over   bool
	banned bool
	wait   time.Duration // until the next query is allowed
}

// limiter counts the queries of the clients of one registry.
type limiter struct {
	limit Limit
	net   limit.Network

	mu      sync.Mutex
	clients map[netip.Addr]*client
}

// maxClients is how many clients are remembered; beyond that all are forgotten. Tests on loopback do not come near it.
const maxClients = 1 << 16

type client struct {
	rates      []spent
	open       int
	violations int
	banned     bool
	until      time.Time // of a ban, zero for good
}

// spent is what a client used of a rate.
type spent struct {
	marks []time.Time // of a window: when its queries came
	full  time.Time   // of a bucket: when it is full again (GCRA)
}

func newLimiter(l Limit) *limiter {
	lim := &limiter{limit: l, net: limit.Network{Bits4: l.Bits4, Bits6: l.Bits6}, clients: make(map[netip.Addr]*client)}
	if l.Bits4 == 0 {
		lim.net.Bits4 = 32
	}
	if l.Bits6 == 0 {
		lim.net.Bits6 = 128
	}
	return lim
}

// none reports that there is nothing to count.
func (l *limiter) none() bool { return len(l.limit.Rates) == 0 && l.limit.Concurrent == 0 }

// client is that of an address; l.mu is held.
func (l *limiter) client(from netip.Addr) *client {
	key := netip.Addr{}
	if !l.limit.Global {
		key = l.net.Of(from)
	}
	c := l.clients[key]
	if c == nil {
		if len(l.clients) >= maxClients {
			clear(l.clients)
		}
		c = &client{rates: make([]spent, len(l.limit.Rates))}
		l.clients[key] = c
	}
	return c
}

// enter counts one who is there, and reports whether they are not too many. leave undoes it in either case.
func (l *limiter) enter(from netip.Addr, now time.Time) verdict {
	if l.limit.Concurrent == 0 {
		return verdict{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.client(from)
	if c.open++; c.open <= l.limit.Concurrent {
		return verdict{}
	}
	v := verdict{over: true}
	l.violated(c, now, &v)
	return v
}

func (l *limiter) leave(from netip.Addr) {
	if l.limit.Concurrent == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.client(from); c.open > 0 {
		c.open--
	}
}

// take counts a query, unless it is over a limit: those cost nothing but the violation.
func (l *limiter) take(from netip.Addr, now time.Time) verdict {
	if l.none() {
		return verdict{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.client(from)
	if c.banned && (c.until.IsZero() || now.Before(c.until)) {
		return verdict{over: true, banned: true, wait: max(0, c.until.Sub(now))}
	}
	c.banned = false
	var v verdict
	for i, r := range l.limit.Rates {
		v.wait = max(v.wait, c.rates[i].wait(r, now))
	}
	if v.wait > l.limit.Slack {
		v.over = true
		l.violated(c, now, &v)
		return v
	}
	for i, r := range l.limit.Rates {
		c.rates[i].take(r, now)
	}
	return verdict{}
}

func (l *limiter) violated(c *client, now time.Time, v *verdict) {
	if c.violations++; l.limit.BanAfter == 0 || c.violations < l.limit.BanAfter {
		return
	}
	c.violations, c.banned, c.until = 0, true, time.Time{}
	if l.limit.BanFor > 0 {
		c.until = now.Add(l.limit.BanFor)
	}
	v.banned, v.wait = true, l.limit.BanFor
}

func interval(r limit.Rate) time.Duration { return r.Per / time.Duration(max(r.Events, 1)) }

// wait is how long it is until another query is allowed.
func (s *spent) wait(r limit.Rate, now time.Time) time.Duration {
	switch {
	case r.IsZero():
		return 0
	case r.Burst > 0:
		full := s.full
		if full.Before(now) { // of one who never asked it is zero, and too long ago to be subtracted
			full = now
		}
		return max(0, full.Sub(now)-time.Duration(r.Burst-1)*interval(r))
	case len(s.marks) < r.Events:
		return 0
	}
	return max(0, s.marks[len(s.marks)-r.Events].Add(r.Per).Sub(now))
}

func (s *spent) take(r limit.Rate, now time.Time) {
	if r.Burst > 0 {
		if s.full.Before(now) {
			s.full = now
		}
		s.full = s.full.Add(interval(r))
		return
	}
	gone := 0
	for gone < len(s.marks) && !s.marks[gone].Add(r.Per).After(now) {
		gone++
	}
	s.marks = append(s.marks[gone:], now)
}
