package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whence-project/whence/internal/registryfarm"
	"github.com/whence-project/whence/internal/testenv"
)

// hostsOf are the addresses of a farm's servers, which are all that a server under test may connect to.
func hostsOf(f *registryfarm.Farm, registries []registryfarm.Registry) (hosts []string) {
	for _, r := range registries {
		if u, err := url.Parse(f.RDAPURL(r.Name)); err == nil && r.RDAP {
			hosts = append(hosts, u.Hostname())
		}
		if host, _, err := net.SplitHostPort(f.WHOISAddr(r.Name)); err == nil && r.WHOIS {
			hosts = append(hosts, host)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(hosts)))
}

// withRegistries is a configuration that asks a farm's registries, with these lines in the block of the source.
func withRegistries(s *server, f *registryfarm.Farm, registries []registryfarm.Registry, options ...string) string {
	s.t.Helper()
	if err := f.WriteCA(s.path("ca.pem")); err != nil {
		s.t.Fatal(err)
	}
	lines := append([]string{
		"registries " + f.BootstrapURL(), "allow_networks " + strings.Join(hostsOf(f, registries), " "), "trusted_ca ca.pem", "wait 20s",
	}, options...)
	for _, r := range registries {
		if r.WHOIS {
			for _, suffix := range r.Suffixes {
				lines = append(lines, "whois "+suffix+" "+f.WHOISAddr(r.Name))
			}
		}
	}
	if !strings.Contains(strings.Join(options, "\n"), "limit ") {
		lines = append(lines, "limit default off")
	}
	return globals("\tenrich {\n\t\trank ./top.csv\n\t\tregistration {\n\t\t\t"+strings.Join(lines, "\n\t\t\t")+
		"\n\t\t}\n\t}\n\twhois {\n\t\tbind 127.0.0.1:0\n\t\twait 20s\n\t}") + unixSite("site", "wait 20s")
}

func startRegistries(t *testing.T, registries []registryfarm.Registry, options ...string) (*server, *http.Client, *registryfarm.Farm) {
	t.Helper()
	f := registryfarm.New(t, registryfarm.Options{Registries: registries})
	s := newServer(t)
	s.write("top.csv", "1,example.com\n")
	s.start(withRegistries(s, f, registries, options...))
	s.log.wait(t, 1, `"file":"object-tags.json"`)
	return s, s.client("site"), f
}

// known is what /v1/lookup tells of a registration.
type known struct {
	Registrar, Created, Updated, Expires string
	NameServers                          []string `json:"name_servers"`
	Status                               []string
	Network                              string
	Sources                              []struct {
		Source string
		Fields map[string]any
	}
	Notes []struct{ Kind, Text string }
}

func (k *known) field(name string) string {
	for _, s := range k.Sources {
		if v, ok := s.Fields[name]; ok {
			return fmt.Sprint(v)
		}
	}
	return ""
}

func (k *known) note() string {
	for _, n := range k.Notes {
		return n.Kind + ": " + n.Text
	}
	return ""
}

// lookup asks for one subject, waiting as long as it takes.
func lookup(t *testing.T, c *http.Client, subject string) *known {
	t.Helper()
	k := new(known)
	body := mustFetch(t, c, "/v1/lookup/"+url.PathEscape(subject)+"?wait=30s")
	if err := json.Unmarshal([]byte(body), k); err != nil {
		t.Fatalf("%s: %v: %s", subject, err, body)
	}
	return k
}

