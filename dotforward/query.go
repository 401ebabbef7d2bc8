package dotforward

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/whence-project/whence/dotforward/cache"
	"github.com/whence-project/whence/dotforward/wire"
)

// Transport is how a query came.
type Transport uint8

// The transports.
const (
	UDP   Transport = iota // RFC 1035
	TCP                    // RFC 7766
	TLS                    // RFC 7858
	HTTPS                  // RFC 8484
	transports
)

func (t Transport) String() string { return [...]string{"udp", "tcp", "tls", "https"}[t] }

// Encrypted reports whether nobody on the path can read it.
func (t Transport) Encrypted() bool { return t == TLS || t == HTTPS }

// stream reports whether replies have no limit but that of a message, and connections an idle timeout of their own (RFC 7828).
func (t Transport) stream() bool { return t == TCP || t == TLS }

// Query is one query on its way through the stages. What it gives out is valid until the handler returns, or until Resume where
// it paused. It is used by one goroutine at a time.
type Query struct {
	s         *Server
	worker    *worker // whose loop it came on, nil once it is off it
	tally     *tally
	client    netip.AddrPort
	transport Transport
	outcome   Outcome
	parsed    wire.Verdict
	came, now time.Time
	msg       []byte
	wire      wire.Query

	// The way through the stages.
	stage   Stage
	next    int // the handler of the stage that is to run
	parking atomic.Int32
	resumed Verdict
	noted   bool // a Stable handler did more than let the query pass
	trial   bool // see Server.Explain
	stable  bool // what Stable handlers say of it is known: they let it pass

	// What the cache knows.
	zone    *Zone // a route's, nil for the default servers
	looked  bool  // key, hit and found hold, the last in buf
	key     cache.Key
	hit     cache.Hit
	found   int
	waiting atomic.Bool // for the first of an answer and the stale timer
	timer   *time.Timer

	// The reply.
	buf     []byte // what replies are written into
	reply   []byte // nil as long as there is none
	ede     uint16
	edeText string
	tags    []string
	answer  wire.Answer
	scanned bool // answer is of reply

	// Where the reply goes, and whose memory all is in.
	origin  origin
	respond func(reply []byte) // where the query came by ServeMessage
	owned   bool               // it waits or has waited: msg is in memory
	kept    bool               // somebody else may still hold it: it must not be used again
	memory  []byte
	lent    *[bufferSize]byte
}

// reset makes q a new query. What is long, and what has memory to be used again, stays.
func (q *Query) reset(msg []byte, client netip.AddrPort, t Transport, now time.Time, buf []byte) {
	q.msg, q.client, q.transport, q.came, q.now, q.buf = msg, client, t, now, now, buf
	q.outcome, q.stage, q.next, q.resumed = OutcomeOwn, Admit, 0, Next
	q.noted, q.stable, q.looked, q.scanned, q.owned, q.kept = false, false, false, false, false, false
	q.zone, q.reply, q.timer, q.respond = nil, nil, nil, nil
	q.ede, q.edeText, q.tags = wire.NoEDE, "", q.tags[:0]
	q.hit, q.key = cache.Hit{}, cache.Key{}
}

// Client is the address that asks, IPv4 not mapped into IPv6.
func (q *Query) Client() netip.Addr { return q.client.Addr() }

// ClientPort is the port that the client asks from.
func (q *Query) ClientPort() uint16 { return q.client.Port() }

// Transport is how the query came.
func (q *Query) Transport() Transport { return q.transport }

// Time is when the query came, or when its answer did.
func (q *Query) Time() time.Time { return q.now }

// Name is the name asked for, in wire form and lower case. It is empty where the message has no question that can be read, which
// only handlers of the stage Admit see.
func (q *Query) Name() []byte {
	if len(q.wire.Key()) == 0 {
		return nil
	}
	return q.wire.Name()
}

// Type is the type of the records asked for.
func (q *Query) Type() uint16 { return q.wire.Type }

// Class is the class asked for. Beyond the stage Admit it is IN.
func (q *Query) Class() uint16 { return q.wire.Class }

// RD reports whether the client wants recursion: without, it is told only what is known here.
func (q *Query) RD() bool { return q.wire.RD() }

// CD reports whether the client checks signatures itself.
func (q *Query) CD() bool { return q.wire.CD() }

// AD reports whether the client wants to know that the answer is authentic.
func (q *Query) AD() bool { return q.wire.AD() }

// DO reports whether the client wants DNSSEC's records.
func (q *Query) DO() bool { return q.wire.EDNS.DO }

// EDNS is what the client's OPT record says.
func (q *Query) EDNS() *wire.EDNS { return &q.wire.EDNS }

// Message is the query as it came. It must not be changed.
func (q *Query) Message() []byte { return q.msg }

// Reply is the reply as far as it is known: in the stage Answered the answer, without OPT record; at the end what is sent, nil if
// nothing is. It must not be changed.
func (q *Query) Reply() []byte { return q.reply }

// Answer is the reply, read: its response code, and the addresses in it. It is nil where there is none, or none that can be read.
func (q *Query) Answer() *wire.Answer {
	if q.reply == nil {
		return nil
	}
	if !q.scanned {
		if wire.ScanAnswer(q.reply, &q.answer) != nil {
			return nil
		}
		q.scanned = true
	}
	return &q.answer
}

// Rcode is the response code of the reply, without the bits that an OPT record has; SERVFAIL where there is none.
func (q *Query) Rcode() uint16 {
	if q.reply == nil {
		return wire.RcodeServFail
	}
	return wire.Flags(q.reply) & 0xf
}

// Outcome is where the reply comes from.
func (q *Query) Outcome() Outcome { return q.outcome }

// Upstream is the server that the answer came from, however long ago; empty where none did, or it is not known any more.
func (q *Query) Upstream() string {
	switch q.outcome {
	case OutcomeHit, OutcomeStale:
		return q.s.state.upstream(q.hit.Meta)
	case OutcomeMiss, OutcomeJoined:
		if e, ok := q.s.o.Cache.Explain(&q.key, q.now); ok {
			return q.s.state.upstream(e.Meta)
		}
	}
	return ""
}

// EDE is the extended error that goes with the reply (RFC 8914), wire.NoEDE for none, and what is said of it.
func (q *Query) EDE() (code uint16, text string) { return q.ede, q.edeText }

// Tag adds a word to what the log says of the query. A query that Stable handlers tag is shown to them each time.
func (q *Query) Tag(word string) {
	q.noted = true
	q.tags = append(q.tags, word)
}

// Tags are the words that handlers added.
func (q *Query) Tags() []string { return q.tags }

// Proven reports whether the client's address is its own: it came by a connection, or has a cookie of ours (RFC 7873).
func (q *Query) Proven() bool {
	return q.transport != UDP || q.s.state.cookies.valid(q.wire.EDNS.Cookie(q.msg), q.Client(), q.now)
}

// Trial reports whether nobody asks, but those who run the server want to know what would be answered: nothing is to be counted.
func (q *Query) Trial() bool { return q.trial }
