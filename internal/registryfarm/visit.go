package registryfarm

import "net/netip"

// arrive counts a client that is there; depart undoes it.
func (r *registry) arrive(from netip.Addr, p Protocol) verdict {
	r.records.enter()
	if !r.iana {
		r.farm.total.enter()
	}
	v := r.limiters[p].enter(from, r.farm.opt.Now())
	if v.over {
		r.violated(from, p, "", v)
	}
	return v
}

// guest is a client that has arrived. It departs once, before it can know that it has its answer: one that asks again at once is not
// two at the same time.
type guest struct {
	registry *registry
	from     netip.Addr
	protocol Protocol
	gone     bool
}

func (g *guest) leave() {
	if !g.gone {
		g.gone = true
		g.registry.depart(g.from, g.protocol)
	}
}

func (r *registry) depart(from netip.Addr, p Protocol) {
	r.limiters[p].leave(from)
	r.records.leave()
	if !r.iana {
		r.farm.total.leave()
	}
}

// asked counts a query about a name or a number: raw as it came over WHOIS, or req. What arrive said stands, and costs nothing of the
// rates.
func (r *registry) asked(from netip.Addr, p Protocol, name, raw string, req *Request, crowd verdict) verdict {
	all := [...]*counters{&r.records.counters, &r.farm.total}
	for _, c := range all[:r.counted()] {
		if p == RDAP {
			c.rdap.Add(1)
		} else {
			c.whois.Add(1)
		}
	}
	r.records.from(from, raw, req)
	if !r.iana && name != "" {
		r.farm.names.add(name)
	}
	if crowd.over {
		return crowd
	}
	v := r.limiters[p].take(from, r.farm.opt.Now())
	if v.over {
		r.violated(from, p, name, v)
	}
	return v
}

// counted is in how many counters the registry's queries are: its own and the farm's.
func (r *registry) counted() int {
	if r.iana {
		return 1
	}
	return 2
}

func (r *registry) violated(from netip.Addr, p Protocol, name string, v verdict) {
	all := [...]*counters{&r.records.counters, &r.farm.total}
	for _, c := range all[:r.counted()] {
		c.violations.Add(1)
		if v.banned {
			c.banned.Add(1)
		}
	}
	r.farm.violations.add(Violation{Registry: r.Name, Protocol: p, Source: from, Name: name, At: r.farm.opt.Now(), Early: v.wait, Banned: v.banned})
}

// stray counts a question to the wrong registry, malformed what is no question.
func (r *registry) stray() {
	r.records.strays.Add(1)
	if !r.iana {
		r.farm.total.strays.Add(1)
	}
}

func (r *registry) malformed() {
	r.records.malformed.Add(1)
	if !r.iana {
		r.farm.total.malformed.Add(1)
	}
}

// behaviour is how the registry treats a name: as it does all, or as the name says. What it does every second time is Error or
// Ordinary.
func (r *registry) behaviour(name string) Behaviour {
	b := BehaviourOf(name)
	if all := r.behave.Load(); all != nil {
		b = *all
	}
	if b == Flaky {
		if r.farm.flaky.add(r.Name+"/"+name)%2 == 1 {
			return Error
		}
		return Ordinary
	}
	return b
}

// open reports whether the registry answers any question.
func (r *registry) open() bool {
	return len(r.Suffixes)+len(r.Networks)+len(r.AS)+len(r.Tags) == 0
}

// has reports whether a domain is the registry's business.
func (r *registry) has(name string) bool { return r.open() || r.farm.responsible(name) == r }

func (r *registry) hasPrefix(p netip.Prefix) bool {
	for _, n := range r.Networks {
		if n.Bits() <= p.Bits() && n.Contains(p.Addr()) {
			return true
		}
	}
	return r.open()
}

func (r *registry) hasAS(as uint32) bool {
	for _, span := range r.AS {
		if span[0] <= as && as <= span[1] {
			return true
		}
	}
	return r.open()
}
