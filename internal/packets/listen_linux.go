package packets

import (
	"context"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// open opens the sockets of a group. The first is bound alone, so that it fails where anybody has the address, a group of another
// process of ours included; only then is the port opened to sockets of the same user.
func open(address netip.AddrPort, o Options) ([]*net.UDPConn, error) {
	var conns []*net.UDPConn
	for range o.Sockets {
		c, err := openOne(address, o, len(conns) > 0)
		if err == nil && len(conns) == 0 && o.Sockets > 1 {
			err = sharePort(c)
		}
		if c != nil {
			conns = append(conns, c)
		}
		if err != nil {
			for _, c := range conns {
				c.Close()
			}
			return nil, err
		}
		address = netip.AddrPortFrom(address.Addr(), c.LocalAddr().(*net.UDPAddr).AddrPort().Port())
	}
	return conns, nil
}

func openOne(address netip.AddrPort, o Options, share bool) (*net.UDPConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		e := c.Control(func(fd uintptr) { err = setOptions(int(fd), address.Addr().Is6(), o, share) })
		if e != nil {
			return e
		}
		return err
	}}
	c, err := lc.ListenPacket(context.Background(), network(address.Addr(), o.V6Only), address.String())
	if err != nil {
		return nil, err
	}
	return c.(*net.UDPConn), nil
}

// setOptions prepares a socket before it is bound.
func setOptions(fd int, six bool, o Options, share bool) error {
	if share {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return err
		}
	}
	if o.FreeBind {
		level, option := unix.SOL_IP, unix.IP_FREEBIND
		if six {
			level, option = unix.SOL_IPV6, unix.IPV6_FREEBIND
		}
		if err := unix.SetsockoptInt(fd, level, option, 1); err != nil {
			return err
		}
	}
	setReadBuffer(fd, o.ReadBuffer)
	return nil
}

// setReadBuffer is best effort: what came of it is told by Group.ReadBuffer. Force, which passes net.core.rmem_max, takes CAP_NET_ADMIN.
func setReadBuffer(fd, size int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, size)
	}
}

// askReadBuffer is setReadBuffer for a socket that is open.
func askReadBuffer(c *net.UDPConn, size int) {
	if rc, err := c.SyscallConn(); err == nil {
		_ = rc.Control(func(fd uintptr) { setReadBuffer(int(fd), size) })
	}
}

func sharePort(c *net.UDPConn) error {
	rc, err := c.SyscallConn()
	if err != nil {
		return err
	}
	e := rc.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	if e != nil {
		return e
	}
	return err
}

// readBuffer is the least that the sockets got. The kernel doubles what it is asked for, for its own use (socket(7)).
func readBuffer(conns []*net.UDPConn) int {
	least := 0
	for _, c := range conns {
		rc, err := c.SyscallConn()
		if err != nil {
			return 0
		}
		got := 0
		_ = rc.Control(func(fd uintptr) { got, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF) })
		if got /= 2; least == 0 || got < least {
			least = got
		}
	}
	return least
}
