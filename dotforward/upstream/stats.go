package upstream

import (
	"sync/atomic"
	"time"
)

// LatencyBuckets is how many buckets the histogram of latencies has: bucket i counts answers that took less than 2^i µs (and not
// less than half of it), the last one all that took longer.
const LatencyBuckets = 25

type counters struct {
	queries, answers, servfail, unknown, probes atomic.Uint64
	connects, full, resumed                     atomic.Uint64
	failures                                    [failures]atomic.Uint64
	latency                                     [LatencyBuckets]atomic.Uint64
}

// Stats are counts of a server since it was made; Up, Conns, InFlight, Queued and Average are of now.
type Stats struct {
	Up       bool
	Conns    int // that take queries
	InFlight int // queries on them
	Queued   int // queries that wait for a connection
	Average  time.Duration

	Queries  uint64 // sent, probes included; a query that was moved counts twice
	Answers  uint64
	ServFail uint64 // of the answers
	Unknown  uint64 // replies to nothing: mostly late ones
	Probes   uint64

	Connects, Handshakes, Resumed uint64 // Resumed of the Handshakes (TLS)

	Failures map[string]uint64 // by kind: resolve, dial, tls, lost, silent, timeout, format, mismatch, http
	Latency  [LatencyBuckets]uint64
}

// Stats are what was measured of the server. The counts are not of one instant.
func (s *Server) Stats() Stats {
	resumed := s.stats.resumed.Load()
	st := Stats{
		Up: !s.isDown(), Queued: int(s.queued.Load()), Average: time.Duration(s.latency.Load()),
		Queries: s.stats.queries.Load(), Answers: s.stats.answers.Load(), ServFail: s.stats.servfail.Load(),
		Unknown: s.stats.unknown.Load(), Probes: s.stats.probes.Load(),
		Connects: s.stats.connects.Load(), Handshakes: s.stats.full.Load() + resumed, Resumed: resumed,
		Failures: make(map[string]uint64, failures-1),
	}
	for _, c := range *s.conns.Load() {
		st.Conns++
		st.InFlight += int(c.load.Load())
	}
	for kind := failNone + 1; kind < failures; kind++ {
		st.Failures[failureNames[kind]] = s.stats.failures[kind].Load()
	}
	for i := range st.Latency {
		st.Latency[i] = s.stats.latency[i].Load()
	}
	return st
}
