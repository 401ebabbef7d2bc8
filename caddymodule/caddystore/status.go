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
	Shared any                `json:"shared,omitempty"` // how a store that others share is, as its engine tells it
}

// Reporter is a store of an engine that has more to tell.
type Reporter interface {
	// Report is how it is, and what is wrong. away is that it cannot be reached now, so that what cache and ledger complain of is no
	// error of this machine's, which serves on.
	Report() (value any, problems []status.Problem, away bool)
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
	st, away := Status{Cache: s.Cache().Status(), Ledger: s.Ledger().Status()}, false
	if shared, ok := s.(*opened).Store.(Reporter); ok {
		st.Shared, r.Problems, away = shared.Report()
	}
	for _, p := range []struct{ where, text string }{{"store/cache", st.Cache.Error}, {"store/ledger", st.Ledger.Error}} {
		if p.text != "" && !away {
			r.Problems = append(r.Problems, status.Problem{Level: status.Error, Where: p.where, Text: p.text})
		}
	}
	r.Value = st
	return r, true
}
