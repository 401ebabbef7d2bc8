// Package wire reads and writes DNS messages (RFC 1035) as the bytes that they are: what a forwarder must know of a query and of
// an answer, found without unpacking and without allocation. What it accepts, a full unpacker reads the same way; what it does
// not need to know, it does not look at. A message is a []byte that starts with its header, without the length of TCP's frames.
package wire

import (
	"encoding/binary"
	"errors"
)

// HeaderLen is how many bytes the header of a message has.
const HeaderLen = 12

// MaxLen is the length of the longest message: what the length of a TCP frame can say (RFC 1035 section 4.2.2).
const MaxLen = 1<<16 - 1

// The flags in the second word of the header (RFC 1035 section 4.1.1, RFC 4035 section 3).
const (
	FlagQR uint16 = 1 << 15
	FlagAA uint16 = 1 << 10
	FlagTC uint16 = 1 << 9
	FlagRD uint16 = 1 << 8
	FlagRA uint16 = 1 << 7
	FlagAD uint16 = 1 << 5
	FlagCD uint16 = 1 << 4

	opcodeMask uint16 = 0xf << 11
	rcodeMask  uint16 = 0xf
)

// The types and classes that forwarding takes notice of.
const (
	TypeA     uint16 = 1
	TypeNS    uint16 = 2
	TypeCNAME uint16 = 5
	TypeSOA   uint16 = 6
	TypePTR   uint16 = 12
	TypeHINFO uint16 = 13
	TypeMX    uint16 = 15
	TypeAAAA  uint16 = 28
	TypeDNAME uint16 = 39
	TypeOPT   uint16 = 41
	TypeIXFR  uint16 = 251
	TypeAXFR  uint16 = 252
	TypeANY   uint16 = 255

	ClassIN    uint16 = 1
	ClassCHAOS uint16 = 3
	ClassANY   uint16 = 255
)

// The response codes, of which those above 15 need an OPT record (RFC 6891 section 6.1.3).
const (
	RcodeSuccess   uint16 = 0
	RcodeFormErr   uint16 = 1
	RcodeServFail  uint16 = 2
	RcodeNXDomain  uint16 = 3
	RcodeNotImp    uint16 = 4
	RcodeRefused   uint16 = 5
	RcodeBadVers   uint16 = 16
	RcodeBadCookie uint16 = 23
)

// ErrFormat says that a message is not one that RFC 1035 knows.
var ErrFormat = errors.New("malformed DNS message")

// ErrNotReply says that a message that should be a reply is a query.
var ErrNotReply = errors.New("a DNS query where a reply was expected")

// ID is the message's ID.
func ID(msg []byte) uint16 { return binary.BigEndian.Uint16(msg) }

// SetID gives the message another ID.
func SetID(msg []byte, id uint16) { binary.BigEndian.PutUint16(msg, id) }

// Flags is the second word of the message's header: flags, opcode and response code.
func Flags(msg []byte) uint16 { return binary.BigEndian.Uint16(msg[2:]) }

func setFlags(msg []byte, flags uint16) { binary.BigEndian.PutUint16(msg[2:], flags) }

// The places of the counts in the header.
const (
	qdcount = 4
	ancount = 6
	nscount = 8
	arcount = 10
)

func count(msg []byte, section int) int { return int(binary.BigEndian.Uint16(msg[section:])) }

func addCount(msg []byte, section, n int) {
	binary.BigEndian.PutUint16(msg[section:], uint16(count(msg, section)+n))
}
