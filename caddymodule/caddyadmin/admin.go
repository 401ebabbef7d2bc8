// Package caddyadmin is the admin API below /whence/. Its routes look up the running configuration for each request: Caddy makes
// the module anew on every load, also on one that fails. docs/admin.md is for those who use it.
package caddyadmin

import (
	"errors"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/whence-project/whence/caddymodule/caddyenrich"
	"github.com/whence-project/whence/caddymodule/caddystore"
	"github.com/whence-project/whence/caddymodule/internal/adminapi"
	"github.com/whence-project/whence/caddymodule/internal/prom"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/store"
)

func init() { caddy.RegisterModule(new(API)) }

// API is the admin API's routes below /whence/. Other packages have more there.
type API struct{}

// CaddyModule returns the module's registration.
func (*API) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.whence", New: func() caddy.Module { return new(API) }}
}

// Where the routes are that have more behind them.
const (
	atLookup  = "/whence/lookup/"
	atCache   = "/whence/cache/"
	atLedger  = "/whence/ledger/"
	atRefresh = "/whence/refresh/"
)

// Provision has the metrics of earlier configurations in this one's registry, before any of its apps may fail: Caddy's admin endpoint
// shows it from now on, whatever comes of the configuration.
func (*API) Provision(ctx caddy.Context) error { return prom.Register(ctx) }

// Routes are the routes.
func (*API) Routes() []caddy.AdminRoute {
	const get, post, remove = http.MethodGet, http.MethodPost, http.MethodDelete
	var routes []caddy.AdminRoute
	for pattern, methods := range map[string]adminapi.Methods{
		"/whence/":        {get: nowhere, post: nowhere, remove: nowhere},
		"/whence/status":  {get: showStatus},
		"/whence/health":  {get: showHealth},
		"/whence/lookup":  {post: lookupLines},
		atLookup:          {get: lookup},
		"/whence/store":   {get: showStore},
		atCache:           {remove: purgeCache},
		atLedger:          {remove: purgeLedger},
		atRefresh:         {post: refresh},
		"/whence/preload": {get: showPreloads, post: startPreload, remove: stopPreload},
		"/whence/import":  {post: importHistory},
		"/whence/export":  {get: exportHistory},
	} {
		routes = append(routes, caddy.AdminRoute{Pattern: pattern, Handler: methods})
	}
	return routes
}

// nowhere answers for what is below /whence/ and no route.
func nowhere(_ http.ResponseWriter, r *http.Request) error {
	return adminapi.Failf(http.StatusNotFound, "there is no %s; docs/admin.md has the routes, /whence/status is one", r.URL.Path)
}

// behind is what stands in the path behind a route, with an error that gives an example if it is nothing.
func behind(r *http.Request, route, example string) (string, error) {
	rest := strings.TrimPrefix(r.URL.Path, route)
	if rest == "" {
		return "", adminapi.Failf(http.StatusBadRequest, "nothing is named; want something like %s%s", route, example)
	}
	return rest, nil
}

// chains is the running configuration's.
func chains() (*caddyenrich.App, error) {
	// App would make one where there is none, in a configuration that is running.
	app, err := caddy.ActiveContext().AppIfConfigured("enrich")
	if err != nil {
		return nil, adminapi.Failf(http.StatusNotFound, "the running configuration has no enrichment chain, and nothing that asks one")
	}
	return app.(*caddyenrich.App), nil
}

// chainNamed is a chain of the running configuration, the default one for "".
func chainNamed(name string) (*enrich.Chain, error) {
	app, err := chains()
	if err != nil {
		return nil, err
	}
	chain, err := app.Chain(name)
	if err != nil {
		return nil, adminapi.Fail(http.StatusNotFound, err)
	}
	return chain, nil
}

var errNoStore = errors.New("the running configuration uses no store: it has none of domain_stats, sightings, registration and observe")

// configuredStore is the app of the running configuration.
func configuredStore() (*caddystore.App, error) {
	app, err := caddy.ActiveContext().AppIfConfigured("store")
	if err != nil {
		return nil, adminapi.Fail(http.StatusNotFound, errNoStore)
	}
	return app.(*caddystore.App), nil
}

// storeInUse is the running configuration's. One that is configured and not used is opened for whoever wants to fill it.
func storeInUse() (store.Store, error) {
	app, err := configuredStore()
	if err != nil {
		return nil, err
	}
	s, err := app.Store()
	if err != nil {
		return nil, adminapi.Fail(http.StatusServiceUnavailable, err)
	}
	return s, nil
}

// storeOpen is the running configuration's, if it is open.
func storeOpen() (store.Store, error) {
	app, err := configuredStore()
	if err != nil {
		return nil, err
	}
	s := app.Opened()
	if s == nil {
		return nil, adminapi.Fail(http.StatusNotFound, errNoStore)
	}
	return s, nil
}

// Interface guards
var (
	_ caddy.AdminRouter = (*API)(nil)
	_ caddy.Provisioner = (*API)(nil)
)
