package caddydotforward

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/whence-project/whence/internal/packets"
)

var groups = caddy.NewUsagePool()

// group is UDP sockets in the pool.
type group struct {
	*packets.Group
	handedDown net.PacketConn // Caddy's count of a descriptor; nil of others
}

// Destruct closes the sockets.
func (g group) Destruct() error {
	err := g.Close()
	sockets.End(g)
	if g.handedDown != nil {
		_ = g.handedDown.Close() // it is closed; this has Caddy know
	}
	return err
}

func (a *App) listenUDP(addr address, chosen map[string]uint16) error {
	key := addr.JoinHostPort(0)
	if addr.IsFdNetwork() {
		key = addr.String()
	}
	v, loaded, err := groups.LoadOrNew(key, func() (caddy.Destructor, error) {
		g, err := a.open(addr, chosen[addr.JoinHostPort(0)])
		if err == nil {
			sockets.Begin(g)
		}
		return g, err
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

// open opens sockets, or takes one that the process was started with.
func (a *App) open(addr address, tcpPort uint16) (group, error) {
	if addr.IsFdNetwork() {
		return a.adopt(addr)
	}
	g, err := openUDP(addr, tcpPort)
	return group{Group: g}, err
}

// openUDP opens sockets; where the kernel is to choose the port, that which TCP has, if it is free.
func openUDP(addr address, tcpPort uint16) (*packets.Group, error) {
	at, err := udpAddress(addr)
	if err != nil {
		return nil, err
	}
	if at.Port() == 0 && tcpPort != 0 {
		g, err := packets.Listen(netip.AddrPortFrom(at.Addr(), tcpPort), packets.Options{})
		if taken := (*packets.InUseError)(nil); !errors.As(err, &taken) {
			return g, err
		}
	}
	return packets.Listen(at, packets.Options{})
}

// adopt takes a socket that the process was started with. Caddy keeps the descriptor open, so that a later configuration may have it.
func (a *App) adopt(addr address) (group, error) {
	v, err := addr.Listen(a.ctx, 0, net.ListenConfig{})
	if err != nil {
		return group{}, fmt.Errorf("listening on %s: %w", addr.NetworkAddress, err)
	}
	pc, _ := v.(net.PacketConn)
	var inner any = pc
	if w, ok := pc.(interface{ Unwrap() net.PacketConn }); ok {
		inner = w.Unwrap()
	}
	c, ok := inner.(*net.UDPConn)
	if !ok {
		if pc != nil {
			pc.Close()
		}
		return group{}, fmt.Errorf("listening on %s: the descriptor is no UDP socket", addr.NetworkAddress)
	}
	g, err := packets.Adopt(c, packets.Options{})
	if err != nil {
		pc.Close()
		return group{}, err
	}
	return group{g, pc}, nil
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
