package dotforward

import (
	"net/netip"
	"time"

	"github.com/whence-project/whence/internal/packets"
)

// worker is what a loop needs: a query to be filled anew for each packet, until one has to wait and takes it along.
type worker struct {
	query *Query
	tally *tally
}

// origin is the packet that a query came in: first as one of its batch, then as its sender.
type origin struct {
	batch *packets.Batch
	index int
	peer  packets.Peer
}

// leave is called while the batch is still there.
func (o *origin) leave() {
	if o.batch != nil {
		o.peer, o.batch = o.batch.Later(o.index), nil
	}
}

// write sends a reply later. What cannot be sent is counted by the sockets.
func (o *origin) write(reply []byte) { _ = o.peer.Write(reply) }

// ServePackets answers a batch of packets: what is known at once in the batch, the rest when it is.
func (s *Server) ServePackets(b *packets.Batch) {
	w := s.workers.Get().(*worker)
	now := s.o.Now()
	for i := range b.Len() {
		client := b.From(i)
		if client.Port() == 0 {
			continue // nobody can be answered there
		}
		buf := b.Reply(i)
		switch reply := s.packet(w, b, i, b.Packet(i), client, now, buf); {
		case len(reply) == 0:
		case &reply[0] == &buf[0]:
			b.SetReply(i, len(reply))
		case len(reply) <= len(buf):
			b.SetReply(i, copy(buf, reply))
		default:
			_ = b.Later(i).Write(reply) // as in origin.write
		}
	}
	s.workers.Put(w)
}

// packet answers a packet, in buf if there is room, and returns the reply, which is empty where there is none or it comes later.
func (s *Server) packet(
	w *worker, batch *packets.Batch, index int, msg []byte, client netip.AddrPort, now time.Time, buf []byte,
) []byte {
	q := w.query
	if q == nil {
		q = s.queries.Get().(*Query)
		q.tally = w.tally
		w.query = q
	}
	q.reset(msg, client, UDP, now, buf)
	q.worker, q.origin.batch, q.origin.index = w, batch, index
	s.serve(q)
	if w.query == nil {
		return nil
	}
	return q.reply
}

var _ packets.Handler = (*Server)(nil)
