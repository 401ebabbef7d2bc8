package wire

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func parsed(t testing.TB, msg []byte) *Query {
	t.Helper()
	q := new(Query)
	if v := ParseQuery(msg, q); v != OK {
		t.Fatalf("verdict %d", v)
	}
	return q
}

func TestReplies(t *testing.T) {
	in := query(t, "Www.example.org.", dns.TypeA, func(m *dns.Msg) { m.CheckingDisabled = true })
	q := parsed(t, in)
	for name, tt := range map[string]struct {
		msg  []byte
		want []string
	}{
		"refused": {Reply(nil, in, q, RcodeRefused), nil},
		"address": {AppendAddr(Reply(nil, in, q, 0), 60, netip.IPv4Unspecified()), []string{"Www.example.org.\t60\tIN\tA\t0.0.0.0"}},
		"IPv6":    {AppendAddr(Reply(nil, in, q, 0), 60, netip.IPv6Unspecified()), []string{"Www.example.org.\t60\tIN\tAAAA\t::"}},
		"both": {AppendAddr(AppendAddr(Reply(nil, in, q, 0), 5, netip.MustParseAddr("::ffff:192.0.2.1")), 6, netip.MustParseAddr("2001:db8::1")),
			[]string{"Www.example.org.\t5\tIN\tA\t192.0.2.1", "Www.example.org.\t6\tIN\tAAAA\t2001:db8::1"}},
		"any": {AppendANY(Reply(nil, in, q, 0), 3600), []string{"Www.example.org.\t3600\tIN\tHINFO\t\"RFC8482\" \"\""}},
		"soa": {AppendSOA(Reply(nil, in, q, RcodeNXDomain), 10), []string{"Www.example.org.\t10\tIN\tSOA\t. . 1 3600 600 86400 10"}},
	} {
		m := unpack(t, tt.msg)
		var got []string
		for _, rr := range append(m.Answer, m.Ns...) {
			got = append(got, rr.String())
		}
		if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
			t.Errorf("%s: %q", name, got)
		}
		if m.Id != 0x1234 || !m.Response || !m.RecursionDesired || !m.RecursionAvailable || !m.CheckingDisabled || m.Question[0].Name != "Www.example.org." {
			t.Errorf("%s: %v", name, m)
		}
		var a Answer
		if err := ScanAnswer(tt.msg, &a); err != nil || a.End != len(tt.msg) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAppendOPT(t *testing.T) {
	in := query(t, "www.example.org.", dns.TypeA)
	q := parsed(t, in)
	reply := AppendOPT(Reply(nil, in, q, RcodeBadCookie), &OPT{UDPSize: 1232, DO: true, Rcode: RcodeBadCookie, HasEDE: true, EDE: EDEProhibited,
		EDEText: strings.Repeat("ä", 200), Cookie: []byte("0123456789abcdef"), Subnet: []byte{0, 1, 24, 0, 192, 0, 2}, HasKeepalive: true,
		Keepalive: 2500 * time.Millisecond, Block: 468})
	m := unpack(t, reply)
	opt := m.IsEdns0()
	if opt == nil || m.Rcode != dns.RcodeBadCookie || !opt.Do() || opt.UDPSize() != 1232 || len(opt.Option) != 5 {
		t.Fatal(m)
	}
	if ede := opt.Option[3].(*dns.EDNS0_EDE); ede.InfoCode != EDEProhibited || ede.ExtraText != strings.Repeat("ä", 127) {
		t.Error(ede)
	}
	if k := opt.Option[2].(*dns.EDNS0_TCP_KEEPALIVE); k.Timeout != 25 {
		t.Error(k)
	}
	if len(reply)%468 != 0 {
		t.Errorf("%d bytes", len(reply))
	}
	for size := range 600 {
		msg := AppendOPT(make([]byte, HeaderLen+size), &OPT{Block: 128})
		if len(msg)%128 != 0 || len(msg)-size > 128+HeaderLen+optFixed+optionHeader {
			t.Fatalf("%d bytes became %d", HeaderLen+size, len(msg))
		}
	}
	if msg := AppendOPT(make([]byte, MaxLen-optFixed-2), &OPT{Block: 468}); len(msg) > MaxLen {
		t.Errorf("padded to %d bytes", len(msg))
	}
	if msg := unpack(t, AppendOPT(Reply(nil, in, q, 0), &OPT{Keepalive: 48 * time.Hour, HasKeepalive: true})); msg.IsEdns0().Option[0].(*dns.EDNS0_TCP_KEEPALIVE).Timeout != 65535 {
		t.Error(msg)
	}
}

func TestAsk(t *testing.T) {
	in := query(t, "WWW.example.org.", dns.TypeA, edns("subnet:00011800c00002"), func(m *dns.Msg) { m.RecursionDesired, m.CheckingDisabled = false, true })
	msg := AppendOPT(Ask(nil, parsed(t, in)), &OPT{UDPSize: 1232, DO: true, AskKeepalive: true, Block: 128})
	m := unpack(t, msg)
	if m.Id != 0 || !m.RecursionDesired || !m.AuthenticatedData || !m.CheckingDisabled || m.Question[0].Name != "www.example.org." || len(msg) != 128 {
		t.Errorf("%d bytes: %v", len(msg), m)
	}
	if q := parsed(t, msg); !q.EDNS.Keepalive || !q.EDNS.Padding || !q.EDNS.DO || q.EDNS.HasSubnet() {
		t.Errorf("%+v", q)
	}
}

func TestReaddress(t *testing.T) {
	authentic := func(m *dns.Msg) { m.AuthenticatedData = true }
	for _, tt := range []struct {
		query []byte
		ad    bool
	}{
		{query(t, "wWw.eXample.org.", 1), false},
		{query(t, "www.example.ORG.", 1, func(m *dns.Msg) { m.AuthenticatedData, m.RecursionDesired = true, false }), true},
		{query(t, "www.example.ORG.", 1, edns(), func(m *dns.Msg) { m.CheckingDisabled = true }), true},
	} {
		msg := sections{typ: 1, answer: []string{"www.example.org. 60 IN A 192.0.2.1"}, change: authentic}.pack(t)
		q := parsed(t, tt.query)
		Readdress(msg, tt.query, q)
		got, asked := unpack(t, msg), unpack(t, tt.query)
		if got.Id != asked.Id || got.Question[0] != asked.Question[0] || got.RecursionDesired != asked.RecursionDesired ||
			got.CheckingDisabled != asked.CheckingDisabled || got.AuthenticatedData != tt.ad || len(got.Answer) != 1 || !got.Response {
			t.Errorf("%v\n%v", asked, got)
		}
	}
}

func TestUDPLimit(t *testing.T) {
	var q Query
	for _, tt := range []struct {
		change func(*dns.Msg)
		want   int
	}{
		{func(*dns.Msg) {}, 512},
		{func(m *dns.Msg) { m.SetEdns0(100, false) }, 512},
		{func(m *dns.Msg) { m.SetEdns0(800, false) }, 800},
		{func(m *dns.Msg) { m.SetEdns0(4096, false) }, 1232},
	} {
		ParseQuery(query(t, "a.test.", 1, tt.change), &q)
		if got := q.UDPLimit(1232); got != tt.want {
			t.Errorf("%d, want %d", got, tt.want)
		}
	}
}

func TestTruncate(t *testing.T) {
	in := query(t, "www.example.org.", 1, edns())
	msg := sections{typ: 1, answer: []string{"www.example.org. 60 IN A 192.0.2.1"}, ns: []string{soa}, change: edns()}.pack(t)
	msg = AppendOPT(Truncate(msg, parsed(t, in).QuestionEnd), &OPT{UDPSize: 1232})
	if m := unpack(t, msg); !m.Truncated || len(m.Question) != 1 || len(m.Answer)+len(m.Ns) != 0 || m.IsEdns0() == nil {
		t.Error(m)
	}
}

func TestTTLs(t *testing.T) {
	msg := sections{typ: 1, answer: []string{"www.example.org. 60 IN A 192.0.2.1", "www.example.org. 2147483648 IN A 192.0.2.2",
		"www.example.org. 86400 IN A 192.0.2.3"}, change: edns()}.pack(t)
	var a Answer
	if err := ScanAnswer(msg, &a); err != nil {
		t.Fatal(err)
	}
	ttls := func() (got [3]uint32) {
		for i, rr := range unpack(t, msg).Answer {
			got[i] = rr.Header().Ttl
		}
		return got
	}
	ClampTTLs(msg, a.TTLs, 10, 3600)
	if got := ttls(); got != [3]uint32{60, 10, 3600} {
		t.Error(got)
	}
	CountDown(msg, a.TTLs, 10, 30)
	if got := ttls(); got != [3]uint32{50, 30, 3590} {
		t.Error(got)
	}
	opt := bytes.Clone(msg)
	CountDown(msg, a.TTLs, 5000, 30)
	if got := ttls(); got != [3]uint32{30, 30, 30} || !bytes.Equal(opt[len(opt)-11:], msg[len(msg)-11:]) {
		t.Error(got)
	}
}

func BenchmarkParseQuery(b *testing.B) {
	for name, msg := range map[string][]byte{
		"plain":  query(b, "www.example.org.", 1),
		"edns":   query(b, "www.example.org.", 1, edns()),
		"cookie": query(b, "www.example.org.", 1, edns("cookie:0011223344556677")),
	} {
		b.Run(name, func(b *testing.B) {
			var q Query
			b.ReportAllocs()
			for b.Loop() {
				if ParseQuery(msg, &q) != OK {
					b.Fatal()
				}
			}
		})
	}
}

func BenchmarkScanAnswer(b *testing.B) {
	msg := sections{typ: 1, answer: []string{"www.example.org. 60 IN CNAME a.test.", "a.test. 60 IN A 192.0.2.1"}, change: edns()}.pack(b)
	var a Answer
	b.ReportAllocs()
	for b.Loop() {
		if ScanAnswer(msg, &a) != nil {
			b.Fatal()
		}
	}
}

func BenchmarkCountDown(b *testing.B) {
	msg := sections{typ: 1, answer: []string{"www.example.org. 60 IN CNAME a.test.", "a.test. 60 IN A 192.0.2.1"}}.pack(b)
	var a Answer
	if err := ScanAnswer(msg, &a); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		CountDown(msg, a.TTLs, 1, 3600)
	}
}

func BenchmarkReaddress(b *testing.B) {
	in := query(b, "www.example.org.", 1, edns())
	msg := sections{typ: 1, answer: []string{"www.example.org. 60 IN A 192.0.2.1"}}.pack(b)
	q, buf := parsed(b, in), make([]byte, 512)
	b.ReportAllocs()
	for b.Loop() {
		n := copy(buf, msg)
		Readdress(buf[:n], in, q)
		AppendOPT(buf[:n], &OPT{UDPSize: 1232})
	}
}
