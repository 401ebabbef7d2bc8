package upstream

import (
	"context"
	"encoding/binary"
	"io"
	"net/http"
	"time"
)

// startTending looks after http or udp, from now until the connection is closed.
func (c *conn) startTending() {
	c.s.work.Add(1)
	go c.tend()
	if c.http == nil {
		return
	}
	// The hook is called with locks held that are none of ours, and may be called from reserve.
	c.http.SetStateHook(func(*http.ClientConn) { c.wakeWriter() })
	c.wakeWriter()
}

// tend follows the state of http: how many requests it takes, that it takes no more, that it has ended.
func (c *conn) tend() {
	defer c.s.work.Done()
	for range c.wake {
		c.mu.Lock()
		closed := c.state == connClosed
		c.mu.Unlock()
		if closed {
			if c.http != nil {
				c.http.Close()
			}
			c.close()
			return
		}
		if c.udp != nil {
			continue
		}
		if c.http.Err() != nil {
			c.fail(failLost, io.ErrUnexpectedEOF)
			continue
		}
		busy := c.http.InFlight()
		free := c.http.Available()
		if free == 0 && busy == 0 {
			c.leave() // GOAWAY
			continue
		}
		c.takeLimit(free, busy)
		if c.s.queued.Load() > 0 {
			c.s.drain()
		}
	}
}

// reserve makes sure of a place for a request. Those of queries that nobody waits for any more count, until they end at their
// deadlines: to reset them would look like an attack to many servers. c.mu is held.
func (c *conn) reserve() bool {
	if c.udp != nil {
		return c.udp.reserve(c.s.o.MaxInFlight)
	}
	if c.http == nil {
		return true
	}
	if c.http.InFlight() < c.s.o.MaxInFlight && c.http.Reserve() == nil {
		return true
	}
	c.wakeWriter()
	return false
}

// exchange asks one query, and waits for the answer until the deadline.
func (c *conn) exchange(a *ask, id uint16) {
	defer c.s.work.Done()
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(a.deadline-now()))
	defer cancel()
	reply, kind, err := c.one(ctx, a)
	switch {
	case err == nil:
		binary.BigEndian.PutUint16(reply, id)
		c.handle(reply, now())
		if c.answers.Load() == 1 {
			c.wakeWriter() // the settings are known
		}
	case ctx.Err() != nil: // the wheel tells the ask
	case c.http != nil && c.http.Err() != nil:
		c.fail(failLost, err)
	default:
		c.refused(id, kind, err)
	}
	if c.s.queued.Load() > 0 {
		c.s.drain()
	}
	c.endIfLeft()
}

// one asks the query as the connection does that.
func (c *conn) one(ctx context.Context, a *ask) (reply []byte, kind failure, err error) {
	if c.udp != nil {
		defer c.udp.release()
		return c.udp.ask(ctx, c.s, a.frame, a.question)
	}
	return c.s.http.post(ctx, c.http, a.frame[2:])
}

// refused is for a request that failed, not the connection. The server may say so and be fine but for this query, and where it takes
// no more requests here, the query goes to it by another connection.
func (c *conn) refused(id uint16, kind failure, err error) {
	a := c.pop(id)
	if a == nil {
		return
	}
	gone := c.http != nil && kind == failLost && c.http.Available() == 0
	if gone {
		c.leave()
	} else {
		c.quiet.Store(now())
		c.s.failed(kind, err)
	}
	a.lost(c.s, c, id, err, gone)
}