// TestRegistrationAtEveryDoor asks for the same names at every door, of registries that speak RDAP over HTTPS, and WHOIS only.
func TestRegistrationAtEveryDoor(t *testing.T) {
	testenv.Program(t, "whois", "whois")
	testenv.Program(t, "curl", "curl")
	registries := []registryfarm.Registry{
		{Name: "rdap", Suffixes: []string{"com"}, RDAP: true, TLS: true},
		{Name: "whois", Suffixes: []string{"de"}, WHOIS: true},
		{Name: "rir", Networks: []netip.Prefix{netip.MustParsePrefix("8.0.0.0/8"), netip.MustParsePrefix("2001:4860::/32")}, AS: [][2]uint32{{15000, 16000}}, RDAP: true},
	}
	s, c, f := startRegistries(t, registries)
	_, port, _ := net.SplitHostPort(s.whois(0))
	for _, name := range []string{"tulip.com", "tulip.de"} {
		want, _, _ := f.Expected(name)
		k := lookup(t, c, "www."+name)
		created := want.Created.Format(time.RFC3339)
		if k.Registrar != want.Registrar || k.Created != created || k.Expires != want.Expires.Format(time.RFC3339) ||
			!slices.Equal(slices.Sorted(slices.Values(k.NameServers)), slices.Sorted(slices.Values(want.NameServers))) {
			t.Errorf("%s: %+v, want %+v", name, k, want)
		}
		out, err := exec.Command("whois", "-h", "127.0.0.1", "-p", port, name).Output()
		if err != nil || !strings.Contains(string(out), "Creation Date: "+created) || !strings.Contains(string(out), "% registered, says 127.") {
			t.Errorf("whois %s: %v\n%s", name, err, out)
		}
		if raw := ask(t, s.whois(0), "--raw "+name); !strings.Contains(strings.ToLower(raw), name) || strings.Contains(raw, "dbstatus") {
			t.Errorf("raw: %s", raw)
		}
		web := want.Created.Format("Mon, 02 Jan 2006 15:04:05 GMT")
		if body := mustFetch(t, c, "/"+name); !strings.Contains(body, `"seen_by_web":"`+web+`"`) {
			t.Errorf("format C: %s", body)
		}
		if body := mustFetch(t, c, "/domain/creation_date/registrar/"+name); body != want.Created.Format(time.DateTime)+"; "+want.Registrar+"; " {
			t.Errorf("format A: %q", body)
		}
		out, err = exec.Command("curl", "-sS", "--unix-socket", s.path("site"), "http://localhost/WHOIS/"+name).Output()
		var api struct {
			Flag     int
			Created  string `json:"creation_date"`
			Sponsor  string `json:"sponsoring_registrar"`
			Details  string
			TopWhois string `json:"top_whois_server"`
		}
		if jsonErr := json.Unmarshal(out, &api); err != nil || jsonErr != nil || api.Flag != 1 || api.Created != want.Created.Format(time.DateTime) ||
			api.Sponsor != want.Registrar || !strings.Contains(strings.ToLower(api.Details), name) || api.TopWhois == "" {
			t.Errorf("WHOIS-API: %v, %s", err, out)
		}
		if n := f.Queries(name); n != 1 {
			t.Errorf("the registry was asked about %s %d times", name, n)
		}
	}
	if k := lookup(t, c, "8.8.8.8"); k.Network != registryfarm.ExpectedNetwork(netip.MustParsePrefix("8.8.8.8/32")).Prefix.String() {
		t.Errorf("8.8.8.8: %+v", k)
	}
	if k := lookup(t, c, "AS15169"); k.field("registration_name") != registryfarm.ExpectedAS(15169).Name {
		t.Errorf("AS15169: %+v", k)
	}
	if !strings.Contains(s.get("/metrics"), `caddy_whence_registration_queries_total{outcome="registered",protocol="rdap"} `) {
		t.Error("the metrics have no queries over RDAP")
	}
	if status := s.get("/whence/status"); !strings.Contains(status, `"kind":"registration"`) || !strings.Contains(status, `"rdap registered":`) {
		t.Errorf("status: %s", status)
	}
}

