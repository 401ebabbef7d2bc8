package stream

import (
	"errors"
	"os"
	"sync/atomic"
)

// counts are what has happened since the server was made.
type counts struct {
	accepted, refused, evicted              atomic.Uint64
	full, resumed, handshakeErrors          atomic.Uint64
	queries, replies, unanswered, malformed atomic.Uint64
	timeouts, slow                          atomic.Uint64
}

// Stats are counts of a server since it was made, but for Open and Buffered, which are of now.
type Stats struct {
	Open     int   // connections
	Buffered int64 // bytes of replies that wait for clients to read

	Accepted uint64 // connections that were let in
	Refused  uint64 // connections that were not: too many, and none of them idle, or the server was being shut down
	Evicted  uint64 // idle connections that were closed to let another in

	Handshakes      uint64 // of TLS, those resumed included
	Resumed         uint64
	HandshakeErrors uint64

	Queries    uint64
	Replies    uint64
	Unanswered uint64 // queries that the handler had not answered within Options.Answer
	Malformed  uint64 // connections closed because of a frame that is none
	Timeouts   uint64 // connections closed as idle, or within a frame
	Slow       uint64 // connections cut off because the client did not read
}

// Stats counts what the server has seen.
func (s *Server) Stats() Stats {
	n := &s.counts
	resumed := n.resumed.Load()
	return Stats{
		Open: s.conns.Open(), Buffered: s.buffered.Load(),
		Accepted: n.accepted.Load(), Refused: n.refused.Load(), Evicted: n.evicted.Load(),
		Handshakes: n.full.Load() + resumed, Resumed: resumed, HandshakeErrors: n.handshakeErrors.Load(),
		Queries: n.queries.Load(), Replies: n.replies.Load(), Unanswered: n.unanswered.Load(), Malformed: n.malformed.Load(),
		Timeouts: n.timeouts.Load(), Slow: n.slow.Load(),
	}
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
