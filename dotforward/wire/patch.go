package wire

import "encoding/binary"

// CountDown takes age, in seconds, off the TTLs at the offsets in msg. What has run out before becomes ran, in seconds.
func CountDown(msg []byte, offsets []uint16, age, ran uint32) {
	for _, off := range offsets {
		p := msg[off : off+4]
		ttl := binary.BigEndian.Uint32(p)
		if ttl > age {
			ttl -= age
		} else {
			ttl = ran
		}
		binary.BigEndian.PutUint32(p, ttl)
	}
}

// ClampTTLs brings the TTLs at the offsets in msg between least and most, in seconds. Those above 2^31-1 count as 0 (RFC 2181
// section 8).
func ClampTTLs(msg []byte, offsets []uint16, least, most uint32) {
	for _, off := range offsets {
		p := msg[off : off+4]
		ttl := binary.BigEndian.Uint32(p)
		if ttl > 1<<31-1 {
			ttl = 0
		}
		binary.BigEndian.PutUint32(p, min(max(ttl, least), most))
	}
}

// Readdress makes msg, an answer to the same question, the reply to query, from which q was read: it gets the query's ID, its RD
// and CD flags, and the case of the letters in its question, which clients check (0x20). AD stays only for those who asked with AD
// or DO (RFC 6840 section 5.8).
func Readdress(msg, query []byte, q *Query) {
	flags := Flags(msg)&^(FlagRD|FlagCD) | q.Flags&(FlagRD|FlagCD) | FlagQR
	if !q.EDNS.DO && q.Flags&FlagAD == 0 {
		flags &^= FlagAD
	}
	SetID(msg, q.ID)
	setFlags(msg, flags)
	copy(msg[HeaderLen:], query[HeaderLen:q.QuestionEnd])
}

// Truncate cuts msg behind its question section and sets TC, so that the client asks again over TCP. Nothing of the records is
// left, since what is left may not be used (RFC 2181 section 9); an OPT record may be appended.
func Truncate(msg []byte, questionEnd int) []byte {
	setFlags(msg, Flags(msg)|FlagTC)
	clear(msg[ancount:HeaderLen])
	return msg[:questionEnd]
}

// StripOPT takes the OPT record out of msg, the reply that a was read from, and whatever follows its last record. The offsets in a
// are set right. It reports false, and does nothing, in the rare case that names behind the OPT record are compressed against
// others there.
func StripOPT(msg []byte, a *Answer) (stripped []byte, ok bool) {
	if !a.HasOPT() {
		return msg[:a.End], true
	}
	if a.optFixed {
		return msg, false
	}
	n := a.opt.end() - a.optOff
	copy(msg[a.optOff:], msg[a.opt.end():a.End])
	for i, off := range a.TTLs {
		if int(off) > a.optOff {
			a.TTLs[i] = off - uint16(n)
		}
	}
	a.End -= n
	a.opt, a.optOff = record{}, 0
	addCount(msg, arcount, -1)
	return msg[:a.End], true
}
