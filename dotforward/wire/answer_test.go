package wire

import (
	"bytes"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"github.com/miekg/dns"
)

// sections is what a reply has to say, a record a line.
type sections struct {
	typ               uint16
	rcode             int
	answer, ns, extra []string
	change            func(*dns.Msg)
}

func (s sections) pack(t testing.TB) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion("www.example.org.", s.typ)
	m.Id, m.Response, m.RecursionAvailable, m.Compress = 0x4321, true, true, true
	m.Rcode = s.rcode
	for i, to := range []*[]dns.RR{&m.Answer, &m.Ns, &m.Extra} {
		for _, line := range [][]string{s.answer, s.ns, s.extra}[i] {
			rr, err := dns.NewRR(line)
			if err != nil {
				t.Fatal(err)
			}
			*to = append(*to, rr)
		}
	}
	if s.change != nil {
		s.change(m)
	}
	return pack(t, m)
}

const soa = "example.org. 900 IN SOA ns.example.org. root.example.org. 1 2 3 4 300"

func TestScanAnswer(t *testing.T) {
	tc := func(m *dns.Msg) { m.Truncated = true }
	for _, tt := range []struct {
		name string
		in   sections
		kind Kind
		ttl  uint32
	}{
		{"positive", sections{typ: 1, answer: []string{"www.example.org. 60 IN A 192.0.2.1"}}, Positive, 60},
		{"the least counts, wherever it stands", sections{typ: 1, answer: []string{"www.example.org. 60 IN A 192.0.2.1"},
			ns: []string{"example.org. 50 IN NS ns.example.org."}, extra: []string{"ns.example.org. 40 IN A 192.0.2.53"}}, Positive, 40},
		{"chain", sections{typ: 1, answer: []string{"www.example.org. 60 IN CNAME a.test.", "a.test. 70 IN A 192.0.2.1"}}, Positive, 60},
		{"any", sections{typ: dns.TypeANY, answer: []string{"www.example.org. 60 IN HINFO a b"}}, Positive, 60},
		{"no data", sections{typ: 1, ns: []string{soa}}, NoData, 300},
		{"no data at the end of a chain", sections{typ: 1, answer: []string{"www.example.org. 60 IN CNAME a.test."}, ns: []string{soa}}, NoData, 60},
		{"no such name", sections{typ: 1, rcode: 3, ns: []string{soa}}, NXDomain, 300},
		{"no such name, who knows for how long", sections{typ: 1, rcode: 3}, NXDomain, 0},
		{"SOA that lives for less than its minimum", sections{typ: 1, rcode: 3,
			ns: []string{"example.org. 9 IN SOA ns.example.org. root.example.org. 1 2 3 4 300"}}, NXDomain, 9},
		{"a SOA beside an answer is a record like others", sections{typ: 1, answer: []string{"www.example.org. 600 IN A 192.0.2.1"}, ns: []string{soa}}, Positive, 600},
		{"SOA asked for", sections{typ: dns.TypeSOA, answer: []string{soa}}, Positive, 900},
		{"referral", sections{typ: 1, ns: []string{"example.org. 50 IN NS ns.example.org."}}, NoData, 0},
		{"failure", sections{typ: 1, rcode: 2}, Failure, 0},
		{"refused without a question", sections{typ: 1, rcode: 5, change: noQuestion}, Unfit, 0},
		{"cut", sections{typ: 1, answer: []string{"www.example.org. 60 IN A 192.0.2.1"}, change: tc}, Unfit, 0},
		{"not to be kept", sections{typ: 1, answer: []string{"www.example.org. 0 IN A 192.0.2.1"}}, Positive, 0},
		{"TTL with the top bit set", sections{typ: 1, answer: []string{"www.example.org. 2147483648 IN A 192.0.2.1"}}, Positive, 0},
		{"OPT alone", sections{typ: 1, change: edns()}, NoData, 0},
		{"OPT has no TTL", sections{typ: 1, answer: []string{"www.example.org. 60 IN A 192.0.2.1"}, change: edns()}, Positive, 60},
		{"extended rcode", sections{typ: 1, change: func(m *dns.Msg) { edns()(m); m.Rcode = dns.RcodeBadCookie }}, Failure, 0},
	} {
		msg := tt.in.pack(t)
		var a Answer
		if err := ScanAnswer(msg, &a); err != nil || a.Kind != tt.kind || a.TTL != tt.ttl {
			t.Errorf("%s: %v, %v for %d s, want %v for %d s", tt.name, err, a.Kind, a.TTL, tt.kind, tt.ttl)
		}
		checkAnswer(t, msg, &a)
		if a.Flags&FlagTC != 0 {
			continue
		}
		for n := range msg {
			if ScanAnswer(msg[:n], &a) == nil {
				t.Errorf("%s: accepted after byte %d of %d", tt.name, n, len(msg))
			}
		}
	}
}

