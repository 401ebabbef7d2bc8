// Package cache keeps answers to DNS queries as the bytes that they came as. It is bounded by bytes, all of which lie in one piece of
// memory that the garbage collector knows nothing of: what fits in is what the machine gives away. An answer is found and copied
// without allocation; it leaves with its TTLs counted down and is otherwise what it was. Fresh answers are those within their TTLs
// (RFC 1035, RFC 2308), stale ones those kept beyond for when no server answers (RFC 8767).
package cache

import (
	"hash/maphash"
	"math"
	"time"

	"github.com/whence-project/whence/dotforward/wire"
)

const (
	tellAgain = 5   // seconds after which another caller is told to refetch: the first has given up by then
	maxSubnet = 255 // bytes of Key.Subnet
)

// Key is what an answer is the answer to. Keys are compared in whole: no two questions share an answer by chance.
type Key struct {
	// Question is name, type and class as [wire.Query.Key] has them. It is only read during a call.
	Question []byte
	// Space keeps apart what was asked of different sets of servers. It must stay the same over restarts if the cache is to.
	Space uint32
	// DO and CD are flags of the query: they change what the answer has.
	DO, CD bool
	// Subnet is the client's network where the answer is for it alone (RFC 7871), nil otherwise; at most 255 bytes.
	Subnet []byte
}

// Meta is kept beside an answer for its caller.
type Meta struct {
	Upstream   uint16
	Verdict    uint8
	Generation uint32 // of the policy that gave Verdict. An answer loaded from a file has 0.
}

// State is what Get found.
type State uint8

const (
	// Miss is nothing.
	Miss State = iota
	// Fresh is an answer within its TTL.
	Fresh
	// Stale is one beyond, for when there is no better.
	Stale
)

func (s State) String() string { return [...]string{"miss", "fresh", "stale"}[s] }

// Hit is what Get says of the answer that it found.
type Hit struct {
	State State
	// Refetch tells this caller to ask the servers again: a popular answer that is about to run out, or a stale one. Nobody else
	// is told so for the next 5 seconds.
	Refetch bool
	// Truncated says that the answer did not fit: what was written has TC set and no records.
	Truncated bool
	Kind      wire.Kind
	EDE       uint16 // the extended error that the server gave (RFC 8914), or wire.NoEDE
	TTL       uint32 // seconds left, StaleTTL if stale
	Age       uint32 // seconds since it was put
	Meta
}

// Cache is a cache of answers, safe for concurrent use. Times are the wall clock's, so that answers age while a machine sleeps.
type Cache struct {
	o      Options
	seed   maphash.Seed
	shards []shard
	memory []byte

	minTTL, maxTTL, negTTL, failTTL, staleFor, staleTTL uint32
}

// New makes an empty cache. It fails if the system gives no memory.
func New(o Options) (*Cache, error) {
	o = o.withDefaults()
	c := &Cache{
		o: o, seed: maphash.MakeSeed(),
		minTTL: seconds(o.MinTTL), maxTTL: seconds(o.MaxTTL), negTTL: seconds(o.NegativeMaxTTL), failTTL: seconds(o.FailTTL),
		staleFor: seconds(o.StaleFor), staleTTL: seconds(o.StaleTTL),
	}
	var err error
	if c.memory, c.shards, err = newShards(o.MaxBytes); err != nil {
		return nil, err
	}
	return c, nil
}

// Close gives the memory back. A closed cache finds nothing and keeps nothing.
func (c *Cache) Close() error {
	for i := range c.shards {
		c.shards[i].close()
	}
	m := c.memory
	c.memory = nil
	return release(m)
}

// find is the shard that k is in, and the hash that finds it there.
func (c *Cache) find(k *Key) (s *shard, hash uint32) {
	h := maphash.Bytes(c.seed, k.Question)
	if len(k.Subnet) > 0 {
		h = h<<1 ^ maphash.Bytes(c.seed, k.Subnet)
	}
	h ^= (uint64(k.Space)<<2 | uint64(k.flags())) * 0x9e3779b97f4a7c15
	return &c.shards[h>>32*uint64(len(c.shards))>>32], uint32(h)
}

func (k *Key) flags() (f uint8) {
	if k.DO {
		f |= flagDO
	}
	if k.CD {
		f |= flagCD
	}
	return f
}