// TestRegistrationNeverWronglyAvailable asks for names that registries misbehave about in every way that the farm knows, over RDAP,
// over WHOIS, and over both.
func TestRegistrationNeverWronglyAvailable(t *testing.T) {
	trap, err := net.Listen("tcp", "127.77.0.1:0") // where nobody may be led
	if err != nil {
		t.Fatal(err)
	}
	defer trap.Close()
	var mu sync.Mutex
	trapped := 0
	go func() {
		for {
			conn, err := trap.Accept()
			if err != nil {
				return
			}
			conn.Close()
			mu.Lock()
			trapped++
			mu.Unlock()
		}
	}()
	// Each behaviour has registries of its own: one that throttles is left alone for a while.
	var registries []registryfarm.Registry
	type question struct{ name, behaviour string }
	var all []question
	var list strings.Builder
	for i, b := range behaviours {
		for j, r := range []registryfarm.Registry{
			{RDAP: true}, {WHOIS: true}, {WHOIS: true, Style: registryfarm.RPSL}, {RDAP: true, WHOIS: true},
		} {
			r.Name = fmt.Sprintf("r%dk%d", i, j)
			r.Suffixes = []string{r.Name}
			registries = append(registries, r)
			for n := range 3 {
				name := fmt.Sprintf("%stulip%d.%s", b, n, r.Name)
				all = append(all, question{name, strings.TrimSuffix(b, "-")})
				list.WriteString(name + "\n")
			}
		}
	}
	f := registryfarm.New(t, registryfarm.Options{Registries: registries, Private: []string{trap.Addr().String()}, Drip: 50 * time.Millisecond})
	s := newServer(t)
	s.write("top.csv", "1,example.com\n")
	s.start(withRegistries(s, f, registries, "timeout 2s", "queue 2s", "registrar"))
	s.log.wait(t, 1, `"file":"object-tags.json"`)
	c := s.client("site")
	resp, err := c.Post("http://localhost/v1/lookup?wait=25s", "text/plain", strings.NewReader(list.String()))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := json.NewDecoder(resp.Body)
	for _, a := range all {
		k := new(known)
		if err := in.Decode(k); err != nil {
			t.Fatalf("%s: %v", a.name, err)
		}
		class := k.field("registration")
		want, _, _ := f.Expected(a.name)
		switch registryfarm.Behaviour(a.behaviour) {
		case registryfarm.Free:
			if class != "available" {
				t.Errorf("%s: %q (%s), want available", a.name, class, k.note())
			}
		case registryfarm.Reserved:
			if class != "reserved" {
				t.Errorf("%s: %q (%s), want reserved", a.name, class, k.note())
			}
		default:
			if class == "available" || class == "reserved" || class == "unsupported" {
				t.Errorf("%s: %q, which no registry has said", a.name, class)
			}
			if class == "" && k.note() == "" {
				t.Errorf("%s: neither an answer nor why there is none", a.name)
			}
			// A reply that ends in the middle of a time has the day.
			if class == "registered" && k.Created != "" && k.Created != want.Created.Format(time.RFC3339) &&
				(a.behaviour != string(registryfarm.Cut) || k.Created[:10] != want.Created.Format(time.DateOnly)) {
				t.Errorf("%s: created %s, want %s", a.name, k.Created, want.Created.Format(time.RFC3339))
			}
		}
		if a.behaviour == "" && class != "registered" {
			t.Errorf("%s: %q (%s), want registered", a.name, class, k.note())
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if trapped > 0 {
		t.Errorf("%d connections to where a redirect or a referral led, which nobody allows", trapped)
	}
}

// behaviours are those of the farm, as a name begins.
var behaviours = []string{"", "free-", "reserved-", "throttle-", "throttledate-", "throttletext-", "busy-", "blocked-", "hang-", "drip-", "reset-",
	"cut-", "error-", "empty-", "flaky-", "big-", "gzip-", "bomb-", "loop-", "loopself-", "loopfar-", "private-", "lead-", "nofinalnewline-",
	"html404-", "notjson-", "othername-", "latin1-", "eucjp-", "iso2022jp-", "euckr-", "gbk-", "big5-", "koi8r-"}

// TestRegistrationOfThinRegistries has registries that tell who the registrar is and no more, over both protocols.
func TestRegistrationOfThinRegistries(t *testing.T) {
	registries := []registryfarm.Registry{
		{Name: "thin", Suffixes: []string{"com"}, RDAP: true, Thin: true, Registrar: "sells"},
		{Name: "old", Suffixes: []string{"de"}, WHOIS: true, Thin: true, Registrar: "sells"},
		{Name: "sells", RDAP: true, WHOIS: true},
	}
	for _, option := range []string{"", "registrar"} {
		_, c, f := startRegistries(t, registries, option)
		for _, name := range []string{"tulip.com", "tulip.de"} {
			want, _, _ := f.Expected(name)
			k := lookup(t, c, name)
			contact := k.field("registrant_organization")
			if k.Created != want.Created.Format(time.RFC3339) || k.Registrar != want.Registrar || (contact != "") != (option != "") {
				t.Errorf("%q: %s: %+v, want %+v", option, name, k, want)
			}
			if option != "" && contact != want.Registrant.Organization {
				t.Errorf("%s: registrant %q, want %q", name, contact, want.Registrant.Organization)
			}
			body := mustFetch(t, c, "/WHOIS/"+name)
			if second := strings.Contains(body, `"sec_whois_server": ""`); second != (option == "") || !strings.Contains(body, `"flag": 1`) {
				t.Errorf("%q: WHOIS-API: %s", option, body)
			}
		}
		if n := f.Counts("sells").Queries; (n == 2) != (option != "") || option == "" && n != 0 {
			t.Errorf("%q: the registrar was asked %d times", option, n)
		}
	}
}

// TestRegistrationKeepsToLimits has a registry that counts, and a list that is longer than it allows at once.
func TestRegistrationKeepsToLimits(t *testing.T) {
	registries := []registryfarm.Registry{{Name: "strict", Suffixes: []string{"com"}, RDAP: true, WHOIS: true, Limit: registryfarm.PerAddress(10, time.Second)}}
	_, c, f := startRegistries(t, registries, "limit default 10/s")
	var list strings.Builder
	for i := range 35 {
		fmt.Fprintf(&list, "tulip%d.com\n", i)
	}
	resp, err := c.Post("http://localhost/v1/lookup?wait=60s", "text/plain", strings.NewReader(list.String()))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := json.NewDecoder(resp.Body)
	for i := range 35 {
		k := new(known)
		if err := in.Decode(k); err != nil || k.field("registration") != "registered" {
			t.Errorf("tulip%d.com: %v, %+v", i, err, k)
		}
	}
	if v := f.Violations(); len(v) > 0 {
		t.Errorf("%d queries over the limit, the first: %+v", len(v), v[0])
	}
	if n := f.Counts("strict").Queries; n != 35 {
		t.Errorf("%d queries for 35 names", n)
	}
}

// TestRegistrationIsAskedForOnce has a thousand clients that want one name.
func TestRegistrationIsAskedForOnce(t *testing.T) {
	registries := []registryfarm.Registry{{Name: "slow", Suffixes: []string{"com"}, RDAP: true, Latency: 300 * time.Millisecond}}
	_, c, f := startRegistries(t, registries)
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			if _, body, err := fetch(c, "/v1/lookup/tulip.com?wait=30s"); err != nil || !strings.Contains(body, `"registration":"registered"`) {
				t.Errorf("%v: %s", err, body)
			}
		})
	}
	wg.Wait()
	if n := f.Queries("tulip.com"); n != 1 {
		t.Errorf("the registry was asked %d times", n)
	}
}

