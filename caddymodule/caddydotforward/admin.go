package caddydotforward

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/miekg/dns"
	"go.uber.org/zap"

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
		{Pattern: "/whence/dotforward", Handler: route(http.MethodGet, status)},
		{Pattern: "/whence/dotforward/explain/", Handler: route(http.MethodGet, explain)},
		{Pattern: "/whence/dotforward/lame-duck", Handler: route(http.MethodPost, lameDuck)},
	}
}

// route finds the running forwarder and refuses other methods.
func route(method string, h func(w http.ResponseWriter, r *http.Request, a *App) error) caddy.AdminHandler {
	return caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if r.Method != method {
			w.Header().Set("Allow", method)
			return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: fmt.Errorf("this route takes %s", method)}
		}
		a := current.app()
		if a == nil {
			return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: errors.New("the running configuration has no dotforward")}
		}
		return h(w, r, a)
	})
}

// upstreamStatus is how an upstream server is.
type upstreamStatus struct {
	Server   string            `json:"server"`
	Up       bool              `json:"up"`
	Average  float64           `json:"average_ms"` // moving average of its latency
	Conns    int               `json:"connections"`
	InFlight int               `json:"in_flight"`
	Queries  uint64            `json:"queries"`
	ServFail uint64            `json:"servfail"`
	Failures map[string]uint64 `json:"failures,omitempty"`
}

// status writes whether clients should ask this server, and how its upstream servers are. A health check goes by the response code.
func status(w http.ResponseWriter, _ *http.Request, a *App) error {
	out := struct {
		Healthy   bool             `json:"healthy"`
		Upstreams []upstreamStatus `json:"upstreams"`
	}{Healthy: a.server.Healthy()}
	upstreams.Range(func(_, v any) bool {
		s := v.(shared)
		st := s.Stats()
		out.Upstreams = append(out.Upstreams, upstreamStatus{
			s.String(), st.Up, float64(st.Average.Microseconds()) / 1000, st.Conns, st.InFlight + st.Queued, st.Queries, st.ServFail, st.Failures,
		})
		return true
	})
	w.Header().Set("Content-Type", "application/json")
	if !out.Healthy {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	return json.NewEncoder(w).Encode(out)
}

// explain writes what would become of a question: /whence/dotforward/explain/www.example.org?type=AAAA.
func explain(w http.ResponseWriter, r *http.Request, a *App) error {
	name, ok := lists.AppendName(nil, []byte(strings.TrimPrefix(r.URL.Path, "/whence/dotforward/explain/")))
	qtype, known := dns.StringToType["A"], true
	if t := r.URL.Query().Get("type"); t != "" {
		qtype, known = dns.StringToType[strings.ToUpper(t)]
	}
	var e dotforward.Explanation
	if ok && known {
		e, ok = a.server.Explain(name, qtype)
	}
	if !ok || !known {
		return caddy.APIError{
			HTTPStatus: http.StatusBadRequest, Err: errors.New("want a domain name and a type, as in /whence/dotforward/explain/example.org?type=AAAA"),
		}
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(e)
}

// lameDuck has the server announce that it goes, and after ?grace (default: 10s) answer REFUSED, until the next reload.
func lameDuck(w http.ResponseWriter, r *http.Request, a *App) error {
	wait := grace
	if g := r.URL.Query().Get("grace"); g != "" {
		d, err := caddy.ParseDuration(g)
		if err != nil || d < 0 {
			return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: fmt.Errorf("grace=%s: no duration, as in 30s", g)}
		}
		wait = d
	}
	a.server.LameDuck(wait)
	a.logger.Info("lame duck: clients are told to go, and refused after the grace", zap.Duration("grace", wait))
	w.WriteHeader(http.StatusAccepted)
	return nil
}

var _ caddy.AdminRouter = (*Admin)(nil)
