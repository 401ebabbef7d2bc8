//go:build linux

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// sources is how many addresses of 127.0.1.0/24 the clients come from, so that no pair of addresses runs out of ports.
const sources = 16

// load asks one query per connection: connect, write, read to the end, close. The clients are event loops on bare system calls,
// the lightest there are, since they share the processors with the server.
type load struct {
	addr    netip.AddrPort
	queries []query
	clients int // connections at the same time
	timeout time.Duration
	check   func(q *query, answer []byte) error
}

// loadResult is how a load went.
type loadResult struct {
	elapsed time.Duration
	latency []time.Duration // of each query, sorted
	bytes   int64           // of the answers
	failed  int64
	first   error // the first failure
}

func (r *loadResult) quantile(q float64) time.Duration {
	return r.latency[int(q*float64(len(r.latency)-1))]
}

// loadLoop is one event loop.
type loadLoop struct {
	*load
	epoll int
	next  *atomic.Int64
	res   *loadResult
	mu    *sync.Mutex
	conns map[int32]*loadConn
}

// loadConn is one client, and the connection of its query.
type loadConn struct {
	fd     int
	index  int
	sent   bool
	since  time.Time
	answer []byte
}

// run asks all queries, once each.
func (l *load) run() *loadResult {
	res := &loadResult{latency: make([]time.Duration, len(l.queries))}
	var next atomic.Int64
	var mu sync.Mutex
	var wg sync.WaitGroup
	threads := min(runtime.NumCPU(), 4, l.clients)
	start := time.Now()
	for t := range threads {
		clients := l.clients / threads
		if t < l.clients%threads {
			clients++
		}
		loop := &loadLoop{load: l, next: &next, res: res, mu: &mu, conns: make(map[int32]*loadConn)}
		wg.Go(func() { loop.run(clients) })
	}
	wg.Wait()
	res.elapsed = time.Since(start)
	slices.Sort(res.latency)
	return res
}

func (l *loadLoop) run(clients int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var err error
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		l.fail(err)
		return
	}
	defer unix.Close(l.epoll)
	for range clients {
		l.ask(&loadConn{answer: make([]byte, 0, 16<<10)})
	}
	events := make([]unix.EpollEvent, 256)
	for len(l.conns) > 0 {
		n, err := unix.EpollWait(l.epoll, events, 1000)
		if err != nil && err != unix.EINTR {
			l.fail(err)
			return
		}
		if n == 0 {
			l.expire()
		}
		for _, e := range events[:max(n, 0)] {
			if c := l.conns[e.Fd]; c != nil {
				l.event(c, e.Events)
			}
		}
	}
}

// ask starts the client's next query. One that cannot be started has failed, and the one after it is tried.
func (l *loadLoop) ask(c *loadConn) {
	for {
		i := l.next.Add(1) - 1
		if i >= int64(len(l.queries)) {
			return
		}
		c.index, c.sent, c.answer, c.since = int(i), false, c.answer[:0], time.Now()
		err := l.connect(c)
		if err == nil {
			l.conns[int32(c.fd)] = c
			return
		}
		l.fail(err)
	}
}

func (l *loadLoop) connect(c *loadConn) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	c.fd = fd
	source := [4]byte{127, 0, 1, byte(1 + c.index%sources)}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: source}),
	)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(l.addr.Port()), Addr: l.addr.Addr().As4()})
	}
	if err == nil || err == unix.EINPROGRESS {
		err = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd,
			&unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLET&0xffffffff, Fd: int32(fd)})
	}
	if err != nil {
		unix.Close(fd)
		return fmt.Errorf("connecting: %w", err)
	}
	return nil
}

func (l *loadLoop) event(c *loadConn, events uint32) {
	if !c.sent {
		if events&unix.EPOLLOUT == 0 {
			return
		}
		if _, err := unix.Write(c.fd, l.queries[c.index].line); err != nil {
			l.end(c, fmt.Errorf("writing: %w", err))
			return
		}
		c.sent = true
	}
	for {
		n, err := unix.Read(c.fd, c.answer[len(c.answer):cap(c.answer)])
		switch {
		case err == unix.EAGAIN:
			return
		case err != nil:
			l.end(c, fmt.Errorf("reading: %w", err))
			return
		case n == 0:
			l.end(c, nil)
			return
		}
		if c.answer = c.answer[:len(c.answer)+n]; len(c.answer) == cap(c.answer) {
			l.end(c, errors.New("an answer of more than 16 KiB"))
			return
		}
	}
}

// end closes the connection, looks at the answer, and has the client ask again.
func (l *loadLoop) end(c *loadConn, err error) {
	delete(l.conns, int32(c.fd))
	unix.Close(c.fd)
	l.res.latency[c.index] = time.Since(c.since)
	if err == nil {
		err = l.check(&l.queries[c.index], c.answer)
	}
	if err != nil {
		l.fail(err)
	} else {
		atomic.AddInt64(&l.res.bytes, int64(len(c.answer)))
	}
	l.ask(c)
}

// expire ends what takes longer than the timeout.
func (l *loadLoop) expire() {
	var late []*loadConn
	for _, c := range l.conns {
		if time.Since(c.since) > l.timeout {
			late = append(late, c)
		}
	}
	for _, c := range late {
		l.end(c, errors.New("timeout"))
	}
}

func (l *loadLoop) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.res.failed++; l.res.first == nil {
		l.res.first = err
	}
}
