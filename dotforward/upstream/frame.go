package upstream

import (
	"bytes"
	"encoding/binary"
)

const (
	headerSize = 12
	optFixed   = 11   // an OPT record without its options: root, type, class, TTL, length (RFC 6891 §6.1.2)
	paddedTo   = 128  // RFC 8467 §4.1: the block that queries are padded to
	mostECS    = 24   // a client subnet option with a whole IPv6 address (RFC 7871 §6)
	udpSize    = 1232 // what we say that we take over UDP: no fragments on any link (DNS flag day 2020)

	flagTC          = 0x02 // in the third byte of a message
	typeOPT         = 41
	optionECS       = 8  // RFC 7871
	optionKeepalive = 11 // RFC 7828
	optionPadding   = 12 // RFC 7830
)

var zeros [paddedTo]byte

// appendFrame appends q, a query in wire form, as it goes out: length first (RFC 1035 §4.2.2), the ID for the connection to fill
// in. Of q go the opcode (which is QUERY), RD, AD, CD, the question, and of an OPT record the DO bit and the client subnet
// (RFC 7871); the rest of it is hop by hop (RFC 6891 §6.1.1) and ours. With padded, for TLS, there is an OPT record whatever the
// client sent, and the message is padded; with keepalive, for DNS over TLS, that record asks for one. questionEnd is where the
// question ends in q. A message that is not a query with one question is ErrQuery.
func appendFrame(dst, q []byte, padded, keepalive bool) (frame []byte, questionEnd int, err error) {
	questionEnd = endOfQuestion(q)
	if questionEnd == 0 || q[2]&0xf8 != 0 {
		return dst, 0, ErrQuery
	}
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, q[2]&0x01, q[3]&0x30, 0, 1, 0, 0, 0, 0, 0, 0)
	dst = append(dst, q[headerSize:questionEnd]...)
	var edns []byte
	if binary.BigEndian.Uint16(q[10:]) != 0 {
		edns = optOf(q)
	}
	if edns != nil || padded {
		dst[start+2+11] = 1
		dst = append(dst, 0, 0, typeOPT, udpSize>>8, udpSize&0xff, 0, 0, 0, 0, 0, 0)
		options := len(dst)
		if edns != nil {
			dst[options-4] = edns[7] & 0x80
			subnet, _ := option(edns[optFixed:], optionECS)
			if len(subnet) <= mostECS {
				dst = append(dst, subnet...)
			}
		}
		if keepalive {
			dst = append(dst, 0, optionKeepalive, 0, 0)
		}
		if padded {
			pad := -(len(dst) - start - 2 + 4) & (paddedTo - 1)
			dst = append(dst, 0, optionPadding, byte(pad>>8), byte(pad))
			dst = append(dst, zeros[:pad]...)
		}
		binary.BigEndian.PutUint16(dst[options-2:], uint16(len(dst)-options))
	}
	binary.BigEndian.PutUint16(dst[start:], uint16(len(dst)-start-2))
	return dst, questionEnd, nil
}

// endOfQuestion is where the only question of msg ends, 0 where there is not exactly one, in full and without compression.
func endOfQuestion(msg []byte) int {
	if len(msg) < headerSize+5 || binary.BigEndian.Uint16(msg[4:]) != 1 {
		return 0
	}
	i := headerSize
	for i < len(msg) && msg[i] != 0 {
		if msg[i] > 63 {
			return 0
		}
		i += int(msg[i]) + 1
	}
	if i -= headerSize; i > 254 || headerSize+i+5 > len(msg) {
		return 0
	}
	return headerSize + i + 5
}

// option is the first option with the code in the options of an OPT record, with its code and length; nil if there is none. ok
// is false where they are malformed up to it.
func option(options []byte, code uint16) (found []byte, ok bool) {
	for len(options) > 0 {
		if len(options) < 4 {
			return nil, false
		}
		n := 4 + int(binary.BigEndian.Uint16(options[2:]))
		if n > len(options) {
			return nil, false
		}
		if binary.BigEndian.Uint16(options) == code {
			return options[:n], true
		}
		options = options[n:]
	}
	return nil, true
}

// answers reports whether reply is a response to a query with this question (QNAME, QTYPE, QCLASS). Letters match whatever their
// case: some servers do not copy it (RFC 4343).
func answers(reply, question []byte) bool {
	end := headerSize + len(question)
	if len(reply) < end || reply[2]&0x80 == 0 || binary.BigEndian.Uint16(reply[4:]) != 1 {
		return false
	}
	got := reply[headerSize:end]
	return bytes.Equal(got, question) || equalFold(got, question)
}

// equalFold compares ASCII letters whatever their case, and only letters: lengths of labels, types and classes are as they are.
// (bytes.EqualFold takes bytes for UTF-8.) What a question's length bytes or type could be taken for, letters, is no danger: a
// length of at least 'A' is not one, and the last four bytes are compared exactly.
func equalFold(a, b []byte) bool {
	name := len(a) - 4
	for i := range a {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		if i >= name || x^y != 0x20 || x|0x20 < 'a' || x|0x20 > 'z' {
			return false
		}
	}
	return true
}

// rcode is the response code in the header, without the bits of an OPT record.
func rcode(reply []byte) int { return int(reply[3] & 0x0f) }

// keepaliveOf is the idle timeout that a reply announces, in units of 100 ms (RFC 7828 §3.1). ok is false where it does not.
func keepaliveOf(reply []byte) (timeout uint16, ok bool) {
	rr := optOf(reply)
	if rr == nil {
		return 0, false
	}
	found, _ := option(rr[optFixed:], optionKeepalive)
	if len(found) != 6 {
		return 0, false
	}
	return binary.BigEndian.Uint16(found[4:]), true
}

// optOf is the OPT record of a message, nil if there is none or the message is malformed before it.
func optOf(msg []byte) []byte {
	if len(msg) < headerSize {
		return nil
	}
	at := headerSize
	for range binary.BigEndian.Uint16(msg[4:]) {
		if at = skipName(msg, at) + 4; at > len(msg) {
			return nil
		}
	}
	records := int(binary.BigEndian.Uint16(msg[6:])) + int(binary.BigEndian.Uint16(msg[8:])) + int(binary.BigEndian.Uint16(msg[10:]))
	for range records {
		start := at
		if at = skipName(msg, at); at+10 > len(msg) {
			return nil
		}
		next := at + 10 + int(binary.BigEndian.Uint16(msg[at+8:]))
		if next > len(msg) {
			return nil
		}
		if binary.BigEndian.Uint16(msg[at:]) == typeOPT && at == start+1 {
			return msg[start:next]
		}
		at = next
	}
	return nil
}

// skipName is where the name at at ends, beyond the end of msg where it is malformed.
func skipName(msg []byte, at int) int {
	for at < len(msg) {
		switch n := int(msg[at]); {
		case n == 0:
			return at + 1
		case n >= 0xc0:
			return at + 2
		case n > 63:
			return len(msg) + 1
		default:
			at += n + 1
		}
	}
	return len(msg) + 1
}
