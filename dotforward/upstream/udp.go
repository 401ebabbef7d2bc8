package upstream

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync/atomic"
)

const mostDatagram = 4096 // bytes; we say that we take udpSize, and some servers do not listen

// close ends what the connection goes over.
func (l link) close() {
	if l.udp != nil {
		l.udp.stop()
		return
	}
	l.raw.Close()
}

// datagrams are what a connection over UDP is: an address, and the queries under way to it.
type datagrams struct {
	to   string
	load atomic.Int32 // with those that nobody waits for any more
	ctx  context.Context
	stop context.CancelFunc
}

func newDatagrams(ctx context.Context, to netip.AddrPort) *datagrams {
	d := &datagrams{to: to.String()}
	d.ctx, d.stop = context.WithCancel(ctx)
	return d
}

func (d *datagrams) reserve(most int) bool {
	if int(d.load.Add(1)) > most {
		d.load.Add(-1)
		return false
	}
	return true
}

func (d *datagrams) release() { d.load.Add(-1) }

// ask sends a query, and once more if there is no answer. What is no answer to it is passed over: anyone may send that. A
// truncated reply is asked for again over TCP, and is the reply where that fails.
func (d *datagrams) ask(ctx context.Context, s *Server, frame, question []byte) (reply []byte, kind failure, err error) {
	first, cancel := context.WithTimeout(ctx, s.o.Silence/2)
	defer cancel()
	reply, kind, err = d.once(first, s, frame, question)
	if err != nil && first.Err() != nil && ctx.Err() == nil {
		reply, kind, err = d.once(ctx, s, frame, question)
	}
	if err == nil && reply[2]&flagTC != 0 {
		if whole, err := d.overTCP(ctx, s, frame, question); err == nil {
			return whole, failNone, nil
		}
	}
	return reply, kind, err
}

// open is a socket of its own for a query, with an ID of its own, until ctx is done or the connection is closed. end closes it.
func (d *datagrams) open(ctx context.Context, s *Server, network string, frame []byte) (c net.Conn, query []byte, end func(), err error) {
	if c, err = s.o.Dial(ctx, network, d.to); err != nil {
		return nil, nil, nil, err
	}
	expired := context.AfterFunc(ctx, func() { c.Close() })
	stopped := context.AfterFunc(d.ctx, func() { c.Close() })
	query = append([]byte(nil), frame...)
	binary.BigEndian.PutUint16(query[2:], uint16(rand.Uint32()))
	return c, query, func() { expired(); stopped(); c.Close() }, nil
}

func (d *datagrams) once(ctx context.Context, s *Server, frame, question []byte) ([]byte, failure, error) {
	c, query, end, err := d.open(ctx, s, "udp", frame)
	if err != nil {
		return nil, failDial, err
	}
	defer end()
	query = query[2:]
	if _, err := c.Write(query); err != nil {
		return nil, failLost, err
	}
	buf := make([]byte, mostDatagram)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return nil, failLost, err
		}
		if isReply(buf[:n], query, question) {
			return buf[:n], failNone, nil
		}
		s.stats.unknown.Add(1)
	}
}

func (d *datagrams) overTCP(ctx context.Context, s *Server, frame, question []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.DialTimeout)
	defer cancel()
	c, query, end, err := d.open(ctx, s, "tcp", frame)
	if err != nil {
		return nil, err
	}
	defer end()
	if _, err := c.Write(query); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil, err
	}
	reply := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, reply); err != nil {
		return nil, err
	}
	if !isReply(reply, query[2:], question) {
		return nil, errors.New("reply to another query")
	}
	return reply, nil
}

// isReply reports whether msg is a response to the query by its ID, and to the question or an error without one.
func isReply(msg, query, question []byte) bool {
	return len(msg) >= headerSize && msg[0] == query[0] && msg[1] == query[1] && (answers(msg, question) ||
		msg[2]&0x80 != 0 && binary.BigEndian.Uint16(msg[4:]) == 0 && rcode(msg) != 0)
}
