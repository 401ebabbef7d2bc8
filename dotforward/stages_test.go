package dotforward

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/whence-project/whence/dotforward/lists"
	"github.com/whence-project/whence/dotforward/upstream/dottest"
	"github.com/whence-project/whence/internal/limit"
	"github.com/whence-project/whence/store"
)

func TestACL(t *testing.T) {
	prefixes := func(s string) (ps []netip.Prefix) {
		for _, f := range strings.Fields(s) {
			ps = append(ps, netip.MustParsePrefix(f))
		}
		return ps
	}
	for _, test := range []struct {
		allow, deny, client string
		want                bool
	}{
		{"", "", "127.0.0.1", true},
		{"", "", "::1", true},
		{"", "", "192.168.3.4", true},
		{"", "", "fe80::1%eth0", true},
		{"", "", "::ffff:10.1.2.3", true},
		{"", "", "192.0.2.1", false},
		{"", "", "2001:db8::1", false},
		{"", "192.168.3.0/24", "192.168.3.4", false},
		{"", "192.168.3.0/24", "192.168.4.4", true},
		{"192.0.2.0/24", "", "192.0.2.1", true},
		{"192.0.2.0/24", "", "127.0.0.1", false},
		{"192.0.2.1/24", "192.0.2.128/25", "192.0.2.129", false},
		{"192.0.2.0/24 192.0.2.129/32", "192.0.2.128/25", "192.0.2.129", true},
		{"0.0.0.0/0 ::/0", "", "2001:db8::1", true},
	} {
		a, err := NewACL(ACLOptions{Allow: prefixes(test.allow), Deny: prefixes(test.deny)})
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Allows(netip.MustParseAddr(test.client)); got != test.want {
			t.Errorf("allow %q, deny %q: %s is served: %v", test.allow, test.deny, test.client, got)
		}
	}
	if _, err := NewACL(ACLOptions{Allow: prefixes("192.0.2.1/24"), Deny: prefixes("192.0.2.0/24")}); err == nil {
		t.Error("a network may be both allowed and denied")
	}
}

func TestRefusedClients(t *testing.T) {
	acl, err := NewACL(ACLOptions{Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(o *Options) { o.Handlers = []Handler{acl} })
	defer r.close()
	if got := r.ask("www.example.org.", dns.TypeA, true); got.Rcode != dns.RcodeRefused || ede(got) != 18 {
		t.Errorf("%v", got)
	}
	if r.count(OutcomeRefused) != 1 {
		t.Error("it is not counted")
	}
	bad := pack(t, query("www.example.org.", dns.TypeA, false))
	if got := unpack(t, <-r.start(bad[:len(bad)-1], UDP)); got.Rcode != dns.RcodeRefused {
		t.Errorf("who is not served is told about errors: %v", got)
	}
	acl.silent = true
	select {
	case reply := <-r.start(bad, UDP):
		t.Errorf("reply %x", reply)
	default:
	}
}

func TestLimit(t *testing.T) {
	now := time.Unix(1e9, 0)
	r := newRig(t, func(o *Options) {
		l, err := NewLimit(LimitOptions{Rate: limit.Rate{Events: 1, Per: time.Second, Burst: 3}, BlockFor: time.Minute}, now)
		if err != nil {
			t.Fatal(err)
		}
		o.Handlers = []Handler{l}
		o.Now = func() time.Time { return now }
	})
	defer r.close()
	asks := func(n int) (refused int) {
		for range n {
			if r.ask("www.example.org.", dns.TypeANY, false).Rcode == dns.RcodeRefused {
				refused++
			}
		}
		return refused
	}
	for _, step := range []struct {
		after           time.Duration
		queries, refuse int
	}{
		{0, 5, 2},
		{30 * time.Second, 2, 2}, // it is still blocked
		{30 * time.Second, 3, 0}, // and has its burst back
		{time.Second, 1, 0},
		{0, 1, 1},
	} {
		now = now.Add(step.after)
		if got := asks(step.queries); got != step.refuse {
			t.Errorf("after %v: %d of %d are refused, want %d", step.after, got, step.queries, step.refuse)
		}
	}
}

func TestLimitIsBounded(t *testing.T) {
	now := time.Unix(1e9, 0)
	s := NewLimitState(64, now)
	a := netip.MustParseAddr("192.0.2.0")
	for range 1000 {
		a = a.Next()
		s.block(a, now.Add(time.Minute), now)
	}
	if n := len(s.blocked); n > 16 {
		t.Errorf("%d are blocked at a time", n)
	}
	now = now.Add(time.Hour)
	s.block(a, now.Add(time.Minute), now)
	if !s.isBlocked(a, now) || len(s.blocked) != 1 {
		t.Error("who was blocked once takes the place of others for ever")
	}
	if s.isBlocked(a, now.Add(time.Minute)) || s.some.Load() != 0 {
		t.Error("blocked for ever")
	}
}

func TestHosts(t *testing.T) {
	h, err := lists.NewHosts(lists.HostsOptions{Records: "192.0.2.7 nas.test\n2001:db8::7 nas.test\n192.0.2.8 old.test"})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(o *Options) { o.Handlers = []Handler{NewHosts(h, 0)} })
	defer r.close()
	for _, test := range []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"NAS.test.", dns.TypeA, "NAS.test.\t60\tIN\tA\t192.0.2.7"},
		{"nas.test.", dns.TypeAAAA, "nas.test.\t60\tIN\tAAAA\t2001:db8::7"},
		{"old.test.", dns.TypeAAAA, ""},
		{"old.test.", dns.TypeMX, ""},
		{"7.2.0.192.in-addr.arpa.", dns.TypePTR, "7.2.0.192.in-addr.arpa.\t60\tIN\tPTR\tnas.test."},
	} {
		got := r.ask(test.name, test.qtype, true)
		var answers []string
		for _, rr := range got.Answer {
			answers = append(answers, rr.String())
		}
		if got.Rcode != 0 || strings.Join(answers, "\n") != test.want || len(got.Answer)+len(got.Ns) != 1 {
			t.Errorf("%s:\n%v", test.name, got)
		}
	}
	if r.fake.Stats().Queries != 0 {
		t.Error("names in hosts files are asked for outside")
	}
}