func TestScanAnswerRefuses(t *testing.T) {
	msg := sections{typ: 1, answer: []string{"www.example.org. 60 IN A 192.0.2.1"}}.pack(t)
	owner := 12 + 17 + 4
	set := func(at int, b ...byte) []byte {
		m := bytes.Clone(msg)
		copy(m[at:], b)
		return m
	}
	for name, msg := range map[string][]byte{
		"pointer to itself":       set(owner, 0xc0, byte(owner)),
		"pointer forward":         set(owner, 0xc0, byte(owner+2)),
		"pointer to the header":   set(owner, 0xc0, 4),
		"address of 3 bytes":      append(set(owner+10, 0, 3)[:owner+12], 1, 2, 3),
		"two questions":           set(4, 0, 2),
		"no question, no error":   set(4, 0, 0),
		"pointer in a question":   set(12, 0xc0, 12),
		"one record too many":     set(6, 0, 2),
		"longer than a message":   append(set(0), make([]byte, MaxLen)...),
		"OPT among the answers":   set(owner+2, 0, 41),
		"CNAME that is no name":   set(owner+2, 0, 5, 0, 1, 0, 0, 0, 1, 0, 4, 9, 9, 9, 9),
		"SOA that is too short":   set(owner+2, 0, 6, 0, 1, 0, 0, 0, 1, 0, 4, 0, 0, 9, 9),
		"MX without a preference": append(set(owner+2, 0, 15, 0, 1, 0, 0, 0, 1, 0, 1)[:owner+12], 1),
	} {
		var a Answer
		if err := ScanAnswer(msg, &a); err != ErrFormat {
			t.Errorf("%s: %v", name, err)
		}
	}
	var a Answer
	if err := ScanAnswer(set(2, 1), &a); err != ErrNotReply {
		t.Error(err)
	}
	if err := ScanAnswer(append(msg, "whatever"...), &a); err != nil || a.End != len(msg) {
		t.Errorf("what follows the message: %v, end %d of %d", err, a.End, len(msg))
	}
}

// checkAnswer holds what a says of msg against what miekg/dns reads.
func checkAnswer(t *testing.T, msg []byte, a *Answer) {
	t.Helper()
	m := unpack(t, msg[:a.End])
	if a.ID != m.Id || a.Question() != (len(m.Question) == 1) {
		t.Errorf("%+v\n%v", a, m)
	}
	if a.Flags&FlagTC != 0 {
		return
	}
	var ttls []uint32
	var addrs []netip.Addr
	for i, rrs := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range rrs {
			if rr.Header().Rrtype != dns.TypeOPT {
				ttls = append(ttls, rr.Header().Ttl)
			}
			switch rr := rr.(type) {
			case *dns.A:
				if addr, ok := netip.AddrFromSlice(rr.A.To4()); i == 0 && ok {
					addrs = append(addrs, addr)
				}
			case *dns.AAAA:
				if addr, ok := netip.AddrFromSlice(rr.AAAA); i == 0 && ok {
					addrs = append(addrs, addr)
				}
			}
		}
	}
	var got []uint32
	for _, off := range a.TTLs {
		got = append(got, uint32(msg[off])<<24|uint32(msg[off+1])<<16|uint32(msg[off+2])<<8|uint32(msg[off+3]))
	}
	opt := m.IsEdns0()
	if !slices.Equal(got, ttls) || !slices.Equal(a.Addrs, addrs) || int(a.Rcode) != m.Rcode || a.HasOPT() != (opt != nil) {
		t.Errorf("TTLs %v for %v, addresses %v for %v, rcode %d for %d", got, ttls, a.Addrs, addrs, a.Rcode, m.Rcode)
	}
	if opt != nil {
		ede := NoEDE
		for _, o := range opt.Option {
			if o, ok := o.(*dns.EDNS0_EDE); ok && ede == NoEDE {
				ede = o.InfoCode
			}
		}
		if a.UDPSize() != opt.UDPSize() || a.EDE != ede {
			t.Errorf("size %d, EDE %d for %v", a.UDPSize(), a.EDE, opt)
		}
	}
}

func TestStripOPT(t *testing.T) {
	before := []string{"a.example.org. 60 IN A 192.0.2.1"}
	for _, tt := range []struct {
		name  string
		extra []string // behind OPT
		ok    bool
	}{
		{"last", nil, true},
		{"glue behind", []string{"a.example.org. 60 IN A 192.0.2.2", "example.org. 60 IN AAAA 2001:db8::1"}, true},
		{"pointer to behind", []string{"b.test. 60 IN A 192.0.2.2", "b.test. 60 IN AAAA 2001:db8::1"}, false},
		{"names in data", []string{"b.test. 60 IN MX 10 www.example.org."}, false},
	} {
		msg := sections{typ: 1, answer: before, extra: before, change: func(m *dns.Msg) {
			edns("ede:0012", "padding:00000000")(m)
			for _, line := range tt.extra {
				rr, _ := dns.NewRR(line)
				m.Extra = append(m.Extra, rr)
			}
		}}.pack(t)
		var a Answer
		if err := ScanAnswer(append(msg, 1, 2, 3), &a); err != nil {
			t.Fatal(err)
		}
		checkAnswer(t, msg, &a)
		if ede, ok := Option(a.Options(msg), OptionEDE); !ok || !bytes.Equal(ede, []byte{0, 18}) || a.EDE != 18 {
			t.Errorf("%s: EDE %x, %d", tt.name, ede, a.EDE)
		}
		want := unpack(t, msg)
		want.Extra = slices.DeleteFunc(want.Extra, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeOPT })
		got, ok := StripOPT(append(bytes.Clone(msg), 1, 2, 3), &a)
		if ok != tt.ok {
			t.Errorf("%s: %v", tt.name, ok)
		}
		if ok {
			if m := unpack(t, got); !reflect.DeepEqual(m, want) {
				t.Errorf("%s: got\n%v\nwant\n%v", tt.name, m, want)
			}
			checkAnswer(t, got, &a)
			again := fmt.Sprint(a.TTLs)
			if ScanAnswer(got, &a) != nil || fmt.Sprint(a.TTLs) != again {
				t.Errorf("%s: TTLs at %s, scanned again at %v", tt.name, again, a.TTLs)
			}
		}
	}
}
