package packets

import (
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sender is one message to be sent apart from the batches, with all that the kernel reads for it.
type sender struct {
	msg   mmsghdr
	iov   unix.Iovec
	name  unix.RawSockaddrInet6
	ctl   control
	errno syscall.Errno
	try   func(fd uintptr)
}

// senders are kept, since what is handed to the kernel is on the heap.
var senders = sync.Pool{New: func() any {
	s := new(sender)
	h := &s.msg.hdr
	h.Iov, h.Name = &s.iov, (*byte)(unsafe.Pointer(&s.name))
	h.SetIovlen(1)
	s.try = func(fd uintptr) { _, s.errno = sendmmsg(fd, &s.msg, 1) }
	return s
}}

func (d *mmsg) send(p Peer, msg []byte) error {
	s := senders.Get().(*sender)
	defer senders.Put(s)
	h := &s.msg.hdr
	h.Namelen = d.nameLen
	d.setPeer(&s.name, p.from, p.zone)
	h.Control = nil
	h.SetControllen(0)
	if d.every {
		if n := s.ctl.set(p.local, p.zone, d.six); n > 0 {
			h.Control = (*byte)(unsafe.Pointer(&s.ctl))
			h.SetControllen(n)
		}
	}
	s.iov.Base = unsafe.SliceData(msg)
	s.iov.SetLen(len(msg))
	// Control, unlike Write, does not keep others from the socket meanwhile: the kernel has the locks that are needed.
	err := d.conn.Control(s.try)
	if err == nil && s.errno == unix.EAGAIN {
		_, s.errno = sendWaiting(d.conn, &s.msg, 1)
	}
	s.iov.Base = nil
	switch {
	case err != nil || d.loop.group.closing.Load() && s.errno == unix.EBADF:
		return net.ErrClosed
	case s.errno != 0:
		return os.NewSyscallError("sendmmsg", s.errno)
	}
	return nil
}

// dropped reads the count from the socket when it is asked for: SO_RXQ_OVFL would tell it, and cost, with every packet. Of a
// socket that is closed it is the last that was read.
func (d *mmsg) dropped() uint64 {
	const drops = 8 // SK_MEMINFO_DROPS of <linux/sock_diag.h>
	var info [drops + 1]uint32
	size := uint32(unsafe.Sizeof(info))
	_ = d.conn.Control(func(fd uintptr) {
		_, _, errno := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
		if errno == 0 && size == uint32(unsafe.Sizeof(info)) {
			d.lastDropped.Store(uint64(info[drops]))
		}
	})
	return d.lastDropped.Load()
}
