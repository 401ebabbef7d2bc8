package caddydotforward

import (
	"errors"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/miekg/dns"
	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/internal/adminapi"
	"github.com/whence-project/whence/dotforward"
	"github.com/whence-project/whence/dotforward/lists"
)

func init() { caddy.RegisterModule(new(Admin)) }

// Admin is the admin API's routes below /whence/dotforward.
type Admin struct{}

// CaddyModule returns the module's registration.
func (*Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.dotforward", New: func() caddy.Module { return new(Admin) }}
}

// Routes are the routes.
func (*Admin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: "/whence/dotforward", Handler: adminapi.Methods{http.MethodGet: route(showStatus)}},
		{Pattern: "/whence/dotforward/explain/", Handler: adminapi.Methods{http.MethodGet: route(explain)}},
		{Pattern: "/whence/dotforward/lame-duck", Handler: adminapi.Methods{http.MethodPost: route(lameDuck)}},
		{Pattern: "/whence/dotforward/cache", Handler: adminapi.Methods{http.MethodGet: route(showCache), http.MethodDelete: route(purgeCache)}},
	}
}

// route finds the running forwarder.
func route(h func(w http.ResponseWriter, r *http.Request, a *App) error) caddy.AdminHandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		a := current.app()
		if a == nil {
			return adminapi.Fail(http.StatusNotFound, errors.New("the running configuration has no dotforward"))
		}
		return h(w, r, a)
	}
}

// showStatus writes whether clients should ask this server, and how its upstream servers are. A health check goes by the status code.
func showStatus(w http.ResponseWriter, r *http.Request, a *App) error {
	if _, err := adminapi.QueryOf(r); err != nil {
		return err
	}
	s, code := a.status(), http.StatusOK
	if !s.Healthy {
		code = http.StatusServiceUnavailable
	}
	return adminapi.Reply(w, code, s)
}

// explain writes what would become of a question: /whence/dotforward/explain/www.example.org?type=AAAA.
func explain(w http.ResponseWriter, r *http.Request, a *App) error {
	q, err := adminapi.QueryOf(r, "type")
	if err != nil {
		return err
	}
	name, ok := lists.AppendName(nil, []byte(strings.TrimPrefix(r.URL.Path, "/whence/dotforward/explain/")))
	qtype, known := dns.StringToType["A"], true
	if t := q.Get("type"); t != "" {
		qtype, known = dns.StringToType[strings.ToUpper(t)]
	}
	var e dotforward.Explanation
	if ok && known {
		e, ok = a.server.Explain(name, qtype)
	}
	if !ok || !known {
		return adminapi.Failf(http.StatusBadRequest, "want a domain name and a type, as in /whence/dotforward/explain/example.org?type=AAAA")
	}
	return adminapi.Reply(w, http.StatusOK, e)
}

// lameDuck has the server announce that it goes, and after ?grace (default: 10s) answer REFUSED, until the next reload.
func lameDuck(w http.ResponseWriter, r *http.Request, a *App) error {
	q, err := adminapi.QueryOf(r, "grace")
	if err != nil {
		return err
	}
	wait, err := q.Duration("grace", grace, 0)
	if err != nil {
		return err
	}
	a.server.LameDuck(wait)
	a.logger.Info("lame duck: clients are told to go, and refused after the grace", zap.Duration("grace", wait))
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// Interface guard
var _ caddy.AdminRouter = (*Admin)(nil)
