package packets

import "sync/atomic"

// Counters of a [Group] since it was opened.
type Counters struct {
	Batches       uint64 // batches read; Received over Batches is how well batching works
	Received      uint64 // packets shown to handlers
	ReceivedBytes uint64
	Sent          uint64 // replies of batches and of [Peer.Write]
	SentBytes     uint64
	Oversized     uint64 // packets longer than MaxPacket, dropped
	Dropped       uint64 // packets that the kernel had no room for; 0 where the system does not tell
	ReadErrors    uint64 // reads that failed, other than for want of a packet
	SendErrors    uint64 // replies that the system would not send: no route, a firewall
}

// counts are those of one loop. What the loop itself counts and what others count lie on different cache lines, and apart from
// those of the next loop.
type counts struct {
	_                                                            [64]byte
	batches, received, receivedBytes, sent, sentBytes, oversized atomic.Uint64
	readErrors, sendErrors                                       atomic.Uint64
	_                                                            [64]byte
	later, laterBytes, laterErrors                               atomic.Uint64
	_                                                            [64]byte
}

// wrote counts a reply that did not wait for its batch.
func (c *counts) wrote(n int, err error) {
	if err != nil {
		c.laterErrors.Add(1)
		return
	}
	c.later.Add(1)
	c.laterBytes.Add(uint64(n))
}

// tally is what one round of a loop adds to its counts.
type tally struct{ packets, bytes, sent, sentBytes, failed int }

func (c *counts) add(t *tally) {
	c.batches.Add(1)
	c.received.Add(uint64(t.packets))
	c.receivedBytes.Add(uint64(t.bytes))
	if t.sent > 0 {
		c.sent.Add(uint64(t.sent))
		c.sentBytes.Add(uint64(t.sentBytes))
	}
	if t.failed > 0 {
		c.sendErrors.Add(uint64(t.failed))
	}
}

// Counters are the sums over the group's sockets. They are not of one instant.
func (g *Group) Counters() Counters {
	var sum Counters
	for _, l := range g.loops {
		c := &l.counts
		sum.Batches += c.batches.Load()
		sum.Received += c.received.Load()
		sum.ReceivedBytes += c.receivedBytes.Load()
		sum.Sent += c.sent.Load() + c.later.Load()
		sum.SentBytes += c.sentBytes.Load() + c.laterBytes.Load()
		sum.Oversized += c.oversized.Load()
		sum.Dropped += l.driver.dropped()
		sum.ReadErrors += c.readErrors.Load()
		sum.SendErrors += c.sendErrors.Load() + c.laterErrors.Load()
	}
	return sum
}
