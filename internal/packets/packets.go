// Package packets has UDP sockets that are read and written in batches, with loops that outlive the servers behind them: a new
// configuration takes over between two batches, and no packet is lost on the way.
//
// On Linux a group is one socket and one goroutine a core, with recvmmsg and sendmmsg over the runtime's poller: no allocation,
// no goroutine a packet. Elsewhere it is one socket that is read and written packet by packet.
package packets

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/whence-project/whence/internal/bindcap"
)

// Defaults and bounds of [Options].
const (
	DefaultBatch      = 32
	DefaultReadBuffer = 4 << 20
	DefaultMaxPacket  = 4096
	MaxBatch          = 1024      // UIO_MAXIOV: no more in one system call
	MaxSize           = 65535 - 8 // what the length field of UDP leaves for data (RFC 768)
)

// Options of a [Group]. The zero Options are the defaults.
type Options struct {
	// Sockets is how many sockets with a loop each share the address (SO_REUSEPORT); the kernel gives each client to one of them.
	// Default: GOMAXPROCS. Elsewhere than on Linux it is always 1.
	Sockets int
	// Batch is how many packets are read and written at once, at most [MaxBatch]. Default: [DefaultBatch].
	Batch int
	// ReadBuffer is how many bytes of packets the kernel is asked to keep for each socket while its loop is busy (SO_RCVBUF, or
	// SO_RCVBUFFORCE where it is allowed); [Group.ReadBuffer] tells what came of it. Default: [DefaultReadBuffer].
	ReadBuffer int
	// MaxPacket is how many bytes a packet may have to be shown to the handler; one that is longer is counted as Oversized and
	// dropped. Default: [DefaultMaxPacket].
	MaxPacket int
	// MaxReply is how many bytes [Batch.Reply] has room for. Default: MaxPacket.
	MaxReply int
	// V6Only keeps IPv4 clients out of a socket on "::", so that "0.0.0.0" may be listened on beside it.
	V6Only bool
	// FreeBind lets the address be one that no interface has yet (IP_FREEBIND; Linux only, elsewhere Listen fails).
	FreeBind bool

	portable bool // packet by packet on Linux too, for tests
}

// withDefaults fills in what is not set, and refuses what cannot be.
func (o Options) withDefaults() (Options, error) {
	set := func(p *int, def, most int, name string) error {
		if *p == 0 {
			*p = def
		}
		if *p < 0 || *p > most {
			return fmt.Errorf("packets: %s is %d, not 1 to %d", name, *p, most)
		}
		return nil
	}
	const mostSockets, mostReadBuffer = 1024, 1 << 30
	if !batched || o.portable {
		o.Sockets = 1
	}
	for _, err := range []error{
		set(&o.Sockets, runtime.GOMAXPROCS(0), mostSockets, "Sockets"),
		set(&o.Batch, DefaultBatch, MaxBatch, "Batch"),
		set(&o.ReadBuffer, DefaultReadBuffer, mostReadBuffer, "ReadBuffer"),
		set(&o.MaxPacket, DefaultMaxPacket, MaxSize, "MaxPacket"),
		set(&o.MaxReply, o.MaxPacket, MaxSize, "MaxReply"),
	} {
		if err != nil {
			return o, err
		}
	}
	return o, nil
}

// Handler answers packets.
type Handler interface {
	// ServePackets is called on the loop of a socket, by several loops at a time, and holds up whoever else asks at that socket:
	// it never blocks, and panics of its own are its own to catch. The batch and what it points to are the handler's until it
	// returns; what is needed later is copied, and [Batch.Later] kept. It must not call [Group.Serve], its withdraw, or Close.
	ServePackets(b *Batch)
}

// Group is a set of sockets that share an address. Safe for concurrent use.
type Group struct {
	addr       netip.AddrPort
	readBuffer int
	loops      []*loop
	running    sync.WaitGroup
	closing    atomic.Bool

	mu       sync.Mutex
	handlers []*attached // the newest last
	closed   bool
	err      error
}

type attached struct{ Handler }

