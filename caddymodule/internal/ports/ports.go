// Package ports keeps listening sockets open over configuration reloads. A configuration acquires the sockets it names, those
// that the one before it has among them, and releases them when it ends; the last to release a socket closes it.
package ports

import (
	"fmt"
	"net"

	"github.com/caddyserver/caddy/v2"

	"github.com/whence-project/whence/internal/sockets"
)

var pool = caddy.NewUsagePool()

// Port is one configuration's hold on a socket.
type Port struct {
	*socket
	key      string
	released bool
}

type socket struct{ *sockets.Listener }

// Destruct closes the socket.
func (s *socket) Destruct() error { return s.Close() }

// Parse reads an address as the Caddyfile writes it (":43", "127.0.0.1:1043", "[::1]:43", "tcp6/:43", "unix//run/whois.sock",
// "fd/3"; "localhost" alone has the default port) and refuses what is not one stream socket.
func Parse(address string, defaultPort uint) (caddy.NetworkAddress, error) {
	na, err := caddy.ParseNetworkAddressWithDefaults(address, "tcp", defaultPort)
	if err != nil {
		return na, fmt.Errorf("address %q: %w", address, err)
	}
	switch na.Network {
	case "tcp", "tcp4", "tcp6":
		if na.PortRangeSize() != 1 {
			return na, fmt.Errorf("address %q: a range of ports; name one, and others in further addresses", address)
		}
	case "unix", "fd":
	default:
		return na, fmt.Errorf("address %q: network %s; it takes tcp, tcp4, tcp6, unix or fd", address, na.Network)
	}
	return na, nil
}

// Key is what tells one socket from another: the address with its network, as it is configured.
func Key(na caddy.NetworkAddress) string { return na.String() }

// Acquire opens the socket, or takes a hold on the one that is open already for the same owner, a protocol: what is another's is in
// use.
func Acquire(ctx caddy.Context, owner string, na caddy.NetworkAddress) (*Port, error) {
	key := owner + " " + Key(na)
	v, _, err := pool.LoadOrNew(key, func() (caddy.Destructor, error) {
		l, err := open(ctx, na)
		if err != nil {
			return nil, err
		}
		return &socket{l}, nil
	})
	if err != nil {
		return nil, err
	}
	return &Port{socket: v.(*socket), key: key}, nil
}

// open opens TCP sockets without SO_REUSEPORT, which Caddy's own listeners set: a second process on the same port is to be told
// so, not to be given half of the traffic.
func open(ctx caddy.Context, na caddy.NetworkAddress) (*sockets.Listener, error) {
	if na.IsUnixNetwork() || na.IsFdNetwork() {
		v, err := na.Listen(ctx, 0, net.ListenConfig{})
		if err != nil {
			return nil, err
		}
		ln, ok := v.(net.Listener)
		if !ok {
			return nil, fmt.Errorf("listening on %s: not a stream socket", na)
		}
		return sockets.Serve(ln), nil
	}
	return sockets.Listen(ctx, na.Network, na.JoinHostPort(0))
}

// Release gives the hold up. It is idempotent; detach every handler before.
func (p *Port) Release() error {
	if p.released {
		return nil
	}
	p.released = true
	_, err := pool.Delete(p.key)
	return err
}
