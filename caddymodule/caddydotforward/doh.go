package caddydotforward

import (
	"errors"
	"net/http"
	"net/netip"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/whence-project/whence/dotforward/stream"
)

func init() {
	caddy.RegisterModule(new(DoH))
	httpcaddyfile.RegisterHandlerDirective("dns_query", parseDoH)
	// Before respond, and before domain_stats, which takes any word for a domain and stands right before respond.
	httpcaddyfile.RegisterDirectiveOrder("dns_query", httpcaddyfile.After, "copy_response")
}

// DoH answers DNS over HTTPS (RFC 8484), from the forwarder of the app `dotforward`.
type DoH struct {
	// The path that is answered; others go on to the next handler. Default: /dns-query.
	Path string `json:"path,omitempty"`

	handler http.Handler
}

// CaddyModule returns the module's registration.
func (*DoH) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.dns_query", New: func() caddy.Module { return new(DoH) }}
}

// Provision makes sure that there is a forwarder.
func (h *DoH) Provision(ctx caddy.Context) error {
	if _, err := ctx.AppIfConfigured("dotforward"); err != nil {
		return errors.New("dns_query: there is no dotforward in the global options to answer from")
	}
	if h.Path == "" {
		h.Path = "/dns-query"
	}
	h.handler = stream.NewDoH(stream.DoHOptions{Handler: serveMessage, Client: clientOf})
	return nil
}

// clientOf is who asks, as Caddy trusts it. Who comes by a unix socket is on this machine.
func clientOf(r *http.Request) netip.AddrPort {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		ap = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
	}
	if ip, ok := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string); ok {
		if a, err := netip.ParseAddr(ip); err == nil && a != ap.Addr() {
			return netip.AddrPortFrom(a.Unmap(), 0)
		}
	}
	return ap
}

// ServeHTTP answers what asks for the path.
func (h *DoH) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if r.URL.Path != h.Path {
		return next.ServeHTTP(w, r)
	}
	h.handler.ServeHTTP(w, r)
	return nil
}

// parseDoH parses the directive.
//
//	dns_query [<path>]
func parseDoH(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	m := new(DoH)
	return m, m.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile parses the directive: see parseDoH.
func (h *DoH) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if d.NextArg() {
		if h.Path = d.Val(); h.Path == "" || h.Path[0] != '/' {
			return d.Errf("dns_query %s: a path begins with a slash", h.Path)
		}
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*DoH)(nil)
	_ caddyhttp.MiddlewareHandler = (*DoH)(nil)
	_ caddyfile.Unmarshaler       = (*DoH)(nil)
)
