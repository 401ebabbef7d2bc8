package caddyadmin

import (
	"fmt"
	"net/http"

	"github.com/whence-project/whence/caddymodule/caddyenrich"
	"github.com/whence-project/whence/caddymodule/internal/adminapi"
	"github.com/whence-project/whence/domainstats"
)

// importHistory reads the body, a history, into the ledger. The query has form (json, feed, list), scope, and the switches
// per_name, keep_new and never_expire.
func importHistory(w http.ResponseWriter, r *http.Request) error {
	q, err := adminapi.QueryOf(r, "form", "scope", "per_name", "keep_new", "never_expire")
	if err != nil {
		return err
	}
	form, err := domainstats.ParseExchange(q.Get("form"))
	if err != nil {
		return adminapi.Fail(http.StatusBadRequest, err)
	}
	o := domainstats.ImportOptions{Form: form, Scope: q.Get("scope")}
	for name, into := range map[string]*bool{"per_name": &o.PerName, "keep_new": &o.KeepNew, "never_expire": &o.NeverExpire} {
		if *into, err = q.Bool(name); err != nil {
			return err
		}
	}
	s, err := storeInUse()
	if err != nil {
		return err
	}
	if c, err := chainNamed(""); err == nil {
		if source := caddyenrich.RegistrationOf(c); source != nil {
			o.Registration = source.Learn
		}
	}
	adminapi.Patient(w)
	res, err := domainstats.Import(r.Context(), s.Ledger(), r.Body, o)
	if err != nil {
		if res.Entries > 0 {
			err = fmt.Errorf("after %d entries, which are imported: %w", res.Entries, err)
		}
		return adminapi.Fail(http.StatusUnprocessableEntity, err)
	}
	return adminapi.Reply(w, http.StatusOK, res)
}

// exportHistory writes the names of a scope as format C's utilities do. The query has scope, and all for names whose
// registration is not known.
func exportHistory(w http.ResponseWriter, r *http.Request) error {
	q, err := adminapi.QueryOf(r, "scope", "all")
	if err != nil {
		return err
	}
	all, err := q.Bool("all")
	if err != nil {
		return err
	}
	s, err := storeInUse()
	if err != nil {
		return err
	}
	chain, err := chainNamed("")
	if err != nil {
		return err
	}
	api, err := domainstats.New(domainstats.Options{Chain: chain, Ledger: s.Ledger(), Scope: q.Get("scope")})
	if err != nil {
		return adminapi.Fail(http.StatusBadRequest, err)
	}
	defer api.Close()
	adminapi.Patient(w)
	w.Header().Set("Content-Type", "application/json")
	_, err = api.Export(r.Context(), w, all, nil)
	return err
}
