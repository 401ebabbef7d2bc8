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
		if seen[option] && option != "bind" && !Repeatable(option) {
			return d.Errf("%s is given twice", option)
		}
		seen[option] = true
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
	case "listener_wrappers":
		return s.parseWrappers(d)
	}
	if known, err := s.ParseOption(d); known {
		return err
	}
	return d.Errf("whois has no option %q; it has bind, "+SettingNames+" and listener_wrappers", option)
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