func TestBlock(t *testing.T) {
	for with, want := range map[BlockWith]string{
		BlockZero: "NOERROR 0.0.0.0", BlockNXDomain: "NXDOMAIN", BlockRefused: "REFUSED",
	} {
		r := newRig(t, func(o *Options) { o.Handlers = []Handler{NewBlock(blocklist(t, "||ads.test^"), with, 0)} })
		got := r.ask("www.ads.test.", dns.TypeA, true)
		text := dns.RcodeToString[got.Rcode]
		if len(got.Answer) == 1 {
			text += " " + got.Answer[0].(*dns.A).A.String()
		}
		if text != want || ede(got) != 15 {
			t.Errorf("%v:\n%v", with, got)
		}
		if got := r.ask("www.example.org.", dns.TypeA, true); got.Rcode != 0 || ede(got) != -1 || len(got.Answer) != 1 {
			t.Errorf("what is not on the list:\n%v", got)
		}
		r.close()
	}
}

func TestRoute(t *testing.T) {
	fake, up, pool := upstreamOf(t, "192.0.2.54")
	fake.Behave(dottest.Behaviour{Address: 99})
	route, err := NewRoute(Zone{Name: "corp.test", Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(o *Options) { o.Handlers = []Handler{route} })
	defer r.close()
	for range 2 { // the second time from the cache
		if got := r.ask("www.Corp.test.", dns.TypeA, false); len(got.Answer) != 1 || got.Answer[0].(*dns.A).A.String() != "192.0.2.99" {
			t.Errorf("%v", got)
		}
		r.ask("corp.test.example.org.", dns.TypeA, false)
	}
	if a, b := fake.Stats().Queries, r.fake.Stats().Queries; a != 1 || b != 1 {
		t.Errorf("%d and %d queries, want 1 each", a, b)
	}
	pool.Close(context.Background())
	up.Close(context.Background())
	fake.Stop()
	for _, zones := range [][]Zone{{{Name: "a b", Pool: pool}}, {{Name: "x.test", Pool: pool}, {Name: "X.test.", Pool: pool}}, {{Name: "x.test"}}} {
		if _, err := NewRoute(zones...); err == nil {
			t.Errorf("%v is a route", zones)
		}
	}
}

// claims is a ledger that tells what it is told.
type claims struct {
	store.Ledger
	names chan string
}

func (c claims) Claim(scope, name string, now time.Time) (store.Result, store.Sighting) {
	c.names <- scope + " " + name
	return store.First, store.Sighting{}
}

func TestObserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger := claims{names: make(chan string, 10)}
		o := NewObserve(ObserveOptions{Ledger: ledger, Queue: 2})
		full := NewObserve(ObserveOptions{Ledger: ledger, PerName: true})
		r := newRig(t, func(opt *Options) {
			opt.Handlers = []Handler{o, full, NewBlock(blocklist(t, "ads.example.org"), BlockZero, 0)}
		})
		defer r.close()
		for _, name := range []string{"www.example.org.", "www.example.org.", "a\\.b.example.org.", "ads.example.org.", "x.example.net.", "y.test."} {
			r.ask(name, dns.TypeA, false)
		}
		r.fake.Behave(dottest.Behaviour{Fault: dottest.ServFail})
		r.ask("broken.example.org.", dns.TypeA, false)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		o.Run(ctx)
		full.Run(ctx)
		close(ledger.names)
		var got []string
		for n := range ledger.names {
			got = append(got, n)
		}
		want := []string{"dns example.org", "dns www.example.org", "dns x.example.net", "dns y.test"}
		if !slices.Equal(got, want) || o.Dropped() != 2 {
			t.Errorf("claimed %q, want %q; %d dropped", got, want, o.Dropped())
		}
	})
}

func TestRecentNames(t *testing.T) {
	var set recentSet
	for i := range uint64(recentWays) {
		if !set.add(i<<periodBits|1) || set.add(i<<periodBits|1) {
			t.Fatalf("%d", i)
		}
	}
	if !set.add(3<<periodBits | 2) {
		t.Error("a new period is not told")
	}
	if set.add(3<<periodBits | 2) {
		t.Error("told twice")
	}
}
