package dotforward

import (
	"errors"

	"github.com/whence-project/whence/dotforward/cache"
	"github.com/whence-project/whence/dotforward/upstream"
	"github.com/whence-project/whence/dotforward/wire"
)

// fetch is a question to upstream servers, for a flight of the cache.
type fetch struct {
	s        *Server
	flight   *cache.Flight
	key      cache.Key
	question [255 + 4]byte
	query    [12 + 255 + 4 + 64]byte // with an OPT record and a client subnet
	answer   wire.Answer
	done     func(reply []byte, from *upstream.Server, err error)
}

func newFetch(s *Server) *fetch {
	f := &fetch{s: s}
	f.done = f.answered
	return f
}

// refetch asks again for what q was given from the cache, unless somebody does already.
func (s *Server) refetch(q *Query) {
	if lead, _ := s.o.Cache.Join(&q.key, nil, q.now); lead != nil {
		s.state.counters.refetches.Add(1)
		s.ask(lead, q)
	}
}

// ask asks q's question of the servers of its zone, and ends the flight with what they say.
func (s *Server) ask(flight *cache.Flight, q *Query) {
	f := s.fetches.Get().(*fetch)
	f.flight, f.key = flight, q.key
	f.key.Question = append(f.question[:0], q.key.Question...)
	f.key.Subnet = append([]byte(nil), q.key.Subnet...)
	msg := wire.Ask(f.query[:0], &q.wire)
	if q.key.DO || len(q.key.Subnet) > 0 {
		msg = wire.AppendOPT(msg, &wire.OPT{UDPSize: DefaultUDPSize, DO: q.key.DO, Subnet: q.key.Subnet})
	}
	pool := s.o.Pool
	if q.zone != nil {
		pool = q.zone.Pool
	}
	pool.Ask(msg, q.now.Add(s.o.Deadline), f.done)
}

// answered takes the servers' answer.
func (f *fetch) answered(reply []byte, from *upstream.Server, err error) {
	if err != nil {
		first := f.s.settle(err)
		if first == nil {
			f.fail(err)
			return
		}
		reply, from = first.Msg, first.From
	}
	if wire.ScanAnswer(reply, &f.answer) != nil || f.answer.Kind == wire.Unfit {
		f.fail(errInvalid)
		return
	}
	reply, ok := wire.StripOPT(reply, &f.answer)
	if !ok || !wire.SameQuestion(reply, f.key.Question) {
		f.fail(errInvalid)
		return
	}
	f.keep(reply, f.s.numbers[from])
	f.end(reply, f.answer.EDE)
}

// settle is the reply to give where servers disagree, nil if there is to be none.
func (s *Server) settle(err error) *upstream.Reply {
	var disagree *upstream.DisagreeError
	if s.o.AnswerDisagreed && errors.As(err, &disagree) && len(disagree.Replies) > 0 {
		return &disagree.Replies[0]
	}
	return nil
}

// keep puts an answer, of which answer was read, into the cache.
func (f *fetch) keep(msg []byte, number uint16) {
	now := f.s.o.Now()
	f.s.o.Cache.Put(&f.key, msg, &f.answer, now, cache.Meta{Upstream: number, Verdict: unasked, Generation: f.s.generation(now)})
}

// errInvalid says that a server's answer cannot be used.
var errInvalid = errors.New("an upstream server's answer is malformed or cut short")

// fail ends the flight with SERVFAIL. Servers that did not answer are left alone for a while (RFC 9520).
func (f *fetch) fail(err error) {
	ede := edeOf(err)
	f.s.o.Cache.Failed(&f.key, f.s.o.Now())
	msg := append([]byte{0, 0, 0x81, 0x82, 0, 1, 0, 0, 0, 0, 0, 0}, f.key.Question...)
	if ede == wire.EDENetworkError || ede == wire.EDEInvalidData {
		if wire.ScanAnswer(msg, &f.answer) == nil {
			f.answer.EDE = ede
			f.keep(msg, 0)
		}
	} else if ede == wire.EDEOther {
		f.s.state.counters.shed.Add(1)
	}
	f.end(msg, ede)
}

// end gives msg to those who wait. It is nobody's answer yet, and where its ID would be is the info code of its extended error.
func (f *fetch) end(msg []byte, ede uint16) {
	wire.Neutralize(msg, f.key.Question)
	wire.SetID(msg, ede)
	f.flight.Done(msg)
	f.flight = nil
	f.s.fetches.Put(f)
}

// edeOf is the info code for why servers did not answer.
func edeOf(err error) uint16 {
	var disagree *upstream.DisagreeError
	switch {
	case errors.Is(err, upstream.ErrOverload):
		return wire.EDEOther
	case errors.Is(err, upstream.ErrTimeout), errors.Is(err, upstream.ErrBroken):
		return wire.EDENetworkError
	case errors.Is(err, upstream.ErrClosed):
		return wire.EDENotReady
	case errors.As(err, &disagree), errors.Is(err, errInvalid), errors.Is(err, upstream.ErrQuery):
		return wire.EDEInvalidData
	}
	return wire.EDENoReachable
}

// edeText says in words what the info code of a failure means here.
func edeText(code uint16) string {
	switch code {
	case wire.EDEOther:
		return "too many queries are waiting"
	case wire.EDENetworkError:
		return "no upstream server answered in time"
	case wire.EDENotReady:
		return "shutting down"
	case wire.EDEInvalidData:
		return "the upstream servers' answers cannot be used"
	case wire.EDENoReachable:
		return "no upstream server is up"
	}
	return ""
}
