package dotforward

import (
	"math/bits"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/whence-project/whence/dotforward/wire"
)

// Outcome is where a reply came from.
type Outcome uint8

// The outcomes.
const (
	OutcomeOwn     Outcome = iota // handlers, or the server itself
	OutcomeHit                    // the cache
	OutcomeStale                  // the cache, beyond its time
	OutcomeMiss                   // a server that was asked for it
	OutcomeJoined                 // a server that was asked for somebody else
	OutcomeFailed                 // nowhere: no server answered
	OutcomeRefused                // who asked, or how, is not served
	OutcomeDropped                // there was none
	outcomes
)

func (o Outcome) String() string {
	return [...]string{"own", "hit", "stale", "miss", "joined", "failed", "refused", "dropped"}[o]
}

// The types and response codes that are counted apart; the last of each is all others.
var (
	countedTypes = [...]uint16{wire.TypeA, wire.TypeAAAA, 65, wire.TypePTR, 16, wire.TypeMX, 33, wire.TypeNS, wire.TypeSOA,
		wire.TypeCNAME, 64, 43, 48, wire.TypeANY}
	typeNames = [...]string{"A", "AAAA", "HTTPS", "PTR", "TXT", "MX", "SRV", "NS", "SOA",
		"CNAME", "SVCB", "DS", "DNSKEY", "ANY", "other"}
	rcodeNames = [...]string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "other"}
)

const (
	typeSlots  = 16
	rcodeSlots = 8
	slots      = int(transports) * typeSlots * rcodeSlots * int(outcomes)
)

// LatencyBuckets is how many buckets the histogram of misses has: bucket i counts answers within 2^i µs, the last one all others.
const LatencyBuckets = 25

// tally counts the queries of some loops. One addition counts a query in all its respects.
type tally struct {
	queries [slots]atomic.Uint64
	latency [LatencyBuckets]atomic.Uint64
	_       [64]byte // what is counted elsewhere is in another cache line
}

// typeSlot finds the slot of the types below 256.
var typeSlot = func() (of [256]uint8) {
	for i := range of {
		of[i] = uint8(len(countedTypes))
	}
	for i, t := range countedTypes {
		of[t] = uint8(i)
	}
	return of
}()

func (t *tally) count(q *Query) {
	typ, rcode := len(countedTypes), len(rcodeNames)-1
	if q.Type() < 256 {
		typ = int(typeSlot[q.Type()])
	}
	if len(q.wire.Key()) == 0 {
		typ = len(countedTypes)
	}
	if len(q.reply) > 0 {
		rcode = min(int(q.Rcode()), rcode)
		if q.parsed == wire.BadVers {
			rcode = len(rcodeNames) - 1
		}
	}
	t.queries[((int(q.transport)*typeSlots+typ)*rcodeSlots+rcode)*int(outcomes)+int(q.outcome)].Add(1)
}

func (t *tally) took(d time.Duration) {
	t.latency[min(bits.Len64(uint64(max(d.Microseconds(), 0))), LatencyBuckets-1)].Add(1)
}

// Counters count queries. They are written by many and read by few.
type Counters struct {
	tallies []tally
	next    atomic.Uint32
	// Refetches are answers that were asked for again ahead of time or since they were stale.
	refetches, shed atomic.Uint64
}

func newCounters() *Counters {
	return &Counters{tallies: make([]tally, min(runtime.GOMAXPROCS(0), 64))}
}

func (c *Counters) tally() *tally { return &c.tallies[int(c.next.Add(1))%len(c.tallies)] }

// Count is how many queries had something in common. Type and Rcode are words of a fixed set.
type Count struct {
	Transport   Transport
	Type, Rcode string
	Outcome     Outcome
	Queries     uint64
}

// Each calls f for each sort of query that there was, until it returns false.
func (c *Counters) Each(f func(Count) bool) {
	for i := range slots {
		var n uint64
		for t := range c.tallies {
			n += c.tallies[t].queries[i].Load()
		}
		if n == 0 {
			continue
		}
		k := Count{Outcome: Outcome(i % int(outcomes)), Queries: n}
		rest := i / int(outcomes)
		k.Rcode, rest = rcodeNames[rest%rcodeSlots], rest/rcodeSlots
		k.Type, k.Transport = typeNames[rest%typeSlots], Transport(rest/typeSlots)
		if k.Outcome == OutcomeDropped {
			k.Rcode = ""
		}
		if !f(k) {
			return
		}
	}
}

// Latency is how long the queries waited that the cache did not have, in the buckets that LatencyBuckets describes.
func (c *Counters) Latency() (sum [LatencyBuckets]uint64) {
	for t := range c.tallies {
		for i := range sum {
			sum[i] += c.tallies[t].latency[i].Load()
		}
	}
	return sum
}

// Refetches are how often an answer was asked for again though there was one: popular ones ahead of time, and stale ones.
func (c *Counters) Refetches() uint64 { return c.refetches.Load() }

// Shed is how many queries were refused since too many were waiting.
func (c *Counters) Shed() uint64 { return c.shed.Load() }
