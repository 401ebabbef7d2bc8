package caddydotforward

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/internal/ports"
	"github.com/whence-project/whence/dotforward/stream"
)

// The ports of DNS (RFC 1035) and of DNS over TLS (RFC 7858).
const (
	Port    = 53
	TLSPort = 853
)

// address is one that is listened on.
type address struct {
	network string // udp, tcp or tls
	caddy.NetworkAddress
}

// parseAddresses reads Listen: an address without a network is both of UDP and of TCP.
func (a *App) parseAddresses(ctx caddy.Context) error {
	listen := a.Listen
	if len(listen) == 0 {
		listen = []string{""}
	}
	repl := caddy.NewReplacer()
	for _, l := range listen {
		l, err := repl.ReplaceOrErr(l, true, true)
		if err != nil {
			return err
		}
		networks := []string{"tcp", "udp"}
		port := uint(Port)
		if rest, ok := strings.CutPrefix(l, "tls://"); ok {
			networks, l, port = []string{"tls"}, rest, TLSPort
		} else if n, rest, ok := strings.Cut(l, "/"); ok {
			switch n {
			case "udp", "tcp":
				networks, l = []string{n}, rest
			case "fdgram":
				networks = []string{"udp"}
			case "fd":
				networks = []string{"tcp"}
			}
		}
		for _, n := range networks {
			na, err := parseAddress(n, l, port)
			if err != nil {
				return err
			}
			if n == "tls" && len(a.Names) == 0 && len(a.TLSPolicies) == 0 {
				return fmt.Errorf("bind tls://%s: DNS over TLS needs a certificate; name what is on it, as in: names dns.example.org", l)
			}
			a.addresses = append(a.addresses, address{n, na})
		}
	}
	if len(a.Names) > 0 || len(a.TLSPolicies) > 0 {
		if len(a.TLSPolicies) == 0 {
			a.TLSPolicies = caddytls.ConnectionPolicies{new(caddytls.ConnectionPolicy)}
		}
		for _, p := range a.TLSPolicies {
			if len(p.ALPN) == 0 {
				p.ALPN = []string{"dot"}
			}
		}
		if err := a.TLSPolicies.Provision(ctx); err != nil {
			return fmt.Errorf("tls_connection_policies: %w", err)
		}
	}
	return nil
}

// parseAddress reads where a network is listened on. UDP may have a descriptor that was handed down, where a stream has fd/.
func parseAddress(network, address string, port uint) (caddy.NetworkAddress, error) {
	if network == "udp" && strings.HasPrefix(address, "fdgram/") {
		return caddy.ParseNetworkAddress(address)
	}
	return ports.Parse(address, port)
}

// listen opens the sockets, or takes them over, and has this server answer on them.
func (a *App) listen() error {
	s, err := a.acquireStream()
	if err != nil {
		return err
	}
	var config *tls.Config
	if len(a.TLSPolicies) > 0 {
		if err := a.manage(); err != nil {
			return err
		}
		config = a.TLSPolicies.TLSConfig(a.ctx)
	}
	sharedPort := make(map[string]uint16) // where the kernel chooses a port for TCP, UDP has the same
	for _, addr := range a.addresses {
		switch addr.network {
		case "udp":
			err = a.listenUDP(addr, sharedPort)
		case "tcp":
			err = a.listenTCP(addr, sharedPort, func(c net.Conn) { go s.ServeConn(c) })
		default:
			err = a.listenTCP(addr, nil, func(c net.Conn) { go s.ServeConn(tls.Server(c, config)) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// manage has Caddy get the certificates.
func (a *App) manage() error {
	if len(a.Names) == 0 {
		return nil
	}
	app, err := a.ctx.App("tls")
	if err != nil {
		return err
	}
	names := make(map[string]struct{}, len(a.Names))
	for _, n := range a.Names {
		names[n] = struct{}{}
	}
	return app.(*caddytls.TLS).Manage(names)
}

func (a *App) listenTCP(addr address, chosen map[string]uint16, serve func(net.Conn)) error {
	port, err := ports.Acquire(a.ctx, "dns "+addr.network, addr.NetworkAddress)
	if err != nil {
		return err
	}
	if ap, err := netip.ParseAddrPort(port.Addr().String()); err == nil && chosen != nil {
		chosen[addr.JoinHostPort(0)] = ap.Port()
	}
	detach := port.Attach(serve)
	a.hold(func() error {
		detach()
		return port.Release()
	})
	a.logger.Info("listening", zap.String("network", addr.network), zap.String("address", port.Addr().String()))
	return nil
}

var streams = caddy.NewUsagePool()

// streamed is the connections of clients, in the pool: they outlive a configuration.
type streamed struct{ *stream.Server }

// Destruct answers what has arrived and closes the connections.
func (s streamed) Destruct() error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err := s.Shutdown(ctx)
	clients.End(s)
	return err
}

// acquireStream takes the connections of the configuration before this one. Their queries are answered by the newest.
func (a *App) acquireStream() (*stream.Server, error) {
	const key = "connections"
	v, _, err := streams.LoadOrNew(key, func() (caddy.Destructor, error) {
		s, err := stream.New(stream.Options{Handler: serveMessage, Idle: 10 * time.Second})
		if err == nil {
			clients.Begin(streamed{s})
		}
		return streamed{s}, err
	})
	if err != nil {
		return nil, err
	}
	a.hold(func() error { _, err := streams.Delete(key); return err })
	return v.(streamed).Server, nil
}
