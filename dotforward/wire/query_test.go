package wire

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func pack(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func unpack(t testing.TB, msg []byte) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(msg); err != nil {
		t.Fatalf("%v: %x", err, msg)
	}
	return m
}

// query is a query for name, changed by the functions.
func query(t testing.TB, name string, typ uint16, change ...func(*dns.Msg)) []byte {
	m := new(dns.Msg)
	m.SetQuestion(name, typ)
	m.Id = 0x1234
	for _, f := range change {
		f(m)
	}
	return pack(t, m)
}

// edns adds an OPT record with the options, each a code and its data in hex.
func edns(options ...string) func(*dns.Msg) {
	return func(m *dns.Msg) {
		m.SetEdns0(1232, true)
		for _, o := range options {
			code, data, _ := strings.Cut(o, ":")
			b, err := hex.DecodeString(data)
			if err != nil {
				panic(err)
			}
			m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_LOCAL{Code: optionCodes[code], Data: b})
		}
	}
}

var longest = strings.Repeat(strings.Repeat("a", 63)+".", 3) + strings.Repeat("b", 61) + "."

var optionCodes = map[string]uint16{"subnet": OptionSubnet, "cookie": OptionCookie, "keepalive": OptionKeepalive,
	"padding": OptionPadding, "ede": OptionEDE, "local": 65001}

func TestParseQuery(t *testing.T) {
	plain := query(t, "WWW.Example.org.", dns.TypeA)
	set := func(at int, b ...byte) []byte {
		m := bytes.Clone(plain)
		copy(m[at:], b)
		return m
	}
	for _, tt := range []struct {
		name string
		msg  []byte
		want Verdict
	}{
		{"plain", plain, OK},
		{"root", query(t, ".", dns.TypeNS), OK},
		{"longest name", query(t, longest, dns.TypeA), OK},
		{"with OPT", query(t, "example.org.", dns.TypeA, edns()), OK},
		{"empty", nil, Drop},
		{"short header", plain[:11], Drop},
		{"a reply", set(2, 0x81), Drop},
		{"too long", make([]byte, MaxLen+1), Drop},
		{"header only", plain[:12], FormErr},
		{"cut in the name", plain[:20], FormErr},
		{"cut in the class", plain[:len(plain)-1], FormErr},
		{"trailing byte", append(bytes.Clone(plain), 0), FormErr},
		{"notify", set(2, 0x20), NotImp},
		{"update", set(2, 0x28), NotImp},
		{"no question", set(4, 0, 0), FormErr},
		{"two questions", set(4, 0, 2), FormErr},
		{"pointer in the question", set(12, 0xc0, 12), FormErr},
		{"reserved label type", set(12, 0x43), FormErr},
		{"answer that is not there", set(6, 0, 1), FormErr},
		{"name of 256 bytes", nameOf(256), FormErr},
		{"label of 64", set(12, 64), FormErr},
		{"cookie of the client", query(t, "a.test.", 1, edns("cookie:0011223344556677")), OK},
		{"cookie of 40", query(t, "a.test.", 1, edns("cookie:"+strings.Repeat("ab", 40))), OK},
		{"cookie of 41", query(t, "a.test.", 1, edns("cookie:"+strings.Repeat("ab", 41))), FormErr},
		{"cookie of 9", query(t, "a.test.", 1, edns("cookie:"+strings.Repeat("ab", 9))), FormErr},
		{"empty cookie", query(t, "a.test.", 1, edns("cookie:")), FormErr},
		{"subnet", query(t, "a.test.", 1, edns("subnet:00011800c00002")), OK},
		{"no subnet, please", query(t, "a.test.", 1, edns("subnet:00010000")), OK},
		{"no family", query(t, "a.test.", 1, edns("subnet:00000000")), OK},
		{"subnet with a scope", query(t, "a.test.", 1, edns("subnet:00011818c00002")), FormErr},
		{"subnet of a family nobody knows", query(t, "a.test.", 1, edns("subnet:00031800c00002")), FormErr},
		{"subnet with bits behind its prefix", query(t, "a.test.", 1, edns("subnet:00011700c00003")), FormErr},
		{"subnet with a byte too many", query(t, "a.test.", 1, edns("subnet:00011800c0000200")), FormErr},
		{"subnet /33", query(t, "a.test.", 1, edns("subnet:00012100c000020000")), FormErr},
		{"keepalive of 1 byte", query(t, "a.test.", 1, edns("keepalive:00")), FormErr},
		{"version 1", query(t, "a.test.", 1, edns(), func(m *dns.Msg) { m.IsEdns0().SetVersion(1) }), BadVers},
		{"two OPT", query(t, "a.test.", 1, edns(), func(m *dns.Msg) { m.Extra = append(m.Extra, m.Extra[0]) }), FormErr},
		{"OPT among the answers", query(t, "a.test.", 1, edns(), func(m *dns.Msg) { m.Answer, m.Extra = m.Extra, nil }), FormErr},
		{"OPT with a name", query(t, "a.test.", 1, edns(), func(m *dns.Msg) { m.Extra[0].Header().Name = "x." }), FormErr},
		{"SOA for IXFR", query(t, "a.test.", dns.TypeIXFR, edns(), authority("a.test. 5 IN SOA a. b. 1 2 3 4 5")), OK},
		{"cookie without a question", query(t, "a.test.", 1, edns("cookie:0011223344556677"), noQuestion), NoQuestion},
		{"nothing without a question", query(t, "a.test.", 1, edns(), noQuestion), FormErr},
	} {
		var q Query
		if got := ParseQuery(tt.msg, &q); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		} else if got != Drop {
			checkReplies(t, tt.msg, &q, got)
		}
	}
}

