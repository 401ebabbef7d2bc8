package dottest

import "encoding/binary"

// options are what of a query's OPT record a test may want to know.
type options struct{ edns, padded, keepalive bool }

// end is where the question of q ends, 0 where it is malformed.
func end(q []byte) int {
	i := 12
	for i < len(q) && q[i] != 0 {
		i += int(q[i]) + 1
	}
	if i+5 > len(q) {
		return 0
	}
	return i + 5
}

// read reads an OPT record that follows the question.
func (o *options) read(q []byte) {
	at := end(q)
	if at == 0 || at+11 > len(q) || q[at] != 0 || binary.BigEndian.Uint16(q[at+1:]) != 41 {
		return
	}
	o.edns = true
	o.padded = len(q)%128 == 0
	for opts := q[at+11:]; len(opts) >= 4; {
		n := 4 + int(binary.BigEndian.Uint16(opts[2:]))
		if binary.BigEndian.Uint16(opts) == 11 {
			o.keepalive = true
		}
		opts = opts[min(n, len(opts)):]
	}
}

// answer appends the answer to q: to A questions an address that depends on the name, NODATA to the rest.
func answer(dst, q []byte, o options, b Behaviour) []byte {
	at := end(q)
	if at == 0 {
		return nil
	}
	dst = append(dst, q[0], q[1], 0x80|q[2]&0x79, 0x80|q[3]&0x10, 0, 1, 0, 0, 0, 0, 0, 0)
	switch b.Fault {
	case WrongID:
		dst[1] ^= 1
	case NoQuestion:
		dst[3], dst[5] = dst[3]|1, 0
		return dst
	case ServFail:
		dst[3] |= 2
	case Refused:
		dst[3] |= 5
	case Truncated:
		dst[2] |= 2
	}
	dst = append(dst, q[12:at]...)
	if b.Fault == WrongQuestion {
		dst[len(dst)-3] ^= 0x40 // the type
	}
	if dst[3]&15 == 0 && b.Fault != Truncated {
		dst = appendRecord(dst, q[12:at], b)
	}
	if o.edns {
		dst[11] = 1
		dst = append(dst, 0, 0, 41, 0x04, 0xd0, 0, 0, q[at+7]&0x80, 0, 0, 0)
		if b.Keepalive != 0 {
			dst[len(dst)-1] = 6
			timeout := max(b.Keepalive, 0)
			dst = append(dst, 0, 11, 0, 2, byte(timeout>>8), byte(timeout))
		}
	}
	return dst
}

func appendRecord(dst, question []byte, b Behaviour) []byte {
	if binary.BigEndian.Uint16(question[len(question)-4:]) != 1 {
		dst[9] = 1
		return append(dst, 0, 0, 6, 0, 1, 0, 0, 0, 60, 0, 22, 0, 0, 0, 0, 0, 1, 0, 0, 14, 16, 0, 0, 14, 16, 0, 0, 14, 16, 0, 0, 0, 60)
	}
	dst[7] = 1
	last := b.Address
	if last == 0 {
		for _, c := range question {
			last = last*31 + c
		}
	}
	return append(dst, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, last)
}
