package dotforward

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestCookie(t *testing.T) {
	// RFC 9018 appendix A.1
	var key [16]byte
	hex.Decode(key[:], []byte("e5e973e5a6b2a43f48e7dc849e37bfcf"))
	const want = "2464c4abcf10c957010000005cf79f111f8130c3eee29480"
	var c cookies
	now := time.Unix(1559731985, 0)
	c.secrets.Store(&secrets{now: key, since: now})
	client := netip.MustParseAddr("198.51.100.100")
	sent, _ := hex.DecodeString("2464c4abcf10c957")
	got := c.append(nil, sent, client, now)
	if hex.EncodeToString(got) != want {
		t.Errorf("cookie %x, want %s", got, want)
	}
	for _, test := range []struct {
		after  time.Duration
		client string
		change func([]byte)
		want   bool
	}{
		{0, "198.51.100.100", func([]byte) {}, true},
		{59 * time.Minute, "198.51.100.100", func([]byte) {}, true},
		{2 * time.Hour, "198.51.100.100", func([]byte) {}, false},
		{-time.Hour, "198.51.100.100", func([]byte) {}, false},
		{0, "198.51.100.101", func([]byte) {}, false},
		{0, "198.51.100.100", func(b []byte) { b[0]++ }, false},
		{0, "198.51.100.100", func(b []byte) { b[8]++ }, false},
		{0, "198.51.100.100", func(b []byte) { b[23]++ }, false},
	} {
		b := append([]byte(nil), got...)
		test.change(b)
		if ok := c.valid(b, netip.MustParseAddr(test.client), now.Add(test.after)); ok != test.want {
			t.Errorf("%+v: valid %v", test, ok)
		}
	}
	if c.valid(sent, client, now) {
		t.Error("a client's cookie alone is valid")
	}
	late := now.Add(rotateAfter - time.Minute)
	got = c.append(nil, sent, client, late)
	if late = late.Add(2 * time.Minute); !c.valid(got, client, late) || c.at(late).now == key {
		t.Error("a cookie is not valid after the secret has changed")
	}
}

func TestCookieInReply(t *testing.T) {
	var proven []bool
	r := newRig(t, func(o *Options) { o.Log = func(q *Query) { proven = append(proven, q.Proven()) } })
	defer r.close()
	cookie := "0011223344556677"
	for range 2 {
		m := query("www.example.org.", dns.TypeANY, true)
		m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: cookie})
		got := r.exchange(m, UDP).IsEdns0().Option
		if len(got) != 1 || len(got[0].String()) != 48 || !strings.HasPrefix(got[0].String(), cookie) {
			t.Fatalf("%v", got)
		}
		cookie = got[0].String()
	}
	if len(proven) != 2 || proven[0] || !proven[1] {
		t.Errorf("proven: %v", proven)
	}
	m := new(dns.Msg) // asks for a cookie and nothing else
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: cookie})
	if got := r.exchange(m, UDP); got.Rcode != 0 || len(got.IsEdns0().Option) != 1 {
		t.Errorf("%v", got)
	}
}

// A reply is no longer than the client takes, and nobody can read how long it is where nobody can read it.
func TestLength(t *testing.T) {
	r := newRig(t, nil)
	defer r.close()
	m := query("long.example.org.", dns.TypeTXT, false)
	long := new(dns.Msg).SetReply(m)
	for i := range 100 {
		rr, err := dns.NewRR(fmt.Sprintf("long.example.org. 60 IN TXT %q", strings.Repeat(string(rune('a'+i%26)), 200)))
		if err != nil {
			t.Fatal(err)
		}
		long.Answer = append(long.Answer, rr)
	}
	r.keep(m, long)
	for transport := range transports {
		for _, edns := range []bool{false, true} {
			m := query("long.example.org.", dns.TypeTXT, edns)
			if edns {
				m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_PADDING{Padding: make([]byte, 8)})
			}
			reply := <-r.start(pack(t, m), transport)
			got := unpack(t, reply)
			if got.Truncated != (transport == UDP) || len(got.Answer) != map[bool]int{true: 0, false: 100}[transport == UDP] || (got.IsEdns0() != nil) != edns {
				t.Errorf("%v, EDNS %v: TC %v, %d answers", transport, edns, got.Truncated, len(got.Answer))
			}
			if padded := len(reply)%paddedTo == 0; padded != (edns && transport.Encrypted()) {
				t.Errorf("%v, EDNS %v: %d bytes", transport, edns, len(reply))
			}
		}
	}
}

func TestSubnet(t *testing.T) {
	for _, pass := range []bool{false, true} {
		r := newRig(t, func(o *Options) { o.PassSubnet = pass })
		for i := range 3 {
			m := query("www.example.org.", dns.TypeA, true)
			m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24,
				Address: net.IPv4(192, 0, byte(i/2), 0)})
			if got := r.exchange(m, UDP); len(got.Answer) != 1 {
				t.Errorf("%v", got)
			}
		}
		if n := r.fake.Stats().Queries; n != map[bool]int64{false: 1, true: 2}[pass] {
			t.Errorf("pass %v: %d queries upstream", pass, n)
		}
		r.close()
	}
}
