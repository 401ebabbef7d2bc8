package packets

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sockaddrs knows the form that addresses have on a socket.
type sockaddrs struct {
	six     bool       // struct sockaddr_in6, with IPv4 addresses in the IPv4-mapped form
	every   bool       // on every address of ours: packets carry the one that was asked
	bound   netip.Addr // the only address, of other sockets
	nameLen uint32
}

// ask has the kernel say which address of ours each packet was sent to (ip(7) IP_PKTINFO; RFC 3542, section 6.2), for sockets
// that need it: it costs a control message a packet. IPv4 packets on an IPv6 socket say it in the IPv4-mapped form.
func (a *sockaddrs) ask(c syscall.RawConn) error {
	if !a.every {
		return nil
	}
	level, option := unix.SOL_IP, unix.IP_PKTINFO
	if a.six {
		level, option = unix.SOL_IPV6, unix.IPV6_RECVPKTINFO
	}
	var err error
	if e := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), level, option, 1) }); e != nil {
		return e
	}
	return err
}

// peer is the address in sa, and the interface of a link-local one.
func (a *sockaddrs) peer(sa *unix.RawSockaddrInet6) (netip.AddrPort, uint32) {
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:])
	if !a.six {
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(sa)).Addr), port), 0
	}
	return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), port), sa.Scope_id
}

// setPeer is the reverse of peer.
func (a *sockaddrs) setPeer(sa *unix.RawSockaddrInet6, to netip.AddrPort, zone uint32) {
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:], to.Port())
	if !a.six {
		sa4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		sa4.Family, sa4.Addr = unix.AF_INET, to.Addr().As4()
		return
	}
	sa.Family, sa.Addr, sa.Flowinfo, sa.Scope_id = unix.AF_INET6, to.Addr().As16(), 0, zone
}

// control is a control message with room for struct in_pktinfo or in6_pktinfo.
type control struct {
	hdr  unix.Cmsghdr
	info [unix.SizeofInet6Pktinfo]byte
}

// local is the address of ours that the message tells, and its interface. The message has size bytes. For an IPv4 packet to a
// broadcast or multicast address it is the one that the kernel would reply from.
func (c *control) local(size int) (netip.Addr, uint32) {
	is := func(level, kind int32, info int) bool {
		return size >= unix.CmsgLen(info) && c.hdr.Level == level && c.hdr.Type == kind
	}
	switch {
	case is(unix.SOL_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo):
		p := (*unix.Inet4Pktinfo)(unsafe.Pointer(&c.info))
		return netip.AddrFrom4(p.Spec_dst), uint32(p.Ifindex)
	case is(unix.SOL_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo):
		p := (*unix.Inet6Pktinfo)(unsafe.Pointer(&c.info))
		return netip.AddrFrom16(p.Addr).Unmap(), p.Ifindex
	}
	return netip.Addr{}, 0
}

// set makes the message say that a packet is to leave from local, and returns its size; 0 leaves the choice to the kernel. The
// interface is named only where the address means nothing without, so that replies take the route they would take anyway.
func (c *control) set(local netip.Addr, zone uint32, six bool) int {
	if !local.IsValid() || local.IsMulticast() {
		return 0
	}
	if !six {
		c.hdr.Level, c.hdr.Type = unix.SOL_IP, unix.IP_PKTINFO
		c.hdr.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
		*(*unix.Inet4Pktinfo)(unsafe.Pointer(&c.info)) = unix.Inet4Pktinfo{Spec_dst: local.As4()}
		return unix.CmsgSpace(unix.SizeofInet4Pktinfo)
	}
	if !local.Is6() || !local.IsLinkLocalUnicast() {
		zone = 0
	}
	c.hdr.Level, c.hdr.Type = unix.SOL_IPV6, unix.IPV6_PKTINFO
	c.hdr.SetLen(unix.CmsgLen(unix.SizeofInet6Pktinfo))
	*(*unix.Inet6Pktinfo)(unsafe.Pointer(&c.info)) = unix.Inet6Pktinfo{Addr: local.As16(), Ifindex: zone}
	return unix.CmsgSpace(unix.SizeofInet6Pktinfo)
}
