// Package caddydomainstats is the HTTP handler "domain_stats": the API of domain_stats, freq_server and Whence's own, on an
// enrichment chain and the store.
package caddydomainstats

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/caddyenrich"
	"github.com/whence-project/whence/caddymodule/caddystore"
	"github.com/whence-project/whence/caddymodule/internal/args"
	"github.com/whence-project/whence/caddymodule/internal/events"
	"github.com/whence-project/whence/caddymodule/internal/prom"
	"github.com/whence-project/whence/domainstats"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/lexical"
	"github.com/whence-project/whence/store"
)

func init() { caddy.RegisterModule(new(Handler)) }

// Handler answers the routes of domain_stats. Requests for other paths go on to the next handler.
type Handler struct {
	// The enrichment chain that is asked. Default: `default`.
	Enrich string `json:"enrich,omitempty"`
	// The form of `GET /<domain>`: c (domain-stats 1.0.1), b (2.0), b0 (2019) or a (1.1, which has no such route). Default: c.
	Format string `json:"format,omitempty"`
	// What format A shows of several values: last, first or all. Default: last.
	Values string `json:"values,omitempty"`
	// How long an answer waits for sources that must fetch; 0 is not at all. Default: 2s.
	Wait *caddy.Duration `json:"wait,omitempty"`
	// The ledger's scope: first contacts are told once in each. Default: stats.
	Scope string `json:"scope,omitempty"`
	// Tell first contacts of every full name, not of the registrable domain.
	PerName bool `json:"per_name,omitempty"`
	// The age from which a registration is ESTABLISHED and not NEW. Default: 730d.
	Established caddy.Duration `json:"established,omitempty"`
	// The age of a registration below which a first contact is the event whence_new_domain too; 0 is never. Default: 30d.
	NewDomain *caddy.Duration `json:"new_domain,omitempty"`
	// The mean frequency score below which a name alerts; a negative number is never. Default: 6.0, for the table compiled in.
	FreqAvgAlert *float64 `json:"freq_avg_alert,omitempty"`
	// The word frequency score below which a name alerts; a negative number is never. Default: 5.5, for the table compiled in.
	FreqWordAlert *float64 `json:"freq_word_alert,omitempty"`
	// How many first contacts one client network may make. Default: no limit.
	NewNames *args.Limit `json:"new_names,omitempty"`
	// Answer the history routes to everybody, not to loopback only.
	History bool `json:"history,omitempty"`
	// The most entries of one answer of /cache_browse. Default: 100.
	BrowseLimit int `json:"browse_limit,omitempty"`
	// The most bytes of a list that is posted. Default: no limit, as none of it is kept.
	MaxBody int64 `json:"max_body,omitempty"`
	// The most streams at the same time: lists that are posted, and first contacts. Default: 64.
	MaxStreams int `json:"max_streams,omitempty"`

	ctx    caddy.Context
	logger *zap.Logger
	chain  *enrich.Chain
	store  *caddystore.App
	events *events.Emitter
	state  *sharedState
	feed   *feedHold

	once sync.Once
	api  *domainstats.API
	err  error
}

// CaddyModule returns the module's registration.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.domain_stats", New: func() caddy.Module { return new(Handler) }}
}

// Provision finds the chain and has the store opened in Start.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.ctx, h.logger = ctx, ctx.Logger()
	if h.Scope == "" {
		h.Scope = domainstats.DefaultScope
	}
	if h.Scope == "dns" {
		return errors.New("domain_stats: the scope dns is the forwarder's, who would tell its first contacts in this one's place; choose another")
	}
	if _, err := h.options(nil); err != nil {
		return err
	}
	app, err := ctx.App("enrich")
	if err != nil {
		return err
	}
	if h.chain, err = app.(*caddyenrich.App).Chain(h.Enrich); err != nil {
		return err
	}
	if h.events, err = events.For(ctx); err != nil {
		return err
	}
	if app, err = ctx.App("store"); err != nil {
		return err
	}
	h.store = app.(*caddystore.App)
	h.store.OnStart(h.start)
	if err := prom.Register(ctx, metrics); err != nil {
		return err
	}
	h.state, err = acquireState(h.Scope + " " + h.Format)
	return err
}

// start opens what requests need, and has first contacts emitted from now on.
func (h *Handler) start(store.Store) error { return h.open() }

