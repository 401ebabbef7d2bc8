// Package caddyadmin is the admin API below /whence/. Its routes look up the running configuration for each request: Caddy makes
// the module anew on every load, also on one that fails.
package caddyadmin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/whence-project/whence/caddymodule/caddyenrich"
	"github.com/whence-project/whence/caddymodule/caddystore"
	"github.com/whence-project/whence/domainstats"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration"
	"github.com/whence-project/whence/store"
)

func init() { caddy.RegisterModule(new(API)) }

// API is the admin API's routes below /whence/.
type API struct{}

// CaddyModule returns the module's registration.
func (*API) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.whence", New: func() caddy.Module { return new(API) }}
}

// Routes are the routes.
func (a *API) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: "/whence/status", Handler: method(http.MethodGet, status)},
		{Pattern: "/whence/import", Handler: method(http.MethodPost, importHistory)},
		{Pattern: "/whence/export", Handler: method(http.MethodGet, exportHistory)},
	}
}

// method refuses other methods.
func method(m string, h caddy.AdminHandlerFunc) caddy.AdminHandler {
	return caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if r.Method != m {
			w.Header().Set("Allow", m)
			return fail(http.StatusMethodNotAllowed, fmt.Errorf("this route takes %s", m))
		}
		return h(w, r)
	})
}

func fail(status int, err error) error { return caddy.APIError{HTTPStatus: status, Err: err} }

// ledger is the running configuration's.
func ledger() (store.Ledger, error) {
	app, err := caddy.ActiveContext().AppIfConfigured("store")
	if err != nil {
		return nil, fail(http.StatusNotFound, errors.New("the running configuration uses no store: it has neither domain_stats nor sightings"))
	}
	s, err := app.(*caddystore.App).Store()
	if err != nil {
		return nil, fail(http.StatusServiceUnavailable, err)
	}
	return s.Ledger(), nil
}

// registrations is the source registration of the default chain, nil where that has none.
func registrations() *registration.Source {
	app, err := caddy.ActiveContext().App("enrich")
	if err != nil {
		return nil
	}
	chain, err := app.(*caddyenrich.App).Chain("")
	if err != nil {
		return nil
	}
	return caddyenrich.RegistrationOf(chain)
}

// patient takes away the time limit that Caddy sets on requests to the admin API: a history may be large.
func patient(w http.ResponseWriter) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{})
	_ = c.SetWriteDeadline(time.Time{})
}

// status writes how each source of each chain is, and the store.
func status(w http.ResponseWriter, _ *http.Request) error {
	app, err := caddy.ActiveContext().App("enrich")
	if err != nil {
		return fail(http.StatusServiceUnavailable, err)
	}
	all := struct {
		Chains map[string][]enrich.SourceStatus `json:"chains"`
		Store  *storeStatus                     `json:"store,omitempty"`
	}{Chains: make(map[string][]enrich.SourceStatus)}
	for name, chain := range app.(*caddyenrich.App).Provisioned() {
		all.Chains[name] = chain.Status()
	}
	if app, err := caddy.ActiveContext().AppIfConfigured("store"); err == nil {
		if s, err := app.(*caddystore.App).Store(); err == nil {
			all.Store = &storeStatus{s.Cache().Status(), s.Ledger().Status()}
		}
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(all)
}

// storeStatus is how the store is.
type storeStatus struct {
	Cache  store.CacheStatus  `json:"cache"`
	Ledger store.LedgerStatus `json:"ledger"`
}

// importHistory reads the body, a history, into the ledger. The query has form (json, feed, list), scope, and the switches
// per_name, keep_new and never_expire.
func importHistory(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	form, err := domainstats.ParseExchange(q.Get("form"))
	if err != nil {
		return fail(http.StatusBadRequest, err)
	}
	o := domainstats.ImportOptions{Form: form, Scope: q.Get("scope")}
	for name, into := range map[string]*bool{"per_name": &o.PerName, "keep_new": &o.KeepNew, "never_expire": &o.NeverExpire} {
		if v := q.Get(name); v != "" {
			if *into, err = strconv.ParseBool(v); err != nil {
				return fail(http.StatusBadRequest, fmt.Errorf("%s=%s: neither true nor false", name, v))
			}
		}
	}
	l, err := ledger()
	if err != nil {
		return err
	}
	if r := registrations(); r != nil {
		o.Registration = r.Learn
	}
	patient(w)
	res, err := domainstats.Import(r.Context(), l, r.Body, o)
	if err != nil {
		if res.Entries > 0 {
			err = fmt.Errorf("after %d entries, which are imported: %w", res.Entries, err)
		}
		return fail(http.StatusUnprocessableEntity, err)
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(res)
}

// exportHistory writes the names of a scope as format C's utilities do. The query has scope, and all for names whose
// registration is not known.
func exportHistory(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	l, err := ledger()
	if err != nil {
		return err
	}
	app, err := caddy.ActiveContext().App("enrich")
	if err != nil {
		return fail(http.StatusServiceUnavailable, err)
	}
	chain, err := app.(*caddyenrich.App).Chain("")
	if err != nil {
		return fail(http.StatusServiceUnavailable, err)
	}
	api, err := domainstats.New(domainstats.Options{Chain: chain, Ledger: l, Scope: q.Get("scope")})
	if err != nil {
		return fail(http.StatusBadRequest, err)
	}
	defer api.Close()
	patient(w)
	w.Header().Set("Content-Type", "application/json")
	_, err = api.Export(r.Context(), w, q.Has("all"), nil)
	return err
}

// Interface guard
var _ caddy.AdminRouter = (*API)(nil)
