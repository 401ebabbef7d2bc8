package dotforward

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/whence-project/whence/dotforward/upstream/dottest"
	"github.com/whence-project/whence/dotforward/wire"
	"github.com/whence-project/whence/enrich"
)

// facts is a source that knows fields of some subjects.
type facts struct {
	of    map[string]map[string]string
	asked []string
}

func (f *facts) Add(q *enrich.Query, r *enrich.Record) enrich.Verdict {
	f.asked = append(f.asked, q.Subject.String())
	for k, v := range f.of[q.Subject.String()] {
		r.Set(k, v)
	}
	return enrich.Next
}

func TestPolicyOfNames(t *testing.T) {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	source := &facts{of: map[string]map[string]string{
		"young.test": {"created": "2026-10-30T00:00:00Z", "rank": "7", "first_seen": "2026-10-01T00:00:00Z", "freq_avg": "20.5"},
		"old.test":   {"created": "2016-10-30T00:00:00Z", "rank": "700", "first_seen": "2026-10-31T23:59:00Z", "freq_avg": "2.5"},
	}}
	chain := enrich.NewChain("", enrich.Link{Name: "facts", Source: source})
	for _, test := range []struct {
		o    PolicyOptions
		hits string
	}{
		{PolicyOptions{Registered: 30 * 24 * time.Hour}, "young.test."},
		{PolicyOptions{FirstSeen: time.Hour}, "old.test."},
		{PolicyOptions{FirstSeen: time.Hour, Unseen: true}, "old.test. unknown.test."},
		{PolicyOptions{Unseen: true}, "unknown.test."},
		{PolicyOptions{RankAbove: 100}, "old.test."},
		{PolicyOptions{Unranked: true}, "unknown.test."},
		{PolicyOptions{RankAbove: 100, Unranked: true}, "old.test. unknown.test."},
		{PolicyOptions{FreqBelow: 5}, "old.test."},
		{PolicyOptions{Registered: 30 * 24 * time.Hour, RankAbove: 100}, ""},
	} {
		var hits []string
		test.o.Chain, test.o.Block, test.o.BlockWith, test.o.Name = chain, true, BlockNXDomain, "strange"
		p, err := NewPolicy(test.o)
		if err != nil {
			t.Fatal(err)
		}
		r := newRig(t, func(o *Options) { o.Handlers, o.Now = []Handler{p}, func() time.Time { return now } })
		for _, name := range []string{"young.test.", "old.test.", "unknown.test."} {
			if got := r.trial(name); got.Rcode == dns.RcodeNameError {
				if ede(got) != 17 {
					t.Errorf("%v", got)
				}
				hits = append(hits, name)
			}
		}
		if got := strings.Join(hits, " "); got != test.hits || int(p.Hits()) != len(hits) {
			t.Errorf("%+v: %q, want %q", test.o, got, test.hits)
		}
		r.close()
	}
	for _, o := range []PolicyOptions{{}, {Chain: chain}, {Chain: chain, Unseen: true}, {Unseen: true, Block: true}} {
		if _, err := NewPolicy(o); err == nil {
			t.Errorf("%+v is a policy", o)
		}
	}
}

// trial asks the handlers alone: with recursion not desired nothing is forwarded.
func (r *rig) trial(name string) *dns.Msg {
	m := query(name, dns.TypeA, true)
	m.RecursionDesired = false
	return r.exchange(m, UDP)
}

