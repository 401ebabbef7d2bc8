// Package caddyenrichhttp is enrichment in any HTTP site: the handler "enrich", which gives a request placeholders, log fields and
// headers from an enrichment chain, and the matcher "enrich".
package caddyenrichhttp

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/whence-project/whence/enrich"
)

func init() { caddy.RegisterModule(new(Handler)) }

// Handler gives requests the placeholders `{enrich.<field>}`: what a chain knows about the client's address, or about another value.
// The chain is asked when one of them is used, and once a request. A field is `network`, a canonical field such as `country_code`, a
// source's own, or `json`, the whole answer. What is not known is empty, and so is all of a value that is no address, network, AS
// number or name.
type Handler struct {
	// The enrichment chain that is asked. Default: `default`.
	Chain string `json:"chain,omitempty"`
	// What is asked about; placeholders in it are replaced each time that it is used. Default: the client's address, as Caddy trusts it
	// (`trusted_proxies`).
	Value string `json:"value,omitempty"`
	// The name of this answer: placeholders are `{enrich.<as>.<field>}`, so that a request can have several. Default: none.
	As string `json:"as,omitempty"`
	// How long the use of a placeholder waits for sources that must fetch. Default: 0, not at all.
	Wait caddy.Duration `json:"wait,omitempty"`
	// Have the ledger see the address or name, in this scope. Default: none: asking is not seeing.
	Observe string `json:"observe,omitempty"`
	// Fields that are added to the access log, in an object `enrich`, or `enrich_<as>`. Default: none.
	Log []string `json:"log,omitempty"`
	// Fields that go to the upstream as request headers: `X-Whence-Country-Code`, or `X-Whence-<As>-Country-Code`. Whatever
	// headers `X-Whence-…` the client sent are removed. Default: none, and nothing is removed.
	Headers []string `json:"headers,omitempty"`

	door        *door
	logKey      string
	logPicks    []enrich.Pick
	headerPicks []header
	observer    *observer // nil where nothing is observed
}

// CaddyModule returns the module's registration.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.enrich", New: func() caddy.Module { return new(Handler) }}
}

// Provision finds the chain. Nothing is opened before the first use.
func (h *Handler) Provision(ctx caddy.Context) (err error) {
	if err := h.check(); err != nil {
		return err
	}
	if h.door, err = doorTo(ctx, h.Chain); err != nil {
		return err
	}
	h.logKey = "enrich"
	if h.As != "" {
		h.logKey += "_" + h.As
	}
	h.logPicks = enrich.PicksOf(h.Log)
	if h.headerPicks, err = headersOf(h.As, h.Headers); err != nil {
		return err
	}
	h.door.learn(enrich.WantOf(h.logPicks...))
	h.door.learn(enrich.WantOf(enrich.PicksOf(h.Headers)...))
	if h.Observe != "" {
		if h.observer, err = observerOf(ctx, h.door, h.Observe); err != nil {
			return err
		}
	}
	keepConnections(ctx)
	return nil
}

func (h *Handler) check() error {
	if h.Wait < 0 {
		return fmt.Errorf("wait: %v is below 0", time.Duration(h.Wait))
	}
	if err := checkScope(h.Observe); err != nil {
		return err
	}
	if !isWord(h.As) {
		return fmt.Errorf("as: %q is more than letters, digits and _", h.As)
	}
	if asksFor(h.Value, h.As) {
		return fmt.Errorf("value: %s asks for its own answer; name one of the two with as", h.Value)
	}
	return nil
}

// asksFor reports whether value has a placeholder of the answer of that name.
func asksFor(value, as string) bool {
	for {
		_, after, ok := strings.Cut(value, "{enrich.")
		if !ok {
			return false
		}
		key, _, _ := strings.Cut(after, "}")
		name, _, dotted := strings.Cut(key, ".")
		if dotted && name == as || !dotted && as == "" {
			return true
		}
		value = after
	}
}

// isWord reports whether s can stand in a placeholder and in a header's name.
func isWord(s string) bool {
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

// ServeHTTP gives the request what the handler has for it, and hands it on.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	q := requestOf(r)
	v := q.add(h, r)
	if h.observer != nil {
		q.mu.Lock()
		s := q.subject(v)
		q.mu.Unlock()
		h.observer.observe(s, time.Now())
	}
	if len(h.headerPicks) > 0 {
		q.setHeaders(v, r)
	}
	if len(h.logPicks) > 0 {
		logFields(q, v, r)
	}
	q.frames.Add(1)
	err := next.ServeHTTP(w, r)
	q.frames.Add(-1) // not after a panic, which ends the connection and what is kept with it
	return err
}

// Cleanup lets go of what outlives the configuration.
func (h *Handler) Cleanup() error { return h.observer.release() }

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
