package upstream

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	mostKept  = 1 << 18 // bytes of a write buffer that are kept for the next burst
	mostOut   = 1 << 21 // bytes that wait to be written to a peer that does not read
	mostFrame = 2 + 0xffff
)

type connState uint8

const (
	connOpen    connState = iota
	connLeaving           // takes no queries, and closes when it has answered those it has
	connClosed
)

// link is what a connection goes over.
type link struct {
	raw  net.Conn // what nc reads and writes
	nc   net.Conn
	http *http.ClientConn // over nc; nil: DNS messages are written to nc as they are
	udp  *datagrams       // instead of all these
}

// conn is a connection to a server: queries are pipelined and answered in any order (RFC 7766 §6.2.1.1, §7).
type conn struct {
	s *Server
	link
	wake  chan struct{} // one place: there is something to write, or the state of http has changed
	load  atomic.Int32  // queries in flight
	most  atomic.Int32  // of them
	quiet atomic.Int64  // since when there was no answer: the last one, or the first query after none was in flight
	idle  atomic.Int64  // how long it may be unused

	leaving atomic.Bool // state is not connOpen; to look at without the lock

	mu      sync.Mutex
	state   connState
	slots   []*ask
	free    []uint16 // slots
	out     []byte   // frames to write
	pinged  int64    // when
	left    int64    // when it was left
	gaveUp  bool     // on the answers of those that are in flight
	timer   *time.Timer
	answers atomic.Uint64
	byID    [1 << 16]uint16 // slot plus one; last, where the garbage collector does not look
}

// serve starts what a connection lives by.
func (s *Server) serve(l link) bool {
	c := &conn{s: s, link: l, wake: make(chan struct{}, 1)}
	c.most.Store(int32(s.o.MaxInFlight))
	c.quiet.Store(now())
	c.idle.Store(int64(s.o.Idle))
	if c.http != nil {
		c.takeLimit(c.http.Available(), 0)
	}
	if !s.add(c) {
		return false
	}
	if c.http != nil || c.udp != nil {
		c.startTending()
	} else {
		s.work.Add(2)
		go c.write()
		go c.read()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != connClosed {
		c.timer = time.AfterFunc(s.o.Silence/checks, c.check)
	}
	return true
}

// send puts an ask, whose lock is held, on the wire. It is refused where the connection has no room or is being left.
func (c *conn) send(a *ask, t int64) bool {
	c.mu.Lock()
	if c.state != connOpen || len(c.slots)-len(c.free) >= int(c.most.Load()) || len(c.out) > mostOut || !c.reserve() {
		c.mu.Unlock()
		return false
	}
	if len(c.free) == 0 {
		c.free = append(c.free, uint16(len(c.slots)))
		c.slots = append(c.slots, nil)
	}
	slot := c.free[len(c.free)-1]
	c.free = c.free[:len(c.free)-1]
	id := uint16(rand.Uint32())
	for c.byID[id] != 0 {
		id = uint16(rand.Uint32())
	}
	c.slots[slot], c.byID[id] = a, slot+1
	if c.load.Add(1) == 1 {
		c.quiet.Store(t)
	}
	first := false
	if c.http != nil || c.udp != nil {
		c.s.work.Add(1) // while the connection is open: it is not the first
		go c.exchange(a, id)
	} else {
		at := len(c.out)
		first = at == 0
		c.out = append(c.out, a.frame...)
		binary.BigEndian.PutUint16(c.out[at+2:], id)
	}
	c.mu.Unlock()
	a.attempts = append(a.attempts, attempt{s: c.s, c: c, id: id, live: true, sent: t})
	c.s.stats.queries.Add(1)
	if first {
		c.wakeWriter()
	}
	return true
}

func (c *conn) wakeWriter() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// pop frees the slot of an ID, nil if nothing was asked with it.
func (c *conn) pop(id uint16) *ask {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.popLocked(id)
}

func (c *conn) popLocked(id uint16) *ask {
	slot := c.byID[id]
	if slot == 0 {
		return nil
	}
	a := c.slots[slot-1]
	c.slots[slot-1], c.byID[id] = nil, 0
	c.free = append(c.free, slot-1)
	c.load.Add(-1)
	return a
}

// cancel frees the slot of an ID if it is still a's.
func (c *conn) cancel(id uint16, a *ask) {
	c.mu.Lock()
	if slot := c.byID[id]; slot != 0 && c.slots[slot-1] == a {
		c.popLocked(id)
	}
	c.mu.Unlock() // the lock of an ask is held: the room is for check to give to those that wait
}

// write writes what has gathered, in one go.
func (c *conn) write() {
	defer c.s.work.Done()
	var spare []byte
	for range c.wake {
		c.mu.Lock()
		if c.state == connClosed {
			c.mu.Unlock()
			c.hangUp()
			return
		}
		frames := c.out
		c.out = spare[:0]
		c.mu.Unlock()
		if len(frames) > 0 {
			if _, err := c.nc.Write(frames); err != nil {
				c.fail(failLost, err)
				return
			}
		}
		if spare = frames; cap(spare) > mostKept {
			spare = nil
		}
	}
}

// read reads replies until the connection ends.
func (c *conn) read() {
	defer c.s.work.Done()
	buf := make([]byte, mostFrame)
	r, w := 0, 0
	for {
		n, err := c.nc.Read(buf[w:])
		w += n
		t := now()
		for w-r >= 2 {
			size := int(binary.BigEndian.Uint16(buf[r:]))
			if size < headerSize {
				c.fail(failFormat, errFrame)
				return
			}
			if w-r < 2+size {
				break
			}
			c.handle(buf[r+2:r+2+size:r+2+size], t)
			r += 2 + size
		}
		if c.s.queued.Load() > 0 {
			c.s.drain()
		}
		c.endIfLeft()
		if err != nil {
			if err == io.EOF && w > r {
				err = io.ErrUnexpectedEOF
			}
			c.fail(failLost, err)
			return
		}
		if r == w {
			r, w = 0, 0
		} else if len(buf)-r < mostFrame {
			w = copy(buf, buf[r:w])
			r = 0
		}
	}
}

// handle is one reply, valid during the call.
func (c *conn) handle(reply []byte, t int64) {
	id := binary.BigEndian.Uint16(reply)
	a := c.pop(id)
	switch {
	case a == nil:
		c.s.stats.unknown.Add(1) // late, or never asked
	case answers(reply, a.question):
		c.quiet.Store(t)
		if n := c.answers.Add(1); n&63 == 1 && c.http == nil && c.udp == nil {
			c.keepalive(reply)
		}
		a.answered(c, id, reply, t)
	case reply[2]&0x80 != 0 && binary.BigEndian.Uint16(reply[4:]) == 0 && rcode(reply) != 0:
		c.quiet.Store(t)
		c.s.failed(failFormat, errRefused)
		a.lost(c.s, c, id, errRefused, false)
	default:
		c.s.failed(failMismatch, errMismatch)
		a.lost(c.s, c, id, errMismatch, false)
	}
}
