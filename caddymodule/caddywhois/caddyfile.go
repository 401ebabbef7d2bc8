package caddywhois

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/whence-project/whence/caddymodule/internal/args"
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
//		footer <line>|attribution
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
	if err := args.None(d); err != nil {
		return err
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
		return args.Some(d, &s.Listen)
	case "allow":
		return args.Some(d, &s.Allow)
	case "deny":
		return args.Some(d, &s.Deny)
	case "footer":
		var lines []string
		if err := args.Some(d, &lines); err != nil {
			return err
		}
		if len(lines) == 1 && lines[0] == "attribution" {
			s.FooterAttribution = true
			return nil
		}
		s.Footer = append(s.Footer, lines...)
		return nil
	case "enrich":
		return args.One(d, &s.Enrich)
	case "dialect":
		return args.One(d, &s.Dialect)
	case "wait":
		s.Wait = new(caddy.Duration)
		return args.Duration(d, s.Wait)
	case "limit":
		var err error
		s.Limit, err = args.ParseLimit(d)
		return err
	case "max_connections":
		return args.Count(d, &s.MaxConnections)
	case "max_connections_per_client":
		return args.Count(d, &s.MaxConnectionsPerClient)
	case "timeouts":
		return s.Timeouts.parse(d)
	case "log_bulk_lines":
		s.LogBulkLines = true
		return args.None(d)
	case "listener_wrappers":
		return s.parseWrappers(d)
	}
	return d.Errf("whois has no option %q; it has bind, enrich, dialect, wait, limit, max_connections, max_connections_per_client, "+
		"timeouts, allow, deny, footer, log_bulk_lines and listener_wrappers", option)
}

func (t *Timeouts) parse(d *caddyfile.Dispenser) error {
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		into := map[string]*caddy.Duration{"query": &t.Query, "idle": &t.Idle, "write": &t.Write, "total": &t.Total}[d.Val()]
		if into == nil {
			return d.Errf("timeouts has no option %q; it has query, idle, write and total", d.Val())
		}
		if err := args.Duration(d, into); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) parseWrappers(d *caddyfile.Dispenser) error {
	if err := args.None(d); err != nil {
		return err
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
