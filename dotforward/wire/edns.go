package wire

import (
	"encoding/binary"
	"time"
)

// The options of OPT records that forwarding takes notice of.
const (
	OptionSubnet    uint16 = 8  // RFC 7871
	OptionCookie    uint16 = 10 // RFC 7873
	OptionKeepalive uint16 = 11 // RFC 7828
	OptionPadding   uint16 = 12 // RFC 7830
	OptionEDE       uint16 = 15 // RFC 8914
)

// The info codes of extended errors (RFC 8914 section 4) that a forwarder has reason to say.
const (
	EDEOther         uint16 = 0
	EDEStaleAnswer   uint16 = 3
	EDEForged        uint16 = 4
	EDENotReady      uint16 = 14
	EDEBlocked       uint16 = 15
	EDECensored      uint16 = 16
	EDEFiltered      uint16 = 17
	EDEProhibited    uint16 = 18
	EDEStaleNXDomain uint16 = 19
	EDENotSupported  uint16 = 21
	EDENoReachable   uint16 = 22
	EDENetworkError  uint16 = 23
	EDEInvalidData   uint16 = 24

	// NoEDE stands where there is nothing to say: the last of the codes for private use.
	NoEDE uint16 = 0xffff
)

const (
	flagDO        uint32 = 1 << 15
	optFixed             = 1 + fixedLen // an OPT record without options: its owner is the root
	optionHeader         = 4
	clientCookie         = 8 // bytes; with a server's, of 8 to 32 (RFC 7873 section 4)
	minCookie            = clientCookie + 8
	maxCookie            = clientCookie + 32
	keepaliveUnit        = 100 * time.Millisecond
)

// EDNS is what the OPT record of a query says (RFC 6891).
type EDNS struct {
	Present bool
	DO      bool // DNSSEC records wanted (RFC 3225)
	Version uint8
	// Keepalive and Padding report that the client sent the option, and so takes it in replies.
	Keepalive, Padding bool
	// UDPSize is the longest UDP message the client takes, at least 512 as RFC 6891 section 6.2.3 has it.
	UDPSize uint16

	cookie, subnet span
}

// span is a part of a message.
type span struct{ off, n uint16 }

func (s span) of(msg []byte) []byte { return msg[s.off : s.off+s.n : s.off+s.n] }

// HasCookie reports whether there was a cookie.
func (e *EDNS) HasCookie() bool { return e.cookie.n != 0 }

// Cookie is the cookie in msg, the query that e was read from: 8 bytes of the client, and 8 to 32 of the server where the client
// has some. It is empty if there is none.
func (e *EDNS) Cookie(msg []byte) []byte { return e.cookie.of(msg) }

// HasSubnet reports whether the client told its network.
func (e *EDNS) HasSubnet() bool { return e.subnet.n != 0 }

// Subnet is the client subnet option in msg, the query that e was read from: family, prefix lengths and address. It is empty if
// there is none.
func (e *EDNS) Subnet(msg []byte) []byte { return e.subnet.of(msg) }

// parse reads the OPT record at off if it is that and the last of msg; whole is false if not.
func (e *EDNS) parse(msg []byte, off int) (v Verdict, whole bool) {
	if off+optFixed > len(msg) || msg[off] != 0 || binary.BigEndian.Uint16(msg[off+1:]) != TypeOPT {
		return FormErr, false
	}
	rr := record{
		typ:     TypeOPT,
		class:   binary.BigEndian.Uint16(msg[off+3:]),
		ttl:     binary.BigEndian.Uint32(msg[off+5:]),
		data:    off + optFixed,
		dataLen: int(binary.BigEndian.Uint16(msg[off+9:])),
	}
	if rr.end() != len(msg) {
		return FormErr, false
	}
	return e.read(msg, rr), true
}

func (e *EDNS) read(msg []byte, rr record) Verdict {
	e.Present = true
	e.UDPSize = max(rr.class, 512)
	e.DO = rr.ttl&flagDO != 0
	e.Version = uint8(rr.ttl >> 16)
	if e.Version != 0 {
		return BadVers // whose options nobody can read
	}
	for off, end := rr.data, rr.end(); off < end; {
		if off+optionHeader > end {
			return FormErr
		}
		code, n := binary.BigEndian.Uint16(msg[off:]), int(binary.BigEndian.Uint16(msg[off+2:]))
		off += optionHeader
		if off+n > end || !e.option(code, msg, off, n) {
			return FormErr
		}
		off += n
	}
	return OK
}

// option takes notice of one option; false if its RFC wants FORMERR for it. Of several of a kind the first counts, as RFC 7873
// section 5.2 has it for cookies.
func (e *EDNS) option(code uint16, msg []byte, off, n int) bool {
	at := span{uint16(off), uint16(n)}
	switch code {
	case OptionCookie:
		if n != clientCookie && (n < minCookie || n > maxCookie) {
			return false
		}
		if e.cookie.n == 0 {
			e.cookie = at
		}
	case OptionSubnet:
		if !validSubnet(at.of(msg)) {
			return false
		}
		if e.subnet.n == 0 {
			e.subnet = at
		}
	case OptionKeepalive:
		e.Keepalive = true
		return n == 0 || n == 2
	case OptionPadding:
		e.Padding = true
	}
	return true
}

