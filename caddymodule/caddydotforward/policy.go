package caddydotforward

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/whence-project/whence/dotforward"
	"github.com/whence-project/whence/enrich"
)

func init() { caddy.RegisterModule(new(Policy)) }

// Policy is the handler `policy`: what to do with queries for what the chain knows of the name or, where countries or ASes are
// named, of the addresses in the answer. All conditions that are given must hold. It never waits for what the chain has to fetch.
type Policy struct {
	// What logs, events and extended errors call it. Required.
	Name string `json:"name"`

	// The name was registered less than so long ago. Default: not asked.
	Registered caddy.Duration `json:"registered,omitempty"`
	// This network saw the name for the first time less than so long ago. Default: not asked.
	FirstSeen caddy.Duration `json:"first_seen,omitempty"`
	// This network has not seen the name; with first_seen, that suffices. Default: not asked.
	Unseen bool `json:"unseen,omitempty"`
	// The name is in no list of popular ones; with rank_above, that suffices. Default: not asked.
	Unranked bool `json:"unranked,omitempty"`
	// The name is behind that place in a list of popular ones. Default: not asked.
	RankAbove int `json:"rank_above,omitempty"`
	// The name's pairs of characters are less usual than that, in percent. Default: not asked.
	FreqBelow float64 `json:"freq_below,omitempty"`
	// An address in the answer is in one of these countries (ISO 3166-1 alpha-2). Default: not asked.
	Countries []string `json:"countries,omitempty"`
	// An address in the answer is announced by one of these ASes, as in AS64496. Default: not asked.
	ASNs []string `json:"asns,omitempty"`

	// A word that is added to the query, for the query log. Default: none.
	Tag string `json:"tag,omitempty"`
	// Log the queries: a line a name and second at most. Default: they are not logged.
	Log bool `json:"log,omitempty"`
	// Emit the event whence_dns_policy for the queries, as often. Default: none.
	Event bool `json:"event,omitempty"`
	// Block the queries, answering zero (0.0.0.0 and ::), nxdomain or refused. Default: they go on.
	Block string `json:"block,omitempty"`
	// After how long the chain is asked again about a name whose answer is in the cache. Default: 1m.
	Recheck caddy.Duration `json:"recheck,omitempty"`
}

// CaddyModule returns the module's registration.
func (*Policy) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "dotforward.handlers.policy", New: func() caddy.Module { return new(Policy) }}
}

// Uses says that it needs the chain.
func (*Policy) Uses() (chain, ledger bool) { return true, false }

// Provision reads the settings.
func (m *Policy) Provision(caddy.Context) error {
	if m.Name == "" {
		return errors.New("policy: it has no name")
	}
	o, err := m.options()
	if err == nil {
		o.Chain = new(enrich.Chain) // whether there is one is known in Start
		_, err = dotforward.NewPolicy(o)
	}
	if err != nil {
		return fmt.Errorf("policy %s: %w", m.Name, err)
	}
	return nil
}

// options are the settings as the engine takes them, but for the chain.
func (m *Policy) options() (o dotforward.PolicyOptions, err error) {
	if m.Registered < 0 || m.FirstSeen < 0 || m.Recheck < 0 || m.RankAbove < 0 || m.FreqBelow < 0 {
		return o, errors.New("registered, first_seen, rank_above, freq_below and recheck cannot be below 0")
	}
	o = dotforward.PolicyOptions{
		Name: m.Name, Registered: time.Duration(m.Registered), FirstSeen: time.Duration(m.FirstSeen), Unseen: m.Unseen,
		Unranked: m.Unranked, RankAbove: m.RankAbove, FreqBelow: m.FreqBelow, Tag: m.Tag, Recheck: time.Duration(m.Recheck),
	}
	for _, c := range m.Countries {
		country, err := parseCountry(c)
		if err != nil {
			return o, err
		}
		o.Countries = append(o.Countries, country)
	}
	for _, text := range m.ASNs {
		as, err := enrich.ParseSubject(text)
		if err != nil || as.Kind() != enrich.AS {
			return o, fmt.Errorf("asn %s: no AS number, as in AS64496", text)
		}
		o.ASNs = append(o.ASNs, as.ASN())
	}
	if m.Block != "" {
		o.Block = true
		if o.BlockWith, err = dotforward.ParseBlockWith(m.Block); err != nil {
			return o, err
		}
	}
	if m.Log || m.Event {
		o.Hit = func(*dotforward.Query, *enrich.Record) {} // Open knows where they go
	}
	return o, nil
}

// parseCountry reads two letters, as records have them.
func parseCountry(s string) (string, error) {
	u := strings.ToUpper(s)
	if len(u) != 2 || strings.Trim(u, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return "", fmt.Errorf("country %s: no code of two letters, as in NL (ISO 3166-1 alpha-2)", s)
	}
	return u, nil
}

// Open makes the handler, and has it heard of until the server has ended.
func (m *Policy) Open(env *Env) (dotforward.Handler, error) {
	o, err := m.options()
	if err != nil {
		return nil, err
	}
	o.Chain = env.Chain
	if o.Hit != nil {
		r := m.newReporter(env)
		o.Hit = r.report
		env.Go(func() { r.run(env.Running) })
	}
	return dotforward.NewPolicy(o)
}

// Interface guards
var (
	_ Opener                = (*Policy)(nil)
	_ User                  = (*Policy)(nil)
	_ caddy.Provisioner     = (*Policy)(nil)
	_ caddyfile.Unmarshaler = (*Policy)(nil)
)
