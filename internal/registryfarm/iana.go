package registryfarm

import (
	"slices"
	"strconv"
	"strings"
)

// refer is what the stand-in for whois.iana.org says about a name, a top-level domain, an address or an AS number.
func (c *call) refer() string {
	b := page(nil).s("% IANA WHOIS server\r\n% for more information on IANA, visit http://www.iana.org\r\n")
	var to string
	switch c.behavior {
	case Loop, LoopSelf, LoopFar:
		to = c.whois
	case Private, Lead:
		to = c.farm.PrivateTarget(c.name)
	default:
		r := c.farm.keeper(c.name)
		if r == nil {
			return string(b.s("% This query returned 0 objects.\r\n"))
		}
		if !r.Hidden {
			to = r.whois
		}
	}
	b = b.s("% This query returned 1 object\r\n\r\n")
	if to != "" {
		b = b.s("refer:        ").s(to).s("\r\n\r\n")
	}
	labels := strings.Split(c.name, ".")
	b = b.s("domain:       ").s(strings.ToUpper(labels[len(labels)-1])).s("\r\n\r\norganisation: Farm of Registries\r\naddress:      Field 1\r\n\r\n")
	if to != "" {
		b = b.s("whois:        ").s(to).s("\r\n\r\n")
	}
	return string(b.s("status:       ACTIVE\r\ncreated:      2001-02-03\r\nchanged:      2024-05-06\r\nsource:       IANA\r\n\r\n"))
}

// keeper is the registry of a name, a TLD of which it has a part, an address or an AS number.
func (f *Farm) keeper(name string) *registry {
	if p, ok := parsePrefix(name); ok {
		return f.first(func(r *registry) bool { return !r.open() && r.hasPrefix(p) })
	}
	if as, err := strconv.ParseUint(strings.TrimPrefix(name, "as"), 10, 32); err == nil {
		return f.first(func(r *registry) bool { return !r.open() && r.hasAS(uint32(as)) })
	}
	if r := f.responsible(name); r != nil {
		return r
	}
	return f.first(func(r *registry) bool {
		return slices.ContainsFunc(r.Suffixes, func(s string) bool { return strings.HasSuffix(s, "."+name) })
	})
}

func (f *Farm) first(has func(*registry) bool) *registry {
	for _, r := range f.registries {
		if has(r) {
			return r
		}
	}
	return nil
}
