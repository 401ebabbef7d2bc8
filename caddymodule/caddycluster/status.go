package caddycluster

import (
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/whence-project/whence/caddymodule/internal/adminapi"
	"github.com/whence-project/whence/caddymodule/internal/cluster"
	"github.com/whence-project/whence/caddymodule/internal/status"
	"github.com/whence-project/whence/enrich/registration"
	"github.com/whence-project/whence/store/bus"
)

func init() {
	status.Register(status.Section{Name: "nats", Report: reportConnection})
	status.Register(status.Section{Name: "workers", Report: reportWorkers})
	caddy.RegisterModule(new(API))
}

// running is the node of a configuration, nil where it has none.
func running(ctx caddy.Context) (*App, *node) {
	v, err := ctx.AppIfConfigured(cluster.AppName)
	if err != nil {
		return nil, nil
	}
	app, ok := v.(*App)
	if !ok {
		return nil, nil
	}
	return app, app.opened()
}

// connection is the section "nats".
type connection struct {
	Node   string `json:"node"`
	Prefix string `json:"prefix"`
	bus.Status
}

func reportConnection(ctx caddy.Context, _ status.Query) (r status.Report, ok bool) {
	app, n := running(ctx)
	if n == nil {
		return r, false
	}
	st := connection{app.Name, app.Prefix, n.bus.Status()}
	if !st.Connected {
		text := "NATS is away since " + st.Since.Format(time.RFC3339) + "; this machine serves on"
		if st.Error != "" {
			text += ": " + st.Error
		}
		r.Problems = []status.Problem{{Level: status.Warning, Where: "nats", Text: text}}
	}
	r.Value = st
	return r, true
}

// workersStatus is the section "workers", and the answer of /whence/workers.
type workersStatus struct {
	Serving bool                  `json:"serving"` // this machine is one
	Errands errands               `json:"errands"` // that it did for others
	Leases  []string              `json:"leases"`  // operators whom it asks in the place of all
	Workers []registration.Worker `json:"workers"`
}

type errands struct {
	Answered uint64 `json:"answered"`
	Failed   uint64 `json:"failed"`
	Declined uint64 `json:"declined"`
}

func (n *node) status() workersStatus {
	st := workersStatus{Serving: n.serving, Leases: n.Leases(), Workers: n.Workers()}
	if st.Leases == nil {
		st.Leases = []string{}
	}
	st.Errands.Answered, st.Errands.Failed, st.Errands.Declined = n.Served()
	return st
}

func reportWorkers(ctx caddy.Context, _ status.Query) (r status.Report, ok bool) {
	_, n := running(ctx)
	if n == nil {
		return r, false
	}
	st := n.status()
	for _, w := range st.Workers {
		if !w.Up {
			r.Problems = append(r.Problems, status.Problem{Level: status.Warning, Where: "workers/" + w.Name,
				Text: fmt.Sprintf("the worker is down since %s", w.Since.UTC().Format(time.RFC3339))})
		}
	}
	r.Value = st
	return r, true
}

// API is the route /whence/workers of the admin API.
type API struct{}

// CaddyModule returns the module's registration.
func (*API) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.whence_workers", New: func() caddy.Module { return new(API) }}
}

// Routes are the routes.
func (*API) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: "/whence/workers", Handler: adminapi.Methods{http.MethodGet: showWorkers}}}
}

// showWorkers writes how the workers are.
func showWorkers(w http.ResponseWriter, r *http.Request) error {
	if _, err := adminapi.QueryOf(r); err != nil {
		return err
	}
	_, n := running(caddy.ActiveContext())
	if n == nil {
		return adminapi.Failf(http.StatusNotFound, "the running configuration has no global option nats, by which workers are found")
	}
	return adminapi.Reply(w, http.StatusOK, n.status())
}

// Interface guard
var _ caddy.AdminRouter = (*API)(nil)
