package packets

import (
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batched says that a group may have several sockets here, and reads and writes them in batches.
const batched = true

// mmsghdr is struct mmsghdr: a message and its length.
type mmsghdr struct {
	hdr  unix.Msghdr
	size uint32
}

// mmsg moves packets with recvmmsg and sendmmsg. Everything that the kernel reads and writes is set up once; a batch changes only
// lengths. golang.org/x/net has the same system calls, with allocations that were measured at 15 to 37 % of the cost of a reply.
type mmsg struct {
	loop  *loop
	conn  syscall.RawConn
	batch *Batch
	sockaddrs

	in, out       []mmsghdr
	inIov, outIov []unix.Iovec
	names         []unix.RawSockaddrInet6 // who sent the packets; of IPv4 sockets, the beginnings
	inCtl, outCtl []control               // of sockets on every address, the addresses that were asked
	outSlot       []int                   // the slot that each of out points at
	filled        int                     // how many of in the last read wrote to
	tally         tally
	serve         func()
	lastDropped   atomic.Uint64
}

func newDriver(l *loop, o Options) (driver, error) {
	if o.portable {
		return newPortable(l, o)
	}
	rc, err := l.conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	a, n := socketAddrs(l.conn), o.Batch
	d := &mmsg{
		loop: l, conn: rc, batch: l.batch, sockaddrs: a,
		in: make([]mmsghdr, n), out: make([]mmsghdr, n),
		inIov: make([]unix.Iovec, n), outIov: make([]unix.Iovec, n),
		names: make([]unix.RawSockaddrInet6, n), outSlot: make([]int, n),
		inCtl: make([]control, n), outCtl: make([]control, n),
	}
	for i := range n {
		s := &d.batch.slots[i]
		d.inIov[i].Base, d.outIov[i].Base = &s.in[0], &s.out[0]
		d.inIov[i].SetLen(len(s.in))
		in := &d.in[i].hdr
		in.Iov, in.Name, in.Namelen = &d.inIov[i], (*byte)(unsafe.Pointer(&d.names[i])), a.nameLen
		in.SetIovlen(1)
		if a.every {
			in.Control = (*byte)(unsafe.Pointer(&d.inCtl[i]))
			in.SetControllen(int(unsafe.Sizeof(control{})))
		}
		d.out[i].hdr.Namelen = a.nameLen
		d.out[i].hdr.SetIovlen(1)
		d.point(i, i)
	}
	return d, a.ask(rc)
}

// point makes message m of out the reply of slot i.
func (d *mmsg) point(m, i int) {
	h := &d.out[m].hdr
	h.Iov, h.Name = &d.outIov[i], (*byte)(unsafe.Pointer(&d.names[i]))
	if d.every {
		h.Control = (*byte)(unsafe.Pointer(&d.outCtl[i]))
	}
	d.outSlot[m] = i
}

func (d *mmsg) run(_ *Batch, serve func()) {
	d.serve = serve
	for !d.loop.group.closing.Load() {
		if d.conn.Read(d.drain) != nil {
			return // closed
		}
	}
}

// yieldAfter is how many full batches a loop is at before it lets others have the core: those who forward what it could not
// answer, above all. That is about 2 ms; the runtime would take the core away after 10. Fewer would starve the loop beside
// goroutines that do use their 10.
const yieldAfter = 16

// drain reads and answers until the socket is empty. It is called by the poller, and stays inside: a batch that was not full has
// emptied the socket, and what comes after it makes the poller's next edge, so that the read which finds nothing is saved. (To
// come back to the poller by returning true would reset the edge and lose packets.)
func (d *mmsg) drain(fd uintptr) bool {
	for round := 1; !d.loop.group.closing.Load(); round++ {
		d.prepare()
		n, _, errno := syscall.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&d.in[0])), uintptr(len(d.in)),
			unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
		case unix.EAGAIN:
			return false
		case unix.EINTR:
			continue
		default: // the kernel's want of memory; nothing that a client can bring about
			d.loop.counts.readErrors.Add(1)
			time.Sleep(time.Millisecond)
			continue
		}
		if d.receive(int(n)); d.batch.n > 0 {
			d.serve()
			d.flush(fd)
			d.loop.counts.add(&d.tally)
		}
		if int(n) < len(d.in) {
			return false
		}
		if round%yieldAfter == 0 {
			runtime.Gosched()
		}
	}
	return true
}

