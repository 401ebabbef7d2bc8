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

// Neutralize makes msg an answer to nobody in particular, to be kept: it has ID 0 and is not authoritative, and its question is key, in lower case.
func Neutralize(msg, key []byte) {
	SetID(msg, 0)
	setFlags(msg, Flags(msg)&^FlagAA)
	copy(msg[HeaderLen:], key)
}

// Truncate cuts msg behind its question section and sets TC, so that the client asks again over TCP. Nothing of the records is
// left, since what is left may not be used (RFC 2181 section 9); an OPT record may be appended.
func Truncate(msg []byte, questionEnd int) []byte {
	setFlags(msg, Flags(msg)|FlagTC)
	clear(msg[ancount:HeaderLen])
	return msg[:questionEnd]
}

// LenWithoutOPT is how long the reply that a was read from is without its OPT record and without what follows its last record. It
// reports false in the rare case that the record cannot go, since names behind it are compressed against others there.
func (a *Answer) LenWithoutOPT() (n int, ok bool) {
	if !a.HasOPT() {
		return a.End, true
	}
	return a.End - (a.opt.end() - a.optOff), !a.optFixed
}

// CopyWithoutOPT writes msg, the reply that a was read from, into dst as [Answer.LenWithoutOPT] says that it can be, and where its
// TTLs are then into offsets, which takes as many as a.TTLs has. It returns the length. dst may be msg, offsets may be a.TTLs.
func CopyWithoutOPT(dst []byte, offsets []uint16, msg []byte, a *Answer) int {
	if !a.HasOPT() {
		copy(offsets, a.TTLs)
		return copy(dst, msg[:a.End])
	}
	end := a.opt.end()
	n := copy(dst, msg[:a.optOff])
	n += copy(dst[n:], msg[end:a.End])
	addCount(dst, arcount, -1)
	for i, off := range a.TTLs {
		if int(off) > a.optOff {
			off -= uint16(end - a.optOff)
		}
		offsets[i] = off
	}
	return n
}

// StripOPT takes the OPT record out of msg, the reply that a was read from, as CopyWithoutOPT does, and sets a right. It reports
// false, and does nothing, where that cannot be done.
func StripOPT(msg []byte, a *Answer) (stripped []byte, ok bool) {
	if _, ok := a.LenWithoutOPT(); !ok {
		return msg, false
	}
	a.End = CopyWithoutOPT(msg, a.TTLs, msg, a)
	a.opt, a.optOff = record{}, 0
	return msg[:a.End], true
}
