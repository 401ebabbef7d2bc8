package caddydotforward

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/whence-project/whence/dotforward"
	"github.com/whence-project/whence/dotforward/cache"
	"github.com/whence-project/whence/dotforward/upstream"
	"github.com/whence-project/whence/dotforward/upstream/dottest"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/store"
)

// facts is a source of the test's.
type facts map[string]map[string]string

func (f facts) Add(q *enrich.Query, r *enrich.Record) enrich.Verdict {
	for k, v := range f[q.Subject.String()] {
		r.Set(k, v)
	}
	return enrich.Next
}

// ledger tells what was claimed.
type ledger struct {
	store.Ledger
	claims chan string
}

func (l ledger) Claim(scope, name string, now time.Time) (store.Result, store.Sighting) {
	l.claims <- scope + " " + name
	return store.First, store.Sighting{}
}

// testEnv is an Env with a chain, a ledger and a memory of its own, and the lines that were logged.
func testEnv(t *testing.T) (*Env, *observer.ObservedLogs) {
	t.Helper()
	running, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	core, lines := observer.New(zap.InfoLevel)
	kept := map[string]any{}
	return &Env{
		Running: running, Go: func(f func()) { go f() }, Logger: zap.New(core), Ledger: ledger{claims: make(chan string, 16)},
		Chain: enrich.NewChain("", enrich.Link{Name: "facts", Source: facts{
			"young.test": {"created": time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), "rank": "7"},
		}}),
		Emit:     func(string, map[string]any) {},
		contacts: func(time.Duration) (func(), error) { return func() {}, nil },
		State: func(key string, make func() any) any {
			if kept[key] == nil {
				kept[key] = make()
			}
			return kept[key]
		},
	}, lines
}

