package caddywhois

import (
	"encoding/json"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/whence-project/whence/internal/limit"
)

func init() { httpcaddyfile.RegisterGlobalOption("whois", parseGlobalOption) }

// parseGlobalOption parses a server. The option may be repeated; each block is a server of its own.
//
//	whois {
//		bind   <address…>
//		enrich <chain>
//		dialect lines|aligned|cymru|json
//		wait   <duration>
//		limit  <count>/<s|m|h|d> [burst <count>] [per <ipv4 bits> <ipv6 bits>]
//		max_connections            <count>
//		max_connections_per_client <count>
//		timeouts {
//			query <duration>
//			idle  <duration>
//			write <duration>
//			total <duration>
//		}
//		allow  <network…>
//		deny   <network…>
//		footer <line>
//		log_bulk_lines
//		listener_wrappers {
//			<wrapper> …
//		}
//	}
func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	app := new(App)
	if existing != nil {
		if err := json.Unmarshal(existing.(httpcaddyfile.App).Value, app); err != nil {
			return nil, err
		}
	}
	s := new(Server)
	if err := s.unmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	app.Servers = append(app.Servers, s)
	return httpcaddyfile.App{Name: "whois", Value: caddyconfig.JSON(app, nil)}, nil
}

func (s *Server) unmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the option's name
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		switch option {
		case "bind", "allow", "deny", "footer": // may be repeated
		default:
			if seen[option] {
				return d.Errf("%s is given twice", option)
			}
			seen[option] = true
		}
		if err := s.parseOption(d, option); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) parseOption(d *caddyfile.Dispenser, option string) error {
	switch option {
	case "bind":
		return appendArgs(d, &s.Listen)
	case "allow":
		return appendArgs(d, &s.Allow)
	case "deny":
		return appendArgs(d, &s.Deny)
	case "footer":
		return appendArgs(d, &s.Footer)
	case "enrich":
		return oneArg(d, &s.Enrich)
	case "dialect":
		return oneArg(d, &s.Dialect)
	case "wait":
		s.Wait = new(caddy.Duration)
		return durationArg(d, s.Wait)
	case "limit":
		return s.parseLimit(d)
	case "max_connections":
		return countArg(d, &s.MaxConnections)
	case "max_connections_per_client":
		return countArg(d, &s.MaxConnectionsPerClient)
	case "timeouts":
		return s.Timeouts.parse(d)
	case "log_bulk_lines":
		s.LogBulkLines = true
		if d.NextArg() {
			return d.ArgErr()
		}
		return nil
	case "listener_wrappers":
		return s.parseWrappers(d)
	}
	return d.Errf("whois has no option %q; it has bind, enrich, dialect, wait, limit, max_connections, max_connections_per_client, "+
		"timeouts, allow, deny, footer, log_bulk_lines and listener_wrappers", option)
}

// parseLimit parses "50/m burst 200 per 32 48".
func (s *Server) parseLimit(d *caddyfile.Dispenser) error {
	var rate string
	if !d.Args(&rate) {
		return d.ArgErr()
	}
	r, err := limit.ParseRate(rate)
	if err != nil {
		return d.WrapErr(err)
	}
	s.Limit = &Limit{Rate: r.Events, Per: caddy.Duration(r.Per)}
	for d.NextArg() {
		switch d.Val() {
		case "burst":
			if err := nextCount(d, "burst", &s.Limit.Burst); err != nil {
				return err
			}
		case "per":
			if err := nextCount(d, "per", &s.Limit.IPv4Bits); err != nil {
				return err
			}
			if err := nextCount(d, "per", &s.Limit.IPv6Bits); err != nil {
				return err
			}
		default:
			return d.Errf("limit: %q is neither burst nor per", d.Val())
		}
	}
	return nil
}

func (t *Timeouts) parse(d *caddyfile.Dispenser) error {
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		into := map[string]*caddy.Duration{"query": &t.Query, "idle": &t.Idle, "write": &t.Write, "total": &t.Total}[d.Val()]
		if into == nil {
			return d.Errf("timeouts has no option %q; it has query, idle, write and total", d.Val())
		}
		if err := durationArg(d, into); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) parseWrappers(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		mod, err := caddyfile.UnmarshalModule(d, "caddy.listeners."+name)
		if err != nil {
			return err
		}
		if _, ok := mod.(caddy.ListenerWrapper); !ok {
			return d.Errf("caddy.listeners.%s is no listener wrapper", name)
		}
		s.ListenerWrappersRaw = append(s.ListenerWrappersRaw, caddyconfig.JSONModuleObject(mod, "wrapper", name, nil))
	}
	return nil
}

func appendArgs(d *caddyfile.Dispenser, into *[]string) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.ArgErr()
	}
	*into = append(*into, args...)
	return nil
}

func oneArg(d *caddyfile.Dispenser, into *string) error {
	if !d.AllArgs(into) {
		return d.ArgErr()
	}
	return nil
}

func durationArg(d *caddyfile.Dispenser, into *caddy.Duration) error {
	option := d.Val()
	var arg string
	if !d.AllArgs(&arg) {
		return d.ArgErr()
	}
	v, err := caddy.ParseDuration(arg)
	if err != nil || v < 0 {
		return d.Errf("%s %s: no duration, as in 30s", option, arg)
	}
	*into = caddy.Duration(v)
	return nil
}

func countArg(d *caddyfile.Dispenser, into *int) error {
	if err := nextCount(d, d.Val(), into); err != nil {
		return err
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

// nextCount parses the next argument as a number above 0.
func nextCount(d *caddyfile.Dispenser, option string, into *int) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	n, err := strconv.Atoi(d.Val())
	if err != nil || n <= 0 {
		return d.Errf("%s %s: not a number above 0", option, d.Val())
	}
	*into = n
	return nil
}
