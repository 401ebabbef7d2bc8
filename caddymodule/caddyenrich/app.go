// Package caddyenrich is the app "enrich": the chains of sources that the doors ask, and the guest modules "enrich.sources.*"
// that adapt Whence's own sources to Caddy.
//
// A third party adds a source as a module in the namespace "enrich.sources" whose value implements [enrich.Source]; it may
// implement the optional interfaces of that package too.
package caddyenrich

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/internal/prom"
	"github.com/whence-project/whence/enrich"
)

func init() { caddy.RegisterModule(new(App)) }

// DefaultChain is the name of the chain that a door asks when it names none.
const DefaultChain = "default"

// App holds the enrichment chains.
type App struct {
	// The chains by name. The one named "default" serves every door that names none; without it the default chain consists
	// of the source `iana` alone.
	Chains map[string]*Chain `json:"chains,omitempty"`

	chains map[string]*enrich.Chain
	ctx    caddy.Context
	logger *zap.Logger
	end    func() // withdraws the app from those that run; nil before Start
}

// Chain is a list of sources.
type Chain struct {
	// The sources, asked in this order. Default: none.
	SourcesRaw []json.RawMessage `json:"sources,omitempty" caddy:"namespace=enrich.sources inline_key=source"`
}

// CaddyModule returns the module's registration.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "enrich", New: func() caddy.Module { return new(App) }}
}

// Provision loads the sources. Nothing is opened before Start.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx, a.logger = ctx, ctx.Logger()
	if err := prom.Register(ctx, sources); err != nil {
		return err
	}
	a.chains = make(map[string]*enrich.Chain, len(a.Chains)+1)
	if _, ok := a.Chains[DefaultChain]; !ok {
		iana, err := ctx.LoadModuleByID("enrich.sources.iana", nil)
		if err != nil {
			return err
		}
		a.add(DefaultChain, []enrich.Link{{Name: "iana", Source: iana.(enrich.Source)}})
	}
	for name, chain := range a.Chains {
		links, err := chain.provision(ctx)
		if err != nil {
			return fmt.Errorf("chain %s: %w", name, err)
		}
		a.add(name, links)
	}
	return nil
}

func (c *Chain) provision(ctx caddy.Context) ([]enrich.Link, error) {
	mods, err := ctx.LoadModule(c, "SourcesRaw")
	if err != nil {
		return nil, err
	}
	sources := mods.([]any)
	if len(sources) > enrich.MaxLinks {
		return nil, fmt.Errorf("%d sources, more than %d", len(sources), enrich.MaxLinks)
	}
	links := make([]enrich.Link, 0, len(sources))
	seen := make(map[string]int)
	for _, mod := range sources {
		id := string(mod.(caddy.Module).CaddyModule().ID)
		source, ok := mod.(enrich.Source)
		if !ok {
			return nil, fmt.Errorf("module %s is no enrich.Source", id)
		}
		name := strings.TrimPrefix(id, "enrich.sources.")
		if seen[name]++; seen[name] > 1 {
			name = fmt.Sprintf("%s%d", name, seen[name])
		}
		links = append(links, enrich.Link{Name: name, Source: source})
	}
	for _, l := range links {
		if r, ok := l.Source.(*Registration); ok {
			if err := r.joined(links); err != nil {
				return nil, err
			}
		}
	}
	return links, nil
}

func (a *App) add(name string, links []enrich.Link) {
	c := enrich.NewChain(name, links...)
	c.OnFetchError = func(source string, s enrich.Subject, err error) {
		a.logger.Warn("fetching", zap.String("source", source), zap.Stringer("subject", s), zap.Error(err))
	}
	a.chains[name] = c
}

// Chain returns the chain of that name, the default one for "". A door looks its chain up when it is provisioned and opens it
// when it starts, since apps start in no particular order.
func (a *App) Chain(name string) (*enrich.Chain, error) {
	if name == "" {
		name = DefaultChain
	}
	if c, ok := a.chains[name]; ok {
		return c, nil
	}
	names := make([]string, 0, len(a.chains))
	for n := range a.chains {
		names = append(names, n)
	}
	sort.Strings(names)
	return nil, fmt.Errorf("no enrichment chain is named %q; there are: %s", name, strings.Join(names, ", "))
}

// Provisioned are all chains by name. They must not be changed.
func (a *App) Provisioned() map[string]*enrich.Chain { return a.chains }

// Start opens every chain, and has the files kept fresh that are to be.
func (a *App) Start() error {
	for name, c := range a.chains {
		if err := c.Open(a.ctx); err != nil {
			return fmt.Errorf("chain %s: %w", name, err)
		}
	}
	for name, c := range a.chains {
		for _, l := range c.Links() {
			for _, k := range UpkeepsOf(l.Source) {
				if err := k.start(); err != nil {
					return fmt.Errorf("chain %s: source %s: %w", name, l.Name, err)
				}
			}
		}
	}
	a.begin()
	return nil
}

// Stop does nothing: doors that are being drained still ask. Cleanup closes.
func (a *App) Stop() error { return nil }

// Cleanup closes the chains. Queries still running go on with the data they have.
func (a *App) Cleanup() error {
	if a.end != nil {
		a.end()
	}
	for name, c := range a.chains {
		if err := c.Close(); err != nil {
			a.logger.Error("closing chain", zap.String("chain", name), zap.Error(err))
		}
	}
	return nil
}

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
