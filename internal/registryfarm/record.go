package registryfarm

import (
	"fmt"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Protocol is how a registry is asked.
type Protocol uint8

// The protocols.
const (
	RDAP Protocol = iota
	WHOIS
)

// String is the protocol's name in lower case.
func (p Protocol) String() string {
	if p == WHOIS {
		return "whois"
	}
	return "rdap"
}

// Counts are what a registry, or all of them, were asked since the start or [Farm.Forget].
type Counts struct {
	Queries, RDAP, WHOIS int64 // all, those over RDAP, those over WHOIS
	Violations           int64 // that were over a limit
	Banned               int64 // that came from a client that was banned
	Strays               int64 // about names and numbers that are not the registry's
	Malformed            int64 // that were no question
	Open, Peak           int64 // under way now, and the most there were at the same time
	Connections          int64 // WHOIS connections accepted, RDAP connections opened
}

type counters struct {
	rdap, whois, violations, banned, strays, malformed, open, peak, connections atomic.Int64
}

func (c *counters) counts() Counts {
	n := Counts{RDAP: c.rdap.Load(), WHOIS: c.whois.Load(), Violations: c.violations.Load(), Banned: c.banned.Load(), Strays: c.strays.Load(),
		Malformed: c.malformed.Load(), Open: c.open.Load(), Peak: c.peak.Load(), Connections: c.connections.Load()}
	n.Queries = n.RDAP + n.WHOIS
	return n
}

func (c *counters) forget() {
	for _, n := range [...]*atomic.Int64{&c.rdap, &c.whois, &c.violations, &c.banned, &c.strays, &c.malformed, &c.connections} {
		n.Store(0)
	}
	c.peak.Store(c.open.Load())
}

func (c *counters) enter() {
	n := c.open.Add(1)
	for peak := c.peak.Load(); n > peak && !c.peak.CompareAndSwap(peak, n); {
		peak = c.peak.Load()
	}
}

func (c *counters) leave() { c.open.Add(-1) }

// Violation is a query over a limit.
type Violation struct {
	Registry string
	Protocol Protocol
	Source   netip.Addr
	Name     string // that was asked for; empty where connections were counted
	At       time.Time
	Early    time.Duration // by how much it came too early
	Banned   bool          // it was the last that was too many, or came during the ban
}

// String is the violation in one line.
func (v Violation) String() string {
	return fmt.Sprintf("%s: %s about %q from %s, %s too early", v.Registry, v.Protocol, v.Name, v.Source, v.Early)
}

// Request is what an RDAP server was asked.
type Request struct {
	Source                    netip.Addr
	Method, Path, Host, Proto string // Proto as in "HTTP/2.0"
	Accept, Agent             string
}

// The bounds of what is remembered. What is beyond them is still counted.
const (
	maxViolations = 1000
	maxSources    = 4096
	maxQueries    = 1024 // WHOIS queries and RDAP requests, the first of each registry
)

// records are of one registry.
type records struct {
	counters

	mu       sync.Mutex
	bySource map[netip.Addr]int64
	queries  []string
	requests []Request
}

func (r *records) forget() {
	r.counters.forget()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bySource, r.queries, r.requests = nil, nil, nil
}

// from counts a query by its source, and keeps what it was: either raw or req.
func (r *records) from(a netip.Addr, raw string, req *Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bySource == nil {
		r.bySource = make(map[netip.Addr]int64)
	}
	if _, ok := r.bySource[a]; ok || len(r.bySource) < maxSources {
		r.bySource[a]++
	}
	switch {
	case req != nil && len(r.requests) < maxQueries:
		r.requests = append(r.requests, *req)
	case req == nil && len(r.queries) < maxQueries:
		r.queries = append(r.queries, raw)
	}
}

// names counts queries by name, in parts so that those who count do not wait for each other.
type names struct {
	most int // names that are counted, in a part
	part [64]struct {
		mu   sync.Mutex
		of   map[string]int
		lost int // queries about names beyond the most
	}
}

func (n *names) add(name string) (times int) {
	p := &n.part[hash(name)%uint64(len(n.part))]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of == nil {
		p.of = make(map[string]int)
	}
	times, ok := p.of[name]
	if !ok && len(p.of) >= n.most {
		p.lost++
		return 1
	}
	times++
	p.of[name] = times
	return times
}

func (n *names) asked(name string) int {
	p := &n.part[hash(name)%uint64(len(n.part))]
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.of[name]
}

func (n *names) all() (asked map[string]int, lost int) {
	asked = make(map[string]int)
	for i := range n.part {
		p := &n.part[i]
		p.mu.Lock()
		maps.Copy(asked, p.of)
		lost += p.lost
		p.mu.Unlock()
	}
	return asked, lost
}

func (n *names) forget() {
	for i := range n.part {
		p := &n.part[i]
		p.mu.Lock()
		p.of, p.lost = nil, 0
		p.mu.Unlock()
	}
}

// journal are the first violations.
type journal struct {
	mu   sync.Mutex
	list []Violation
}

func (j *journal) add(v Violation) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.list) < maxViolations {
		j.list = append(j.list, v)
	}
}