// Listen opens the sockets of a group on address; port 0 lets the kernel choose. "0.0.0.0" is every IPv4 address, "::" every
// address of both families (see V6Only), and replies leave from the address that was asked. Packets wait in the kernel until
// there is a handler.
//
// Where another socket has the address, of this process or another, the error is an [*InUseError]; nobody joins somebody else's
// group unasked.
func Listen(address netip.AddrPort, o Options) (*Group, error) {
	if !address.Addr().IsValid() {
		return nil, fmt.Errorf("packets: an address to listen on is needed")
	}
	address = netip.AddrPortFrom(address.Addr().Unmap(), address.Port())
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	conns, err := bindcap.Do(func() ([]*net.UDPConn, error) { return open(address, o) })
	if err != nil {
		return nil, explain(address, err)
	}
	bound := conns[0].LocalAddr().(*net.UDPAddr).AddrPort()
	return start(netip.AddrPortFrom(address.Addr(), bound.Port()), conns, o)
}

// Adopt makes a group of a socket that was opened elsewhere, such as one that the service manager has handed down. The group closes it.
// Of the options, Sockets, V6Only and FreeBind are of no effect: the socket is one, and it is bound.
func Adopt(c *net.UDPConn, o Options) (*Group, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	askReadBuffer(c, o.ReadBuffer)
	bound := c.LocalAddr().(*net.UDPAddr).AddrPort()
	return start(netip.AddrPortFrom(bound.Addr().Unmap(), bound.Port()), []*net.UDPConn{c}, o)
}

// start makes a group of sockets that are bound to the address, or closes them.
func start(address netip.AddrPort, conns []*net.UDPConn, o Options) (*Group, error) {
	g := &Group{addr: address, readBuffer: readBuffer(conns)}
	for _, c := range conns {
		l, err := newLoop(g, c, o)
		if err != nil {
			for _, c := range conns {
				c.Close()
			}
			return nil, fmt.Errorf("packets: preparing %s: %w", g.addr, err)
		}
		g.loops = append(g.loops, l)
	}
	for _, l := range g.loops {
		g.running.Go(l.run)
	}
	return g, nil
}

// Addr is the address that the group listens on, with the port it got.
func (g *Group) Addr() netip.AddrPort { return g.addr }

// Sockets is how many sockets, and loops, the group has.
func (g *Group) Sockets() int { return len(g.loops) }

// ReadBuffer is how many bytes the kernel keeps for each socket, the least of them; less than was asked for where the system has
// a lower limit (net.core.rmem_max) and the process may not pass it (CAP_NET_ADMIN). 0: the system does not tell.
func (g *Group) ReadBuffer() int { return g.readBuffer }

// Serve makes h the handler of the packets from now on. When it returns, the handler before is not being called any more; not
// one packet is lost or answered twice in between. Withdraw takes h away again, and when that returns h is not being called; the
// newest handler left serves again, and where there is none, packets wait in the kernel. Withdraw is idempotent.
func (g *Group) Serve(h Handler) (withdraw func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := &attached{h}
	g.handlers = append(g.handlers, a)
	g.handOver()
	return func() { g.withdraw(a) }
}

func (g *Group) withdraw(a *attached) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, h := range g.handlers {
		if h == a {
			g.handlers = append(g.handlers[:i:i], g.handlers[i+1:]...)
			g.handOver()
			return
		}
	}
}

// handOver tells the loops who the newest handler is, each of them between two batches. The caller holds g.mu.
func (g *Group) handOver() {
	var h Handler
	if n := len(g.handlers); n > 0 {
		h = g.handlers[n-1].Handler
	}
	for _, l := range g.loops {
		l.setHandler(h)
	}
}

// Close closes the sockets and waits for the loops to end; the batches they are at are answered, what waits in the kernel is
// not. It is idempotent.
func (g *Group) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return g.err
	}
	g.closed = true
	g.closing.Store(true)
	for _, l := range g.loops {
		if err := l.close(); err != nil && g.err == nil {
			g.err = err
		}
	}
	g.running.Wait()
	return g.err
}
