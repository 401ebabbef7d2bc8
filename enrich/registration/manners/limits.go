package manners

import (
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"github.com/whence-project/whence/internal/limit"
)

// Limit is how often an operator may be asked.
type Limit struct {
	// Rates must all allow a query. One without a Burst is a rolling window: never more than Events in any time of Per. One with a Burst
	// is a token bucket: Burst at once after a time of rest, then Events each Per. A zero Rate limits nothing. Of a window of a minute
	// or more a quarter is kept from Background, and an eighth from Pipeline.
	Rates []limit.Rate
	// Concurrent is how many queries may be under way at the same time from one client; 0 is any number.
	Concurrent int
	// Bits4 and Bits6 say what the operator takes for one client: so many leading bits of our address. Both 0: all that we send is one
	// client's, from whatever address. Where an operator does not say, that is the assumption that respects him: to spread queries over
	// addresses is what many registries forbid.
	Bits4, Bits6 int
}

// NoLimit is the [Limit] that limits nothing.
func NoLimit() Limit { return Limit{Rates: []limit.Rate{{}}} }

func (l Limit) isZero() bool {
	return len(l.Rates) == 0 && l.Concurrent <= 0 && l.Bits4 == 0 && l.Bits6 == 0
}

// clientOf is the network of a that the operator takes for one client.
func (l Limit) clientOf(a netip.Addr) netip.Prefix {
	bits := l.Bits6
	if a.Unmap().Is4() {
		bits = l.Bits4
	}
	if l.Bits4 <= 0 && l.Bits6 <= 0 || !a.IsValid() {
		return netip.Prefix{}
	}
	first := limit.Network{Bits4: l.Bits4, Bits6: l.Bits6}.Of(a)
	return netip.PrefixFrom(first, min(bits, first.BitLen()))
}

// Operator is who runs RDAP and WHOIS servers that count queries together.
type Operator struct {
	Name string // a short word, "nominet": what the other types of this package call the operator
	// Hosts are his servers: "rdap.example" is that host, ".example" is example and every host below it; the longest that matches
	// counts. Of an operator that [Defaults] has too, no Hosts stands for the ones there.
	Hosts []string
	Limit Limit  // zero: that of [Defaults], or [Options.Default]
	Note  string // where the figures are from, for people
}

// fallback is for operators of whom nothing is known: what most people who ask many of them settle on.
var fallback = Limit{Rates: []limit.Rate{{Events: 1, Per: time.Second, Burst: 5}}, Concurrent: 4}

// table is the operators of a configuration. It is immutable.
type table struct {
	byHost   map[string]string // a host to the operator's name
	bySuffix map[string]string // a domain, to the operator of it and all hosts below
	rules    map[string]rule
	rest     rule // of operators that are not listed
}

type rule struct {
	limit  Limit
	note   string
	listed bool
}

func newTable(own []Operator, rest Limit) *table {
	t := &table{byHost: make(map[string]string), bySuffix: make(map[string]string), rules: make(map[string]rule)}
	if rest.isZero() {
		rest = fallback
	}
	t.rest = rule{limit: rest, note: "the limit for operators that are not listed"}
	for _, list := range [...][]Operator{Defaults(), own} {
		for _, o := range list {
			t.add(o)
		}
	}
	return t
}

func (t *table) add(o Operator) {
	r, known := t.rules[o.Name]
	if !known {
		r = t.rest
	}
	if !o.Limit.isZero() {
		r.limit, r.note = o.Limit, "configured"
	}
	if o.Note != "" {
		r.note = o.Note
	}
	r.listed = true
	t.rules[o.Name] = r
	for _, h := range o.Hosts {
		if domain, ok := strings.CutPrefix(normal(h), "."); ok {
			t.bySuffix[domain] = o.Name
		} else {
			t.byHost[domain] = o.Name
		}
	}
}

func (t *table) rule(name string) rule {
	if r, ok := t.rules[name]; ok {
		return r
	}
	return t.rest
}

func normal(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

// find is the operator of a host in lower case, empty where the table has none.
func (t *table) find(host string) string {
	if name, ok := t.byHost[host]; ok {
		return name
	}
	for {
		if name, ok := t.bySuffix[host]; ok {
			return name
		}
		dot := strings.IndexByte(host, '.')
		if dot < 0 {
			return ""
		}
		host = host[dot+1:]
	}
}

// Operator is the name of the operator who runs the servers of these hosts: that of the first host that the table of operators
// knows, otherwise the registrable domain of the first host, or that host itself where it is an address or has none. It is empty
// where there is no host.
func (m *Manners) Operator(hosts ...string) string {
	t := m.table.Load()
	for _, h := range hosts {
		if name := t.find(normal(h)); name != "" {
			return name
		}
	}
	for _, h := range hosts {
		if h = normal(h); h != "" {
			return registrable(h)
		}
	}
	return ""
}

func registrable(host string) string {
	if domain, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return domain
	}
	return host
}
