package packets

import (
	"net/netip"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestSockaddr(t *testing.T) {
	for _, tt := range []struct {
		six  bool
		addr string
		zone uint32
	}{
		{false, "192.0.2.1:53", 0},
		{true, "192.0.2.1:53", 0},
		{true, "[2001:db8::1]:65535", 0},
		{true, "[fe80::1]:1", 7},
	} {
		a := sockaddrs{six: tt.six}
		var sa unix.RawSockaddrInet6
		a.setPeer(&sa, netip.MustParseAddrPort(tt.addr), tt.zone)
		if got, zone := a.peer(&sa); got.String() != tt.addr || zone != tt.zone {
			t.Errorf("%s%%%d became %s%%%d", tt.addr, tt.zone, got, zone)
		}
	}
}

func TestControl(t *testing.T) {
	for _, tt := range []struct {
		six      bool
		addr     string
		zone     uint32
		size     int
		wantZone uint32
	}{
		{false, "192.0.2.1", 3, unix.CmsgSpace(unix.SizeofInet4Pktinfo), 0},
		{true, "192.0.2.1", 3, unix.CmsgSpace(unix.SizeofInet6Pktinfo), 0},
		{true, "169.254.0.1", 3, unix.CmsgSpace(unix.SizeofInet6Pktinfo), 0},
		{true, "2001:db8::1", 3, unix.CmsgSpace(unix.SizeofInet6Pktinfo), 0},
		{true, "fe80::1", 3, unix.CmsgSpace(unix.SizeofInet6Pktinfo), 3},
		// What cannot be an address of a reply is left to the kernel.
		{true, "ff02::1", 3, 0, 0},
		{false, "224.0.0.251", 3, 0, 0},
	} {
		var c control
		size := c.set(netip.MustParseAddr(tt.addr), tt.zone, tt.six)
		if size != tt.size || size > int(unsafe.Sizeof(c)) {
			t.Errorf("%s takes %d bytes, want %d of %d", tt.addr, size, tt.size, unsafe.Sizeof(c))
		}
		if size == 0 {
			continue
		}
		if got, zone := c.local(size); got.String() != tt.addr || zone != tt.wantZone {
			t.Errorf("%s became %s%%%d, want zone %d", tt.addr, got, zone, tt.wantZone)
		}
		if got, _ := c.local(size - 8); got.IsValid() {
			t.Errorf("%s was read from a message that was cut off", got)
		}
	}
	var c control
	if size := c.set(netip.Addr{}, 0, true); size != 0 {
		t.Errorf("no address takes %d bytes", size)
	}
	if n := unsafe.Sizeof(Peer{}); n != 72 && unsafe.Sizeof(n) == 8 {
		t.Errorf("a Peer has %d bytes", n)
	}
}
