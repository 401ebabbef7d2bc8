package wire

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"slices"
	"testing"

	"github.com/miekg/dns"
)

// readable are the types whose data is read in answers: of all others it is for miekg/dns to say that it cannot be read.
var readable = []uint16{TypeA, TypeNS, TypeCNAME, TypeSOA, TypePTR, TypeMX, TypeAAAA, TypeDNAME}

// excused reports whether msg has data that is passed by here but read by miekg/dns, that of types which are not readable. It holds
// all owner names against what miekg/dns makes of them.
func excused(t *testing.T, msg []byte, off int, readable []uint16) (excused bool) {
	for section := ancount; section <= arcount; section += 2 {
		for range count(msg, section) {
			rr, ok := readRecord(msg, off)
			if !ok {
				t.Fatalf("a record at %d that was accepted is not there: %x", off, msg)
			}
			if _, end, err := dns.UnpackDomainName(msg, off); err != nil || end != rr.data-fixedLen {
				t.Fatalf("name at %d ends at %d, not %d: %v: %x", off, end, rr.data-fixedLen, err, msg)
			}
			if !slices.Contains(readable, rr.typ) && rr.dataLen > 0 {
				excused = true
			}
			off = rr.end()
		}
	}
	return excused
}

func FuzzParseQuery(f *testing.F) {
	f.Add(query(f, "www.Example.org.", dns.TypeA))
	f.Add(query(f, "a.test.", dns.TypeAAAA, edns("cookie:0011223344556677", "subnet:00011800c00002", "padding:00", "local:")))
	f.Add(query(f, "a.test.", dns.TypeIXFR, authority("a.test. 5 IN SOA a. b. 1 2 3 4 5"), edns("keepalive:")))
	f.Add(query(f, "a.test.", dns.TypeA, noQuestion, edns("cookie:0011223344556677")))
	f.Fuzz(func(t *testing.T, msg []byte) {
		var q Query
		v := ParseQuery(msg, &q)
		if v == Drop {
			return
		}
		checkReplies(t, msg, &q, v)
		if v != OK {
			return
		}
		m := new(dns.Msg)
		if err := m.Unpack(msg); err != nil {
			if !excused(t, msg, q.QuestionEnd, nil) {
				t.Fatalf("accepted, but: %v: %x", err, msg)
			}
			return
		}
		checkQuery(t, msg, &q, m)
	})
}

// checkQuery holds q against m, which miekg/dns read from the same message.
func checkQuery(t *testing.T, msg []byte, q *Query, m *dns.Msg) {
	t.Helper()
	if len(m.Question) != 1 {
		t.Fatalf("%d questions", len(m.Question))
	}
	name := make([]byte, 256)
	n, err := dns.PackDomainName(dns.CanonicalName(m.Question[0].Name), name, 0, nil, false)
	if err != nil || !bytes.Equal(name[:n], q.Name()) {
		t.Fatalf("name %q, not %q, %v", q.Name(), name[:n], err)
	}
	if q.ID != m.Id || q.Type != m.Question[0].Qtype || q.Class != m.Question[0].Qclass || q.RD() != m.RecursionDesired ||
		q.AD() != m.AuthenticatedData || q.CD() != m.CheckingDisabled || m.Opcode != 0 || m.Response {
		t.Fatalf("%+v\n%v", q, m)
	}
	if !SameQuestion(msg, q.Key()) {
		t.Fatal("the question is not its own")
	}
	opt := m.IsEdns0()
	if q.EDNS.Present != (opt != nil) {
		t.Fatalf("%+v\n%v", q.EDNS, m)
	}
	if opt == nil {
		return
	}
	cookie, subnet := false, false
	for _, o := range opt.Option {
		cookie = cookie || o.Option() == OptionCookie
		subnet = subnet || o.Option() == OptionSubnet
	}
	if q.EDNS.UDPSize != max(opt.UDPSize(), 512) || q.EDNS.DO != opt.Do() || opt.Version() != 0 || q.EDNS.HasCookie() != cookie ||
		q.EDNS.HasSubnet() != subnet {
		t.Fatalf("%+v\n%v", q.EDNS, opt)
	}
}

func FuzzScanAnswer(f *testing.F) {
	for _, s := range []sections{
		{typ: 1, answer: []string{"www.example.org. 60 IN CNAME a.test.", "a.test. 70 IN A 192.0.2.1"}, change: edns("ede:0012")},
		{typ: 28, ns: []string{soa}, change: edns("padding:0000")},
		{typ: 1, rcode: 3, ns: []string{soa, "x.example.org. 9 IN NSEC y.example.org. A"}},
		{typ: 15, answer: []string{"www.example.org. 60 IN MX 5 www.example.org."}, extra: []string{"www.example.org. 5 IN AAAA 2001:db8::1"}},
		{typ: 5, answer: []string{"www.example.org. 60 IN DNAME example.test.", "www.example.org. 60 IN PTR x."},
			change: func(m *dns.Msg) { edns()(m); slices.Reverse(m.Extra) }},
		{typ: 1, change: func(m *dns.Msg) { m.Truncated = true }},
	} {
		f.Add(s.pack(f))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		var a Answer
		if ScanAnswer(msg, &a) != nil {
			return
		}
		if a.Flags&FlagTC != 0 {
			Truncate(bytes.Clone(msg), a.QuestionEnd)
			return
		}
		m := new(dns.Msg)
		if err := m.Unpack(msg[:a.End]); err != nil {
			if !excused(t, msg, a.QuestionEnd, readable) {
				t.Fatalf("accepted, but: %v: %x", err, msg)
			}
			return
		}
		checkAnswer(t, msg, &a)
		want := m.Copy()
		want.Extra = slices.DeleteFunc(m.Extra, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeOPT })
		stripped, ok := StripOPT(bytes.Clone(msg), &a)
		if !ok {
			return
		}
		got := new(dns.Msg)
		if err := got.Unpack(stripped); err != nil {
			t.Fatalf("%v without OPT: %x", err, stripped)
		}
		got.Rcode = want.Rcode // whose upper bits went with the OPT record
		if len(want.Extra) == 0 {
			want.Extra, got.Extra = nil, nil
		}
		if !reflect.DeepEqual(got.Extra, want.Extra) || !reflect.DeepEqual(got.Answer, unpack(t, msg).Answer) {
			t.Fatalf("got\n%v\nwant\n%v", got, want)
		}
		checkAnswer(t, stripped, &Answer{ID: a.ID, Flags: a.Flags, Rcode: binary.BigEndian.Uint16(stripped[2:]) & rcodeMask, EDE: NoEDE,
			QuestionEnd: a.QuestionEnd, End: a.End, TTLs: a.TTLs, Addrs: a.Addrs})
	})
}
