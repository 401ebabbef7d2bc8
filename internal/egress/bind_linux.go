package egress

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// bindLate leaves the choice of the local port to connect, so that the ports of a source address are counted per peer. A port
// that is chosen when the source address is bound is taken from all peers, and 28,000 connections a minute use them up.
func bindLate(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		// Best effort: a kernel that does not know the option is only sooner out of ports.
		_ = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	})
}
