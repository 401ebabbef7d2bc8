package packets

import (
	"errors"
	"fmt"
	"net/netip"
)

// Batch is some packets that one socket received, each with room for a reply. Packets are numbered from 0. A batch belongs to the
// handler while [Handler.ServePackets] runs, and to its loop afterwards.
type Batch struct {
	loop  *loop
	n     int
	slots []slot
}

// slot is the place of a packet in a batch.
type slot struct {
	in, out []byte // of MaxPacket and MaxReply bytes
	size    int    // of the packet
	reply   int    // of the reply; 0 is none
	from    netip.AddrPort
	local   netip.Addr
	zone    uint32 // the interface of a link-local client, 0 of others
}

func newBatch(l *loop, o Options) *Batch {
	b := &Batch{loop: l, slots: make([]slot, o.Batch)}
	for i := range b.slots {
		b.slots[i].in, b.slots[i].out = make([]byte, o.MaxPacket), make([]byte, o.MaxReply)
	}
	return b
}

// Len is how many packets there are, at least 1.
func (b *Batch) Len() int { return b.n }

// Packet is what packet i says; it may be empty, as UDP allows. The handler may change it.
func (b *Batch) Packet(i int) []byte {
	s := &b.slots[i]
	return s.in[:s.size:s.size]
}

// From is who sent packet i: an IPv4 address is never the IPv4-mapped form, and a link-local one has no zone, which the socket
// remembers for the reply.
func (b *Batch) From(i int) netip.AddrPort { return b.slots[i].from }

// Local is the address of ours that packet i was sent to, and its reply leaves from. It is not valid where the system does not
// tell, as for a socket on every address on Windows.
func (b *Batch) Local(i int) netip.Addr { return b.slots[i].local }

// Reply is where the reply to packet i is to be written, MaxReply bytes with old replies in them. SetReply sends it.
func (b *Batch) Reply(i int) []byte { return b.slots[i].out }

// SetReply has the first n bytes of Reply(i) sent to who asked, once ServePackets has returned; 0 is no reply, which is how
// every packet begins. It panics if n is not from 0 to MaxReply.
func (b *Batch) SetReply(i, n int) {
	if s := &b.slots[i]; n < 0 || n > len(s.out) {
		panic(fmt.Sprintf("packets: a reply of %d bytes where %d have room", n, len(s.out)))
	} else {
		s.reply = n
	}
}

// Later is who sent packet i, to be kept and written to after the batch is gone.
func (b *Batch) Later(i int) Peer {
	s := &b.slots[i]
	return Peer{loop: b.loop, from: s.from, local: s.local, zone: s.zone}
}

// Peer is a client and the socket it asked at: a value of 72 bytes that needs no closing. The zero Peer is nobody.
type Peer struct {
	loop  *loop
	from  netip.AddrPort
	local netip.Addr
	zone  uint32
}

// Client is the address of the client, as [Batch.From] has it.
func (p Peer) Client() netip.AddrPort { return p.from }

// Local is the address of ours that the client asked, as [Batch.Local] has it.
func (p Peer) Local() netip.Addr { return p.local }

var errNobody = errors.New("packets: a reply to nobody")

// Write sends msg to the client, at most [MaxSize] bytes in one packet, from the address that was asked. It may be called from
// any goroutine, any number of times, and waits only while the socket's own queue is full. The error is [net.ErrClosed] (by
// errors.Is) once the group is closed, and the system's where it would not send: it is counted and need not be.
func (p Peer) Write(msg []byte) error {
	if p.loop == nil {
		return errNobody
	}
	err := p.loop.driver.send(p, msg)
	p.loop.counts.wrote(len(msg), err)
	return err
}