// validSubnet is what RFC 7871 sections 6 and 7.1.2 demand of the option in a query. Family 0 is how some clients say that they
// want no subnet told.
func validSubnet(b []byte) bool {
	if len(b) < 4 || b[3] != 0 {
		return false
	}
	bits := int(b[2])
	switch binary.BigEndian.Uint16(b) {
	case 0:
		return bits == 0 && len(b) == 4
	case 1:
		if bits > 32 {
			return false
		}
	case 2:
		if bits > 128 {
			return false
		}
	default:
		return false
	}
	addr := b[4:]
	if len(addr) != (bits+7)/8 {
		return false
	}
	rest := bits % 8
	return rest == 0 || addr[len(addr)-1]<<rest == 0
}

// Option is the first option with the code among options, the RDATA of an OPT record, and whether there is one.
func Option(options []byte, code uint16) (data []byte, ok bool) {
	for len(options) >= optionHeader {
		n := int(binary.BigEndian.Uint16(options[2:]))
		rest := options[optionHeader:]
		if n > len(rest) {
			return nil, false
		}
		if binary.BigEndian.Uint16(options) == code {
			return rest[:n:n], true
		}
		options = rest[n:]
	}
	return nil, false
}

// OPT is an OPT record to be written. Its zero value, but for UDPSize, is one without options.
type OPT struct {
	UDPSize uint16 // the longest UDP message that is taken here; 1232 is what most agree on
	DO      bool   // as the query had it (RFC 3225 section 3)
	// Rcode is the response code, of which the upper bits are written. The lower four are the header's and stay as they are there.
	Rcode uint16
	// HasEDE says why: EDE is an info code, EDEText what a person may read of it (UTF-8, at most 255 bytes are sent).
	HasEDE  bool
	EDE     uint16
	EDEText string
	Cookie  []byte // none if empty
	Subnet  []byte // a client subnet option's data, none if empty
	// HasKeepalive sends Keepalive, how long an idle connection is kept, in steps of 100 ms up to 6553.5 s; in a query it is sent
	// empty (RFC 7828 section 3.2.1) by AskKeepalive. Neither belongs on UDP.
	HasKeepalive, AskKeepalive bool
	Keepalive                  time.Duration
	// Block pads the message to a multiple of so many bytes: 128 for queries, 468 for replies (RFC 8467). 0 is no padding, as
	// on transports that anybody can read.
	Block int
}

// AppendOPT ends msg, a whole message without an OPT record, with one. It allocates only if msg has no room for it: 11 bytes and
// the options. Padding stops short of [MaxLen].
func AppendOPT(msg []byte, o *OPT) []byte {
	start := len(msg)
	addCount(msg, arcount, 1)
	ttl := uint32(o.Rcode>>4) << 24
	if o.DO {
		ttl |= flagDO
	}
	msg = append(msg, 0, byte(TypeOPT>>8), byte(TypeOPT), byte(o.UDPSize>>8), byte(o.UDPSize))
	msg = binary.BigEndian.AppendUint32(msg, ttl)
	msg = append(msg, 0, 0)
	if len(o.Cookie) > 0 {
		msg = append(appendOption(msg, OptionCookie, len(o.Cookie)), o.Cookie...)
	}
	if len(o.Subnet) > 0 {
		msg = append(appendOption(msg, OptionSubnet, len(o.Subnet)), o.Subnet...)
	}
	if o.HasKeepalive {
		units := min(max(o.Keepalive/keepaliveUnit, 0), 1<<16-1)
		msg = binary.BigEndian.AppendUint16(appendOption(msg, OptionKeepalive, 2), uint16(units))
	} else if o.AskKeepalive {
		msg = appendOption(msg, OptionKeepalive, 0)
	}
	if o.HasEDE {
		text := cutText(o.EDEText, 255)
		msg = binary.BigEndian.AppendUint16(appendOption(msg, OptionEDE, 2+len(text)), o.EDE)
		msg = append(msg, text...)
	}
	msg = pad(msg, o.Block)
	binary.BigEndian.PutUint16(msg[start+optFixed-2:], uint16(len(msg)-start-optFixed))
	return msg
}

func appendOption(msg []byte, code uint16, n int) []byte {
	return append(msg, byte(code>>8), byte(code), byte(n>>8), byte(n))
}

// cutText shortens s to at most n bytes, and not within a character.
func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}

var zeros [512]byte

func pad(msg []byte, block int) []byte {
	if block <= 0 {
		return msg
	}
	n := len(msg) + optionHeader
	padding := (block - n%block) % block
	if n+padding > MaxLen {
		return msg
	}
	msg = appendOption(msg, OptionPadding, padding)
	for padding > 0 {
		part := min(padding, len(zeros))
		msg = append(msg, zeros[:part]...)
		padding -= part
	}
	return msg
}
