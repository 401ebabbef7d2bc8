package caddyadmin

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/whence-project/whence/caddymodule/internal/adminapi"
	"github.com/whence-project/whence/caddymodule/internal/status"
)

// collect asks all sections. The query has max_age, from which on data are too old.
func collect(r *http.Request) (sum status.Summary, err error) {
	q, err := adminapi.QueryOf(r, "max_age")
	if err != nil {
		return sum, err
	}
	age, err := q.Duration("max_age", 0, 0)
	if err != nil {
		return sum, err
	}
	return status.Collect(caddy.ActiveContext(), status.Query{Now: time.Now(), MaxAge: age}), nil
}

// showStatus writes how everything is.
func showStatus(w http.ResponseWriter, r *http.Request) error {
	sum, err := collect(r)
	if err != nil {
		return err
	}
	return adminapi.Reply(w, http.StatusOK, sum)
}

// showHealth writes what is wrong. A monitor goes by the status code: 503 where there is an error, 200 also with warnings.
func showHealth(w http.ResponseWriter, r *http.Request) error {
	sum, err := collect(r)
	if err != nil {
		return err
	}
	sum.Sections = nil
	code := http.StatusOK
	if !sum.Healthy {
		code = http.StatusServiceUnavailable
	}
	return adminapi.Reply(w, code, sum)
}
