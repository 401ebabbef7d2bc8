// Package caddylayer4 is "layer4.handlers.whois": the WHOIS server as a handler of caddy-l4, for those who take connections there
// already and tell protocols apart on one port. It is a module of its own, so that only they link caddy-l4; who needs a WHOIS server on
// a port of its own has one in the app "whois", which loses no connection in a reload.
package caddylayer4

import (
	"encoding/json"
	"errors"
	"net"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/mholt/caddy-l4/layer4"
	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/caddywhois"
)

func init() { caddy.RegisterModule(new(Handler)) }

// Handler answers WHOIS queries (RFC 3912) on the connections of a route, and closes them: no handler after it is called. The
// settings are those of a server of the app "whois", without its addresses and listener wrappers.
//
// Handlers of one configuration with the very same settings count their clients together, as do those of the next configuration, so
// that a reload refills no bucket.
type Handler struct {
	caddywhois.Settings

	logger *zap.Logger
	engine *caddywhois.Engine
	warn   sync.Once
}

// CaddyModule returns the module's registration.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "layer4.handlers.whois", New: func() caddy.Module { return new(Handler) }}
}

// Provision sets the engine up. Nothing is opened before the first connection.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	settings, err := json.Marshal(&h.Settings)
	if err != nil {
		return err
	}
	h.engine, err = h.NewEngine(ctx, "layer4 "+string(settings))
	return err
}

// Handle serves one connection to its end, by deadlines of the engine's own: caddy-l4 has cleared its. The error is always nil, as
// caddy-l4 logs each as an error of the server's, and a public port meets a client that misbehaves every second; the audit log has them.
func (h *Handler) Handle(cx *layer4.Connection, _ layer4.Handler) error {
	if _, ok := cx.LocalAddr().(*net.UDPAddr); ok {
		h.warn.Do(func() {
			h.logger.Warn("WHOIS is spoken over TCP only; packets are dropped", zap.Stringer("address", cx.LocalAddr()))
		})
		return nil
	}
	if err := h.engine.Open(); err != nil {
		h.warn.Do(func() { h.logger.Error("connections are closed unanswered", zap.Error(err)) })
		return nil
	}
	h.engine.ServeConn(conn{cx})
	return nil
}

// Cleanup lets connections finish, beside the reload or before the process ends. Those that caddy-l4 had accepted by then are served.
func (h *Handler) Cleanup() error {
	if h.engine == nil {
		return nil
	}
	h.engine.Drain()
	return h.engine.Release()
}

// conn shows the engine what is behind a connection of caddy-l4: it closes at once what it knows to be read to the end, and ends its
// own side first where something may be left.
type conn struct{ *layer4.Connection }

// TCPConn is the TCP connection, unless another handler (TLS, PROXY protocol) stands before it. What caddy-l4 has read ahead of
// it is no matter: the system does not reset a connection for that.
func (c conn) TCPConn() (*net.TCPConn, bool) {
	t, ok := c.Conn.(*net.TCPConn)
	return t, ok
}

// CloseWrite ends the sending side, where the connection has one to end.
func (c conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// UnmarshalCaddyfile parses the handler.
//
//	whois {
//		enrich <chain>
//		dialect lines|aligned|cymru|json
//		wait   <duration>
//		limit  <count>/<s|m|h|d> [burst <count>] [per <ipv4 bits> <ipv6 bits>]
//		max_connections            <count>
//		max_connections_per_client <count>
//		timeouts {
//			query <duration>
//			idle  <duration>
//			write <duration>
//			total <duration>
//		}
//		allow  <network…>
//		deny   <network…>
//		footer <line…>|attribution
//		log_bulk_lines
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the handler's name
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if seen[option] && !caddywhois.Repeatable(option) {
			return d.Errf("%s is given twice", option)
		}
		seen[option] = true
		known, err := h.ParseOption(d)
		if err != nil {
			return err
		}
		if !known {
			return d.Errf("the handler whois has no option %q; it has %s. Addresses are caddy-l4's", option, caddywhois.SettingNames)
		}
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner     = (*Handler)(nil)
	_ caddy.CleanerUpper    = (*Handler)(nil)
	_ layer4.NextHandler    = (*Handler)(nil)
	_ caddyfile.Unmarshaler = (*Handler)(nil)
)
