package upstream

import (
	"fmt"
	"math/bits"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	downFails    = 3                      // faults in a row, at least
	downAfter    = int64(2 * time.Second) // for as long, at least, until a server is down: a restart is shorter
	firstProbe   = 250 * time.Millisecond // from down to the first probe; doubled each time
	mostProbe    = 5 * time.Second        // between probes
	probeTimeout = int64(3 * time.Second) // for a connection and an answer
)

// failure is a kind of fault.
type failure uint8

const (
	failNone failure = iota
	failResolve
	failDial
	failTLS
	failLost
	failSilent
	failTimeout
	failFormat
	failMismatch
	failHTTP
	failures
)

var failureNames = [failures]string{"", "resolve", "dial", "tls", "lost", "silent", "timeout", "format", "mismatch", "http"}

// Event is a change of a server's health. Err is why it is down.
type Event struct {
	Server *Server
	Up     bool
	Err    error
}

// health breaks the circuit to a server that fails: while it is down, pools pass it over, and probes alone find out when it is
// back. Its mutex is taken last.
type health struct {
	query []byte // what probes ask

	fails   atomic.Int32 // faults since the last answer
	down    atomic.Bool
	probing atomic.Bool

	mu      sync.Mutex
	since   int64 // the first of them
	stopped bool
	backoff time.Duration
	timer   *time.Timer
}

func (s *Server) isDown() bool { return s.health.down.Load() }

// failed notes a fault.
func (s *Server) failed(kind failure, err error) {
	h := &s.health
	s.stats.failures[kind].Add(1)
	t := now()
	h.mu.Lock()
	n := h.fails.Add(1)
	if n == 1 {
		h.since = t
	}
	down := n >= downFails && t-h.since >= downAfter && !h.stopped && h.down.CompareAndSwap(false, true)
	if down {
		h.backoff = firstProbe
		h.schedule(s)
	}
	h.mu.Unlock()
	if down && s.o.OnEvent != nil {
		s.o.OnEvent(Event{Server: s, Err: err})
	}
}

// answered notes an answer: the server is up.
func (s *Server) answered(reply []byte, t, latency int64) {
	s.stats.answers.Add(1)
	if rcode(reply) == rcodeServFail {
		s.stats.servfail.Add(1)
	}
	s.stats.latency[min(bits.Len64(uint64(latency)/1000), LatencyBuckets-1)].Add(1)
	s.average(latency)
	s.sampled.Store(t)
	h := &s.health
	if h.fails.Load() == 0 {
		return
	}
	h.mu.Lock()
	h.fails.Store(0)
	up := !h.stopped && h.down.CompareAndSwap(true, false)
	h.mu.Unlock()
	if up && s.o.OnEvent != nil {
		s.o.OnEvent(Event{Server: s, Up: true})
	}
}

// average takes a latency into the moving average. Two readers may lose a sample to one another; it is an average.
func (s *Server) average(latency int64) {
	old := s.latency.Load()
	if old == 0 {
		s.latency.Store(max(latency, 1))
		return
	}
	s.latency.Store(max(old+(latency-old)/8, 1))
}

// slow takes into the average that an answer takes longer than so.
func (s *Server) slow(waited int64) {
	if waited > s.latency.Load() {
		s.average(waited)
	}
}

// schedule has the server probed after the back-off. The mutex is held.
func (h *health) schedule(s *Server) {
	if h.timer == nil {
		h.timer = time.AfterFunc(h.backoff, s.probe)
	} else {
		h.timer.Reset(h.backoff)
	}
	h.backoff = min(2*h.backoff, mostProbe)
}

// stop is for a server that is closed: pools pass it over, and nothing brings it back.
func (h *health) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	h.down.Store(true)
	if h.timer != nil {
		h.timer.Stop()
	}
}

// probe asks the server for something that it knows, if it is not being asked already. While it is down there is always a next
// probe.
func (s *Server) probe() {
	if !s.health.probing.CompareAndSwap(false, true) {
		return
	}
	a := s.newProbe(func() {
		h := &s.health
		h.probing.Store(false)
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.down.Load() && !h.stopped {
			h.schedule(s)
		}
	})
	a.start(now())
}

func (s *Server) newProbe(done func()) *ask {
	s.stats.probes.Add(1)
	s.prober.pending.Add(1)
	a, err := newAsk(s.prober, s.health.query, now()+probeTimeout, func([]byte, *Server, error) { done() })
	if err != nil {
		panic(err) // the query is of our making
	}
	a.once = true
	return a
}

// ping asks for the same on this very connection, to tell a slow name from a dead connection.
func (c *conn) ping(t int64) {
	a := c.s.newProbe(func() {})
	a.mu.Lock()
	if c.send(a, t) {
		a.p.wheel.set(a, a.deadline)
	} else {
		a.finish(nil, nil, errReset)
	}
	a.unlock()
}

// probeQuery is a query for the NS records of a name.
func probeQuery(name string) ([]byte, error) {
	q := []byte{0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	if name = strings.TrimSuffix(name, "."); name != "" {
		for label := range strings.SplitSeq(name, ".") {
			if label == "" || len(label) > 63 || len(name) > 253 {
				return nil, fmt.Errorf("%q is not a domain name", name)
			}
			q = append(append(q, byte(len(label))), label...)
		}
	}
	return append(q, 0, 0, 2, 0, 1), nil
}
