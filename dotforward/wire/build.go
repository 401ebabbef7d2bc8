package wire

import (
	"encoding/binary"
	"net/netip"
)

// Reply builds the reply to query, from which q was read, with a response code and no records, in buf[:0]. It allocates only if
// buf has no room for the header and the question, 271 bytes at most. A code above 15 needs [AppendOPT] with the same code.
func Reply(buf, query []byte, q *Query, rcode uint16) []byte {
	msg := append(buf[:0], query[:q.QuestionEnd]...)
	clear(msg[qdcount:HeaderLen])
	if q.QuestionEnd > HeaderLen {
		msg[qdcount+1] = 1
	}
	setFlags(msg, q.Flags&(opcodeMask|FlagRD|FlagCD)|FlagQR|FlagRA|rcode&rcodeMask)
	return msg
}

// Ask builds a query for q's question in buf[:0], to be sent to a server: ID 0, recursion desired, CD as the client had it, and AD
// set, so that what the server validated is known for every client that asks later. Letters are in lower case. An OPT record may
// be appended.
func Ask(buf []byte, q *Query) []byte {
	msg := append(buf[:0], 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	setFlags(msg, FlagRD|FlagAD|q.Flags&FlagCD)
	return append(msg, q.Key()...)
}

// ownerQuestion is the compressed name of the question.
const ownerQuestion = 0xc000 | HeaderLen

// AppendRecord appends a record about the name in the question to the answer section of msg, which must have no other sections
// yet. TTL in seconds; data is RDATA without compression.
func AppendRecord(msg []byte, typ, class uint16, ttl uint32, data []byte) []byte {
	addCount(msg, ancount, 1)
	return append(appendFixed(msg, typ, class, ttl, len(data)), data...)
}

func appendFixed(msg []byte, typ, class uint16, ttl uint32, n int) []byte {
	msg = binary.BigEndian.AppendUint16(msg, ownerQuestion)
	msg = binary.BigEndian.AppendUint16(msg, typ)
	msg = binary.BigEndian.AppendUint16(msg, class)
	msg = binary.BigEndian.AppendUint32(msg, ttl)
	return binary.BigEndian.AppendUint16(msg, uint16(n))
}

// AppendAddr appends an A or AAAA record about the name in the question, as AppendRecord does.
func AppendAddr(msg []byte, ttl uint32, addr netip.Addr) []byte {
	addr = addr.Unmap()
	if addr.Is4() {
		b := addr.As4()
		return AppendRecord(msg, TypeA, ClassIN, ttl, b[:])
	}
	b := addr.As16()
	return AppendRecord(msg, TypeAAAA, ClassIN, ttl, b[:])
}

var rfc8482 = []byte("\x07RFC8482\x00")

// AppendANY answers a question for type ANY with little: a HINFO record that names RFC 8482 (section 4.2).
func AppendANY(msg []byte, ttl uint32) []byte {
	return AppendRecord(msg, TypeHINFO, ClassIN, ttl, rfc8482)
}

// AppendSOA appends to the authority section of msg, which must have no additional section yet, a SOA record that lets clients keep
// NXDOMAIN or an empty answer for ttl seconds (RFC 2308 section 3). It stands for a zone that nobody runs: its name is the
// question's, its server and mailbox are the root, which is nowhere.
func AppendSOA(msg []byte, ttl uint32) []byte {
	addCount(msg, nscount, 1)
	msg = appendFixed(msg, TypeSOA, ClassIN, ttl, 2+5*4)
	msg = append(msg, 0, 0)                              // MNAME, RNAME
	for _, v := range [...]uint32{1, 3600, 600, 86400} { // serial, refresh, retry, expire: nobody transfers it
		msg = binary.BigEndian.AppendUint32(msg, v)
	}
	return binary.BigEndian.AppendUint32(msg, ttl)
}
