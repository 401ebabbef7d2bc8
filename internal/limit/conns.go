package limit

import (
	"net/netip"
	"sync"
)

// Conns counts what clients hold at the same time: connections, queries under way. Its memory is bounded by the limit in all.
// The zero Conns is ready; it is safe for concurrent use.
type Conns struct {
	mu       sync.Mutex
	all      int
	byClient map[netip.Addr]int
}

// Acquire counts one more of client, the first address of its network (see [Network.Of]), unless that were more than most in
// all or mostPerClient; 0 is no limit. Who was let in calls Release.
func (c *Conns) Acquire(client netip.Addr, most, mostPerClient int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if most > 0 && c.all >= most {
		return false
	}
	n := c.byClient[client]
	if mostPerClient > 0 && n >= mostPerClient {
		return false
	}
	if c.byClient == nil {
		c.byClient = make(map[netip.Addr]int)
	}
	c.byClient[client] = n + 1
	c.all++
	return true
}

// Release gives back what Acquire counted, with the same client.
func (c *Conns) Release(client netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if n := c.byClient[client]; n > 1 {
		c.byClient[client] = n - 1
	} else {
		delete(c.byClient, client)
	}
}

// Open is how many are counted now.
func (c *Conns) Open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all
}
