package caddycommands

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/whence-project/whence/caddymodule/caddyenrich"
	"github.com/whence-project/whence/enrich"
)

// localChain opens a chain of the configuration in this process, without the sources that take more than files: neither the store
// nor another server is asked. The default chain has the name "". Close gives back what the chain holds.
func (t *target) localChain(ctx context.Context, name string) (chain *enrich.Chain, close func(), err error) {
	apps := caddy.ModuleMap{}
	if t.config != "" {
		if apps["enrich"], err = t.fileSources(); err != nil {
			return nil, nil, err
		}
	}
	config := &caddy.Config{
		Admin:   &caddy.AdminConfig{Disabled: true},
		Logging: warnings(),
		AppsRaw: apps,
	}
	cctx, err := caddy.ProvisionContext(config)
	if err != nil {
		return nil, nil, err
	}
	app, err := cctx.App("enrich")
	if err != nil {
		return nil, nil, err
	}
	a := app.(*caddyenrich.App)
	close = func() { _ = a.Cleanup() }
	if chain, err = a.Chain(name); err == nil {
		err = chain.Open(ctx)
	}
	if err != nil {
		close()
		return nil, nil, err
	}
	return chain, close, nil
}

// fileSources is the app "enrich" of the configuration with the sources that need nothing but files.
func (t *target) fileSources() (json.RawMessage, error) {
	b, _, _, err := caddycmd.LoadConfig(t.config, t.adapter)
	if err != nil {
		return nil, err
	}
	var config struct {
		Apps struct {
			Enrich *caddyenrich.App `json:"enrich"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(b, &config); err != nil {
		return nil, fmt.Errorf("%s: %w", t.config, err)
	}
	if config.Apps.Enrich == nil {
		return json.RawMessage("{}"), nil
	}
	return withFilesOnly(config.Apps.Enrich)
}

// withFilesOnly is the app without the sources that need more than files.
func withFilesOnly(app *caddyenrich.App) (json.RawMessage, error) {
	for _, chain := range app.Chains {
		chain.SourcesRaw = slices.DeleteFunc(slices.Clone(chain.SourcesRaw), func(raw json.RawMessage) bool { return !needsFilesOnly(raw) })
	}
	return json.Marshal(app)
}

// needsFilesOnly tells a source by its module: one that fetches asks other servers, and sightings are in the store. A source that is
// not known is left for Caddy to complain of.
func needsFilesOnly(raw json.RawMessage) bool {
	var source struct {
		Source string `json:"source"`
	}
	if json.Unmarshal(raw, &source) != nil {
		return true
	}
	info, err := caddy.GetModule("enrich.sources." + source.Source)
	if err != nil {
		return true
	}
	switch info.New().(type) {
	case enrich.Fetcher, *caddyenrich.Sightings:
		return false
	}
	return true
}
