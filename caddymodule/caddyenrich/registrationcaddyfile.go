package caddyenrich

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/whence-project/whence/caddymodule/internal/args"
)

// option parses one line of the source's block.
//
//	registration {
//		wait            <duration>
//		timeout         <duration>
//		queue           <duration>
//		cache_ttl       <duration>
//		negative_ttl    <duration>
//		stale_ttl       <duration>
//		sweep           <duration>
//		memory          <size>
//		raw             off
//		preload         <names> [delay <duration>]
//		registries      iana|<url>|off [refresh <duration>]
//		rdap            <suffix> <url…>
//		whois           <suffix> <server> [query <form>] [charset <name>]
//		unsupported     <suffix…>
//		refer           off
//		registrar
//		whois_cleartext
//		whois_servers   <host…>
//		worker
//		workers         first|only|off
//		egress          <name>
//		limit           <operator|host|default> <rate…>|off [concurrent <n>] [per <ipv4 bits> <ipv6 bits>]
//		allow_networks  <prefix…>
//		source          <address…>
//		proxy           <url> [<host…>]
//		bootstrap       tls://<address>[:<port>] [<name>]
//		trusted_ca      <file…>
//	}
func (m *Registration) option(d *caddyfile.Dispenser) error {
	switch option := d.Val(); option {
	case "wait":
		return args.Duration(d, &m.Wait)
	case "timeout":
		return args.Duration(d, &m.Timeout)
	case "queue":
		return args.Duration(d, &m.Queue)
	case "cache_ttl":
		m.CacheTTL = new(caddy.Duration)
		return args.Duration(d, m.CacheTTL)
	case "negative_ttl":
		return args.Duration(d, &m.NegativeTTL)
	case "stale_ttl":
		m.StaleTTL = new(caddy.Duration)
		return args.Duration(d, m.StaleTTL)
	case "sweep":
		return args.Duration(d, &m.Sweep)
	case "memory":
		return args.Size(d, &m.Memory)
	case "raw":
		return off(d, &m.NoRaw)
	case "refer":
		return off(d, &m.NoRefer)
	case "registrar":
		m.Registrar = true
		return args.None(d)
	case "whois_cleartext":
		m.WhoisCleartext = true
		return args.None(d)
	case "whois_servers":
		return args.Some(d, &m.WhoisServers)
	case "preload":
		return m.parsePreload(d)
	case "registries":
		return m.parseRegistries(d)
	case "rdap", "whois", "unsupported":
		return m.parseServer(d)
	case "limit":
		return m.parseLimit(d)
	case "worker", "workers", "egress":
		return m.parseMachines(d)
	case "allow_networks", "source", "trusted_ca", "proxy", "bootstrap":
		return m.Egress.option(d)
	default:
		return d.Errf("registration has no option %q; it has wait, timeout, queue, cache_ttl, negative_ttl, stale_ttl, sweep, memory, "+
			"raw, preload, registries, rdap, whois, unsupported, refer, registrar, whois_cleartext, whois_servers, worker, workers, egress, limit, "+
			"allow_networks, source, proxy, bootstrap and trusted_ca", option)
	}
}

// off reads the argument of what can only be switched off.
func off(d *caddyfile.Dispenser, into *bool) error {
	option, arg := d.Val(), ""
	if !d.AllArgs(&arg) || arg != "off" {
		return d.Errf("%s is on, and can be switched off: %s off", option, option)
	}
	*into = true
	return nil
}

func (m *Registration) parsePreload(d *caddyfile.Dispenser) error {
	if err := args.NextCount(d, "preload", &m.Preload); err != nil {
		return err
	}
	if !d.NextArg() {
		return nil
	}
	if d.Val() != "delay" {
		return d.Errf("preload: %q is not delay, as in: preload 1000 delay 100ms", d.Val())
	}
	m.PreloadDelay = new(caddy.Duration)
	return args.Duration(d, m.PreloadDelay)
}

func (m *Registration) parseRegistries(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	m.Registries = d.Val()
	if !d.NextArg() {
		return nil
	}
	if d.Val() != "refresh" {
		return d.Errf("registries: %q is not refresh, as in: registries iana refresh 24h", d.Val())
	}
	return args.Duration(d, &m.RegistriesRefresh)
}

// parseServer reads the options that say who answers for a suffix. Those for the same suffix are one server.
func (m *Registration) parseServer(d *caddyfile.Dispenser) error {
	option := d.Val()
	if !d.NextArg() {
		return d.ArgErr()
	}
	s := m.server(d.Val())
	switch option {
	case "unsupported":
		s.Unsupported = true
		for d.NextArg() {
			m.server(d.Val()).Unsupported = true
		}
	case "rdap":
		return args.Some(d, &s.RDAP)
	default:
		if !d.NextArg() {
			return d.ArgErr()
		}
		for s.Whois = d.Val(); d.NextArg(); {
			into, ok := map[string]*string{"query": &s.Query, "charset": &s.Charset}[d.Val()]
			if !ok {
				return d.Errf("whois: %q is neither query nor charset", d.Val())
			}
			if !d.NextArg() {
				return d.ArgErr()
			}
			*into = d.Val()
		}
	}
	return nil
}

// server is the entry of a suffix, added if there is none.
func (m *Registration) server(suffix string) *RegistrationServer {
	for _, s := range m.Servers {
		if s.Suffix == suffix {
			return s
		}
	}
	s := &RegistrationServer{Suffix: suffix}
	m.Servers = append(m.Servers, s)
	return s
}

func (m *Registration) parseLimit(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	l := &RegistrationLimit{Operator: d.Val()}
	said := false
	for d.NextArg() {
		switch d.Val() {
		case "off":
		case "concurrent":
			if err := args.NextCount(d, "concurrent", &l.Concurrent); err != nil {
				return err
			}
		case "per":
			if err := args.NextCount(d, "per", &l.IPv4Bits); err != nil {
				return err
			}
			if err := args.NextCount(d, "per", &l.IPv6Bits); err != nil {
				return err
			}
		default:
			l.Rates = append(l.Rates, d.Val())
		}
		said = true
	}
	if !said {
		return d.Err("limit takes an operator and how often it is asked, as in: limit nominet 5/s 1000/d, or: limit default off")
	}
	m.Limits = append(m.Limits, l)
	return nil
}
