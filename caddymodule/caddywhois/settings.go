package caddywhois

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/whence-project/whence/caddymodule/internal/args"
)

// Settings are how WHOIS queries are answered, whoever accepts the connections: a server of the app "whois", or a handler of
// caddy-l4.
type Settings struct {
	// The enrichment chain that is asked. Default: `default`.
	Enrich string `json:"enrich,omitempty"`
	// The form of answers to queries that choose none: lines, aligned, cymru or json. Default: lines.
	Dialect string `json:"dialect,omitempty"`
	// How long a query waits for sources that must fetch; bulk lines never do. Default: 2s.
	Wait *caddy.Duration `json:"wait,omitempty"`
	// How many connections one client network may open. Its bits count for max_connections_per_client, too. Default: no limit.
	Limit *args.Limit `json:"limit,omitempty"`
	// The most connections at the same time. Default: 1024.
	MaxConnections int `json:"max_connections,omitempty"`
	// The most connections of one client network at the same time. Default: 64.
	MaxConnectionsPerClient int `json:"max_connections_per_client,omitempty"`
	// How long a client may take.
	Timeouts Timeouts `json:"timeouts,omitzero"`
	// The networks that may ask. Default: all.
	Allow []string `json:"allow,omitempty"`
	// The networks that may not ask, even those that allow names. Default: none.
	Deny []string `json:"deny,omitempty"`
	// Lines that end every answer in the dialects lines and aligned, such as an attribution. Default: none.
	Footer []string `json:"footer,omitempty"`
	// End those answers with what the licences of the data ask to be shown which are loaded, too. Default: false.
	FooterAttribution bool `json:"footer_attribution,omitempty"`
	// Write an access line for each line of a bulk connection too. Default: one for the connection.
	LogBulkLines bool `json:"log_bulk_lines,omitempty"`
}

// Timeouts bound a connection, whatever the pace at which a client sends or reads.
type Timeouts struct {
	// Until the first line is complete. Default: 30s.
	Query caddy.Duration `json:"query,omitempty"`
	// Until the next line is complete, on a connection that has asked. Default: 3m.
	Idle caddy.Duration `json:"idle,omitempty"`
	// Until the client has read the next 64 KiB of an answer. Default: 1m.
	Write caddy.Duration `json:"write,omitempty"`
	// From accept to close. Default: 24h.
	Total caddy.Duration `json:"total,omitempty"`
}

// ParseOption reads the Caddyfile option at the cursor, if it is one of the settings; known says whether it is.
func (s *Settings) ParseOption(d *caddyfile.Dispenser) (known bool, err error) {
	switch d.Val() {
	case "allow":
		return true, args.Some(d, &s.Allow)
	case "deny":
		return true, args.Some(d, &s.Deny)
	case "footer":
		return true, s.parseFooter(d)
	case "enrich":
		return true, args.One(d, &s.Enrich)
	case "dialect":
		return true, args.One(d, &s.Dialect)
	case "wait":
		s.Wait = new(caddy.Duration)
		return true, args.Duration(d, s.Wait)
	case "limit":
		s.Limit, err = args.ParseLimit(d)
		return true, err
	case "max_connections":
		return true, args.Count(d, &s.MaxConnections)
	case "max_connections_per_client":
		return true, args.Count(d, &s.MaxConnectionsPerClient)
	case "timeouts":
		return true, s.Timeouts.parse(d)
	case "log_bulk_lines":
		s.LogBulkLines = true
		return true, args.None(d)
	}
	return false, nil
}

// SettingNames are the options that ParseOption knows, for the errors of those who have others beside.
const SettingNames = "enrich, dialect, wait, limit, max_connections, max_connections_per_client, timeouts, allow, deny, footer, log_bulk_lines"

// Repeatable reports that an option of the settings may be given more than once.
func Repeatable(option string) bool {
	return option == "allow" || option == "deny" || option == "footer"
}

func (s *Settings) parseFooter(d *caddyfile.Dispenser) error {
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
