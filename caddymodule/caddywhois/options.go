package caddywhois

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/whence-project/whence/layer4whois"
)

// options are the settings as the engine takes them; zero is its default.
func (s *Settings) options() (o layer4whois.Options, err error) {
	o = layer4whois.Options{
		Wait: 2 * time.Second, Footer: s.Footer, Credits: s.FooterAttribution,
		FirstLine: time.Duration(s.Timeouts.Query), Idle: time.Duration(s.Timeouts.Idle),
		Write: time.Duration(s.Timeouts.Write), Total: time.Duration(s.Timeouts.Total),
		MaxConns: s.MaxConnections, MaxConnsPerClient: s.MaxConnectionsPerClient,
		LogBulkLines: s.LogBulkLines,
	}
	if s.Wait != nil {
		o.Wait = time.Duration(*s.Wait)
	}
	if s.Dialect != "" {
		if o.Dialect = layer4whois.DialectByName(s.Dialect); o.Dialect == nil {
			return o, fmt.Errorf("no dialect is named %q; there are lines, aligned, cymru and json", s.Dialect)
		}
	}
	if o.Allow, err = prefixes("allow", s.Allow); err != nil {
		return o, err
	}
	if o.Deny, err = prefixes("deny", s.Deny); err != nil {
		return o, err
	}
	if o.Rate, o.Client, err = s.Limit.Engine(); err != nil {
		return o, fmt.Errorf("limit: %w", err)
	}
	return o, nil
}

// prefixes parses networks and single addresses.
func prefixes(option string, networks []string) (ps []netip.Prefix, err error) {
	repl := caddy.NewReplacer()
	for _, n := range networks {
		if n, err = repl.ReplaceOrErr(n, true, true); err != nil {
			return nil, err
		}
		p, err := netip.ParsePrefix(n)
		if a, aerr := netip.ParseAddr(n); aerr == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s %s: neither an address nor a network, as in 192.0.2.0/24", option, n)
		}
		ps = append(ps, p)
	}
	return ps, nil
}
