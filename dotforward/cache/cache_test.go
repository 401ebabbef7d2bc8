package cache

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/whence-project/whence/dotforward/wire"
)

var t0 = time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return t0.Add(d) }

func open(t testing.TB, o Options) *Cache {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// ask is a query and its key.
type ask struct {
	msg []byte
	q   wire.Query
	key Key
}

func question(t testing.TB, name string, typ uint16) *ask {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, typ)
	a := new(ask)
	var err error
	if a.msg, err = m.Pack(); err != nil {
		t.Fatal(err)
	}
	if v := wire.ParseQuery(a.msg, &a.q); v != wire.OK {
		t.Fatal(v)
	}
	a.key = Key{Question: a.q.Key()}
	return a
}

// reply is an answer to a with the records, each as in a zone file; those with a SOA record go into the authority section.
func (a *ask) reply(t testing.TB, rcode int, records ...string) *dns.Msg {
	t.Helper()
	asked, m := new(dns.Msg), new(dns.Msg)
	if err := asked.Unpack(a.msg); err != nil {
		t.Fatal(err)
	}
	m.SetRcode(asked, rcode)
	m.RecursionAvailable, m.Compress = true, true
	for _, s := range records {
		rr, err := dns.NewRR(s)
		if err != nil {
			t.Fatal(err)
		}
		if rr.Header().Rrtype == dns.TypeSOA {
			m.Ns = append(m.Ns, rr)
		} else {
			m.Answer = append(m.Answer, rr)
		}
	}
	return m
}

func (a *ask) put(t testing.TB, c *Cache, now time.Time, m *dns.Msg, meta ...Meta) bool {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	var ans wire.Answer
	if err := wire.ScanAnswer(b, &ans); err != nil {
		t.Fatal(err)
	}
	before := slices.Clone(b)
	defer func() {
		if !slices.Equal(before, b) {
			t.Error("Put changed the message")
		}
	}()
	return c.Put(&a.key, b, &ans, now, append(meta, Meta{})[0])
}

// get is what the asker is answered, nil if nothing.
func (a *ask) get(t testing.TB, c *Cache, now time.Time) (*dns.Msg, Hit) {
	t.Helper()
	buf := make([]byte, wire.MaxLen)
	n, hit := c.Get(&a.key, now, buf)
	if n == 0 {
		return nil, hit
	}
	wire.Readdress(buf[:n], a.msg, &a.q)
	m := new(dns.Msg)
	if err := m.Unpack(buf[:n]); err != nil {
		t.Fatalf("%v: %x", err, buf[:n])
	}
	return m, hit
}

const soa = "example.org. 900 IN SOA ns.example.org. root.example.org. 1 2 3 4 300"

func TestLife(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		name    string
		o       Options
		rcode   int
		records []string
		fresh   time.Duration // until
		stale   time.Duration // until
	}{
		{"positive", Options{}, 0, []string{"www.example.org. 60 IN A 192.0.2.1", "www.example.org. 90 IN A 192.0.2.2"}, 60 * s, 86460 * s},
		{"no data", Options{}, 0, []string{soa}, 300 * s, 86700 * s},
		{"no name", Options{}, 3, []string{soa}, 300 * s, 86700 * s},
		{"failure", Options{}, 2, nil, 5 * s, 5 * s},
		{"refused", Options{FailTTL: time.Second}, 5, nil, s, s},
		{"failures are not kept", Options{FailTTL: -1}, 2, nil, 0, 0},
		{"not to be kept", Options{}, 0, []string{"www.example.org. 0 IN A 192.0.2.1"}, 0, 0},
		{"least", Options{MinTTL: 20 * s, StaleFor: -1}, 0, []string{"www.example.org. 0 IN A 192.0.2.1"}, 20 * s, 20 * s},
		{"most", Options{MaxTTL: 20 * s, StaleFor: s}, 0, []string{"www.example.org. 60 IN A 192.0.2.1"}, 20 * s, 21 * s},
		{"most for nothing", Options{NegativeMaxTTL: 20 * s, StaleFor: s}, 3, []string{soa}, 20 * s, 21 * s},
		{"nothing, for who knows how long", Options{MinTTL: 20 * s}, 3, nil, 0, 0},
	} {
		c, a := open(t, tt.o), question(t, "www.example.org.", dns.TypeA)
		if got := a.put(t, c, t0, a.reply(t, tt.rcode, tt.records...)); got != (tt.fresh > 0) {
			t.Errorf("%s: kept: %v", tt.name, got)
		}
		for _, step := range []struct {
			at   time.Duration
			want State
		}{
			{-time.Hour, Miss}, {-time.Minute, Fresh}, {0, Fresh}, {tt.fresh - 1, Fresh}, {tt.fresh, Stale}, {tt.stale - 1, Stale}, {tt.stale, Miss},
		} {
			want := step.want
			if tt.fresh == 0 || step.at == tt.stale || want == Stale && tt.stale == tt.fresh {
				want = Miss
			}
			if step.at == tt.stale-1 && tt.stale == tt.fresh && tt.fresh > 0 {
				want = Fresh
			}
			m, hit := a.get(t, c, at(step.at))
			if hit.State != want || (m == nil) != (want == Miss) {
				t.Errorf("%s: %v after %v, want %v", tt.name, hit.State, step.at, want)
			}
			if m != nil && m.Rcode != tt.rcode {
				t.Errorf("%s: rcode %d", tt.name, m.Rcode)
			}
		}
	}
}

