package stream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/dotforward"
)

// conn is a connection. The goroutine of ServeConn reads it and writes the replies that are there by then, which for answers from a
// cache is all of them; a second goroutine writes those that come later, and is started with the first of them.
type conn struct {
	srv       *Server
	nc        net.Conn // what is read and written
	raw       net.Conn // what carries it, to be closed at once
	client    netip.AddrPort
	transport dotforward.Transport
	room      chan struct{} // one place: something has changed that the reader may wait for

	network netip.Addr // what the connection counts for
	counted bool       // guarded by the server's mutex

	mu        sync.Mutex
	slots     []slot
	unused    []uint16 // slots
	busy      int      // queries under way
	idleSince time.Time
	out       []byte        // frames to be written
	spare     []byte        // what out becomes while it is written
	pending   int           // bytes that are to be written, those that are being written included
	reading   bool          // the reader is at work, and writes what there is before it waits for anything
	writing   bool          // somebody writes
	dead      bool          // cut off, or at its end: nothing is written any more
	wake      chan struct{} // of the writer; nil until there is one
	writer    sync.WaitGroup
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{srv: s, nc: nc, raw: nc, transport: dotforward.TCP, room: make(chan struct{}, 1), idleSince: time.Now()}
	if _, ok := nc.(secured); ok {
		c.transport = dotforward.TLS
	}
	if w, ok := nc.(interface{ NetConn() net.Conn }); ok && c.transport == dotforward.TLS {
		c.raw = w.NetConn()
	}
	return c
}

// handshake makes TLS's handshake, by the deadline that is set.
func (c *conn) handshake() bool {
	t, ok := c.nc.(secured)
	if !ok {
		return true
	}
	if err := t.HandshakeContext(context.Background()); err != nil {
		c.srv.counts.handshakeErrors.Add(1)
		return false
	}
	if t.ConnectionState().DidResume {
		c.srv.counts.resumed.Add(1)
	} else {
		c.srv.counts.full.Add(1)
	}
	c.mu.Lock()
	c.idleSince = time.Now()
	c.mu.Unlock()
	return true
}

// serve reads queries until the connection has reached its end, and sees to it that those under way are answered.
func (c *conn) serve() {
	var f frames
	defer f.free()
	for {
		err := f.fill(c.nc)
		bad := c.handleAll(&f)
		switch {
		case bad != nil:
			c.srv.counts.malformed.Add(1)
			c.drain()
			c.linger()
			return
		case err == nil:
			continue
		case isTimeout(err):
			if c.extend(&f) {
				continue
			}
			c.drain()
			if f.partial() || c.srv.closing.Load() {
				c.linger()
			}
			return
		case errors.Is(err, io.EOF):
			c.drain() // a client that has ended its side may still read
			return
		default:
			c.cut()
			return
		}
	}
}

// handleAll hands over all messages that are complete, and writes what was answered at once.
func (c *conn) handleAll(f *frames) error {
	began := f.r
	msg, err := f.next()
	if msg != nil {
		c.mu.Lock()
		c.reading = true
		c.mu.Unlock()
		for msg != nil && c.handle(msg) {
			msg, err = f.next()
		}
		c.mu.Lock()
		c.reading = false
		c.flush()
		c.mu.Unlock()
	}
	if f.partial() && (f.r != began || f.since.IsZero()) {
		f.since = time.Now()
	} else if !f.partial() {
		f.since = time.Time{}
	}
	return err
}

// handle hands over one message, as soon as there is room for it. It reports false where the connection has been cut off.
func (c *conn) handle(msg []byte) bool {
	place, turn, ok := c.begin()
	if !ok {
		return false
	}
	c.srv.counts.queries.Add(1)
	(*c.srv.handler.Load())(msg, c.client, c.transport, func(reply []byte) { c.reply(place, turn, reply) })
	return true
}

// extend decides what a deadline that has passed means. Deadlines are not moved with each query, which costs more than to see here
// that there has been one. It reports false where reading is over: after Idle with nothing to answer, or within a frame.
func (c *conn) extend(f *frames) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.sweep(now)
	until := c.idleSince.Add(c.srv.opt.Idle)
	switch {
	case c.dead:
		return false
	case c.srv.closing.Load():
		until = c.srv.parting
	case f.partial():
		until = f.since.Add(c.srv.opt.Idle)
	case c.busy > 0:
		until = now.Add(c.srv.opt.Idle)
	}
	if !until.After(now) {
		if !c.srv.closing.Load() {
			c.srv.counts.timeouts.Add(1)
		}
		return false
	}
	c.nc.SetReadDeadline(until)
	return true
}

// idle reports whether the connection has nothing to answer, and since when.
func (c *conn) idle() (since time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.idleSince, c.busy == 0 && c.pending == 0 && !c.dead
}

// cut ends the connection at once, whatever is under way.
func (c *conn) cut() {
	c.mu.Lock()
	c.cutLocked()
	c.mu.Unlock()
}

func (c *conn) cutLocked() {
	if !c.dead {
		c.dead = true
		c.raw.Close()
		c.tell()
	}
}

// A TCP connection that is closed while input is unread is reset, and the reset may overtake replies and take them from the client.
const (
	lingerTime  = time.Second
	lingerBytes = 256 << 10
)

// linger ends the sending side and reads until the client ends its own, or a bound is met.
func (c *conn) linger() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	if t, ok := c.raw.(*net.TCPConn); ok && c.raw != c.nc {
		t.CloseWrite()
	}
	c.mu.Lock()
	if !c.dead {
		c.nc.SetReadDeadline(time.Now().Add(lingerTime))
	}
	c.mu.Unlock()
	buf := buffers.Get().(*[readBuffer]byte)
	defer buffers.Put(buf)
	for total := 0; total < lingerBytes; {
		n, err := c.nc.Read(buf[:])
		if err != nil {
			return
		}
		total += n
	}
}

// end closes the connection and gives everything back. A panic of the handler is one client's connection, not the server's end.
func (c *conn) end() {
	if p := recover(); p != nil {
		c.srv.opt.Logger.Error("a query panicked", zap.Any("panic", p), zap.Stringer("client", c.client),
			zap.ByteString("stack", debug.Stack()))
		c.cut()
	}
	c.mu.Lock()
	dead := c.dead
	c.dead = true
	if c.wake != nil {
		close(c.wake)
	}
	c.mu.Unlock()
	if !dead {
		c.nc.Close() // TLS says goodbye
	}
	c.writer.Wait()
	c.mu.Lock()
	c.srv.buffered.Add(-int64(c.pending))
	c.pending, c.out, c.spare = 0, nil, nil
	c.mu.Unlock()
	c.srv.leave(c)
}
