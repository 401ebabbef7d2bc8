package dotforward

import (
	"net/netip"
	"time"

	"github.com/whence-project/whence/dotforward/cache"
	"github.com/whence-project/whence/dotforward/wire"
)

// Explanation is what would become of a question, and why.
type Explanation struct {
	Zone     string        `json:"zone,omitempty"` // of the Route that it takes, empty for the default servers
	Servers  []string      `json:"servers"`        // that would be asked
	Answered string        `json:"answered,omitempty"`
	Rcode    uint16        `json:"rcode"` // where a handler answers
	EDE      int           `json:"ede"`   // the info code of its extended error, -1 for none
	Text     string        `json:"text,omitempty"`
	Tags     []string      `json:"tags,omitempty"`
	Cached   []CachedEntry `json:"cached,omitempty"`
}

// CachedEntry is an answer in the cache. Clients with DO or CD set have answers of their own.
type CachedEntry struct {
	DO       bool   `json:"do"`
	CD       bool   `json:"cd"`
	State    string `json:"state"` // fresh or stale
	Kind     string `json:"kind"`
	Left     uint32 `json:"left"` // seconds
	Age      uint32 `json:"age"`  // seconds
	Upstream string `json:"upstream,omitempty"`
	Passed   bool   `json:"passed"` // the handlers are known to let it pass
	Uses     uint16 `json:"uses"`
}

// Explain says what would become of a question about name, in wire form and in any case. The Stable handlers of the stage Decide are
// asked, as they would be for a client; nobody else is, nothing is counted, and nothing forwarded. ok is false where name is none.
func (s *Server) Explain(name []byte, qtype uint16) (e Explanation, ok bool) {
	msg := []byte{0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1}
	msg = append(msg, name...)
	msg = append(msg, byte(qtype>>8), byte(qtype), 0, byte(wire.ClassIN))
	msg = append(msg, 0, 0, byte(wire.TypeOPT), 4, 0xd0, 0, 0, 0, 0, 0, 0)
	q := &Query{s: s, trial: true}
	q.reset(msg, netip.AddrPort{}, TCP, s.o.Now(), nil)
	if q.parsed = wire.ParseQuery(msg, &q.wire); q.parsed != wire.OK {
		return e, false
	}
	q.stage = Decide
	for _, r := range s.routes {
		r.Handle(q)
	}
	pool, space := s.o.Pool, s.space
	if z := q.zone; z != nil {
		e.Zone, pool, space = z.Name, z.Pool, z.space
	}
	for _, u := range pool.Servers() {
		e.Servers = append(e.Servers, u.String())
	}
	e.EDE = -1
	for _, l := range s.stages[Decide] {
		if l.stable && l.Handle(q) != Next {
			e.Answered, e.Rcode, e.Text = handlerName(l.Handler), q.Rcode(), q.edeText
			if q.ede != wire.NoEDE {
				e.EDE = int(q.ede)
			}
			break
		}
	}
	e.Tags = q.tags
	for flags := range 4 {
		key := cache.Key{Question: q.wire.Key(), Space: space, DO: flags&1 != 0, CD: flags&2 != 0}
		if c, found := s.o.Cache.Explain(&key, q.now); found {
			e.Cached = append(e.Cached, s.cached(c, q.now))
		}
	}
	q.giveBack()
	return e, true
}

func (s *Server) cached(c cache.Entry, now time.Time) CachedEntry {
	return CachedEntry{
		DO: c.Key.DO, CD: c.Key.CD, State: c.State.String(), Kind: c.Kind.String(), Uses: c.Uses, Upstream: s.state.upstream(c.Meta),
		Left: c.TTL, Age: c.Age,
		Passed: len(s.stables) > 0 && c.Verdict == passed && c.Generation == s.generation(now),
	}
}

// handlerName says which handler it is: the name that it gives itself, or its kind.
func handlerName(h Handler) string {
	switch h := h.(type) {
	case interface{ Name() string }:
		return h.Name()
	case *Block:
		return "block"
	case *Hosts:
		return "hosts"
	}
	return "handler"
}
