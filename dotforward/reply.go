package dotforward

import (
	"net/netip"
	"sync"

	"github.com/whence-project/whence/dotforward/wire"
)

// Refuse replies REFUSED. As all replies that handlers give it returns Done, and ede is an info code of RFC 8914 or wire.NoEDE, text
// what a person may read of it.
func (q *Query) Refuse(ede uint16, text string) Verdict { return q.fail(wire.RcodeRefused, ede, text) }

// ServFail replies SERVFAIL.
func (q *Query) ServFail(ede uint16, text string) Verdict {
	return q.fail(wire.RcodeServFail, ede, text)
}

// NXDomain replies that there is no such name, to be kept for ttl seconds.
func (q *Query) NXDomain(ttl uint32, ede uint16, text string) Verdict {
	q.begin(wire.RcodeNXDomain, ede, text)
	q.reply = wire.AppendSOA(q.reply, ttl)
	return Done
}

// NoData replies that the name has no records of the type, to be kept for ttl seconds.
func (q *Query) NoData(ttl uint32, ede uint16, text string) Verdict {
	q.begin(wire.RcodeSuccess, ede, text)
	q.reply = wire.AppendSOA(q.reply, ttl)
	return Done
}

// Addresses replies with those of the addresses that the query's type is about, NoData if none is. ttl is in seconds.
func (q *Query) Addresses(addrs []netip.Addr, ttl uint32, ede uint16, text string) Verdict {
	q.begin(wire.RcodeSuccess, ede, text)
	some := false
	for _, a := range addrs {
		if a.Unmap().Is4() && q.Type() == wire.TypeA || a.Is6() && !a.Is4In6() && q.Type() == wire.TypeAAAA {
			q.reply = wire.AppendAddr(q.reply, ttl, a)
			some = true
		}
	}
	if !some {
		return q.NoData(ttl, ede, text)
	}
	return Done
}

// Records replies with records of the query's type about its name: data are their RDATA, without compression. ttl is in seconds.
func (q *Query) Records(data [][]byte, ttl uint32) Verdict {
	q.begin(wire.RcodeSuccess, wire.NoEDE, "")
	for _, d := range data {
		q.reply = wire.AppendRecord(q.reply, q.Type(), q.Class(), ttl, d)
	}
	return Done
}

// ReplyWith replies with msg, an answer to the query's question without an OPT record, of which a copy is made.
func (q *Query) ReplyWith(msg []byte) Verdict {
	if !wire.SameQuestion(msg, q.wire.Key()) {
		return q.ServFail(wire.EDEInvalidData, "a handler answered another question")
	}
	q.begin(wire.RcodeSuccess, wire.NoEDE, "")
	q.reply = append(q.reply[:0], msg...)
	wire.Readdress(q.reply, q.msg, &q.wire)
	return Done
}

func (q *Query) fail(rcode, ede uint16, text string) Verdict {
	q.begin(rcode, ede, text)
	return Done
}

// begin begins a reply without records.
func (q *Query) begin(rcode, ede uint16, text string) {
	q.ede, q.edeText, q.scanned, q.looked = ede, text, false, false
	q.outcome = OutcomeOwn
	q.reply = wire.Reply(q.space(), q.msg, &q.wire, rcode)
}

// bufferSize is what a reply off the loop is written into at first: more than UDP takes.
const bufferSize = 2048

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// space is memory for the reply.
func (q *Query) space() []byte {
	if q.buf == nil {
		q.lent = buffers.Get().(*[bufferSize]byte)
		q.buf = q.lent[:]
	}
	return q.buf
}

// room is how long the reply may be before its OPT record.
func (q *Query) room() int {
	most := wire.MaxLen
	if q.transport == UDP {
		most = q.wire.UDPLimit(q.s.o.UDPSize)
	}
	return most - q.optLen()
}

// optLen is how long the OPT record will be, but for padding and the text of an extended error, which give way.
func (q *Query) optLen() int {
	if !q.wire.EDNS.Present {
		return 0
	}
	n := 11
	if q.wire.EDNS.HasCookie() {
		n += 4 + cookieLen
	}
	if q.keepalive() {
		n += 4 + 2
	}
	if q.ede != wire.NoEDE {
		n += 4 + 2
	}
	return n
}

func (q *Query) keepalive() bool { return q.wire.EDNS.Keepalive && q.transport.stream() }

// finishReply brings the reply to the length that the client takes and gives it its OPT record.
func (s *Server) finishReply(q *Query) {
	edns := &q.wire.EDNS
	room := q.room()
	if len(q.reply) > room {
		q.reply = wire.Truncate(q.reply, q.wire.QuestionEnd)
	}
	if !edns.Present {
		return
	}
	opt := wire.OPT{UDPSize: uint16(s.o.UDPSize), DO: edns.DO, Rcode: q.parsed.Rcode(), HasEDE: q.ede != wire.NoEDE, EDE: q.ede}
	if opt.Rcode < 16 {
		opt.Rcode = 0
	}
	if opt.HasEDE && len(q.edeText) <= room-len(q.reply) {
		opt.EDEText = q.edeText
	}
	var cookie [cookieLen]byte
	if edns.HasCookie() {
		opt.Cookie = s.state.cookies.append(cookie[:0], edns.Cookie(q.msg), q.client.Addr(), q.now)
	}
	if q.keepalive() {
		opt.HasKeepalive = true
		if s.lame.Load() == 0 && !s.closing.Load() {
			opt.Keepalive = s.o.Keepalive
		}
	}
	if edns.Padding && q.transport.Encrypted() {
		opt.Block = paddedTo
	}
	q.reply = wire.AppendOPT(q.reply, &opt)
}

// paddedTo is the block that replies are padded to where nobody can read them (RFC 8467 section 4.1).
const paddedTo = 468
