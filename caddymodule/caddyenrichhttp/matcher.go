package caddyenrichhttp

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/whence-project/whence/enrich"
)

func init() { caddy.RegisterModule(new(Match)) }

// Match matches requests by what a chain knows about the client's address, or about another value. All of its conditions must hold. It
// needs no handler `enrich`; where there is one of the same chain and value, the chain is asked once for both.
type Match []*Condition

// Condition holds if a field has one of some values.
type Condition struct {
	// The field: `network`, a canonical field such as `country_code`, or a source's own. Required.
	Field string `json:"field"`
	// The values, of which the field, or one element of a list, must be one. `*` is any value at all. AS numbers may be written
	// without AS; AS numbers, country and continent codes and registries may be in any case. Placeholders are replaced. Required.
	Values []string `json:"values"`
	// What is asked about; placeholders in it are replaced. Default: the client's address, as Caddy trusts it (`trusted_proxies`).
	Of string `json:"of,omitempty"`
	// The enrichment chain that is asked. Default: `default`.
	Chain string `json:"chain,omitempty"`

	door    *door
	pick    enrich.Pick
	values  []string
	dynamic bool // a value has placeholders
}

// anyValue is the value that matches every other.
const anyValue = "*"

// codes are the canonical fields whose case means nothing.
var codes = enrich.SetOf(enrich.ASN, enrich.CountryCode, enrich.ContinentCode, enrich.Registry)

// CaddyModule returns the module's registration.
func (*Match) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.matchers.enrich", New: func() caddy.Module { return new(Match) }}
}

// Provision finds the chains.
func (m *Match) Provision(ctx caddy.Context) error {
	doors := make(map[string]*door)
	for _, c := range *m {
		if err := c.check(); err != nil {
			return err
		}
		if doors[c.Chain] == nil {
			d, err := doorTo(ctx, c.Chain)
			if err != nil {
				return err
			}
			doors[c.Chain] = d
		}
		c.provision(doors[c.Chain])
	}
	keepConnections(ctx)
	return nil
}

func (c *Condition) check() error {
	if c.Field == "" || len(c.Values) == 0 {
		return fmt.Errorf("the matcher enrich takes a field and its values, as in: enrich country_code DE FR; it has %q and %q", c.Field, c.Values)
	}
	if strings.HasPrefix(c.Field, caddyhttp.CELPlaceholderFuncName+"(") {
		return fmt.Errorf("enrich: %s is no field; in an expression, the braces of the value that is asked about are escaped: '\\{…}'", c.Field)
	}
	return nil
}

func (c *Condition) provision(d *door) {
	c.door, c.pick = d, enrich.PickOf(c.Field)
	c.door.learn(c.pick.Want())
	c.values = make([]string, len(c.Values))
	for i, v := range c.Values {
		c.values[i] = c.normal(v)
		c.dynamic = c.dynamic || isValue(v)
	}
}

// normal is a value as records have it.
func (c *Condition) normal(v string) string {
	if c.pick.Key() == enrich.ASN {
		if s, err := enrich.ParseSubject(v); err == nil && s.Kind() == enrich.AS {
			return s.String()
		}
	}
	return v
}

// MatchWithError reports whether every condition holds. There are no errors: what is not known does not match.
func (m *Match) MatchWithError(r *http.Request) (bool, error) { return m.Match(r), nil }

// Match reports whether every condition holds.
func (m *Match) Match(r *http.Request) bool {
	q := requestOf(r)
	repl, _ := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	for _, c := range *m {
		if !c.holds(q, repl) {
			return false
		}
	}
	return true
}

func (c *Condition) holds(q *request, repl *caddy.Replacer) bool {
	values := c.values
	if c.dynamic && repl != nil {
		values = make([]string, len(c.values))
		for i, v := range c.values {
			values[i] = c.normal(repl.ReplaceAll(v, ""))
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.clientSubject()
	if c.Of != "" {
		s = q.valueOf(c.Of, &viewState{repl: repl})
	}
	rec := q.ask(c.door, s, c.pick.Want(), view{})
	if rec == nil {
		return false
	}
	if !c.pick.IsList(rec) {
		return c.has(values, c.pick.Text(rec))
	}
	for _, have := range c.pick.Values(rec) {
		if c.has(values, have) {
			return true
		}
	}
	return false
}

// has reports whether what a record has is one of values.
func (c *Condition) has(values []string, have string) bool {
	if have == "" {
		return false
	}
	fold := enrich.SetOf(c.pick.Key())&codes != 0
	for _, v := range values {
		if v == have || v == anyValue || fold && strings.EqualFold(v, have) {
			return true
		}
	}
	return false
}

// Interface guards
var (
	_ caddy.Provisioner                 = (*Match)(nil)
	_ caddyhttp.RequestMatcherWithError = (*Match)(nil)
)
