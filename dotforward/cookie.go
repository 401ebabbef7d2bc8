package dotforward

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	clientCookieLen = 8
	cookieLen       = 24 // of the client, and of the server in the form of RFC 9018
	rotateAfter     = 24 * time.Hour
	cookieLife      = time.Hour        // RFC 9018 section 4.3
	cookieEarly     = -5 * time.Minute // clocks differ between servers of one address
)

// cookies make the server's half of cookies (RFC 7873) as RFC 9018 has them. Of the secrets, which change each day, the one before
// is still good.
type cookies struct {
	mu      sync.Mutex
	secrets atomic.Pointer[secrets]
}

type secrets struct {
	now, before [16]byte
	since       time.Time
}

// at are the secrets at a time.
func (c *cookies) at(now time.Time) *secrets {
	s := c.secrets.Load()
	if s != nil && now.Sub(s.since) < rotateAfter {
		return s
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.secrets.Load()
	if old != s {
		return old // somebody was faster
	}
	s = &secrets{since: now}
	rand.Read(s.now[:]) // it does not fail
	s.before = s.now
	if old != nil {
		s.before = old.now
	}
	c.secrets.Store(s)
	return s
}

// append appends to dst the whole cookie for a client that sent one.
func (c *cookies) append(dst, sent []byte, client netip.Addr, now time.Time) []byte {
	dst = append(dst, sent[:clientCookieLen]...)
	dst = append(dst, 1, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(now.Unix()))
	return cookieHash(dst, &c.at(now).now, client)
}

// valid reports whether the client's cookie has a server's half that we made, and not long ago.
func (c *cookies) valid(sent []byte, client netip.Addr, now time.Time) bool {
	if len(sent) != cookieLen || sent[clientCookieLen] != 1 {
		return false
	}
	made := binary.BigEndian.Uint32(sent[12:16])
	age := time.Duration(int32(uint32(now.Unix())-made)) * time.Second // serial number arithmetic (RFC 1982)
	if age > cookieLife || age < cookieEarly {
		return false
	}
	s := c.at(now)
	var buf [cookieLen]byte
	for _, key := range [...]*[16]byte{&s.now, &s.before} {
		if subtle.ConstantTimeCompare(cookieHash(append(buf[:0], sent[:16]...), key, client), sent) == 1 {
			return true
		}
	}
	return false
}

// cookieHash appends to the first 16 bytes of a cookie the 8 that vouch for them and the client's address.
func cookieHash(cookie []byte, key *[16]byte, client netip.Addr) []byte {
	var in [32]byte
	n := copy(in[:], cookie)
	client = client.Unmap()
	if client.Is4() {
		a := client.As4()
		n += copy(in[n:], a[:])
	} else {
		a := client.As16()
		n += copy(in[n:], a[:])
	}
	return binary.LittleEndian.AppendUint64(cookie, sipHash(key, in[:n]))
}

// sipHash is SipHash-2-4, which RFC 9018 prescribes.
func sipHash(key *[16]byte, in []byte) uint64 {
	k0, k1 := binary.LittleEndian.Uint64(key[:8]), binary.LittleEndian.Uint64(key[8:])
	v := sipState{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573}
	last := uint64(len(in)) << 56
	for ; len(in) >= 8; in = in[8:] {
		v.block(binary.LittleEndian.Uint64(in))
	}
	for i, b := range in {
		last |= uint64(b) << (8 * i)
	}
	v.block(last)
	v[2] ^= 0xff
	for range 4 {
		v.round()
	}
	return v[0] ^ v[1] ^ v[2] ^ v[3]
}

type sipState [4]uint64

func (v *sipState) block(m uint64) {
	v[3] ^= m
	v.round()
	v.round()
	v[0] ^= m
}

func (v *sipState) round() {
	v[0] += v[1]
	v[2] += v[3]
	v[1] = bits.RotateLeft64(v[1], 13) ^ v[0]
	v[3] = bits.RotateLeft64(v[3], 16) ^ v[2]
	v[0] = bits.RotateLeft64(v[0], 32)
	v[2] += v[1]
	v[0] += v[3]
	v[1] = bits.RotateLeft64(v[1], 17) ^ v[2]
	v[3] = bits.RotateLeft64(v[3], 21) ^ v[0]
	v[2] = bits.RotateLeft64(v[2], 32)
}