// What a policy let pass is not shown to it again while its answer is in the cache and nothing has changed.
func TestPolicyOfAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &facts{of: map[string]map[string]string{"192.0.2.66": {"country_code": "XX", "asn": "AS64496"}}}
		chain := enrich.NewChain("", enrich.Link{Name: "facts", Source: source})
		p, err := NewPolicy(PolicyOptions{Name: "XX", Chain: chain, Countries: []string{"XX"}, ASNs: []uint32{64496}, Tag: "xx",
			Block: true, BlockWith: BlockRefused, Recheck: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		var tags []string
		r := newRig(t, func(o *Options) {
			o.Handlers = []Handler{p}
			o.Log = func(q *Query) { tags = append(tags, q.Tags()...) }
		})
		defer r.close()
		r.fake.Behave(dottest.Behaviour{Address: 66})
		for range 3 {
			if got := r.ask("bad.test.", dns.TypeA, true); got.Rcode != dns.RcodeRefused || ede(got) != 17 {
				t.Errorf("%v", got)
			}
		}
		if !slices.Equal(tags, []string{"xx", "xx", "xx"}) {
			t.Errorf("tags %v", tags)
		}
		r.fake.Behave(dottest.Behaviour{Address: 1})
		source.asked = nil
		for range 3 {
			if got := r.ask("good.test.", dns.TypeA, false); got.Rcode != 0 || len(got.Answer) != 1 {
				t.Errorf("%v", got)
			}
		}
		if len(source.asked) != 1 {
			t.Errorf("asked about %v, want once", source.asked)
		}
		time.Sleep(11 * time.Second)
		r.ask("good.test.", dns.TypeA, false)
		if len(source.asked) != 2 {
			t.Errorf("asked about %v, want once more", source.asked)
		}
	})
}

// An answer cut for UDP shows a policy no address, and must not be what it let pass when the client asks again over TCP.
func TestPolicyOfCutAnswers(t *testing.T) {
	source := &facts{of: map[string]map[string]string{"192.0.2.66": {"country_code": "XX"}}}
	chain := enrich.NewChain("", enrich.Link{Name: "facts", Source: source})
	p, err := NewPolicy(PolicyOptions{Name: "XX", Chain: chain, Countries: []string{"XX"}, Block: true, BlockWith: BlockRefused})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(o *Options) { o.Handlers = []Handler{p} })
	defer r.close()
	m := query("many.test.", dns.TypeA, false)
	reply := new(dns.Msg).SetReply(m)
	for i := range 50 {
		rr, err := dns.NewRR("many.test. 60 IN A 192.0.2." + strconv.Itoa(66+i))
		if err != nil {
			t.Fatal(err)
		}
		reply.Answer = append(reply.Answer, rr)
	}
	r.keep(m, reply)
	if got := r.exchange(m, UDP); !got.Truncated {
		t.Fatalf("%v", got)
	}
	if got := r.exchange(m, TCP); got.Rcode != dns.RcodeRefused {
		t.Errorf("%v", got)
	}
}

// moody is a Stable handler that changes its mind.
type moody struct {
	generation uint64
	block      bool
	asked      int
}

func (m *moody) Stage() Stage                { return Decide }
func (m *moody) Generation(time.Time) uint64 { return m.generation }

func (m *moody) Handle(q *Query) Verdict {
	m.asked++
	if m.block {
		return q.Blocked(BlockRefused, 1, wire.EDEBlocked, "")
	}
	return Next
}

// A change of what a handler goes by reaches the answers that are in the cache, and so does another server's handlers.
func TestGeneration(t *testing.T) {
	m := new(moody)
	r := newRig(t, func(o *Options) { o.Handlers = []Handler{m} })
	defer r.close()
	expect := func(what string, rcode, asked int) {
		t.Helper()
		m.asked = 0
		for range 3 {
			if got := r.ask("www.example.org.", dns.TypeA, true); got.Rcode != rcode {
				t.Errorf("%s: %v", what, got)
			}
		}
		if m.asked != asked {
			t.Errorf("%s: asked %d times, want %d", what, m.asked, asked)
		}
	}
	expect("first", dns.RcodeSuccess, 1)
	expect("then", dns.RcodeSuccess, 0)
	m.generation, m.block = 1, true
	expect("blocked", dns.RcodeRefused, 3)
	m.generation, m.block = 0, false
	expect("as before", dns.RcodeSuccess, 0)
	next, err := New(Options{Cache: r.cache, Pool: r.pool, State: r.State(), Handlers: []Handler{m}})
	if err != nil {
		t.Fatal(err)
	}
	r.Server = next
	expect("another server", dns.RcodeSuccess, 1)
}
