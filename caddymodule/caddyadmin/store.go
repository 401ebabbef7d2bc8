package caddyadmin

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/caddyenrich"
	"github.com/whence-project/whence/caddymodule/internal/adminapi"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration"
	"github.com/whence-project/whence/store"
)

// showStore writes how the store is, with figures of each bucket of the cache where the store can tell, and of each scope of the ledger.
func showStore(w http.ResponseWriter, r *http.Request) error {
	if _, err := adminapi.QueryOf(r); err != nil {
		return err
	}
	s, err := storeOpen()
	if err != nil {
		return err
	}
	var out struct {
		Cache struct {
			store.CacheStatus
			Buckets []store.BucketStatus `json:"buckets,omitempty"`
		} `json:"cache"`
		Ledger struct {
			store.LedgerStatus
			Scopes map[string]int `json:"scopes"` // how many names each has
		} `json:"ledger"`
	}
	if teller, ok := s.Cache().(store.BucketReporter); ok {
		if out.Cache.Buckets, err = teller.Buckets(r.Context()); err != nil {
			return adminapi.Fail(http.StatusServiceUnavailable, err)
		}
	}
	out.Cache.CacheStatus, out.Ledger.LedgerStatus = s.Cache().Status(), s.Ledger().Status()
	out.Ledger.Scopes = make(map[string]int)
	for _, scope := range s.Ledger().Scopes() {
		out.Ledger.Scopes[scope] = s.Ledger().Len(scope)
	}
	return adminapi.Reply(w, http.StatusOK, out)
}

// removed is the answer to a purge.
type removed struct {
	Removed int      `json:"removed"`
	Names   []string `json:"names,omitempty"` // under which it was looked for
}

// purge reads which bucket or scope of the running configuration's store is to forget what.
func purge(r *http.Request, route, example string) (s store.Store, where string, what adminapi.What, err error) {
	if where, err = behind(r, route, example); err != nil {
		return nil, "", what, err
	}
	q, err := adminapi.QueryOf(r, "name", "prefix", "all")
	if err != nil {
		return nil, "", what, err
	}
	if what, err = q.What(); err != nil {
		return nil, "", what, err
	}
	s, err = storeOpen()
	return s, where, what, err
}

// purgeCache forgets what a bucket of the cache has under names, under a prefix, or all; answers about registrations in memory too.
func purgeCache(w http.ResponseWriter, r *http.Request) error {
	s, bucket, what, err := purge(r, atCache, "registration?name=example.org")
	if err != nil {
		return err
	}
	adminapi.Patient(w)
	sources := registrationsIn(bucket)
	if len(sources) == 0 {
		if err := checkBucket(r.Context(), s.Cache(), bucket); err != nil {
			return err
		}
	}
	out := removed{Names: what.Names}
	switch {
	case len(sources) > 0:
		err = forgetRegistrations(r.Context(), sources, what, &out)
	case len(what.Names) > 0:
		for _, name := range what.Names {
			if _, _, ok := s.Cache().Get(bucket, name); ok {
				s.Cache().Delete(bucket, name)
				out.Removed++
			}
		}
	default:
		out.Removed, err = s.Cache().Purge(r.Context(), bucket, what.Prefix)
	}
	return purged(w, "cache", bucket, what, out, err)
}

// registrationsIn are the sources whose answers are in bucket. Those of other registries than the public ones are in buckets with longer
// names; "registration" is all of them.
func registrationsIn(bucket string) (sources []*registration.Source) {
	app, err := chains()
	if err != nil {
		return nil
	}
	for _, chain := range app.Provisioned() {
		s := caddyenrich.RegistrationOf(chain)
		if s != nil && (s.Bucket() == bucket || bucket == "registration") && !slices.Contains(sources, s) {
			sources = append(sources, s)
		}
	}
	return sources
}

// forgetRegistrations forgets in each of sources. Some may share a bucket, and then each has the other's answers.
func forgetRegistrations(ctx context.Context, sources []*registration.Source, what adminapi.What, out *removed) (err error) {
	keys := make([][]string, len(sources))
	for i, s := range sources {
		if keys[i], err = keysOf(s, what.Names); err != nil {
			return err
		}
	}
	byBucket := make(map[string]int)
	for i, s := range sources {
		n := 0
		if len(what.Names) > 0 {
			out.Names = keys[i]
			n = s.Forget(ctx, keys[i]...)
		} else if n, err = s.ForgetPrefix(ctx, what.Prefix); err != nil {
			return err
		}
		byBucket[s.Bucket()] = max(byBucket[s.Bucket()], n)
	}
	for _, n := range byBucket {
		out.Removed += n
	}
	return nil
}

// keysOf is under what a source keeps its answers about names.
func keysOf(s *registration.Source, names []string) (keys []string, err error) {
	for _, name := range names {
		subject, err := enrich.ParseSubject(name)
		if err != nil {
			return nil, adminapi.Fail(http.StatusBadRequest, err)
		}
		key := s.Key(subject)
		if key == "" {
			return nil, adminapi.Failf(http.StatusBadRequest, "name=%s: no registry is asked about it", name)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// checkBucket is an error for a bucket that the cache does not have, if it can tell: there is nothing to forget, and it may be a slip.
func checkBucket(ctx context.Context, c store.Cache, bucket string) error {
	teller, ok := c.(store.BucketReporter)
	if !ok {
		return nil
	}
	all, err := teller.Buckets(ctx)
	if err != nil {
		return adminapi.Fail(http.StatusServiceUnavailable, err)
	}
	names := []string{}
	for _, b := range all {
		if b.Bucket == bucket {
			return nil
		}
		names = append(names, b.Bucket)
	}
	return adminapi.Failf(http.StatusNotFound, "the cache has no bucket %q; there are: %s", bucket, listed(names))
}

// purgeLedger forgets that names of a scope were ever seen: their next sighting is a first contact.
func purgeLedger(w http.ResponseWriter, r *http.Request) error {
	s, scope, what, err := purge(r, atLedger, "dns?name=example.org")
	if err != nil {
		return err
	}
	if scopes := s.Ledger().Scopes(); !slices.Contains(scopes, scope) {
		return adminapi.Failf(http.StatusNotFound, "the ledger has no names in scope %q; there are: %s", scope, listed(scopes))
	}
	adminapi.Patient(w)
	out := removed{Names: what.Names}
	if len(what.Names) > 0 {
		out.Removed, err = s.Ledger().Forget(r.Context(), scope, what.Names...)
	} else {
		out.Removed, err = s.Ledger().ForgetPrefix(r.Context(), scope, what.Prefix)
	}
	return purged(w, "ledger", scope, what, out, err)
}

// purged answers a purge, and logs it: it cannot be taken back.
func purged(w http.ResponseWriter, of, where string, what adminapi.What, out removed, err error) error {
	caddy.Log().Named("whence").Info("forgotten", zap.String("in", of+"/"+where), zap.Strings("names", what.Names), zap.String("prefix", what.Prefix),
		zap.Bool("all", len(what.Names) == 0 && what.Prefix == ""), zap.Int("removed", out.Removed), zap.Error(err))
	if err != nil {
		if _, ok := err.(caddy.APIError); ok {
			return err
		}
		return adminapi.Failf(http.StatusServiceUnavailable, "after %d: %w", out.Removed, err)
	}
	return adminapi.Reply(w, http.StatusOK, out)
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
