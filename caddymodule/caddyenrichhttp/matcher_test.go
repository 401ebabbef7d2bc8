package caddyenrichhttp

import (
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func TestMatcher(t *testing.T) {
	for _, tt := range []struct {
		name, matcher, client, target string
		want                          bool
	}{
		{"one of several", "enrich country_code FR DE", "192.0.2.1", "/", true},
		{"none of several", "enrich country_code FR IT", "192.0.2.1", "/", false},
		{"codes in any case", "enrich country_code de", "192.0.2.1", "/", true},
		{"names in their own", "enrich as_name \"beispiel ag\"", "192.0.2.1", "/", false},
		{"names", "enrich as_name \"Beispiel AG\"", "192.0.2.1", "/", true},
		{"IPv6", "enrich asn AS64497", "2001:db8::ff", "/", true},
		{"AS numbers without AS", "enrich asn 64496", "192.0.2.1", "/", true},
		{"AS numbers in any case", "enrich asn as64496", "192.0.2.1", "/", true},
		{"a network", "enrich network 192.0.2.0/24", "192.0.2.1", "/", true},
		{"a source's own", "enrich tier 1", "192.0.2.1", "/", true},
		{"an element of a list", "enrich tag x b", "192.0.2.1", "/", true},
		{"no element of a list", "enrich tag a,b", "192.0.2.1", "/", false},
		{"anything", "enrich country_code *", "192.0.2.1", "/", true},
		{"anything of nothing", "enrich registrar *", "192.0.2.1", "/", false},
		{"not", "not enrich country_code DE", "192.0.2.1", "/", false},
		{"not, of another", "not enrich country_code DE", "192.0.2.200", "/", true},
		{"not anything", "not enrich registrar *", "192.0.2.1", "/", true},
		{"all of several", "{\nenrich country_code DE\nenrich asn AS64496\n}", "192.0.2.1", "/", true},
		{"one of several lines", "{\nenrich country_code DE\nenrich asn AS64497\n}", "192.0.2.1", "/", false},
		{"a value", "enrich {query.ip} country_code FR", "192.0.2.1", "/?ip=192.0.2.200", true},
		{"a value that cannot be read", "enrich {query.ip} country_code *", "192.0.2.1", "/?ip=no+address", false},
		{"values with placeholders", "enrich country_code {query.c}", "192.0.2.1", "/?c=DE", true},
		{"values with other placeholders", "enrich country_code {query.c}", "192.0.2.1", "/?c=IT", false},
		{"a chain", "enrich iana_block 192.0.2.0/24 {\nchain lan\n}", "192.0.2.1", "/", true},
		{"an expression", "expression `enrich('country_code', 'FR', 'DE')`", "192.0.2.1", "/", true},
		{"a false expression", "expression `enrich('country_code', 'FR') || enrich('asn', 'AS1')`", "192.0.2.1", "/", false},
		{"an expression with more", "expression `!enrich('country_code', 'FR') && {client_ip}.endsWith('.1')`", "192.0.2.1", "/", true},
		{"an expression about a value", "expression `enrich('\\{http.request.uri.query.ip}', 'country_code', 'FR')`", "192.0.2.1", "/?ip=192.0.2.200", true},
		{"an expression with placeholders", "expression `enrich('country_code', {query.c})`", "192.0.2.1", "/?c=DE", true},
		{"an expression on placeholders", "expression `{enrich.country_code} in ['DE', 'IT']`", "192.0.2.1", "/", true},
	} {
		s := site(t, "enrich\n@x "+tt.matcher+"\nhandle @x {\nrespond yes\n}\nhandle {\nrespond no\n}")
		if got := ask(s, from(tt.client, tt.target)) == "yes"; got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestMatcherAlone is without the directive, and without Caddy's server around it.
func TestMatcherAlone(t *testing.T) {
	s := site(t, "@x enrich country_code DE\nrespond @x yes\nrespond no")
	for client, want := range map[string]string{"192.0.2.1": "yes", "192.0.2.200": "no"} {
		if got := ask(s, from(client, "/")); got != want {
			t.Errorf("%s: %q, want %q", client, got, want)
		}
	}
	ctx := provisioned(t)
	c, err := conditionOf([]string{"country_code", "DE"})
	if err != nil {
		t.Fatal(err)
	}
	m := &Match{c}
	if err := m.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	if m.Match(httptest.NewRequest("GET", "/", nil)) {
		t.Error("a request without a known client matched")
	}
}

func TestExpressionErrors(t *testing.T) {
	for _, expr := range []string{"enrich()", "enrich('country_code')", "enrich('{http.request.uri.query.ip}', 'asn')", "enrich(1, 'x')"} {
		m := &caddyhttp.MatchExpression{Expr: expr}
		if err := m.Provision(provisioned(t)); err == nil {
			t.Errorf("%s: no error", expr)
		}
	}
}
