package packets

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// portable moves packets one by one, with what the standard library has on every system. Its batches are of one packet.
type portable struct {
	loop  *loop
	conn  *net.UDPConn
	six   bool
	every bool       // packets tell the address that they were sent to
	bound netip.Addr // that address, of sockets with only one
	buf   []byte     // as large as packets get, since systems differ in what they say of one that was cut off
	ctl   []byte
}

// network is the name that package net has for UDP on address: "udp" is both families on "::".
func network(a netip.Addr, v6Only bool) string {
	switch {
	case a.Is4():
		return "udp4"
	case v6Only || !a.IsUnspecified():
		return "udp6"
	}
	return "udp"
}

func newPortable(l *loop, o Options) (driver, error) {
	local := l.conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr()
	d := &portable{loop: l, conn: l.conn, six: local.Is6(), buf: make([]byte, MaxSize+1)}
	if !local.Unmap().IsUnspecified() {
		d.bound = local.Unmap().WithZone("")
		return d, nil
	}
	// A system that cannot tell (Windows) sends replies from an address of its choice.
	if d.six {
		d.every = ipv6.NewPacketConn(l.conn).SetControlMessage(ipv6.FlagDst|ipv6.FlagInterface, true) == nil
		d.ctl = ipv6.NewControlMessage(ipv6.FlagDst | ipv6.FlagInterface)
	} else {
		d.every = ipv4.NewPacketConn(l.conn).SetControlMessage(ipv4.FlagDst|ipv4.FlagInterface, true) == nil
		d.ctl = ipv4.NewControlMessage(ipv4.FlagDst | ipv4.FlagInterface)
	}
	return d, nil
}

func (d *portable) run(b *Batch, serve func()) {
	s := &b.slots[0]
	for {
		n, size, _, from, err := d.conn.ReadMsgUDPAddrPort(d.buf, d.ctl)
		switch {
		case d.loop.group.closing.Load() || errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			d.loop.counts.readErrors.Add(1)
			time.Sleep(time.Millisecond)
			continue
		case n > len(s.in):
			d.loop.counts.oversized.Add(1)
			continue
		}
		s.size, s.reply, b.n = copy(s.in, d.buf[:n]), 0, 1
		s.from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		s.local = d.local(d.ctl[:size])
		serve()
		t := tally{packets: 1, bytes: n}
		if s.reply > 0 {
			if d.send(b.Later(0), s.out[:s.reply]) == nil {
				t.sent, t.sentBytes = 1, s.reply
			} else {
				t.failed = 1
			}
		}
		d.loop.counts.add(&t)
	}
}

// local is the address that a packet with these control messages was sent to.
func (d *portable) local(ctl []byte) netip.Addr {
	if !d.every {
		return d.bound
	}
	var ip net.IP
	var m4 ipv4.ControlMessage
	var m6 ipv6.ControlMessage
	if d.six && m6.Parse(ctl) == nil {
		ip = m6.Dst
	} else if !d.six && m4.Parse(ctl) == nil {
		ip = m4.Dst
	}
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

func (d *portable) send(p Peer, msg []byte) error {
	to := p.from
	if d.every && p.local.IsValid() && !p.local.IsMulticast() {
		var ctl []byte
		if src := p.local.AsSlice(); p.local.Is4() {
			ctl = (&ipv4.ControlMessage{Src: src}).Marshal()
		} else {
			ctl = (&ipv6.ControlMessage{Src: src}).Marshal()
		}
		// A system that does not let us choose for this packet is left the choice.
		if _, _, err := d.conn.WriteMsgUDPAddrPort(msg, ctl, to); err == nil || errors.Is(err, net.ErrClosed) {
			return err
		}
	}
	_, err := d.conn.WriteToUDPAddrPort(msg, to)
	return err
}

func (d *portable) dropped() uint64 { return 0 }
