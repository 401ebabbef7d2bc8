package registryfarm

import (
	"net/netip"
	"slices"
)

// IANA is the name under which [Farm.Counts] and the others have the stand-in for whois.iana.org.
const IANA = "iana"

// registry is the one of a name; a name that is none is a mistake in the test, so it panics.
func (f *Farm) registry(name string) *registry {
	if r := f.byName[name]; r != nil {
		return r
	}
	if name == IANA {
		return f.iana
	}
	panic("registry farm: there is no registry " + name)
}

// RDAPURL is the base URL of a registry's RDAP server, with a final slash; empty if it has none.
func (f *Farm) RDAPURL(registry string) string { return f.registry(registry).base }

// WHOISAddr is the address of a registry's WHOIS server, "127.0.0.1:4711"; empty if it has none.
func (f *Farm) WHOISAddr(registry string) string { return f.registry(registry).whois }

// IANAAddr is the address of the stand-in for whois.iana.org.
func (f *Farm) IANAAddr() string { return f.iana.whois }

// Expected is [Expected], with what the registry that answers adds to it or leaves out: contacts and referral.
func (f *Farm) Expected(name string) (facts Facts, contacts bool, registrar string) {
	facts = Expected(name)
	r := f.responsible(facts.Name)
	if r == nil || !facts.Registered {
		return facts, false, ""
	}
	if r.Thin && r.registrar != nil {
		return facts, false, r.Registrar
	}
	return facts, !r.Thin, ""
}

// PrivateTarget is where the name leads if it is [Private] or [Lead]: one of Options.Private.
func (f *Farm) PrivateTarget(name string) string {
	name, _ = canonical(name)
	return f.opt.Private[hash(name)%uint64(len(f.opt.Private))]
}

// Behave has all names and numbers of a registry behave so from now on, whatever they are called; [Ordinary] ends that.
func (f *Farm) Behave(registry string, b Behaviour) {
	if b == Ordinary {
		f.registry(registry).behave.Store(nil)
		return
	}
	f.registry(registry).behave.Store(&b)
}

// Counts are what a registry was asked.
func (f *Farm) Counts(registry string) Counts { return f.registry(registry).records.counts() }

// Total are what all were asked together, without the stand-in for whois.iana.org.
func (f *Farm) Total() Counts { return f.total.counts() }

// Queries is how often a name (or number, as in the URL) was asked about, over both protocols and of all registries but IANA.
func (f *Farm) Queries(name string) int {
	if c, ok := canonical(name); ok {
		name = c
	}
	return f.names.asked(name)
}

// AllQueries is how often each name was asked about. Lost are queries about names beyond Options.Names.
func (f *Farm) AllQueries() (asked map[string]int, lost int) { return f.names.all() }

// BySource is how often each address asked a registry, of the first 4,096.
func (f *Farm) BySource(registry string) map[netip.Addr]int64 {
	r := &f.registry(registry).records
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[netip.Addr]int64, len(r.bySource))
	for a, n := range r.bySource {
		out[a] = n
	}
	return out
}

// WHOISQueries are the first 1,024 queries that a WHOIS server received, byte for byte, with the end of the line.
func (f *Farm) WHOISQueries(registry string) []string {
	r := &f.registry(registry).records
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.queries)
}

// Requests are the first 1,024 requests that an RDAP server received.
func (f *Farm) Requests(registry string) []Request {
	r := &f.registry(registry).records
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

// Violations are the queries over a limit, the first thousand of them.
func (f *Farm) Violations() []Violation {
	f.violations.mu.Lock()
	defer f.violations.mu.Unlock()
	return slices.Clone(f.violations.list)
}

// Forget has the records begin anew. What clients have used up of their limits stays.
func (f *Farm) Forget() {
	for _, r := range append([]*registry{f.iana}, f.registries...) {
		r.records.forget()
	}
	f.total.forget()
	f.names.forget()
	f.violations.mu.Lock()
	f.violations.list = nil
	f.violations.mu.Unlock()
}

// responsible is the registry of a name, by the longest suffix; nil if there is none.
func (f *Farm) responsible(name string) *registry {
	for s := name; s != ""; s = suffixOf(s) {
		if r := f.suffixes[s]; r != nil {
			return r
		}
	}
	return nil
}
