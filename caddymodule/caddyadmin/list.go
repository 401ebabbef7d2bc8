package caddyadmin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/whence-project/whence/caddymodule/caddyenrich"
	"github.com/whence-project/whence/caddymodule/internal/adminapi"
	"github.com/whence-project/whence/caddymodule/internal/cluster"
	"github.com/whence-project/whence/enrich"
)

// Where machines look up for each other, names to preload are on a list that all of them work on.

// listOf is how far that list has come, for all machines.
func listOf(ctx context.Context, chain *enrich.Chain) (p preload, err error) {
	work, err := caddyenrich.ListOf(chain).Jobs(ctx)
	if err != nil {
		return p, adminapi.Failf(http.StatusServiceUnavailable, "how far the lookup workers are cannot be told: %v", err)
	}
	return preload{Chain: chain.Name(), Progress: work.Progress(time.Now()), Workers: work.Workers}, nil
}

// enlist puts names on the list.
func enlist(w http.ResponseWriter, r *http.Request, chain *enrich.Chain, top int, names []string, bad int) error {
	if err := caddyenrich.Enlist(r.Context(), chain, top, names); err != nil {
		code := http.StatusServiceUnavailable
		if errors.Is(err, caddyenrich.ErrNoList) {
			code = http.StatusConflict
		}
		return refused(err, code)
	}
	p, err := listOf(r.Context(), chain)
	if err != nil {
		return err
	}
	p.LeftOut = bad
	return adminapi.Reply(w, http.StatusAccepted, p)
}

// refused is why no preload was begun.
func refused(err error, otherwise int) error {
	if errors.Is(err, caddyenrich.ErrNoRegistration) || errors.Is(err, caddyenrich.ErrNoRank) {
		otherwise = http.StatusNotFound
	}
	return adminapi.Fail(otherwise, err)
}

// stopList takes off the list what is not done.
func stopList(w http.ResponseWriter, r *http.Request, chain *enrich.Chain, node cluster.Node) error {
	dropped, err := node.StopJobs(r.Context())
	if err != nil {
		return adminapi.Failf(http.StatusServiceUnavailable, "the list of the lookup workers cannot be reached: %v", err)
	}
	if dropped == 0 {
		return adminapi.Failf(http.StatusNotFound, "no preload is under way in the chain %s", chain.Name())
	}
	p, err := listOf(r.Context(), chain)
	if err != nil {
		return err
	}
	return adminapi.Reply(w, http.StatusOK, p)
}