// randomReply has records of several types in all sections, compressed or not, with an OPT record somewhere or nowhere.
func randomReply(t testing.TB, r *rand.Rand, a *ask) *dns.Msg {
	ttl := func() int { return 1 + r.IntN(100_000) }
	name := a.q.Name()
	owner, _, _ := dns.UnpackDomainName(name, 0)
	m := a.reply(t, 0, fmt.Sprintf("%s %d IN A 192.0.2.1", owner, ttl()))
	m.Compress = r.IntN(2) == 0
	m.AuthenticatedData = r.IntN(2) == 0
	for _, section := range []*[]dns.RR{&m.Answer, &m.Ns, &m.Extra} {
		for range r.IntN(4) {
			line := fmt.Sprintf([]string{"%s %d IN A 192.0.2.7", "%s %d IN AAAA 2001:db8::7", "mail.%[1]s %d IN MX 10 www.%[1]s",
				"x.%s %d IN NS ns.%[1]s", "%s %d IN TXT \"some text\"", "%s %d IN CNAME other.%[1]s", "_x._tcp.%s %d IN SRV 1 2 3 host.%[1]s",
				"%s %d IN RRSIG A 8 2 60 20300101000000 20200101000000 1 example.org. AAAA"}[r.IntN(8)], owner, ttl())
			rr, err := dns.NewRR(line)
			if err != nil {
				t.Fatal(line, err)
			}
			*section = append(*section, rr)
		}
	}
	if r.IntN(3) > 0 {
		m.SetEdns0(1232, r.IntN(2) == 0)
		m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_PADDING{Padding: make([]byte, r.IntN(100))})
	}
	if len(m.Extra) > 1 && r.IntN(4) == 0 {
		slices.Reverse(m.Extra)
	}
	return m
}

// What miekg/dns reads of an answer that was put and got at any age has its TTLs counted down, no OPT record, and is the same in all
// else.
func TestPutGet(t *testing.T) {
	const longest = 100_000
	r := rand.New(rand.NewPCG(1, 2))
	c := open(t, Options{MaxTTL: longest * time.Second})
	kept := 0
	for i := range 3000 {
		a := question(t, fmt.Sprintf("N%d.Example.org.", i), dns.TypeA)
		want := randomReply(t, r, a)
		if !a.put(t, c, t0, want) {
			continue // a name behind the OPT record that is compressed
		}
		kept++
		least := uint32(longest)
		want.Extra = slices.DeleteFunc(want.Extra, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeOPT })
		rrs := slices.Concat(want.Answer, want.Ns, want.Extra)
		for _, rr := range rrs {
			least = min(least, rr.Header().Ttl)
		}
		age := r.Uint32N(least)
		got, hit := a.get(t, c, at(time.Duration(age)*time.Second+time.Duration(r.Int64N(1e9))))
		if hit.State != Fresh || hit.Age != age || hit.TTL != least-age {
			t.Fatalf("%+v at %d s of %d", hit, age, least)
		}
		for _, rr := range rrs {
			rr.Header().Ttl -= age
		}
		asked := new(dns.Msg)
		_ = asked.Unpack(a.msg)
		want.AuthenticatedData = false // nobody asked for it
		packed, _ := want.Pack()
		_ = want.Unpack(packed) // with lengths set, and sections empty or nil as an unpacked message has them
		if want.Question = asked.Question; !reflect.DeepEqual(got.Question, want.Question) {
			t.Fatalf("asked %v, got %v", want.Question, got.Question)
		}
		if g, w := lowered(got), lowered(want); g != w {
			t.Fatalf("got\n%s\nwant\n%s", g, w)
		}
	}
	if kept < 2500 {
		t.Errorf("only %d of 3000 were kept", kept)
	}
}