// prepare gives the kernel room for control messages again, where it wrote how many bytes there were.
func (d *mmsg) prepare() {
	if d.every {
		for i := range d.filled {
			d.in[i].hdr.SetControllen(int(unsafe.Sizeof(control{})))
		}
	}
}

// receive makes a batch of n messages, less those that were cut off.
func (d *mmsg) receive(n int) {
	d.filled, d.tally = n, tally{}
	for i := 0; i < n; {
		if d.in[i].hdr.Flags&unix.MSG_TRUNC == 0 {
			d.decode(i)
			d.tally.bytes += int(d.in[i].size)
			i++
			continue
		}
		d.loop.counts.oversized.Add(1)
		if n--; i < n {
			d.move(i, n)
		}
	}
	d.batch.n, d.tally.packets = n, n
}

// move puts message j in the place of message i. The buffers stay where they are, since the kernel knows them by slot.
func (d *mmsg) move(i, j int) {
	copy(d.batch.slots[i].in, d.batch.slots[j].in[:min(int(d.in[j].size), len(d.batch.slots[j].in))])
	d.names[i], d.inCtl[i] = d.names[j], d.inCtl[j]
	d.in[i].size, d.in[i].hdr.Flags, d.in[i].hdr.Controllen = d.in[j].size, d.in[j].hdr.Flags, d.in[j].hdr.Controllen
}

// decode fills slot i from message i, and readies the address that its reply leaves from.
func (d *mmsg) decode(i int) {
	s := &d.batch.slots[i]
	s.size, s.reply = int(d.in[i].size), 0
	s.from, s.zone = d.peer(&d.names[i])
	s.local = d.bound
	if !d.every {
		return
	}
	var zone uint32
	s.local, zone = d.inCtl[i].local(int(d.in[i].hdr.Controllen))
	if s.local.IsLinkLocalUnicast() {
		s.zone = zone
	}
}

// flush sends the replies. One that the system refuses does not keep back those behind it.
func (d *mmsg) flush(fd uintptr) {
	m := 0
	for i := range d.batch.n {
		s := &d.batch.slots[i]
		if s.reply == 0 {
			continue
		}
		if d.outSlot[m] != i {
			d.point(m, i)
		}
		d.outIov[i].SetLen(s.reply)
		if d.every {
			d.out[m].hdr.SetControllen(d.outCtl[i].set(s.local, s.zone, d.six))
		}
		d.tally.sentBytes += s.reply
		m++
	}
	for next := 0; next < m; {
		n, errno := sendmmsg(fd, &d.out[next], m-next)
		if errno == unix.EAGAIN {
			n, errno = sendWaiting(d.conn, &d.out[next], m-next)
		}
		if errno != 0 {
			d.tally.failed++
			d.tally.sentBytes -= d.batch.slots[d.outSlot[next]].reply
			n = 1
		}
		next += n
	}
	d.tally.sent = m - d.tally.failed
}

// sendmmsg sends the first of n messages and as many of the others as go at once; the error is that of the first.
func sendmmsg(fd uintptr, first *mmsghdr, n int) (int, syscall.Errno) {
	for {
		sent, _, errno := syscall.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(first)), uintptr(n), unix.MSG_DONTWAIT, 0, 0)
		if errno != unix.EINTR {
			return int(sent), errno
		}
	}
}

// sendWaiting is sendmmsg where the queue of the socket is full: it waits for room.
func sendWaiting(c syscall.RawConn, first *mmsghdr, n int) (sent int, errno syscall.Errno) {
	err := c.Write(func(fd uintptr) bool {
		sent, errno = sendmmsg(fd, first, n)
		return errno != unix.EAGAIN
	})
	if err != nil {
		return 0, unix.EBADF // closed while it waited
	}
	return sent, errno
}

// socketAddrs finds what kind of addresses a socket has.
func socketAddrs(c *net.UDPConn) sockaddrs {
	local := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr()
	a := sockaddrs{six: local.Is6(), bound: local.Unmap().WithZone(""), nameLen: unix.SizeofSockaddrInet4}
	if a.six {
		a.nameLen = unix.SizeofSockaddrInet6
	}
	a.every = a.bound.IsUnspecified()
	if a.every {
		a.bound = netip.Addr{}
	}
	return a
}
