package caddydotforward

import (
	"context"
	"crypto/tls"
	"errors"
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
	"github.com/whence-project/whence/internal/packets"
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
		} else if n, rest, ok := strings.Cut(l, "/"); ok && (n == "udp" || n == "tcp") {
			networks, l = []string{n}, rest
		}
		for _, n := range networks {
			na, err := ports.Parse(l, port)
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

var groups = caddy.NewUsagePool()

// group is UDP sockets in the pool.
type group struct{ *packets.Group }

// Destruct closes the sockets.
func (g group) Destruct() error {
	err := g.Close()
	sockets.End(g)
	return err
}

func (a *App) listenUDP(addr address, chosen map[string]uint16) error {
	at, err := udpAddress(addr)
	if err != nil {
		return err
	}
	key := addr.JoinHostPort(0)
	v, loaded, err := groups.LoadOrNew(key, func() (caddy.Destructor, error) {
		g, err := openUDP(at, chosen[key])
		if err == nil {
			sockets.Begin(group{g})
		}
		return group{g}, err
	})
	if err != nil {
		return err
	}
	g := v.(group)
	withdraw := g.Serve(a.server)
	a.hold(func() error {
		withdraw()
		_, err := groups.Delete(key)
		return err
	})
	if n := g.ReadBuffer(); !loaded && n > 0 && n < packets.DefaultReadBuffer {
		a.logger.Info("the system keeps fewer packets than asked while the server is busy; raise net.core.rmem_max",
			zap.Int("bytes", n), zap.Int("asked", packets.DefaultReadBuffer))
	}
	a.logger.Info("listening", zap.String("network", "udp"), zap.String("address", g.Addr().String()), zap.Int("sockets", g.Sockets()))
	return nil
}

// openUDP opens the sockets: where the kernel is to choose the port, that which it chose for TCP, if that is free.
func openUDP(at netip.AddrPort, chosen uint16) (*packets.Group, error) {
	if at.Port() == 0 && chosen != 0 {
		g, err := packets.Listen(netip.AddrPortFrom(at.Addr(), chosen), packets.Options{})
		if taken := (*packets.InUseError)(nil); !errors.As(err, &taken) {
			return g, err
		}
	}
	return packets.Listen(at, packets.Options{})
}

// udpAddress is the address as packets takes it: all addresses where it has no host, of both families.
func udpAddress(addr address) (netip.AddrPort, error) {
	port := uint16(addr.StartPort)
	if addr.Host == "" {
		return netip.AddrPortFrom(netip.IPv6Unspecified(), port), nil
	}
	if ip, err := netip.ParseAddr(addr.Host); err == nil {
		return netip.AddrPortFrom(ip, port), nil
	}
	ua, err := net.ResolveUDPAddr("udp", addr.JoinHostPort(0))
	if err != nil {
		return netip.AddrPort{}, err
	}
	ap := ua.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
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
