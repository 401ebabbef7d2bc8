package caddystore

import (
	"github.com/caddyserver/caddy/v2"

	"github.com/whence-project/whence/caddymodule/internal/status"
	"github.com/whence-project/whence/store"
)

func init() { status.Register(status.Section{Name: "store", Report: report}) }

// Status is how a store is.
type Status struct {
	Cache  store.CacheStatus  `json:"cache"`
	Ledger store.LedgerStatus `json:"ledger"`
}

// report tells how the store is, if it is open.
func report(ctx caddy.Context, _ status.Query) (r status.Report, ok bool) {
	app, err := ctx.AppIfConfigured("store")
	if err != nil {
		return r, false
	}
	s := app.(*App).Opened()
	if s == nil {
		return r, false
	}
	st := Status{s.Cache().Status(), s.Ledger().Status()}
	for _, p := range []struct{ where, text string }{{"store/cache", st.Cache.Error}, {"store/ledger", st.Ledger.Error}} {
		if p.text != "" {
			r.Problems = append(r.Problems, status.Problem{Level: status.Error, Where: p.where, Text: p.text})
		}
	}
	r.Value = st
	return r, true
}
