package wire

import "encoding/binary"

// Verdict is what becomes of a message that a client sent.
type Verdict uint8

const (
	// OK is a query with one question.
	OK Verdict = iota
	// Drop is no query: shorter than a header, longer than a message can be, or a reply. Answering it would let two servers talk to each other for ever.
	Drop
	// FormErr is a query that cannot be read, or one with more or fewer questions than one (RFC 9619).
	FormErr
	// NotImp is an opcode other than QUERY.
	NotImp
	// BadVers is a version of EDNS that nobody has defined yet (RFC 6891 section 6.1.3). The reply needs an OPT record.
	BadVers
	// NoQuestion asks for a server cookie and nothing else (RFC 7873 section 5.4).
	NoQuestion
)

// Rcode is the response code that says v, RcodeSuccess for OK, Drop and NoQuestion.
func (v Verdict) Rcode() uint16 {
	switch v {
	case FormErr:
		return RcodeFormErr
	case NotImp:
		return RcodeNotImp
	case BadVers:
		return RcodeBadVers
	}
	return RcodeSuccess
}

// Query is what a message from a client says, filled by [ParseQuery]. It holds no pointers and may be used again and again.
type Query struct {
	ID    uint16
	Flags uint16 // the second word of the header, as sent
	Type  uint16
	Class uint16
	// QuestionEnd is where the question section ends: HeaderLen where the question was not readable.
	QuestionEnd int
	EDNS        EDNS

	keyLen int
	key    [maxName + 4 + 5]byte // room for whole words
}

// RD reports whether recursion is desired.
func (q *Query) RD() bool { return q.Flags&FlagRD != 0 }

// AD reports whether the client wants to know that the answer is authentic (RFC 6840 section 5.7).
func (q *Query) AD() bool { return q.Flags&FlagAD != 0 }

// CD reports whether checking is disabled.
func (q *Query) CD() bool { return q.Flags&FlagCD != 0 }

// Key is the question in its canonical form: the name in wire form and lower case, then type and class in 2 bytes each, as in the
// message. It is empty where the question was not readable, and valid until q is used again.
func (q *Query) Key() []byte { return q.key[:q.keyLen] }

// Name is the name asked for, in wire form and lower case; valid until q is used again, and to be called only where there is a
// question.
func (q *Query) Name() []byte { return q.key[:q.keyLen-4] }

// UDPLimit is how long a reply over UDP may be where most is what is sent at all: 512 bytes without EDNS (RFC 1035 section 4.2.1).
func (q *Query) UDPLimit(most int) int { return min(max(int(q.EDNS.UDPSize), 512), most) }

// The counts of queries without and with an OPT record, the only ones seen in practice.
const (
	plainCounts = 1 << 48
	ednsCounts  = 1<<48 | 1
)

// ParseQuery reads msg into q. Unless the verdict is Drop, q has all that [Reply] needs to answer, whatever else of it is unread.
// Records beside the OPT record are walked over, as are options that [EDNS] does not name; nothing may follow the last record.
func ParseQuery(msg []byte, q *Query) Verdict {
	if len(msg) < HeaderLen || len(msg) > MaxLen || msg[2]&0x80 != 0 {
		return Drop
	}
	q.ID, q.Flags = ID(msg), Flags(msg)
	q.QuestionEnd, q.keyLen, q.EDNS = HeaderLen, 0, EDNS{}
	if q.Flags&opcodeMask != 0 {
		return NotImp
	}
	counts := binary.BigEndian.Uint64(msg[qdcount:])
	if counts>>48 != 1 {
		return q.withoutQuestion(msg, counts)
	}
	end, ok := questionName(msg, HeaderLen)
	if !ok || end+4 > len(msg) {
		return FormErr
	}
	n := Lower(q.key[:], msg[HeaderLen:end])
	copy(q.key[n:n+4], msg[end:end+4])
	q.keyLen = n + 4
	q.Type = binary.BigEndian.Uint16(msg[end:])
	q.Class = binary.BigEndian.Uint16(msg[end+2:])
	q.QuestionEnd = end + 4
	switch counts {
	case plainCounts:
		if q.QuestionEnd != len(msg) {
			return FormErr
		}
		return OK
	case ednsCounts:
		if v, whole := q.EDNS.parse(msg, q.QuestionEnd); whole {
			return v
		}
	}
	return q.walk(msg)
}

// withoutQuestion reads a query that has not one question: that is an error, but for a client that asks for a cookie.
func (q *Query) withoutQuestion(msg []byte, counts uint64) Verdict {
	if counts>>48 == 0 {
		if v := q.walk(msg); v == BadVers {
			return v
		} else if v == OK && q.EDNS.HasCookie() {
			return NoQuestion
		}
	}
	return FormErr
}

// walk goes over the records behind the question, and reads the OPT record among them.
func (q *Query) walk(msg []byte) Verdict {
	v, off := OK, q.QuestionEnd
	for section := ancount; section <= arcount; section += 2 {
		for range count(msg, section) {
			rr, ok := readRecord(msg, off)
			if !ok {
				return FormErr
			}
			if rr.typ == TypeOPT {
				if section != arcount || q.EDNS.Present || msg[off] != 0 {
					return FormErr
				}
				if v = q.EDNS.read(msg, rr); v == FormErr {
					return v
				}
			}
			off = rr.end()
		}
	}
	if off != len(msg) {
		return FormErr
	}
	return v
}

// record is where a resource record has what.
type record struct {
	typ, class uint16
	ttl        uint32
	ttlOff     int
	data       int // where RDATA starts
	dataLen    int
}

func (r record) end() int { return r.data + r.dataLen }

// fixedLen is how many bytes a record has between its owner and its RDATA.
const fixedLen = 10

func readRecord(msg []byte, off int) (r record, ok bool) {
	off, ok = skipName(msg, off)
	if !ok || off+fixedLen > len(msg) {
		return r, false
	}
	fixed := msg[off : off+fixedLen]
	r = record{
		typ:     binary.BigEndian.Uint16(fixed),
		class:   binary.BigEndian.Uint16(fixed[2:]),
		ttl:     binary.BigEndian.Uint32(fixed[4:]),
		ttlOff:  off + 4,
		data:    off + fixedLen,
		dataLen: int(binary.BigEndian.Uint16(fixed[8:])),
	}
	return r, r.end() <= len(msg)
}
