//go:build !linux

package packets

import (
	"errors"
	"net"
	"net/netip"
)

// batched: elsewhere SO_REUSEPORT does not share clients out, or not under that name, and there are no batches.
const batched = false

func open(address netip.AddrPort, o Options) ([]*net.UDPConn, error) {
	if o.FreeBind {
		return nil, errors.New("packets: FreeBind is not to be had on this system")
	}
	c, err := net.ListenUDP(network(address.Addr(), o.V6Only), net.UDPAddrFromAddrPort(address))
	if err != nil {
		return nil, err
	}
	askReadBuffer(c, o.ReadBuffer)
	return []*net.UDPConn{c}, nil
}

// askReadBuffer is best effort, as on Linux; systems that know a limit refuse what is above it.
func askReadBuffer(c *net.UDPConn, size int) {
	for ; size >= 64<<10 && c.SetReadBuffer(size) != nil; size /= 2 {
	}
}

// readBuffer is not told by the standard library.
func readBuffer([]*net.UDPConn) int { return 0 }

func newDriver(l *loop, o Options) (driver, error) { return newPortable(l, o) }
