package upstream

import (
	"crypto/tls"
	"time"
)

const (
	checks      = 8                       // times that a connection is looked at within Options.Silence
	mostWaiting = int64(10 * time.Second) // for answers on a connection that is being left
	partingTime = 100 * time.Millisecond
)

// keepalive takes over the idle timeout of the server; 0 asks us to go (RFC 7828 §3.4). It is looked for now and then: servers say it
// in every reply, and it is always the same.
func (c *conn) keepalive(reply []byte) {
	if n, ok := keepaliveOf(reply); ok && n > 0 {
		c.idle.Store(int64(n) * int64(100*time.Millisecond))
	} else if ok {
		c.leave()
	}
}

// leave sends no more queries here, and closes the connection when those under way are answered.
func (c *conn) leave() {
	c.s.retire(c)
	c.mu.Lock()
	if c.state == connOpen {
		c.state, c.left = connLeaving, now()
		c.leaving.Store(true)
	}
	c.mu.Unlock()
	c.endIfLeft()
}

// endIfLeft closes a connection that is being left when nothing is under way on it any more.
func (c *conn) endIfLeft() {
	if c.leaving.Load() && c.load.Load() == 0 {
		c.fail(failNone, errReset)
	}
}

// check looks after a connection: whether it has fallen silent, is unused, or may go.
func (c *conn) check() {
	t, silence := now(), int64(c.s.o.Silence)
	c.mu.Lock()
	if c.state == connClosed {
		c.mu.Unlock()
		return
	}
	quiet := t - c.quiet.Load()
	busy := c.load.Load() > 0
	open := c.state == connOpen
	giveUp := busy && !c.gaveUp && quiet >= silence-silence/checks
	c.gaveUp = c.gaveUp || giveUp
	ping := !giveUp && open && busy && quiet >= silence/2-silence/checks && c.pinged <= t-quiet
	if ping {
		c.pinged = t
	}
	closing := !busy && (!open || quiet >= c.idle.Load()) || !open && t-c.left >= mostWaiting
	if !closing {
		c.timer.Reset(c.s.o.Silence / checks)
	}
	c.mu.Unlock()
	if c.s.queued.Load() > 0 {
		c.s.drain()
	}
	switch {
	case giveUp:
		c.giveUp()
	case ping:
		c.ping(t)
	case closing && !busy:
		c.s.retire(c)
		c.fail(failNone, errReset)
	case closing:
		c.fail(failNone, errSilent)
	}
}

// giveUp moves the queries of a silent connection elsewhere. It stays, for answers that are only late.
func (c *conn) giveUp() {
	c.leave()
	c.s.failed(failSilent, errSilent)
	type place struct {
		a  *ask
		id uint16
	}
	var waiting []place
	c.mu.Lock()
	for id, slot := range c.byID {
		if slot != 0 {
			waiting = append(waiting, place{c.slots[slot-1], uint16(id)})
		}
	}
	c.mu.Unlock()
	for _, p := range waiting {
		p.a.givenUp(c, p.id)
	}
}

// fail ends a connection at once. Its queries go elsewhere; that it was closed between two answers is no fault of the server.
func (c *conn) fail(kind failure, err error) {
	c.mu.Lock()
	if c.state == connClosed {
		c.mu.Unlock()
		return
	}
	leaving := c.state == connLeaving
	c.state = connClosed
	if c.timer != nil {
		c.timer.Stop()
	}
	waiting := make(map[uint16]*ask, c.load.Load())
	for id, slot := range c.byID {
		if slot != 0 {
			waiting[uint16(id)] = c.popLocked(uint16(id))
		}
	}
	c.mu.Unlock()
	c.wakeWriter()
	c.s.forget(c)
	if kind == failNone {
		time.AfterFunc(partingTime, c.close) // unless the writer was sooner
	} else {
		c.close()
	}
	if kind != failNone && !leaving && len(waiting) > 0 && (kind != failLost || c.answers.Load() == 0) {
		c.s.failed(kind, err)
	}
	for id, a := range waiting {
		a.lost(c.s, c, id, because(errReset, err), true)
	}
}

// hangUp closes the connection as TLS wants it. The writer does it, which nothing else waits for.
func (c *conn) hangUp() {
	if t, ok := c.nc.(*tls.Conn); ok {
		t.CloseWrite()
	}
	c.raw.Close()
}
