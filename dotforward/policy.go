package dotforward

import (
	"context"
	"errors"
	"hash/fnv"
	"net/netip"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/whence-project/whence/dotforward/wire"
	"github.com/whence-project/whence/enrich"
)

// PolicyOptions are what a policy asks the chain, and what it does then. All conditions that are given must hold. What the chain
// does not know fulfils none, but for those that are about not being known: Unranked and Unseen.
type PolicyOptions struct {
	Name  string // what logs and extended errors call it
	Chain *enrich.Chain

	// About the name: registered less than so long ago, and first seen by this network less than so long ago; 0 for not asked.
	Registered, FirstSeen time.Duration
	// Unseen holds for names that this network has not seen at all too, Unranked for those in no list.
	Unseen, Unranked bool
	// RankAbove holds for names behind that place in a list of popular ones, 0 for not asked.
	RankAbove int
	// FreqBelow holds for names whose pairs of characters are less usual than that, in percent; 0 for not asked.
	FreqBelow float64

	// About the addresses in the answer, of which one suffices: their country (ISO 3166-1 alpha-2), and their origin AS.
	Countries []string
	ASNs      []uint32

	// Tag is added to the query, "" for none.
	Tag string
	// Hit hears of each query that the conditions held for, and of what the chain said last; it may be nil. It must not block.
	Hit func(q *Query, r *enrich.Record)
	// Block has the query answered as BlockWith says; otherwise it goes on.
	Block     bool
	BlockWith BlockWith

	// Recheck is after how long the chain is asked again about a name whose answer is in the cache, as what it knows may have
	// changed. 0: DefaultRecheck.
	Recheck time.Duration
}

// DefaultRecheck is Recheck where the options have none.
const DefaultRecheck = time.Minute

// Policy is a Handler that goes by what the chain knows: of the name, in the stage Decide, or of the addresses in the answer, in the
// stage Answered. It never waits for what the chain has to fetch.
type Policy struct {
	o     PolicyOptions
	want  enrich.KeySet
	asns  []string // as records have them
	hits  atomic.Uint64
	salt  uint64
	stage Stage
}

// NewPolicy makes a Policy. It fails where the options have no conditions or nothing to do.
func NewPolicy(o PolicyOptions) (*Policy, error) {
	p := &Policy{o: o, stage: Decide}
	if p.o.Recheck <= 0 {
		p.o.Recheck = DefaultRecheck
	}
	ofName, ofAddress := p.nameKeys(), len(o.Countries)+len(o.ASNs) > 0
	switch {
	case o.Chain == nil:
		return nil, errors.New("a policy needs a chain to ask")
	case len(ofName) == 0 && !ofAddress:
		return nil, errors.New("a policy needs a condition")
	case !o.Block && o.Tag == "" && o.Hit == nil:
		return nil, errors.New("a policy needs something to do")
	}
	for _, n := range o.ASNs {
		p.asns = append(p.asns, enrich.ASOf(n).String())
	}
	if ofAddress {
		p.stage = Answered
	}
	p.want = enrich.SetOf(ofName...)
	h := fnv.New64a()
	h.Write([]byte(o.Name))
	p.salt = h.Sum64() // policies are not all asked again at the same moment
	return p, nil
}

// nameKeys are the facts that the conditions about the name need.
func (p *Policy) nameKeys() (keys []enrich.Key) {
	if p.o.Registered > 0 {
		keys = append(keys, enrich.Created)
	}
	if p.o.FirstSeen > 0 || p.o.Unseen {
		keys = append(keys, enrich.FirstSeen)
	}
	if p.o.RankAbove > 0 || p.o.Unranked {
		keys = append(keys, enrich.Rank)
	}
	if p.o.FreqBelow > 0 {
		keys = append(keys, enrich.FreqAverage)
	}
	return keys
}

// Name is what the policy is called.
func (p *Policy) Name() string { return p.o.Name }