// open is the handler of a guest module.
func open(t *testing.T, env *Env, text string) dotforward.Handler {
	t.Helper()
	mod, _, err := guest(t, text)
	if err != nil {
		t.Fatal(err)
	}
	h, err := mod.(Opener).Open(env)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// server is a forwarder with the handlers, and an upstream server in memory that knows all names.
func server(t *testing.T, address byte, handlers ...dotforward.Handler) (*dotforward.Server, *upstream.Pool) {
	t.Helper()
	cert, roots, err := dottest.Certificate("dns.test")
	if err != nil {
		t.Fatal(err)
	}
	fake := dottest.New(cert)
	fake.Behave(dottest.Behaviour{Address: address})
	up, err := upstream.NewDoT(upstream.Options{Host: "192.0.2.53", Name: "dns.test", Roots: roots, Dial: fake.Dial})
	if err != nil {
		t.Fatal(err)
	}
	p, err := upstream.NewPool(upstream.PoolOptions{}, up)
	if err != nil {
		t.Fatal(err)
	}
	c, err := cache.New(cache.Options{MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	s, err := dotforward.New(dotforward.Options{Cache: c, Pool: p, Handlers: handlers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background()
		s.Close(ctx)
		p.Close(ctx)
		up.Close(ctx)
		fake.Stop()
		c.Close()
	})
	return s, p
}

// ask is the response code of a name's A record and its address.
func ask(t *testing.T, s *dotforward.Server, name, client string) string {
	t.Helper()
	msg, err := new(dns.Msg).SetQuestion(name, dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	replies := make(chan []byte, 1)
	s.ServeMessage(msg, netip.MustParseAddrPort(client), dotforward.UDP, func(b []byte) { replies <- bytes.Clone(b) })
	b := <-replies
	if b == nil {
		return "dropped"
	}
	reply := new(dns.Msg)
	if err := reply.Unpack(b); err != nil {
		t.Fatal(err)
	}
	said := []string{dns.RcodeToString[reply.Rcode]}
	for _, rr := range reply.Answer {
		if a, ok := rr.(*dns.A); ok {
			said = append(said, a.A.String())
		}
	}
	return strings.Join(said, " ")
}

func TestGuestsServe(t *testing.T) {
	dir := t.TempDir()
	list := filepath.Join(dir, "list.txt")
	if err := os.WriteFile(list, []byte("bad.test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env, _ := testEnv(t)
	_, other := server(t, 77)
	env.Pool = func(f *Forward) (*pool, error) { return &pool{Pool: other}, nil }
	s, _ := server(t, 1,
		open(t, env, "acl allow 192.0.2.0/24"),
		open(t, env, "hosts {\n record 203.0.113.9 printer.test\n}"),
		open(t, env, "block "+list+" {\n answer nxdomain\n rule ||worse.test^\n}"),
		open(t, env, "policy young {\n registered 1d\n block refused\n}"),
		open(t, env, "route corp.test {\n to tcp://192.0.2.54\n}"),
		open(t, env, "observe"),
	)
	const client = "192.0.2.1:5353"
	for _, test := range []struct{ name, client, want string }{
		{"printer.test.", client, "NOERROR 203.0.113.9"},
		{"printer.test.", "127.0.0.1:5353", "REFUSED"}, // the default is not added to the acl that there is
		{"bad.test.", client, "NXDOMAIN"},
		{"sub.worse.test.", client, "NXDOMAIN"},
		{"young.test.", client, "REFUSED"},
		{"www.corp.test.", client, "NOERROR 192.0.2.77"},
		{"www.example.org.", client, "NOERROR 192.0.2.1"},
	} {
		if got := ask(t, s, test.name, test.client); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
	claims := env.Ledger.(ledger).claims
	got := []string{<-claims, <-claims}
	slices.Sort(got)
	if want := []string{"dns corp.test", "dns example.org"}; !slices.Equal(got, want) {
		t.Errorf("claimed: %q, want %q", got, want)
	}
}

// The next configuration knows who was over the rate, and reads no list that is there already.
func TestGuestsOutliveReloads(t *testing.T) {
	env, _ := testEnv(t)
	const text = "limit 1/h block 1h"
	first, _ := server(t, 1, open(t, env, text))
	second, _ := server(t, 1, open(t, env, text))
	third, _ := server(t, 1, open(t, env, "limit 2/h"))
	for i, test := range []struct {
		s    *dotforward.Server
		want string
	}{{first, "NOERROR 192.0.2.1"}, {second, "REFUSED"}, {third, "NOERROR 192.0.2.1"}} {
		if got := ask(t, test.s, "www.example.org.", "127.0.0.1:1"); got != test.want {
			t.Errorf("configuration %d: %s, want %s", i, got, test.want)
		}
	}

	a, _, err := guest(t, "block ./none.txt {\n rule x.test\n}")
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := guest(t, "block ./none.txt {\n rule x.test\n answer refused\n}")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []any{a, b} {
		if _, err := m.(*Block).Open(env); err != nil {
			t.Fatal(err)
		}
	}
	if a.(*Block).pooled != b.(*Block).pooled {
		t.Error("the same files are read twice")
	}
}

// A policy is heard of once a second for a name, and says how much more there was.
func TestPolicyReports(t *testing.T) {
	env, lines := testEnv(t)
	events := make(chan map[string]any, 8)
	env.Emit = func(name string, data map[string]any) {
		if name != "whence_dns_policy" {
			t.Errorf("event %s", name)
		}
		events <- data
	}
	s, _ := server(t, 1, open(t, env, "policy young {\n registered 1d\n tag new\n log\n event\n}"))
	for range 3 {
		if got := ask(t, s, "young.test.", "127.0.0.1:1"); got != "NOERROR 192.0.2.1" {
			t.Error(got)
		}
	}
	e := <-events
	if e["policy"] != "young" || e["name"] != "young.test" || e["client"] != "127.0.0.1" || e["blocked"] != false ||
		!slices.Equal(e["tags"].([]string), []string{"new"}) || e["created"] == "" {
		t.Errorf("event %v", e)
	}
	line := lines.FilterMessage("policy").All()[0].ContextMap()
	if line["name"] != "young" || line["qname"] != "young.test" || line["client"] != "127.0.0.1" || line["created"] == nil {
		t.Errorf("line %v", line)
	}
	if n := len(events); n != 0 {
		t.Errorf("%d events more", n)
	}
}

func TestReporterIsQuiet(t *testing.T) {
	r := (&Policy{Name: "p"}).newReporter(&Env{})
	name, now := []byte("\x04some\x04test\x00"), time.Now()
	for _, test := range []struct {
		after time.Duration
		due   bool
	}{{0, true}, {0, false}, {reportEvery - 1, false}, {reportEvery, true}, {reportEvery + 1, false}, {-time.Hour, true}} {
		if got := r.due(name, now.Add(test.after)); got != test.due {
			t.Errorf("after %v: %v", test.after, got)
		}
	}
	due := 0
	for i := range 100000 {
		if r.due([]byte{3, byte(i), byte(i >> 8), byte(i >> 16), 0}, now.Add(2*time.Hour)) {
			due++
		}
	}
	if due > reportSlots {
		t.Errorf("%d reports of a flood of names", due)
	}
	r.skipped.Store(7)
	r.emit = func(_ string, data map[string]any) {
		if data["more"] != uint64(7) {
			t.Errorf("%v", data)
		}
	}
	r.write(policyHit{})
}
