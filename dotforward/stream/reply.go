package stream

import (
	"encoding/binary"
	"math"
	"sync"
	"time"

	"github.com/whence-project/whence/dotforward/wire"
)

const (
	defaultAnswer = 10 * time.Second
	mostPipeline  = math.MaxUint16
	mostUnread    = 64 << 10 // bytes of replies that wait for a client before its next query is looked at
	mostPiece     = 64 << 10 // bytes that are to be taken within Options.Write
	mostKept      = 16 << 10 // bytes of a buffer that are kept for the next replies
)

// slot is a query under way.
type slot struct {
	since time.Time
	turn  uint32 // how many queries the slot has had: a reply to an earlier one is nobody's
	busy  bool
}

// begin takes a slot for a query, and waits where the client has as many as it may or does not read its replies. It reports false
// where the connection has been cut off.
func (c *conn) begin() (place uint16, turn uint32, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.dead && (c.busy >= c.srv.opt.MaxPipeline || c.pending > mostUnread) {
		c.await(func() bool { return c.busy < c.srv.opt.MaxPipeline && c.pending <= mostUnread })
	}
	if c.dead {
		return 0, 0, false
	}
	if len(c.unused) == 0 {
		c.unused = append(c.unused, uint16(len(c.slots)))
		c.slots = append(c.slots, slot{})
	}
	place = c.unused[len(c.unused)-1]
	c.unused = c.unused[:len(c.unused)-1]
	s := &c.slots[place]
	s.turn++
	s.since, s.busy = time.Now(), true
	c.busy++
	return place, s.turn, true
}

// finish frees the slot of a query. It reports false if the query has been finished before.
func (c *conn) finish(place uint16, turn uint32) bool {
	s := &c.slots[place]
	if !s.busy || s.turn != turn {
		return false
	}
	s.busy = false
	c.unused = append(c.unused, place)
	if c.busy--; c.busy == 0 {
		c.idleSince = time.Now()
	}
	return true
}

// sweep gives up on queries that nobody has answered for long.
func (c *conn) sweep(now time.Time) {
	if c.busy == 0 {
		return
	}
	for i := range c.slots {
		if s := &c.slots[i]; s.busy && now.Sub(s.since) >= c.srv.opt.Answer {
			c.finish(uint16(i), s.turn)
			c.srv.counts.unanswered.Add(1)
		}
	}
}

// await writes what there is to write, and waits for a change unless that was enough. Queries that time out are a change.
func (c *conn) await(enough func() bool) {
	if c.flush(); c.dead || enough() {
		return
	}
	left := c.srv.opt.Answer
	now := time.Now()
	for i := range c.slots {
		if s := &c.slots[i]; s.busy {
			left = min(left, s.since.Add(c.srv.opt.Answer).Sub(now))
		}
	}
	c.mu.Unlock()
	timer := time.NewTimer(max(left, 0))
	select {
	case <-c.room:
		timer.Stop()
	case <-timer.C:
	}
	c.mu.Lock()
	if left <= 0 || time.Since(now) >= left {
		c.sweep(time.Now())
	}
}

// tell wakes the reader where it waits.
func (c *conn) tell() {
	select {
	case c.room <- struct{}{}:
	default:
	}
}

// drain waits until all queries under way are answered and all replies written.
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading = true
	for !c.dead && (c.busy > 0 || c.pending > 0) {
		c.await(func() bool { return c.busy == 0 && c.pending == 0 })
	}
}

// reply is what the handler calls to answer a query.
func (c *conn) reply(place uint16, turn uint32, msg []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.finish(place, turn) || c.dead {
		return
	}
	defer c.tell()
	if len(msg) < wire.HeaderLen || len(msg) > wire.MaxLen {
		return
	}
	size := prefixLen + len(msg)
	if c.srv.buffered.Add(int64(size)) > c.srv.opt.MaxBuffered && c.pending > mostUnread {
		c.srv.buffered.Add(-int64(size))
		c.srv.counts.slow.Add(1)
		c.cutLocked()
		return
	}
	c.srv.counts.replies.Add(1)
	c.pending += size
	c.out = binary.BigEndian.AppendUint16(c.out, uint16(len(msg)))
	c.out = append(c.out, msg...)
	if c.srv.closing.Load() {
		announceEnd(c.out[len(c.out)-len(msg):])
	}
	if !c.reading && !c.writing {
		c.wakeWriter()
	}
}

var answers = sync.Pool{New: func() any { return new(wire.Answer) }}

// announceEnd makes the keepalive in msg 0 if it has one: the client should close the connection when it has its replies
// (RFC 7828 section 3.2.2).
func announceEnd(msg []byte) {
	a := answers.Get().(*wire.Answer)
	defer answers.Put(a)
	if wire.ScanAnswer(msg, a) != nil || !a.HasOPT() {
		return
	}
	if timeout, ok := wire.Option(a.Options(msg), wire.OptionKeepalive); ok {
		clear(timeout)
	}
}

// wakeWriter sees to it that replies are written which come while the reader waits for queries.
func (c *conn) wakeWriter() {
	if c.wake == nil {
		c.wake = make(chan struct{}, 1)
		c.writer.Go(c.write)
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *conn) write() {
	for range c.wake {
		c.mu.Lock()
		c.flush()
		c.tell()
		c.mu.Unlock()
	}
}

// flush writes what there is, and what comes while it does, unless somebody else is at it. The lock is held, but not while
// writing.
func (c *conn) flush() {
	if c.writing {
		return
	}
	c.writing = true
	for len(c.out) > 0 && !c.dead {
		frames := c.out
		c.out = c.spare[:0]
		c.writeAll(frames)
		if c.spare = frames; cap(frames) > mostKept {
			c.spare = nil
		}
	}
	c.writing = false
}

// writeAll writes piece by piece, each with a deadline of its own: how fast a client must read does not depend on how much it
// asked for.
func (c *conn) writeAll(frames []byte) {
	for len(frames) > 0 && !c.dead {
		piece := frames[:min(len(frames), mostPiece)]
		c.mu.Unlock()
		c.nc.SetWriteDeadline(time.Now().Add(c.srv.opt.Write))
		_, err := c.nc.Write(piece)
		c.srv.buffered.Add(-int64(len(piece)))
		c.mu.Lock()
		c.pending -= len(piece)
		frames = frames[len(piece):]
		if err != nil {
			if !c.dead && isTimeout(err) {
				c.srv.counts.slow.Add(1)
			}
			c.cutLocked()
		}
	}
}