// Hits is how often its conditions held.
func (p *Policy) Hits() uint64 { return p.hits.Load() }

// Stage is Decide or, where the policy is about addresses, Answered.
func (p *Policy) Stage() Stage { return p.stage }

// Generation changes with time, as what the chain knows does.
func (p *Policy) Generation(now time.Time) uint64 {
	return (uint64(now.UnixNano()) + p.salt%uint64(p.o.Recheck)) / uint64(p.o.Recheck)
}

// Handle does what the policy says, if its conditions hold.
func (p *Policy) Handle(q *Query) Verdict {
	var r enrich.Record
	if p.want != 0 && !p.holdsOfName(q, &r) || p.stage == Answered && !p.holdsOfAddress(q, &r) {
		return Next
	}
	q.noted = true
	if p.o.Tag != "" {
		q.Tag(p.o.Tag)
	}
	if !q.Trial() {
		p.hits.Add(1)
		if p.o.Hit != nil {
			p.o.Hit(q, &r)
		}
	}
	if p.o.Block {
		return q.Blocked(p.o.BlockWith, DefaultBlockTTL, wire.EDEFiltered, p.o.Name)
	}
	return Next
}

// lookup asks the chain. What it has to fetch is there the next time; nobody on the way reads the name.
func (p *Policy) lookup(s enrich.Subject, want enrich.KeySet, r *enrich.Record) bool {
	if !s.IsValid() {
		return false
	}
	p.o.Chain.Lookup(context.Background(), &enrich.Query{Subject: s, Want: want, Discreet: true, Priority: enrich.Background}, r)
	return true
}

func (p *Policy) holdsOfName(q *Query, r *enrich.Record) bool {
	return p.lookup(subjectOf(q.Name()), p.want, r) &&
		within(r.Value(enrich.Created), p.o.Registered, false, q.Time()) &&
		within(r.Value(enrich.FirstSeen), p.o.FirstSeen, p.o.Unseen, q.Time()) &&
		p.holdsOfRank(r.Value(enrich.Rank)) && p.holdsOfFreq(r.Value(enrich.FreqAverage))
}

// within reports whether the time in a record is less than d ago. absent is what holds where there is none and it is asked for.
func within(value string, d time.Duration, absent bool, now time.Time) bool {
	if d == 0 && !absent {
		return true
	}
	if value == "" {
		return absent
	}
	t, err := time.Parse(time.RFC3339, value)
	return err == nil && now.Sub(t) < d
}

func (p *Policy) holdsOfRank(value string) bool {
	if p.o.RankAbove == 0 && !p.o.Unranked {
		return true
	}
	if value == "" {
		return p.o.Unranked
	}
	rank, err := strconv.Atoi(value)
	return err == nil && p.o.RankAbove > 0 && rank > p.o.RankAbove
}

func (p *Policy) holdsOfFreq(value string) bool {
	if p.o.FreqBelow == 0 {
		return true
	}
	f, err := strconv.ParseFloat(value, 64)
	return err == nil && f < p.o.FreqBelow
}

// holdsOfAddress reports whether an address in the answer is in one of the countries and in one of the ASes, where those are asked
// for.
func (p *Policy) holdsOfAddress(q *Query, r *enrich.Record) bool {
	a := q.Answer()
	if a == nil {
		return false
	}
	want := enrich.SetOf(enrich.CountryCode, enrich.ASN)
	return slices.ContainsFunc(a.Addrs[:min(len(a.Addrs), mostAddrs)], func(addr netip.Addr) bool {
		return p.lookup(enrich.AddressOf(addr), want, r) &&
			(len(p.o.Countries) == 0 || slices.Contains(p.o.Countries, r.Value(enrich.CountryCode))) &&
			(len(p.o.ASNs) == 0 || slices.Contains(p.asns, r.Value(enrich.ASN)))
	})
}

// mostAddrs bounds what one answer costs.
const mostAddrs = 32

var _ Stable = (*Policy)(nil)
