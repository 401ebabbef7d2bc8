package caddyenrichhttp

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/whence-project/whence/caddymodule/internal/golden"
)

func TestCaddyfile(t *testing.T) { golden.Run(t) }

// TestRefused are configurations that Caddyfiles can say, or JSON alone, and that are not served.
func TestRefused(t *testing.T) {
	for _, tt := range []struct{ body, want string }{
		{"enrich nowhere", `no enrichment chain is named "nowhere"; there are: default, lan`},
		{"@x enrich country_code DE {\nchain nowhere\n}\nrespond @x ok", `no enrichment chain is named "nowhere"`},
		{"@x expression `enrich('country_code')`\nrespond @x ok", "takes a field and its values"},
		{"@x expression `enrich('{query.ip}', 'asn', 'AS1')`\nrespond @x ok", "are escaped"},
		{"enrich {enrich.json}", "asks for its own answer"},
	} {
		b, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(strings.Replace(options, "%s", "", 1)+"http://x {\n"+tt.body+"\n}\n"), nil)
		if err == nil {
			err = caddy.Validate(config(t, b))
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.body, err, tt.want)
		}
	}
	for _, h := range []*Handler{{As: "a b"}, {Wait: -1}, {Observe: strings.Repeat("x", 65)}, {Observe: "stats"}, {Value: "{enrich.a.asn}", As: "a"}} {
		if err := h.Provision(provisioned(t)); err == nil {
			t.Errorf("%+v: no error", h)
		}
	}
	for _, c := range []*Condition{{}, {Field: "asn"}, {Values: []string{"AS1"}}} {
		if err := (&Match{c}).Provision(provisioned(t)); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
}