// TestRegistrationSurvivesReload reloads while lookups are under way: they end, nothing is asked for twice, and what a registry
// asked for is not forgotten.
func TestRegistrationSurvivesReload(t *testing.T) {
	registries := []registryfarm.Registry{
		{Name: "slow", Suffixes: []string{"com"}, RDAP: true, Latency: time.Second},
		{Name: "strict", Suffixes: []string{"de"}, WHOIS: true},
	}
	s, c, f := startRegistries(t, registries)
	if k := lookup(t, c, "throttle-tulip.de"); !strings.HasPrefix(k.note(), "throttled: ") {
		t.Fatalf("not throttled: %+v", k)
	}
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			name := fmt.Sprintf("tulip%d.com", i)
			for range 20 { // Caddy's HTTP server may drop a connection in a reload
				if _, body, err := fetch(c, "/v1/lookup/"+name+"?wait=30s"); err == nil && strings.Contains(body, `"registration":"registered"`) {
					return
				}
			}
			t.Errorf("%s is never there", name)
		})
	}
	config := withRegistries(s, f, registries)
	for range 5 {
		if err := s.load(config); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if n := f.Counts("slow").Queries; n != 100 {
		t.Errorf("%d queries for 100 names", n)
	}
	lookup(t, c, "violet.de")
	if n := f.Counts("strict").Queries; n != 1 {
		t.Errorf("a registry that asked to wait got %d queries", n)
	}
}

