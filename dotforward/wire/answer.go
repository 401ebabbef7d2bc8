package wire

import (
	"encoding/binary"
	"net/netip"
)

// Kind is what sort of answer a reply is, as far as keeping it goes.
type Kind uint8

const (
	// Unfit is what nobody may keep: cut short, or without a question that could be asked again.
	Unfit Kind = iota
	// Positive answers the question.
	Positive
	// NoData says that the name has no such records (RFC 2308 section 2.2).
	NoData
	// NXDomain says that there is no such name (RFC 2308 section 2.1).
	NXDomain
	// Failure is every other response code (RFC 2308 section 7).
	Failure
)

func (k Kind) String() string {
	switch k {
	case Positive:
		return "positive"
	case NoData:
		return "nodata"
	case NXDomain:
		return "nxdomain"
	case Failure:
		return "failure"
	}
	return "unfit"
}

// Answer is what a reply says, filled by [ScanAnswer]. Its slices are used again by the next scan.
type Answer struct {
	ID    uint16
	Flags uint16
	Rcode uint16 // with the upper bits of the OPT record
	Kind  Kind
	// TTL is for how many seconds the reply may be kept: the smallest of all its records, for NoData and NXDomain also no more
	// than the SOA record's minimum. It is 0 where nothing says for how long, as in a Failure or where there is no SOA record.
	TTL uint32
	// EDE is the info code of the first extended error, NoEDE if there is none.
	EDE uint16
	// QuestionEnd is where the question section ends, End where the last record does. What follows End is none of the message's.
	QuestionEnd, End int
	// TTLs are where the TTLs of all records stand, but for the OPT record's.
	TTLs []uint16
	// Addrs are the addresses of the A and AAAA records in the answer section, in their order.
	Addrs []netip.Addr

	opt      record
	optOff   int  // 0 if there is no OPT record
	optFixed bool // a record behind the OPT record does not let it go
}

// Question reports whether the reply repeats a question. Some servers leave it out when they refuse.
func (a *Answer) Question() bool { return a.QuestionEnd > HeaderLen }

// HasOPT reports whether there is an OPT record.
func (a *Answer) HasOPT() bool { return a.optOff != 0 }

// UDPSize is the longest UDP message the server takes, 0 without an OPT record.
func (a *Answer) UDPSize() uint16 { return a.opt.class }

// Options are the options in msg, the reply that a was read from; see [Option].
func (a *Answer) Options(msg []byte) []byte { return msg[a.opt.data:a.opt.end():a.opt.end()] }

// ScanAnswer reads msg, a reply, into a. Owner names are followed through their compression, and so are names in the records of
// RFC 1035 and DNAME; all other data is passed by. Of a reply with the TC flag only the header and the question are read, since it
// may end anywhere. Errors are ErrFormat and ErrNotReply.
func ScanAnswer(msg []byte, a *Answer) error {
	*a = Answer{TTLs: a.TTLs[:0], Addrs: a.Addrs[:0], EDE: NoEDE, QuestionEnd: HeaderLen}
	if len(msg) < HeaderLen || len(msg) > MaxLen {
		return ErrFormat
	}
	a.ID, a.Flags = ID(msg), Flags(msg)
	a.Rcode = a.Flags & rcodeMask
	if a.Flags&FlagQR == 0 {
		return ErrNotReply
	}
	switch n := count(msg, qdcount); {
	case n == 1:
		end, ok := questionName(msg, HeaderLen)
		if !ok || end+4 > len(msg) {
			return ErrFormat
		}
		a.QuestionEnd = end + 4
	case n != 0 || a.Rcode == RcodeSuccess:
		return ErrFormat
	}
	a.End = a.QuestionEnd
	if a.Flags&FlagTC != 0 {
		return nil
	}
	s := scan{msg: msg, a: a, ttl: 1<<32 - 1}
	if !s.records() {
		return ErrFormat
	}
	a.Kind, a.TTL = s.kind()
	return nil
}

// scan is a walk over the records of a reply.
type scan struct {
	msg      []byte
	a        *Answer
	ttl      uint32
	answered bool // a record of the type that was asked for is among the answers
	soa      bool
}

