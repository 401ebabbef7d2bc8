//go:build !linux

package layer4whois

import "net"

// unread is how many bytes wait in the socket's receive queue: this system is not asked, and connections linger.
func unread(*net.TCPConn) int { return 1 }
