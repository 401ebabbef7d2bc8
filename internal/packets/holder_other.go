//go:build !linux

package packets

import "net/netip"

// holder is empty: finding a socket's process takes privileges or another program here.
func holder(netip.AddrPort) string { return "" }
