package registryfarm_test

import (
	"errors"
	"net/netip"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich/registration/rdap"
	"github.com/whence-project/whence/enrich/registration/whoisreply"
	"github.com/whence-project/whence/internal/limit"
	"github.com/whence-project/whence/internal/registryfarm"
)

// clock is a time that stands still.
type clock struct{ ns atomic.Int64 }

func (c *clock) now() time.Time {
	return time.Date(2025, 6, 7, 8, 9, 10, 0, time.UTC).Add(time.Duration(c.ns.Load()))
}

func (c *clock) pass(d time.Duration) { c.ns.Add(int64(d)) }

// askRDAP and askWHOIS report whether a query was let through, and how long the answer says to wait.
func askRDAP(t *testing.T, f *registryfarm.Farm, registry, name string) (bool, time.Duration) {
	t.Helper()
	_, err := ask(t, f, rdap.DomainURL(f.RDAPURL(registry), name))
	var e *rdap.Error
	if !errors.As(err, &e) {
		return err == nil, 0
	}
	return false, e.RetryAfter
}

func askWHOIS(t *testing.T, f *registryfarm.Farm, registry, name string) (bool, time.Duration) {
	t.Helper()
	text, _ := whois(t, f.WHOISAddr(registry), "", name)
	r := whoisreply.Parse(text, name)
	return r.Class == whoisreply.Registered, r.Wait
}

func TestLimits(t *testing.T) {
	var c clock
	limited := func(name string, l registryfarm.Limit) registryfarm.Registry {
		return registryfarm.Registry{Name: name, Suffixes: []string{name}, RDAP: true, WHOIS: true, Limit: l}
	}
	bucket := registryfarm.Limit{Rates: []limit.Rate{{Events: 1, Per: 10 * time.Second, Burst: 2}}, Separate: true, Over: registryfarm.TellDate}
	banning := registryfarm.PerAddress(1, time.Hour)
	banning.BanAfter, banning.BanFor = 2, 24*time.Hour
	silent, words, drop := registryfarm.PerAddress(1, time.Hour), registryfarm.PerAddress(1, time.Hour), registryfarm.PerAddress(1, time.Hour)
	silent.Over, words.Over, drop.Over = registryfarm.Silent, registryfarm.Words, registryfarm.Drop
	f := registryfarm.New(t, registryfarm.Options{Now: c.now, Registries: []registryfarm.Registry{
		limited("window", registryfarm.PerAddress(3, time.Minute)), limited("bucket", bucket), limited("ban", banning),
		limited("silent", silent), limited("words", words), limited("drop", drop),
	}})
	n := 0
	for _, tt := range []struct {
		after    time.Duration
		registry string
		whois    bool
		ok       bool
		wait     time.Duration
	}{
		{0, "window", false, true, 0}, {10 * time.Second, "window", true, true, 0}, {0, "window", false, true, 0},
		{0, "window", false, false, 50 * time.Second}, {0, "window", true, false, 50 * time.Second},
		{50 * time.Second, "window", true, true, 0}, {0, "window", true, false, 10 * time.Second},
		{0, "bucket", false, true, 0}, {0, "bucket", false, true, 0}, {0, "bucket", false, false, 10 * time.Second},
		{0, "bucket", true, true, 0}, {10 * time.Second, "bucket", false, true, 0}, {0, "bucket", false, false, 10 * time.Second},
		{0, "ban", true, true, 0}, {time.Minute, "ban", true, false, 59 * time.Minute}, {0, "ban", true, false, 0},
		{time.Hour, "ban", true, false, 0}, {24 * time.Hour, "ban", true, true, 0},
		{0, "silent", false, true, 0}, {0, "silent", false, false, 0}, {0, "silent", true, false, 0},
		{0, "words", true, true, 0}, {0, "drop", false, true, 0}, {0, "drop", false, false, 0}, {0, "drop", true, false, 0},
	} {
		c.pass(tt.after)
		n++
		name := "n" + strconv.Itoa(n) + "." + tt.registry
		query := askRDAP
		if tt.whois {
			query = askWHOIS
		}
		if ok, wait := query(t, f, tt.registry, name); ok != tt.ok || wait != tt.wait {
			t.Errorf("query %d (%s): %t, wait %s, want %t, %s", n, name, ok, wait, tt.ok, tt.wait)
		}
	}
	if text, _ := whois(t, f.WHOISAddr("words"), "", "a.words"); whoisreply.Parse(text, "").Class != whoisreply.Throttled {
		t.Errorf("in words: %q", text)
	}
	if got := f.Counts("window"); got.Violations != 3 || got.Queries != 7 {
		t.Errorf("counts %+v", got)
	}
	if got := f.Counts("ban"); got.Violations != 3 || got.Banned != 2 {
		t.Errorf("counts %+v", got)
	}
	v := f.Violations()[0]
	if v.Registry != "window" || v.Name != "n4.window" || v.Early != 50*time.Second || v.Source != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("violation %s", v)
	}
	f.Forget()
	if len(f.Violations()) != 0 || f.Total() != (registryfarm.Counts{}) {
		t.Errorf("after Forget: %+v", f.Total())
	}
}

func TestConcurrentConnections(t *testing.T) {
	f := registryfarm.New(t, registryfarm.Options{Registries: []registryfarm.Registry{
		{Name: "r", Suffixes: []string{"test"}, RDAP: true, WHOIS: true, Limit: registryfarm.Limit{Concurrent: 1}}}})
	hung := make(chan struct{})
	go func() {
		whois(t, f.WHOISAddr("r"), "", "hang-a.test")
		close(hung)
	}()
	if err := f.Await(t.Context(), "r", 1); err != nil {
		t.Fatal(err)
	}
	if ok, _ := askRDAP(t, f, "r", "a.test"); ok {
		t.Error("two at the same time")
	}
	if n := f.Counts("r"); n.Violations != 1 || n.Peak != 2 {
		t.Errorf("counts %+v", n)
	}
	f.Close()
	<-hung
}

// One after the other is not at the same time, however fast.
func TestSequenceIsNotConcurrent(t *testing.T) {
	f := registryfarm.New(t, registryfarm.Options{Registries: []registryfarm.Registry{
		{Name: "r", Suffixes: []string{"test"}, RDAP: true, TLS: true, WHOIS: true, Limit: registryfarm.Limit{Concurrent: 1}}}})
	c := rdap.Client{HTTP: rdap.NewHTTPClient(nil, f.CertPool())}
	for i := range 200 {
		name := "n" + strconv.Itoa(i) + ".test"
		if i%10 == 0 {
			askWHOIS(t, f, "r", "reset-"+name)
		}
		if _, err := c.Get(t.Context(), rdap.DomainURL(f.RDAPURL("r"), name)); err != nil {
			t.Fatal(err)
		}
		if ok, _ := askWHOIS(t, f, "r", name); !ok {
			t.Fatal("not answered")
		}
	}
	if n := f.Counts("r"); n.Violations != 0 || n.Peak != 1 {
		t.Errorf("counts %+v", n)
	}
}
