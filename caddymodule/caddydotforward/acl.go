package caddydotforward

import (
	"fmt"
	"net/netip"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/whence-project/whence/caddymodule/internal/args"
	"github.com/whence-project/whence/dotforward"
)

func init() { caddy.RegisterModule(new(ACL)) }

// ACL is the handler `acl`: which networks are served. Of those that a client is in, the smallest decides; who is in none is not
// served.
type ACL struct {
	// Addresses and networks that are served. Default: loopback, private and link-local networks.
	Allow []string `json:"allow,omitempty"`
	// Addresses and networks that are not. Default: none.
	Deny []string `json:"deny,omitempty"`
	// Drop the queries of others. Default: they are answered REFUSED.
	Silent bool `json:"silent,omitempty"`

	acl *dotforward.ACL
}

// CaddyModule returns the module's registration.
func (*ACL) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "dotforward.handlers.acl", New: func() caddy.Module { return new(ACL) }}
}

// Provision makes the handler.
func (m *ACL) Provision(caddy.Context) error {
	o := dotforward.ACLOptions{Silent: m.Silent}
	var err error
	if o.Allow, err = networks("allow", m.Allow); err != nil {
		return fmt.Errorf("acl: %w", err)
	}
	if o.Deny, err = networks("deny", m.Deny); err != nil {
		return fmt.Errorf("acl: %w", err)
	}
	if m.acl, err = dotforward.NewACL(o); err != nil {
		return fmt.Errorf("acl: %w", err)
	}
	return nil
}

// Open is what Provision made: the server must see that it is an ACL, so as not to put the default before it.
func (m *ACL) Open(*Env) (dotforward.Handler, error) { return m.acl, nil }

// networks parses networks and single addresses. Those of IPv4 written as IPv6 are of IPv4, as clients are.
func networks(option string, texts []string) (ps []netip.Prefix, err error) {
	repl := caddy.NewReplacer()
	for _, text := range texts {
		if text, err = repl.ReplaceOrErr(text, true, true); err != nil {
			return nil, err
		}
		p, err := netip.ParsePrefix(text)
		if a, aerr := netip.ParseAddr(text); aerr == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s %s: neither an address nor a network, as in 192.0.2.0/24", option, text)
		}
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		ps = append(ps, p)
	}
	return ps, nil
}

// UnmarshalCaddyfile parses the handler.
//
//	acl [allow|deny <network…>] {
//		allow  <network…>
//		deny   <network…>
//		silent
//	}
func (m *ACL) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the handler's name
	if d.NextArg() {
		if err := m.option(d); err != nil {
			return err
		}
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := m.option(d); err != nil {
			return err
		}
	}
	return nil
}

func (m *ACL) option(d *caddyfile.Dispenser) error {
	switch option := d.Val(); option {
	case "allow":
		return args.Some(d, &m.Allow)
	case "deny":
		return args.Some(d, &m.Deny)
	case "silent":
		m.Silent = true
		return args.None(d)
	default:
		return d.Errf("acl has no option %q; it has allow, deny and silent", option)
	}
}

// Interface guards
var (
	_ Opener                = (*ACL)(nil)
	_ caddy.Provisioner     = (*ACL)(nil)
	_ caddyfile.Unmarshaler = (*ACL)(nil)
)
