package registration

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration/bootstrap"
	"github.com/whence-project/whence/enrich/registration/whoisclient"
)

func suffix(rdap string, whois *whoisclient.Server) bootstrap.Override {
	o := bootstrap.Override{Suffix: "test", Whois: whois}
	if rdap != "" {
		o.RDAP = []string{rdap}
	}
	return o
}

func TestAnswerIsFetchedOnceAndKept(t *testing.T) {
	u, cache := new(upstream), newCache(t)
	o := suffix(u.rdapServer(t, serveDomain), nil)
	s, chain := newSource(t, Options{Cache: cache}, o)
	if r := lookup(chain, enrich.Query{Offline: true}); len(r.Parts()) != 0 || !strings.Contains(notes(r), "unfetched") {
		t.Errorf("before anybody was asked: %s", r.AppendJSON(nil))
	}
	for range 3 {
		r := lookup(chain, enrich.Query{Subject: enrich.DomainOf("www.example.test")})
		if got := r.Value(enrich.Created) + " " + r.Value(enrich.Registrar) + " " + field(r, "domain_name") + " " + field(r, "registration_via"); got !=
			"2001-02-03T04:05:06Z Example Registrar example.test rdap" {
			t.Errorf("%q, notes %s", got, notes(r))
		}
		if got := field(r, "registration"); got != "registered" {
			t.Errorf("registration %q", got)
		}
	}
	r := lookup(chain, enrich.Query{Raw: true})
	if raw := r.Parts()[1].Fragment.Verbatim(); !strings.Contains(raw, `"handle":"D1-TEST"`) {
		t.Errorf("raw: %q", raw)
	}
	if got := u.all(); got != "rdap example.test" {
		t.Errorf("asked: %s", got)
	}
	if fresh, stale, misses := s.Lookups(); fresh+stale < 3 || misses < 2 {
		t.Errorf("%d hits, %d old ones, %d misses", fresh, stale, misses)
	}
	// Another process on the same store asks nobody.
	_, again := newSource(t, Options{Cache: cache}, o)
	if r := lookup(again, enrich.Query{Offline: true}); r.Value(enrich.Created) == "" {
		t.Errorf("after a restart: %s", notes(r))
	}
}

// TestWhatServersSay has every answer, and what follows from it: what is shown, what is kept, and whom it takes to say so.
func TestWhatServersSay(t *testing.T) {
	html := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<html><body>404 page not found</body></html>")
	}
	for _, tt := range []struct {
		name  string
		rdap  http.HandlerFunc
		whois string // the WHOIS server's reply; "-": there is none
		want  string // registration, via
		note  string // beginning of the note
		asked string
		again string // asked in all after a second query
	}{
		{"registered over RDAP", serveDomain, whoisRegistered, "registered rdap", "", "rdap", "rdap"},
		{"not registered", fails(404, 0), whoisRegistered, "available rdap", "", "rdap", "rdap"},
		{"a web page for 404, and WHOIS knows", html, whoisRegistered, "registered whois", "", "rdap whois", "rdap whois"},
		{"a web page for 404, and nobody else", html, "-", "", "failed", "rdap", "rdap"},
		{"server error, and WHOIS knows", fails(500, 0), whoisRegistered, "registered whois", "", "rdap whois", "rdap whois"},
		{"server error, and WHOIS says it is free", fails(500, 0), "No match for EXAMPLE.TEST\r\n", "available whois", "", "rdap whois", "rdap whois"},
		{"throttled: WHOIS is the same operator's", fails(429, 50), whoisRegistered, "", "throttled", "rdap", "rdap"},
		{"throttled without RDAP", nil, "Query rate limit exceeded. Quota will be replenished in 50 seconds.\r\n", "", "throttled", "whois", "whois"},
		{"blocked", nil, "Access denied: your address has been blacklisted.\r\n", "", "throttled", "whois", "whois"},
		{"throttled and nothing found", nil, "% Too many queries from your address\r\nNo entries found\r\n", "", "throttled", "whois", "whois"},
		{"free", nil, "No match for EXAMPLE.TEST\r\n", "available whois", "", "whois", "whois"},
		{"reserved", nil, "This name is reserved by the registry\r\n", "reserved whois", "", "whois", "whois"},
		{"empty", nil, "", "", "failed", "whois", "whois"},
		{"nothing that means anything", nil, "Hello.\r\n", "", "failed", "whois", "whois"},
		{"nobody to ask", nil, "-", "unsupported ", "failed: no RDAP or WHOIS server", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := new(upstream)
			o := bootstrap.Override{Suffix: "test"}
			if tt.rdap != nil {
				o.RDAP = []string{u.rdapServer(t, tt.rdap)}
			}
			if tt.whois != "-" {
				o.Whois = u.whoisServer(t, func(string) string { return tt.whois })
			}
			s, chain := newSource(t, Options{Cache: newCache(t)}, o)
			for i, asked := range []string{tt.asked, tt.again} {
				r := lookup(chain, enrich.Query{})
				got := strings.TrimPrefix(field(r, "registration")+" "+field(r, "registration_via"), " ")
				if got != tt.want || tt.want == "" && r.Found() {
					t.Errorf("answer %q, want %q; notes %s", got, tt.want, notes(r))
				}
				if n := notes(r); !strings.HasPrefix(n, tt.note) || tt.note == "" && n != "" {
					t.Errorf("notes %q, want %q", n, tt.note)
				}
				if got := strings.ReplaceAll(strings.ReplaceAll(u.all(), " example.test", ""), ",", ""); got != asked {
					t.Errorf("after query %d: asked %q, want %q", i+1, got, asked)
				}
			}
			if e := s.entry("example.test", s.opt.Now()); (e != nil) != (tt.want != "" && tt.want != "unsupported ") {
				t.Errorf("kept: %+v", e)
			}
		})
	}
}

