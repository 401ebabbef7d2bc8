package dotforward

import (
	"fmt"
	"net/netip"

	"github.com/gaissmai/bart"

	"github.com/whence-project/whence/dotforward/wire"
)

// ACLOptions say who is served. Of the networks that a client is in, the smallest decides; who is in none is not served.
type ACLOptions struct {
	// Allow are served. None: loopback, private and link-local networks (RFC 1122, 1918, 3927, 4193, 4291, 6598).
	Allow []netip.Prefix
	Deny  []netip.Prefix
	// Silent drops the queries of others, which are refused otherwise.
	Silent bool
}

// ACL is a Handler that serves some networks only. It stands in the stage Admit, also where nobody says so: see New.
type ACL struct {
	networks bart.Table[bool]
	silent   bool
}

// own are the networks that are served if no others are named.
var own = []netip.Prefix{
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"),
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("fc00::/7"),
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fe80::/10"),
}

// NewACL makes an ACL. It fails for a network that is both allowed and denied.
func NewACL(o ACLOptions) (*ACL, error) {
	a := &ACL{silent: o.Silent}
	if len(o.Allow) == 0 {
		o.Allow = own
	}
	for _, p := range o.Deny {
		a.networks.Insert(p.Masked(), false)
	}
	for _, p := range o.Allow {
		if allowed, known := a.networks.Get(p.Masked()); known && !allowed {
			return nil, fmt.Errorf("%v is both allowed and denied", p)
		}
		a.networks.Insert(p.Masked(), true)
	}
	return a, nil
}

// Allows reports whether a client is served.
func (a *ACL) Allows(client netip.Addr) bool {
	allowed, _ := a.networks.Lookup(client.Unmap().WithZone(""))
	return allowed
}

// Stage is Admit.
func (a *ACL) Stage() Stage { return Admit }

// Handle refuses or drops the queries of who is not served.
func (a *ACL) Handle(q *Query) Verdict {
	switch {
	case a.Allows(q.Client()):
		return Next
	case a.silent:
		return Drop
	}
	return q.Refuse(wire.EDEProhibited, "")
}