// TestRegistrationSurvivesKill kills the server in the middle of preloading.
func TestRegistrationSurvivesKill(t *testing.T) {
	registries := []registryfarm.Registry{{Name: "one", Suffixes: []string{"com"}, RDAP: true}}
	f := registryfarm.New(t, registryfarm.Options{Registries: registries})
	s := newServer(t)
	var top strings.Builder
	for i := range 300 {
		fmt.Fprintf(&top, "%d,tulip%d.com\n", i+1, i)
	}
	s.write("top.csv", top.String())
	config := withRegistries(s, f, registries, "preload 300 delay 20ms")
	s.start(config)
	onDisk := func() int {
		var status struct {
			Store struct{ Cache struct{ Entries int } }
		}
		if err := json.Unmarshal([]byte(s.get("/whence/status")), &status); err != nil {
			t.Fatal(err)
		}
		return status.Store.Cache.Entries
	}
	eventually(t, "a third is preloaded and on disk", func() bool { return onDisk() > 200 }) // the answers, and what the servers wrote
	s.kill()
	before := f.Total().Queries
	s.start(config)
	s.log.wait(t, 1, `"msg":"preloaded"`)
	asked, _ := f.AllQueries()
	if twice := f.Total().Queries - 300; len(asked) != 300 || twice > 120 {
		t.Errorf("%d names were asked about; %d questions before the kill, %d in all", len(asked), before, f.Total().Queries)
	}
	if status := s.get("/whence/status"); !strings.Contains(status, `"preload":{"state":"finished","names":300,"done":300,"failed":0`) {
		t.Errorf("status: %s", status)
	}
	f.Close()
	if k := lookup(t, s.client("site"), "tulip7.com"); k.field("registration") != "registered" {
		t.Errorf("with the registry gone: %+v", k)
	}
}

// TestRegistrationAtNamedServers has clients name the server to ask.
func TestRegistrationAtNamedServers(t *testing.T) {
	registries := []registryfarm.Registry{
		{Name: "one", Suffixes: []string{"com"}, WHOIS: true}, {Name: "strict", Suffixes: []string{"net"}, WHOIS: true},
		{Name: "other", WHOIS: true}, {Name: "third", WHOIS: true},
	}
	f := registryfarm.New(t, registryfarm.Options{Registries: registries})
	s := newServer(t)
	s.write("top.csv", "1,example.com\n")
	s.start(withRegistries(s, f, registries, "whois_servers "+f.WHOISAddr("other")+" .example"))
	c := s.client("site")
	status, body, err := fetch(c, "/WHOIS/tulip.com:"+f.WHOISAddr("other"))
	if want, _, _ := f.Expected("tulip.com"); err != nil || status != http.StatusOK || !strings.Contains(body, want.Registrar) || f.Counts("other").Queries != 1 {
		t.Errorf("%d %s (%v); %+v", status, body, err, f.Counts("other"))
	}
	for _, server := range []string{f.WHOISAddr("third"), "127.0.0.1", "[::1]:43", "localhost"} {
		status, body, err := fetch(c, "/WHOIS/tulip.com:"+server)
		if err != nil || status != http.StatusForbidden {
			t.Errorf("%s: %d %s (%v)", server, status, body, err)
		}
	}
	if n := f.Counts("third").Queries; n != 0 {
		t.Errorf("a server that is not allowed got %d queries", n)
	}
	if n := f.Counts("one").Queries; n != 0 {
		t.Errorf("the registry got %d", n)
	}
	if body := mustFetch(t, c, "/WHOIS/?domain_list=tulip.com;free-tulip.com;..;throttle-tulip.net"); strings.Count(body, "\n") != 4 ||
		!strings.Contains(body, `"flag":1`) || !strings.Contains(body, `"flag":-5`) {
		t.Errorf("a list: %s", body)
	}
}