func TestThrottledIsAskedAgainWhenTheServerSaid(t *testing.T) {
	u, c := new(upstream), newClock()
	answer := fails(429, 50)
	var mu sync.Mutex
	base := u.rdapServer(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		answer(w, r)
	})
	_, chain := newSource(t, Options{Now: c.Now}, suffix(base, nil))
	lookup(chain, enrich.Query{})
	mu.Lock()
	answer = serveDomain
	mu.Unlock()
	for _, tt := range []struct {
		after time.Duration
		asked int
		found bool
	}{{10 * time.Second, 1, false}, {30 * time.Second, 1, false}, {15 * time.Second, 2, true}} {
		c.add(tt.after)
		if r := lookup(chain, enrich.Query{}); r.Found() != tt.found || u.count() != tt.asked {
			t.Errorf("%v later: asked %d times, found %v; notes %s", tt.after, u.count(), r.Found(), notes(r))
		}
	}
}

func TestOldAnswerIsShownWithItsAge(t *testing.T) {
	u, c := new(upstream), newClock()
	broken := false
	var mu sync.Mutex
	base := u.rdapServer(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if broken {
			fails(500, 0)(w, r)
			return
		}
		serveDomain(w, r)
	})
	s, chain := newSource(t, Options{Now: c.Now, Cache: newCache(t)}, suffix(base, nil))
	lookup(chain, enrich.Query{})
	mu.Lock()
	broken = true
	mu.Unlock()
	c.add(25 * time.Hour)
	r := lookup(chain, enrich.Query{})
	if !r.Found() || notes(r) != "stale: as of 2026-11-21T12:00:00Z, 25h0m0s ago" {
		t.Errorf("a day later: found %v, notes %s", r.Found(), notes(r))
	}
	waitFor(t, func() bool { return u.count() == 2 && s.UnderWay() == 0 }) // it is renewed behind the query
	if r = lookup(chain, enrich.Query{}); !r.Found() || !strings.Contains(notes(r), "ago: 127.0.0.1") {
		t.Errorf("where that failed: %s", notes(r))
	}
	c.add(8 * 24 * time.Hour)
	if r = lookup(chain, enrich.Query{}); r.Found() {
		t.Errorf("after its time: %s", r.AppendJSON(nil))
	}
	mu.Lock()
	broken = false
	mu.Unlock()
	c.add(2 * time.Hour)
	if r = lookup(chain, enrich.Query{}); !r.Found() || notes(r) != "" {
		t.Errorf("mended: %s", r.AppendJSON(nil))
	}
}

// waitFor waits until ok, or gives up.
func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come about in 20 s")
		}
	}
}