// Get writes the answer to k into dst, with its TTLs counted down to now, and returns its length. The answer has no OPT record,
// and ID and flags of nobody: [wire.Readdress] makes it somebody's. Where it is longer than dst it is truncated; dst takes 271
// bytes at least.
func (c *Cache) Get(k *Key, now time.Time, dst []byte) (n int, hit Hit) {
	s, h := c.find(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	off, ok := s.find(h, k)
	if !ok {
		s.misses++
		return 0, Hit{}
	}
	e := s.at(off)
	age := e.age(now.UnixMilli())
	if hit = c.judge(e, age); hit.State == Miss || int(e.question)+wire.HeaderLen > len(dst) {
		s.misses++
		return 0, Hit{}
	}
	if hit.State == Fresh {
		s.hits++
	} else {
		s.stale++
	}
	e.flags |= flagUsed
	if e.hits < math.MaxUint16 {
		e.hits++
	}
	msg := s.message(off, e)
	if len(msg) > len(dst) {
		hit.Truncated = true
		n = copy(dst, msg[:wire.HeaderLen+int(e.question)])
		return len(wire.Truncate(dst[:n], n)), hit
	}
	n = copy(dst, msg)
	wire.CountDown(dst[:n], s.offsets(off, e), age, c.staleTTL)
	return n, hit
}

// judge says what e is at an age, and who is to refetch it.
func (c *Cache) judge(e *entry, age uint32) Hit {
	hit := Hit{State: Fresh, Kind: e.kind, EDE: e.ede, Age: age, Meta: Meta{e.upstream, e.verdict, e.generation}}
	again := false
	switch {
	case age < e.life:
		hit.TTL = e.life - age
		again = uint64(hit.TTL)*100 <= uint64(e.life)*uint64(c.o.PrefetchAt) && int(e.hits) >= c.o.PrefetchHits && e.kind != wire.Failure
	case c.usable(e, age):
		hit.State, hit.TTL, again = Stale, c.staleTTL, true
	default:
		return Hit{}
	}
	if again && age >= e.retry {
		hit.Refetch = true
		e.retry = age + tellAgain
	}
	return hit
}

// usable reports whether e may still be used at an age, if only for want of something better.
func (c *Cache) usable(e *entry, age uint32) bool {
	return age < e.life || e.kind != wire.Failure && age-e.life < c.staleFor
}

// life is for how many seconds a is fresh, and the bounds of its TTLs; 0 if it is not kept.
func (c *Cache) life(a *wire.Answer) (life, least, most uint32) {
	least, most = c.minTTL, c.maxTTL
	switch a.Kind {
	case wire.Positive:
	case wire.NoData, wire.NXDomain:
		if a.TTL == 0 { // there is nothing that says for how long (RFC 2308 section 5), or it says not to
			return 0, 0, 0
		}
		most = min(most, c.negTTL)
	case wire.Failure:
		return c.failTTL, 0, c.failTTL
	default:
		return 0, 0, 0
	}
	least = min(least, most)
	return min(max(a.TTL, least), most), least, most
}

// Put keeps msg, the answer to k, from which a was read, and reports whether it did. It keeps nothing that is cut short, that
// answers another question, that says to be kept for no time, or that is a failure where there is an answer that may still be used.
// msg is only read.
func (c *Cache) Put(k *Key, msg []byte, a *wire.Answer, now time.Time, m Meta) bool {
	life, least, most := c.life(a)
	n, ok := a.LenWithoutOPT()
	if life == 0 || len(k.Subnet) > maxSubnet || !wire.SameQuestion(msg, k.Question) {
		return false
	}
	s, h := c.find(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !ok {
		s.refused++
		return false
	}
	at := now.UnixMilli()
	if a.Kind == wire.Failure && c.failed(s, h, k, at) {
		return false
	}
	off, ok := s.place(h, k, entrySize(len(a.TTLs), len(k.Subnet), n), at)
	if !ok {
		return false
	}
	e := s.at(off)
	*e = entry{
		size: e.size, flags: k.flags(), verdict: m.Verdict, stored: at, hash: h, life: life, generation: m.Generation,
		space: k.Space, upstream: m.Upstream, ede: a.EDE, length: uint16(n), question: uint16(len(k.Question)),
		ttls: uint16(len(a.TTLs)), subnet: uint8(len(k.Subnet)), kind: a.Kind,
	}
	copy(s.subnet(off, e), k.Subnet)
	kept, offsets := s.message(off, e), s.offsets(off, e)
	wire.CopyWithoutOPT(kept, offsets, msg, a)
	wire.Neutralize(kept, k.Question)
	wire.ClampTTLs(kept, offsets, least, most)
	s.puts++
	return true
}

// Failed says that the servers did not answer k: a stale answer to it is not to be asked for again for a while. Put does the same
// with a failure.
func (c *Cache) Failed(k *Key, now time.Time) {
	s, h := c.find(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.failed(s, h, k, now.UnixMilli())
}

// failed reports whether there is an answer to k that is better than a failure.
func (c *Cache) failed(s *shard, h uint32, k *Key, now int64) bool {
	off, ok := s.find(h, k)
	if !ok {
		return false
	}
	e := s.at(off)
	age := e.age(now)
	if e.kind == wire.Failure || !c.usable(e, age) {
		return false
	}
	e.retry = age + max(c.staleTTL, tellAgain)
	return true
}

// SetVerdict changes what is kept beside the answer to k: what a policy said when it was asked again.
func (c *Cache) SetVerdict(k *Key, verdict uint8, generation uint32) {
	s, h := c.find(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if off, ok := s.find(h, k); ok {
		e := s.at(off)
		e.verdict, e.generation = verdict, generation
	}
}
