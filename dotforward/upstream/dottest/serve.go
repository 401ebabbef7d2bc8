package dottest

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// serve is one connection. ended is closed when it is reset from here.
func (s *Server) serve(raw net.Conn, ended <-chan struct{}) {
	switch s.behaviour.Load().Fault {
	case Hangup:
		return
	case Stall:
		io.Copy(io.Discard, raw)
		return
	}
	c := raw
	if s.config != nil {
		t := tls.Server(raw, s.config)
		if t.Handshake() != nil {
			return
		}
		if t.ConnectionState().DidResume {
			s.resumed.Add(1)
		}
		if t.ConnectionState().NegotiatedProtocol == "dot" {
			s.proto.Add(1)
		}
		c = t
	}
	s.conns.Add(1)
	for n := s.open.Add(1); ; {
		most := s.mostOpen.Load()
		if n <= most || s.mostOpen.CompareAndSwap(most, n) {
			break
		}
	}
	defer s.open.Add(-1)
	out := &writer{c: c}
	in := bufio.NewReaderSize(counted{c, &s.reads}, 32<<10)
	q := make([]byte, 0xffff)
	for {
		if s.behaviour.Load().Fault == Deaf {
			<-ended
			return
		}
		var size [2]byte
		if _, err := io.ReadFull(in, size[:]); err != nil {
			return
		}
		q = q[:binary.BigEndian.Uint16(size[:])]
		if _, err := io.ReadFull(in, q); err != nil {
			return
		}
		if !s.query(raw, out, q) {
			return
		}
		if in.Buffered() == 0 && out.flush() != nil {
			return
		}
	}
}

// query answers one query as the server behaves. false: the connection ends.
func (s *Server) query(raw net.Conn, out *writer, q []byte) bool {
	s.queries.Add(1)
	b := *s.behaviour.Load()
	if b.Only != nil && !b.Only(q) {
		b.Fault, b.Delay = None, 0
	}
	var opts options
	opts.read(q)
	s.note(opts)
	if !opts.keepalive {
		b.Keepalive = 0
	}
	send := func(msg []byte) {
		if b.Delay > 0 {
			msg = append([]byte(nil), msg...)
			time.AfterFunc(b.Delay, func() {
				out.add(msg)
				out.flush()
			})
			return
		}
		out.add(msg)
		if b.EachItsRecord {
			out.flush()
		}
	}
	var scratch [512]byte
	msg := answer(scratch[:0], q, opts, b)
	if msg == nil {
		return false
	}
	switch b.Fault {
	case Silent, Deaf:
		return true
	case Reset, Stall, Hangup:
		reset(raw)
		return false
	case Cut:
		out.cut(msg)
		return false
	case Short:
		send(msg[:5])
		return true
	}
	send(msg)
	return true
}

func (s *Server) note(o options) {
	for _, n := range []struct {
		is    bool
		count *atomic.Int64
	}{{o.edns, &s.edns}, {o.padded, &s.padded}, {o.keepalive, &s.keepalive}} {
		if n.is {
			n.count.Add(1)
		}
	}
}

// writer gathers answers and writes them as one record.
type writer struct {
	c   net.Conn
	mu  sync.Mutex
	buf []byte
}

func (w *writer) add(msg []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(len(msg)))
	w.buf = append(w.buf, msg...)
}

func (w *writer) flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.buf) == 0 {
		return nil
	}
	_, err := w.c.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}

// cut writes half a message.
func (w *writer) cut(msg []byte) {
	w.add(msg)
	w.mu.Lock()
	w.buf = w.buf[:len(w.buf)-len(msg)/2]
	w.mu.Unlock()
	w.flush()
}

type counted struct {
	net.Conn
	n *atomic.Int64
}

func (c counted) Read(b []byte) (int, error) {
	c.n.Add(1)
	return c.Conn.Read(b)
}
