// Package upstream asks DNS servers over TLS (RFC 7858), in wire form: connections that are kept and pipelined, pools of servers
// under a policy, health. Nothing here falls back to DNS without encryption: a pool is of one protocol, and plain DNS is only
// for who builds a plain server ([NewPlain]). DNS over HTTPS (RFC 8484) is there too ([NewDoH]).
//
// A [Server] has the connections and outlives the [Pool]s that use it, so that a reload that changes policies opens none. A
// query is an ask: a small state machine that has attempts under way on connections, and is moved by replies, by connections
// that fail, and by a timing wheel. There is no goroutine for a query: a connection has a reader, which calls back with the
// replies, and a writer, which packs what has gathered into as few TLS records as it can. Over HTTPS and
// over UDP each query has a goroutine, since net/http and a socket of its own want it so; Options.MaxInFlight bounds them.
//
// Locks are taken in one order: an ask's, a server's, then a connection's or the wheel's.
package upstream

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrQuery is for a message that is not a query with exactly one question and opcode QUERY.
	ErrQuery = errors.New("not a DNS query with one question")
	// ErrOverload is for more queries at once than the pool takes.
	ErrOverload = errors.New("too many queries are waiting for the upstream servers")
	// ErrTimeout is for a query whose deadline passed, or was too near for another attempt. The last fault is wrapped beside it.
	ErrTimeout = errors.New("no upstream server answered in time")
	// ErrDown is for a pool without a server that is up; it is known at once. The last fault is wrapped beside it.
	ErrDown = errors.New("no upstream server is up")
	// ErrBroken is for a query under which connections break, again and again. The last fault is wrapped beside it.
	ErrBroken = errors.New("connections to the upstream servers break")
	// ErrClosed is for queries to what was closed.
	ErrClosed = errors.New("the upstream is closed")

	errSilent   = errors.New("connection gave no answers")
	errReset    = errors.New("connection lost")
	errMismatch = errors.New("reply to another question")
	errRefused  = errors.New("error reply without the question")
	errFrame    = errors.New("malformed reply")
	errBusy     = errors.New("server has too many queries waiting")
	errServer   = errors.New("server is down")
)

// Reply is what one server said.
type Reply struct {
	From *Server
	Msg  []byte
}

// DisagreeError says that a quorum was not reached: the servers said different things, or too few said anything. Replies are
// those that were usable, in the order in which they came; they may be kept.
type DisagreeError struct {
	Want    int
	Replies []Reply
}

func (e *DisagreeError) Error() string {
	names := make([]string, len(e.Replies))
	for i, r := range e.Replies {
		names[i] = r.From.String()
	}
	return fmt.Sprintf("no %d upstream servers agree; replies came from %s", e.Want, strings.Join(names, ", "))
}

// because joins what happened with the fault that led to it, if there is one.
func because(err, cause error) error {
	if cause == nil {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
