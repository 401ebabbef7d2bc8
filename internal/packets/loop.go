package packets

import (
	"net"
	"sync"
)

// loop reads one socket, has the handler answer, and writes the answers.
type loop struct {
	group  *Group
	conn   *net.UDPConn
	driver driver
	batch  *Batch

	mu      sync.Mutex // held while the handler is called, so that a change of handler falls between two batches
	changed sync.Cond
	handler Handler
	counts  counts
}

// driver moves the packets of one socket.
type driver interface {
	// run fills the batch, calls serve and writes the replies that serve left, again and again, until the socket is closed.
	run(b *Batch, serve func())
	// send writes one packet to p, from any goroutine.
	send(p Peer, msg []byte) error
	// dropped is how many packets the kernel had no room for.
	dropped() uint64
}

func newLoop(g *Group, c *net.UDPConn, o Options) (*loop, error) {
	l := &loop{group: g, conn: c}
	l.changed.L = &l.mu
	l.batch = newBatch(l, o)
	var err error
	l.driver, err = newDriver(l, o)
	return l, err
}

func (l *loop) run() { l.driver.run(l.batch, l.serve) }

// serve calls the handler. Where there is none the batch waits for one, and the kernel keeps what comes after it.
func (l *loop) serve() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.handler == nil {
		if l.group.closing.Load() {
			return
		}
		l.changed.Wait()
	}
	l.handler.ServePackets(l.batch)
}

func (l *loop) setHandler(h Handler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handler = h
	l.changed.Broadcast()
}

// close closes the socket, and wakes the loop if that waits for a handler instead of for packets; the socket is not given up
// while the loop is at it. The group is closing.
func (l *loop) close() error {
	l.driver.dropped() // which remembers
	l.mu.Lock()
	l.changed.Broadcast()
	l.mu.Unlock()
	return l.conn.Close()
}
