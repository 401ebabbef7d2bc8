package caddyadmin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/internal/adminapi"
	"github.com/whence-project/whence/enrich"
)

// How long a request waits for a source to be refreshed.
const (
	refreshWait    = 5 * time.Minute
	maxRefreshWait = time.Hour
)

// refresh has one source look for newer data, and answers when that is done: with the source's status, or 422 and why there is nothing
// new. The query has chain, and wait: how long that may take.
func refresh(w http.ResponseWriter, r *http.Request) error {
	name, err := behind(r, atRefresh, "mmdb")
	if err != nil {
		return err
	}
	q, err := adminapi.QueryOf(r, "chain", "wait")
	if err != nil {
		return err
	}
	wait, err := q.Duration("wait", refreshWait, maxRefreshWait)
	if err != nil {
		return err
	}
	chain, err := chainNamed(q.Get("chain"))
	if err != nil {
		return err
	}
	link, err := linkNamed(chain, name)
	if err != nil {
		return err
	}
	source, ok := link.Source.(enrich.Refresher)
	if !ok {
		return adminapi.Failf(http.StatusBadRequest, "the source %s has nothing to refresh", name)
	}
	adminapi.Patient(w)
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	if err := refreshNow(ctx, source); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return adminapi.Failf(http.StatusGatewayTimeout, "%s: not done within %s", name, wait)
		}
		return adminapi.Failf(http.StatusUnprocessableEntity, "%s: %w", name, err)
	}
	s := enrich.SourceStatus{Name: name}
	if reporter, ok := link.Source.(enrich.Reporter); ok {
		s.Status = reporter.Status()
	}
	return adminapi.Reply(w, http.StatusOK, s)
}

// refreshNow is the source's RefreshNow, not waited for beyond ctx: a file on a disk that hangs cannot be given up. Sources are other
// people's too, and a panic outside of a handler's goroutine would end the server.
func refreshNow(ctx context.Context, source enrich.Refresher) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				caddy.Log().Named("whence").Error("panic in a refresh", zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
				done <- fmt.Errorf("internal error: %v", p)
			}
		}()
		done <- source.RefreshNow(ctx)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// linkNamed is the source of that name in a chain, where a second mmdb is mmdb2.
func linkNamed(c *enrich.Chain, name string) (enrich.Link, error) {
	var names []string
	for _, l := range c.Links() {
		if l.Name == name {
			return l, nil
		}
		names = append(names, l.Name)
	}
	return enrich.Link{}, adminapi.Failf(http.StatusNotFound, "no source of the chain is named %q; there are: %s", name, strings.Join(names, ", "))
}
