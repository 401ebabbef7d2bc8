// Package caddyenrichlog enriches Caddy's logs: the encoder `enrich` adds what a chain knows beside fields of any entry that hold an
// address or a name, and the filter `enrich` does it within Caddy's encoder `filter`.
//
// Caddy opens its logs before it makes any app. The chain is therefore that of the configuration which runs when an entry is written;
// before there is one, and after, entries are written as they are. Nothing is fetched, and nothing waits: the answers are what is in
// memory.
package caddyenrichlog

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/whence-project/whence/caddymodule/internal/args"
	"github.com/whence-project/whence/caddymodule/internal/logfields"
)

// Settings are what is added to an entry, and from where.
type Settings struct {
	// The fields that are added: `network`, canonical ones such as `country_code`, or a source's own. What is not known is left out.
	// Default: asn, as_name, country_code.
	Add []string `json:"add,omitempty"`
	// The enrichment chain that is asked. Default: `default`.
	Chain string `json:"chain,omitempty"`
	// Add one object under the field's name with this suffix, `client_ip_enrich`, and not a field for each, `client_ip_asn`.
	// Default: none.
	Object string `json:"object,omitempty"`
}

// defaultObject is the suffix where the option names none.
const defaultObject = "_enrich"

// parse reads the option at the cursor, and reports whether it is one of these.
func (s *Settings) parse(d *caddyfile.Dispenser, option string) (known bool, err error) {
	switch option {
	case "add":
		return true, args.Some(d, &s.Add)
	case "chain":
		return true, args.One(d, &s.Chain)
	case "object":
		s.Object = defaultObject
		if d.CountRemainingArgs() == 0 {
			return true, nil
		}
		return true, args.One(d, &s.Object)
	}
	return false, nil
}

func (s *Settings) fields() []string {
	if len(s.Add) == 0 {
		return logfields.Default
	}
	return s.Add
}
