package registration

import (
	"sync"
	"sync/atomic"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration/bootstrap"
	"github.com/whence-project/whence/enrich/registration/manners"
	"github.com/whence-project/whence/enrich/registration/whoisreply"
)

// The protocols, as they are counted.
const (
	viaRDAP  = "rdap"
	viaWhois = "whois"
)

// counts is what a source counts, since it was made.
type counts struct {
	fresh, stale, misses atomic.Uint64
	mu                   sync.Mutex
	queries              map[[2]string]uint64 // by protocol and outcome, words of the program's own
}

func (c *counts) asked(via, outcome string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.queries == nil {
		c.queries = make(map[[2]string]uint64)
	}
	c.queries[[2]string{via, outcome}]++
}

// outcomeOf is a WHOIS query's.
func outcomeOf(c whoisreply.Class, err error) string {
	if c == whoisreply.Error && err != nil {
		return "failed"
	}
	return c.String()
}

// Queries calls yield with how many queries of each protocol ended how. No word of it is a client's or a server's.
func (s *Source) Queries(yield func(via, outcome string, n uint64)) {
	s.counts.mu.Lock()
	defer s.counts.mu.Unlock()
	for k, n := range s.counts.queries {
		yield(k[0], k[1], n)
	}
}

// Lookups is how often an answer was here that is not old, how often only an old one was, and how often none.
func (s *Source) Lookups() (fresh, stale, misses uint64) {
	return s.counts.fresh.Load(), s.counts.stale.Load(), s.counts.misses.Load()
}

// Registrations is how many queries brought an answer and how many did not.
func (s *Source) Registrations() (good, failed uint64) {
	s.Queries(func(_, outcome string, n uint64) {
		switch outcome {
		case "registered", "available", "reserved", "not_found":
			good += n
		default:
			failed += n
		}
	})
	return good, failed
}

// Detail is what a status says beside what every source's does.
type Detail struct {
	Hits      uint64                   `json:"hits"`              // queries answered from memory or the store, old answers too
	Stale     uint64                   `json:"stale"`             // of them, with an old answer
	Misses    uint64                   `json:"misses"`            // queries about what was not here
	Queries   map[string]uint64        `json:"queries,omitempty"` // made to registries, by protocol and outcome: "rdap registered"
	Lookups   int                      `json:"lookups"`           // under way
	Preload   *Progress                `json:"preload,omitempty"`
	Operators []manners.OperatorStatus `json:"operators,omitempty"`
	Bootstrap []bootstrap.FileStatus   `json:"bootstrap,omitempty"`
}

// UnderWay is how many lookups wait for a registry, or for their turn.
func (s *Source) UnderWay() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.flights)
}

// Status says what is known and what is under way.
func (s *Source) Status() enrich.Status {
	d := &Detail{Queries: make(map[string]uint64), Preload: s.Preloading(), Operators: s.opt.Manners.Status(), Bootstrap: s.opt.Bootstrap.Status()}
	d.Hits, d.Stale, d.Misses = s.Lookups()
	d.Hits += d.Stale
	s.Queries(func(via, outcome string, n uint64) { d.Queries[via+" "+outcome] = n })
	d.Lookups = s.UnderWay()
	return enrich.Status{Kind: "registration", Records: int(s.memory.EstimatedSize()), Detail: d, Problems: s.problems(d)}
}

// problems are what is wrong now.
func (s *Source) problems(d *Detail) (list []enrich.Problem) {
	if s.unreached.Load() >= unreachable {
		list = append(list, enrich.Problem{Text: "no registry can be reached", Severe: true})
	}
	for _, f := range d.Bootstrap {
		if f.Error != "" && f.Origin != "" {
			list = append(list, enrich.Problem{Text: "registries: " + f.Error + "; what was known before is used"})
		} else if f.Error != "" {
			list = append(list, enrich.Problem{Text: "registries: " + f.Error + "; nobody can be asked before it comes", Severe: true})
		}
	}
	return list
}