func TestOneQueryHoweverManyAsk(t *testing.T) {
	u, gate := new(upstream), make(chan struct{})
	base := u.rdapServer(t, func(w http.ResponseWriter, r *http.Request) {
		<-gate
		serveDomain(w, r)
	})
	_, chain := newSource(t, Options{Wait: 20 * time.Second}, suffix(base, nil))
	var wg sync.WaitGroup
	for i := range 1000 {
		name := "example.test"
		if i%2 == 1 {
			name = "host" + string(rune('a'+i%26)) + ".example.test"
		}
		wg.Go(func() {
			if r := lookup(chain, enrich.Query{Subject: enrich.DomainOf(name)}); !r.Found() {
				t.Errorf("%s: %s", name, notes(r))
			}
		})
	}
	waitFor(t, func() bool { return u.count() > 0 })
	close(gate)
	wg.Wait()
	if u.count() != 1 {
		t.Errorf("asked: %s", u.all())
	}
}

func TestRegistrarIsAskedWhereThatIsWanted(t *testing.T) {
	for _, tt := range []struct {
		name      string
		registrar string // its reply
		loop      bool
		want      string
		asked     int
	}{
		{"has more", "Domain Name: EXAMPLE.TEST\r\nRegistrar: Other\r\nCreation Date: 1990-01-01T00:00:00Z\r\nRegistrant Name: Jane\r\n", false,
			"1999-01-02T03:04:05Z Whois Registrar Jane whois.registrar.example", 2},
		{"throttles", "Query rate exceeded, try again later\r\n", false, "1999-01-02T03:04:05Z Whois Registrar  whois.registrar.example", 2},
		{"does not have it", "No match\r\n", false, "1999-01-02T03:04:05Z Whois Registrar", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := new(upstream)
			second := u.whoisServer(t, func(string) string { return tt.registrar })
			first := u.whoisServer(t, func(string) string { return whoisRegistered + "Registrar WHOIS Server: whois.registrar.example\r\n" })
			s, chain := newSource(t, Options{Registrar: true}, suffix("", first))
			// Where the registry names a host, port 43 is meant, which tests cannot have.
			dial := s.opt.Whois.Dial
			s.opt.Whois.Dial = dialTo(dial, "whois.registrar.example:43", second.Addr())
			r := lookup(chain, enrich.Query{})
			got := strings.Join([]string{r.Value(enrich.Created), r.Value(enrich.Registrar), field(r, "registrant_name"), field(r, "registrar_server")}, " ")
			if got = strings.TrimSpace(got); got != tt.want || u.count() != tt.asked {
				t.Errorf("%q after %d questions, want %q; %s", got, u.count(), tt.want, r.AppendJSON(nil))
			}
		})
	}
}

func TestAddressesAreAskedAboutOnRequestOnly(t *testing.T) {
	u := new(upstream)
	base := u.rdapServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/rdap+json")
		_, _ = io.WriteString(w, `{"objectClassName":"ip network","handle":"NET-1","startAddress":"198.41.0.0","endAddress":"198.41.3.255",
 "ipVersion":"v4","name":"EXAMPLE-NET","country":"DE","rdapConformance":["rdap_level_0"]}`)
	})
	files := bootstrap.New(bootstrap.Options{URL: bootstrapFiles(t, base), HTTP: http.DefaultClient, Now: newClock().Now})
	if err := files.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	_, chain := newSource(t, Options{Bootstrap: files})
	for _, a := range []string{"198.41.0.4", "10.0.0.1"} {
		sub, _ := enrich.ParseSubject(a)
		if r := lookup(chain, enrich.Query{Subject: sub}); len(r.Parts()) != 0 || u.count() != 0 {
			t.Errorf("%s: %s after %s", a, r.AppendJSON(nil), u.all())
		}
	}
	sub, _ := enrich.ParseSubject("198.41.0.4")
	r := lookup(chain, enrich.Query{Subject: sub, AskRegistry: true})
	if r.Network().String() != "198.41.0.0/22" || r.Value(enrich.CountryCode) != "DE" || field(r, "registration_name") != "EXAMPLE-NET" {
		t.Errorf("%s", r.AppendJSON(nil))
	}
	sub, _ = enrich.ParseSubject("10.0.0.1")
	if r := lookup(chain, enrich.Query{Subject: sub, AskRegistry: true}); len(r.Parts()) != 0 || u.count() != 1 {
		t.Errorf("a private address: %s", r.AppendJSON(nil))
	}
}
