package layer4whois

import (
	"net"

	"golang.org/x/sys/unix"
)

// unread is how many bytes wait in the socket's receive queue; 1 where the system does not tell.
func unread(c *net.TCPConn) int {
	raw, err := c.SyscallConn()
	if err != nil {
		return 1
	}
	n := 1
	err = raw.Control(func(fd uintptr) {
		if v, err := unix.IoctlGetInt(int(fd), unix.SIOCINQ); err == nil {
			n = v
		}
	})
	if err != nil {
		return 1
	}
	return n
}