// lowered is m as text, with the case of its names forgotten: names compressed against the question have its case.
func lowered(m *dns.Msg) string { return dns.CanonicalName(m.String()) }

func TestKeys(t *testing.T) {
	c := open(t, Options{})
	www, other := question(t, "www.example.org.", 1), question(t, "www.example.net.", 1)
	keys := []Key{
		www.key,
		{Question: www.key.Question, Space: 1},
		{Question: www.key.Question, DO: true},
		{Question: www.key.Question, CD: true},
		{Question: www.key.Question, DO: true, CD: true},
		{Question: www.key.Question, Subnet: []byte{0, 1, 24, 0, 192, 0, 2}},
		{Question: www.key.Question, Subnet: []byte{0, 1, 24, 0, 192, 0, 3}},
	}
	for i, k := range keys {
		www.key = k
		if _, hit := www.get(t, c, t0); hit.State != Miss {
			t.Errorf("key %d is answered by another", i)
		}
		if !www.put(t, c, t0, www.reply(t, 0, fmt.Sprintf("www.example.org. 60 IN A 192.0.2.%d", i)), Meta{uint16(i), 7, 8}) {
			t.Errorf("key %d is not kept", i)
		}
	}
	for i, k := range keys {
		www.key = k
		m, hit := www.get(t, c, t0)
		if hit.Upstream != uint16(i) || hit.Verdict != 7 || hit.Generation != 8 || m.Answer[0].(*dns.A).A[len(m.Answer[0].(*dns.A).A)-1] != byte(i) {
			t.Errorf("key %d: %+v, %v", i, hit, m)
		}
		c.SetVerdict(&k, 9, uint32(10+i))
		if _, hit = www.get(t, c, t0); hit.Verdict != 9 || hit.Generation != uint32(10+i) {
			t.Errorf("key %d: %+v", i, hit)
		}
	}
	if other.put(t, c, t0, www.reply(t, 0, "www.example.org. 60 IN A 192.0.2.1")) {
		t.Error("the answer to another question was kept")
	}
	other.key.Question = nil
	if _, hit := other.get(t, c, t0); hit.State != Miss {
		t.Error("no question has an answer")
	}
}

func TestFit(t *testing.T) {
	c := open(t, Options{})
	a := question(t, "www.example.org.", dns.TypeTXT)
	m := a.reply(t, 0)
	for range 240 {
		rr, _ := dns.NewRR(fmt.Sprintf("www.example.org. 60 IN TXT %0250d", 1))
		m.Answer = append(m.Answer, rr)
	}
	if !a.put(t, c, t0, m) {
		t.Fatal("64 KiB are not kept")
	}
	got, hit := a.get(t, c, t0)
	if hit.Truncated || got.Truncated || len(got.Answer) != 240 {
		t.Errorf("%+v, %d records", hit, len(got.Answer))
	}
	buf := make([]byte, 1232)
	n, hit := c.Get(&a.key, t0, buf)
	if n != a.q.QuestionEnd || !hit.Truncated || wire.Flags(buf)&wire.FlagTC == 0 || got.Unpack(buf[:n]) != nil || len(got.Answer) != 0 {
		t.Errorf("%d bytes, %+v", n, hit)
	}
	if n, hit := c.Get(&a.key, t0, buf[:20]); n != 0 || hit.State != Miss {
		t.Errorf("%d bytes into 20", n)
	}
	m.Truncated = true
	if a.key.Space = 1; a.put(t, c, t0, m) {
		t.Error("kept what is cut short")
	}
}