// open makes the API. Requests may come before the store's Start, since apps start in no particular order; then they do it.
func (h *Handler) open() error {
	h.once.Do(func() {
		st, err := h.store.Store()
		if err != nil {
			h.err = err
			return
		}
		if h.err = h.chain.Open(h.ctx); h.err != nil {
			return
		}
		if h.feed, h.err = acquireFeed(h, st); h.err != nil {
			return
		}
		o, err := h.options(st)
		if err != nil {
			h.err = err
			return
		}
		h.api, h.err = domainstats.New(o)
	})
	return h.err
}

// options are the settings as the engine takes them.
func (h *Handler) options(st store.Store) (o domainstats.Options, err error) {
	o = domainstats.Options{
		Chain: h.chain, Scope: h.Scope, Wait: 2 * time.Second, PerName: h.PerName, EstablishedAge: time.Duration(h.Established),
		FreqAverageAlert: lexical.DefaultAvgAlert, FreqWordAlert: lexical.DefaultWordAlert, ClientAddr: clientAddr,
		History: h.History, BrowseLimit: h.BrowseLimit, MaxBody: h.MaxBody, MaxStreams: h.MaxStreams, Logger: h.logger,
	}
	if h.Wait != nil {
		o.Wait = time.Duration(*h.Wait)
	}
	if h.FreqAvgAlert != nil {
		o.FreqAverageAlert = *h.FreqAvgAlert
	}
	if h.FreqWordAlert != nil {
		o.FreqWordAlert = *h.FreqWordAlert
	}
	if o.Format, err = formatOf(h.Format); err != nil {
		return o, err
	}
	if o.Values, err = valuesOf(h.Values); err != nil {
		return o, err
	}
	if o.NewNames, o.Client, err = h.NewNames.Engine(); err != nil {
		return o, fmt.Errorf("new_names: %w", err)
	}
	if st != nil {
		o.Ledger, o.Feed, o.State = st.Ledger(), h.feed.Feed, h.state.State
		h.sources(&o)
	}
	return o, nil
}

// scorer and ranker are sources that answer more than a Record shows.
type scorer interface {
	Score(table, s string) (average, word float64, ok bool)
}

type ranker interface {
	Rank(name string) (rank int, list string, exact bool)
	Loaded() bool
}

// sources gives the API what the chain's sources can do beside the chain: the routes of freq_server and of WHOIS-API, and /alexa.
func (h *Handler) sources(o *domainstats.Options) {
	if s := caddyenrich.RegistrationOf(h.chain); s != nil {
		o.Registration, o.Registrations, o.Workers = whoisAPI(s), s.Registrations, workersOf(h.chain)
	}
	for _, l := range h.chain.Links() {
		if s, ok := l.Source.(scorer); ok && o.Score == nil {
			o.Score = s.Score
		}
		if r, ok := l.Source.(ranker); ok && o.Rank == nil {
			o.Rank = func(name string) (int, bool, bool) {
				rank, _, _ := r.Rank(name)
				return rank, rank > 0, r.Loaded()
			}
		}
	}
}

func formatOf(name string) (domainstats.Format, error) {
	for _, f := range []domainstats.Format{domainstats.FormatC, domainstats.FormatB, domainstats.FormatB0, domainstats.FormatA} {
		if name == f.String() || name == "" {
			return f, nil
		}
	}
	return 0, fmt.Errorf("format %q; there are a, b, b0 and c", name)
}

func valuesOf(name string) (domainstats.Values, error) {
	switch name {
	case "", "last":
		return domainstats.LastValue, nil
	case "first":
		return domainstats.FirstValue, nil
	case "all":
		return domainstats.AllValues, nil
	}
	return 0, fmt.Errorf("values %q; there are last, first and all", name)
}

// clientAddr is the client's address as Caddy trusts it.
func clientAddr(r *http.Request) netip.Addr {
	ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// ServeHTTP answers the routes of domain_stats, and hands other paths on.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if err := h.open(); err != nil {
		return caddyhttp.Error(http.StatusServiceUnavailable, err)
	}
	if h.api.Handle(w, r) {
		return nil
	}
	return next.ServeHTTP(w, r)
}

// Cleanup ends the streams and lets what outlives the configuration go. Requests that are being answered are answered.
func (h *Handler) Cleanup() error {
	h.once.Do(func() { h.err = fmt.Errorf("domain_stats: the configuration has ended") })
	if h.api != nil {
		h.api.Close()
	}
	if err := h.feed.release(); err != nil {
		return err
	}
	return h.state.release()
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