func (s *scan) records() bool {
	a, off := s.a, s.a.QuestionEnd
	var qtype uint16
	if a.Question() {
		qtype = binary.BigEndian.Uint16(s.msg[off-4:])
	}
	for section := ancount; section <= arcount; section += 2 {
		for range count(s.msg, section) {
			rr, ok := readRecord(s.msg, off)
			if !ok {
				return false
			}
			if rr.typ == TypeOPT {
				ok = section == arcount && s.optRecord(off, rr)
			} else {
				s.answered = s.answered || section == ancount && (rr.typ == qtype || qtype == TypeANY)
				ok = s.record(section, off, rr)
			}
			if !ok {
				return false
			}
			off = rr.end()
		}
	}
	a.End = off
	return true
}

func (s *scan) record(section, off int, rr record) bool {
	ttl := rr.ttl
	if ttl > 1<<31-1 { // RFC 2181 section 8
		ttl = 0
	}
	s.ttl = min(s.ttl, ttl)
	s.a.TTLs = append(s.a.TTLs, uint16(rr.ttlOff))
	if s.a.optOff != 0 && !free(s.msg, off, rr, s.a.optOff) {
		s.a.optFixed = true
	}
	data := s.msg[rr.data:rr.end()]
	switch rr.typ {
	case TypeA:
		return s.addr(section, data, 4)
	case TypeAAAA:
		return s.addr(section, data, 16)
	case TypeNS, TypeCNAME, TypePTR, TypeDNAME:
		end, ok := skipName(s.msg[:rr.end()], rr.data)
		return ok && end == rr.end()
	case TypeMX:
		end, ok := skipName(s.msg[:rr.end()], rr.data+2)
		return ok && end == rr.end()
	case TypeSOA:
		return s.soaRecord(section, rr)
	}
	return true
}

func (s *scan) addr(section int, data []byte, n int) bool {
	if len(data) != n {
		return false
	}
	if section == ancount {
		addr, _ := netip.AddrFromSlice(data)
		s.a.Addrs = append(s.a.Addrs, addr)
	}
	return true
}

func (s *scan) soaRecord(section int, rr record) bool {
	msg := s.msg[:rr.end()]
	off, ok := skipName(msg, rr.data)
	if !ok {
		return false
	}
	off, ok = skipName(msg, off)
	if !ok || off+20 != len(msg) {
		return false
	}
	if section == nscount && !s.answered {
		s.soa = true
		s.ttl = min(s.ttl, binary.BigEndian.Uint32(msg[off+16:]))
	}
	return true
}

func (s *scan) optRecord(off int, rr record) bool {
	a := s.a
	if a.optOff != 0 || s.msg[off] != 0 {
		return false
	}
	a.opt, a.optOff = rr, off
	a.Rcode |= uint16(rr.ttl>>24) << 4
	for options := a.Options(s.msg); len(options) > 0; {
		if len(options) < optionHeader {
			return false
		}
		n := optionHeader + int(binary.BigEndian.Uint16(options[2:]))
		if n > len(options) {
			return false
		}
		if binary.BigEndian.Uint16(options) == OptionEDE && a.EDE == NoEDE && n >= optionHeader+2 {
			a.EDE = binary.BigEndian.Uint16(options[optionHeader:])
		}
		options = options[n:]
	}
	return true
}

// free reports whether the record at off stays as it is when what lies at hole goes away: it has no pointer to what
// lies there or behind it.
func free(msg []byte, off int, rr record, hole int) bool {
	if rr.typ != TypeA && rr.typ != TypeAAAA {
		return false // its data may have pointers
	}
	for {
		c := int(msg[off])
		switch {
		case c == 0:
			return true
		case c >= 0xc0:
			_, ok := skipName(msg[:hole], (c&^0xc0)<<8|int(msg[off+1]))
			return ok
		}
		off += 1 + c
	}
}

// kind says what the reply is, and for how long.
func (s *scan) kind() (Kind, uint32) {
	a := s.a
	ttl := s.ttl
	if len(a.TTLs) == 0 {
		ttl = 0
	}
	switch {
	case !a.Question():
		return Unfit, 0
	case a.Rcode != RcodeSuccess && a.Rcode != RcodeNXDomain:
		return Failure, 0
	case a.Rcode == RcodeNXDomain && s.soa:
		return NXDomain, ttl
	case a.Rcode == RcodeNXDomain:
		return NXDomain, 0
	case s.answered:
		return Positive, ttl
	case s.soa:
		return NoData, ttl
	}
	return NoData, 0 // also a referral, which no resolver has to give (RFC 2308 section 2.2)
}