func noQuestion(m *dns.Msg) { m.Question = nil }

func authority(rr string) func(*dns.Msg) {
	return func(m *dns.Msg) {
		r, err := dns.NewRR(rr)
		if err != nil {
			panic(err)
		}
		m.Ns = append(m.Ns, r)
	}
}

// nameOf is a query for a name of n bytes, which no library would pack.
func nameOf(n int) []byte {
	msg := []byte{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for n--; n > 0; {
		l := min(n-1, 63)
		if n-1-l == 1 {
			l--
		}
		msg = append(msg, byte(l))
		msg = append(msg, bytes.Repeat([]byte{'x'}, l)...)
		n -= l + 1
	}
	return append(msg, 0, 0, 1, 0, 1)
}

// checkReplies: whatever was wrong, the query can be answered with what it says.
func checkReplies(t *testing.T, msg []byte, q *Query, v Verdict) {
	t.Helper()
	reply := Reply(nil, msg, q, v.Rcode())
	if v == BadVers {
		reply = AppendOPT(reply, &OPT{UDPSize: 1232, Rcode: v.Rcode()})
	}
	m := unpack(t, reply)
	if m.Id != ID(msg) || !m.Response || m.Rcode != int(v.Rcode()) || len(m.Question) > 1 || m.Opcode != int(msg[2]>>3&15) {
		t.Errorf("verdict %d is answered with\n%v", v, m)
	}
}

func TestQueryFields(t *testing.T) {
	msg := query(t, "WWW.Ex\\065mple.ORG.", dns.TypeAAAA, edns("local:01", "cookie:0011223344556677", "padding:0000", "keepalive:",
		"cookie:7777777777777777", "subnet:00011800c00002"), func(m *dns.Msg) {
		m.CheckingDisabled, m.AuthenticatedData = true, true
		m.Question[0].Qclass = 0x4142 // letters in the class are no letters
	})
	var q Query
	if v := ParseQuery(msg, &q); v != OK {
		t.Fatal(v)
	}
	if want := "\x03www\x07example\x03org\x00"; string(q.Name()) != want || string(q.Key()) != want+"\x00\x1cAB" {
		t.Errorf("name %q, key %q", q.Name(), q.Key())
	}
	if q.ID != 0x1234 || q.Type != dns.TypeAAAA || q.Class != 0x4142 || !q.RD() || !q.CD() || !q.AD() {
		t.Errorf("%+v", q)
	}
	e := q.EDNS
	if !e.Present || !e.DO || e.UDPSize != 1232 || !e.Keepalive || !e.Padding || !e.HasCookie() || !e.HasSubnet() {
		t.Errorf("%+v", e)
	}
	if got := hex.EncodeToString(e.Cookie(msg)) + " " + hex.EncodeToString(e.Subnet(msg)); got != "0011223344556677 00011800c00002" {
		t.Error(got)
	}
	if !SameQuestion(msg, q.Key()) || SameQuestion(msg, append([]byte("\x01x"), q.Key()...)) || SameQuestion(msg, nil) {
		t.Error("SameQuestion")
	}
	for i := range q.QuestionEnd - HeaderLen {
		other := bytes.Clone(msg)
		other[HeaderLen+i] ^= 0x80
		if SameQuestion(other, q.Key()) {
			t.Errorf("byte %d of the question does not count", i)
		}
	}
	ParseQuery(query(t, ".", 1), &q)
	if q.EDNS.Present || q.EDNS.HasCookie() || len(q.EDNS.Cookie(nil)) != 0 {
		t.Error("something of the last query is left")
	}
}

func TestLower(t *testing.T) {
	var all, want, got [256 + 7]byte
	for i := range 256 {
		all[i], want[i] = byte(i), byte(i)
	}
	copy(want['A':], "abcdefghijklmnopqrstuvwxyz")
	if Lower(got[:], all[:256]); got != want {
		t.Errorf("%q", got)
	}
	if n := Lower(got[:3], []byte("ABCDE")); n != 3 || string(got[:4]) != "abc\x03" {
		t.Errorf("%d, %q", n, got[:4])
	}
}
