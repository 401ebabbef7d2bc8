package domainstats

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/whence-project/whence/enrich"
)

// Fixed words come first, then format A's words at any place, then cmd and tgt, then tables, then a domain.
func TestPrecedence(t *testing.T) {
	for _, tt := range []struct {
		path, query string
		want        target
		inA         route // what it is in format A, where that differs
	}{
		{path: "/stats", want: target{route: routeStats}},
		{path: "/stats", query: "cmd=alexa&tgt=x", want: target{route: routeStats}},
		{path: "/stats-reset", want: target{route: routeReset}},
		{path: "/stats/", want: target{}, inA: routeHelp},
		{path: "/stats.example.org", want: target{route: routeDomain, arg: "stats.example.org", raw: true}, inA: routeHelp},
		{path: "/openapi.json", want: target{route: routeOpenAPI}},
		{path: "/measure/x", want: target{route: routeMeasure, arg: "x"}},
		{path: "/measure1/alexa/x", want: target{route: routeMeasure, number: '1', arg: "alexa/x"}},
		{path: "/measure2/", want: target{route: routeMeasure, number: '2'}},
		{path: "/measure", want: target{route: routeDomain, arg: "measure", raw: true}, inA: routeHelp},
		{path: "/normal/x", want: target{route: routeNormal}},
		{path: "/WHOIS/x.com", want: target{route: routeWhoisAPI, arg: "x.com", raw: true}},
		{path: "/whois/x.com:y.net", query: "cmd=alexa&tgt=y", want: target{route: routeWhoisAPI, arg: "x.com:y.net", raw: true}},
		{path: "/Whois/alexa/x", want: target{route: routeWhoisAPI, arg: "alexa/x", raw: true}},
		{path: "/WHOIS/", query: "domain_list=a;b", want: target{route: routeWhoisList}},
		{path: "/WHOIS", query: "domain_list=a;b", want: target{route: routeWhoisList}},
		{path: "/WHOIS/", want: target{route: routeWhoisList}},
		{path: "/whois", want: target{route: routeDomain, arg: "whois", raw: true}, inA: routeHelp},
		{path: "/v1/lookup", want: target{route: routeBulk}},
		{path: "/v1/lookup/alexa/x", want: target{route: routeLookup, arg: "alexa/x", raw: true}},
		{path: "/v1/lookup/192.0.2.0/24", want: target{route: routeLookup, arg: "192.0.2.0/24", raw: true}},
		{path: "/v1/lookup/", want: target{}},
		{path: "/v1/other", want: target{}},
		{path: "/v1", want: target{}},
		{path: "/v1/alexa/x", want: target{}},
		{path: "/alexa/x", want: target{route: routeAlexa, arg: "x", raw: true}},
		{path: "/a/b/alexa/x", want: target{route: routeAlexa, arg: "x", raw: true}},
		{path: "/domain/created/alexa/x", want: target{route: routeWhois, fields: "created/alexa", arg: "x", raw: true}},
		{path: "/domain/x", query: "cmd=alexa&tgt=y", want: target{route: routeWhois, arg: "x", raw: true}},
		{path: "/dns/alexa/x", want: target{route: routeAlexa, arg: "x", raw: true}},
		{path: "/xalexa/x", want: target{}, inA: routeHelp},
		{path: "/alexa", want: target{route: routeDomain, arg: "alexa", raw: true}, inA: routeHelp},
		{path: "/dns/x", query: "cmd=alexa&tgt=y", want: target{route: routeAlexa, arg: "y"}},
		{path: "/example.org", query: "cmd=alexa&tgt=y", want: target{route: routeAlexa, arg: "y"}},
		{path: "/example.org", query: "x=y", want: target{route: routeDomain, arg: "example.org", raw: true}, inA: routeHelp},
		{path: "/dns/x", want: target{route: routeMeasure, table: "dns", arg: "x"}},
		{path: "/dns1/x", want: target{route: routeMeasure, table: "dns1", arg: "x"}},
		{path: "/dns12/x", want: target{route: routeMeasure, table: "dns1", number: '2', arg: "x"}},
		{path: "/other1/x", want: target{}, inA: routeHelp},
		{path: "/dns/", want: target{}, inA: routeHelp},
		{path: "/dns", want: target{route: routeDomain, arg: "dns", raw: true}, inA: routeHelp},
		{path: "/", want: target{}, inA: routeHelp},
		{path: "", want: target{}},
		{path: "*", want: target{}},
		{path: "//example.org", want: target{}, inA: routeHelp},
		{path: "/example.org/", want: target{}, inA: routeHelp},
	} {
		c := newAPIWithoutLedger(t, Options{Score: scores, Registration: registrations})
		if got := c.match(tt.path, tt.query); got != tt.want {
			t.Errorf("%s?%s: %+v, want %+v", tt.path, tt.query, got, tt.want)
		}
		want := tt.want.route
		if tt.inA != routeNone {
			want = tt.inA
		}
		a := newAPIWithoutLedger(t, Options{Score: scores, Format: FormatA, Registration: registrations})
		if got := a.match(tt.path, tt.query).route; got != want {
			t.Errorf("%s?%s in format A: %v, want %v", tt.path, tt.query, got, want)
		}
	}
}

func newAPIWithoutLedger(t testing.TB, opt Options) *API {
	t.Helper()
	if opt.Chain == nil {
		opt.Chain = enrich.NewChain("", enrich.Link{Name: "registration", Source: known})
	}
	a, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestNew(t *testing.T) {
	chain := enrich.NewChain("")
	for name, opt := range map[string]Options{
		"no chain":       {},
		"negative wait":  {Chain: chain, Wait: -1},
		"long scope":     {Chain: chain, Scope: strings.Repeat("x", 65)},
		"negative limit": {Chain: chain, BrowseLimit: -1},
	} {
		if _, err := New(opt); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Handle leaves alone what is not ours, so that the next handler can answer; ServeHTTP says 404.
func TestNotOurs(t *testing.T) {
	a := newAPIWithoutLedger(t, Options{})
	w := httptest.NewRecorder()
	if a.Handle(w, request("GET", "/a/b", nil)) || len(w.Header()) != 0 || w.Body.Len() != 0 {
		t.Errorf("Handle answered %v %q", w.Header(), w.Body)
	}
	status, body, h := do(t, a, request("GET", "/a/b", nil))
	if status != 404 || h.Get("Content-Type") != "application/problem+json" || !json.Valid([]byte(body)) {
		t.Errorf("%d %v %s", status, h, body)
	}
}

// The raw path decides, without redirects and without cleaning: what is escaped is no slash.
func TestRawPath(t *testing.T) {
	a := newAPI(t, func(o *Options) { o.Score = scores })
	for path, want := range map[string]string{
		"/%73ans.org":               `"seen_by_web":"Fri, 04 Aug 1995`,
		"/https:%2F%2Fsans.org%2F":  `"seen_by_web":"Fri, 04 Aug 1995`,
		"/v1/lookup/x/../y":         `"subject":"x/../y"`,
		"/domain/s%74ate/sans.org":  "MD; ",
		"/domain/state%2A/sans.org": "MD; ",
	} {
		if body := get(t, a, path); !strings.Contains(body, want) {
			t.Errorf("%s: %s, want %s", path, body, want)
		}
	}
}

func TestMethods(t *testing.T) {
	a := newAPI(t, nil)
	for _, tt := range []struct {
		method, path string
		status       int
		allow        string
		content      string
	}{
		{"POST", "/sans.org", 405, "GET, HEAD", "text/plain"},
		{"PUT", "/v1/lookup/x", 405, "GET, HEAD", "application/problem+json"},
		{"GET", "/v1/lookup", 405, "POST", "application/problem+json"},
		{"HEAD", "/v1/lookup", 405, "POST", "application/problem+json"},
		{"DELETE", "/cache_get", 405, "GET, HEAD", "application/json"},
		{"ET", "/stats", 405, "GET, HEAD", "text/plain"},
		{"HEAD", "/sans.org", 200, "", "application/json"},
		{"HEAD", "/v1/sources", 200, "", "application/json"},
	} {
		status, _, h := do(t, a, request(tt.method, tt.path, nil))
		if status != tt.status || h.Get("Allow") != tt.allow || h.Get("Content-Type") != tt.content {
			t.Errorf("%s %s: %d, Allow %q, %q", tt.method, tt.path, status, h.Get("Allow"), h.Get("Content-Type"))
		}
	}
}

// History is for this machine, unless the configuration says otherwise.
func TestHistoryIsGuarded(t *testing.T) {
	routes := []string{"/cache_browse", "/cache_get?domain=x", "/showcache", "/stats-reset", "/v1/first-contacts"}
	for _, tt := range []struct {
		name, remote, host, forwarded string
		open                          bool
		want                          bool
	}{
		{name: "this machine", remote: "127.0.0.1:1", host: "localhost:8000", want: true},
		{name: "this machine, IPv6", remote: "[::1]:1", host: "[::1]:8000", want: true},
		{name: "its address", remote: "127.0.0.1:1", host: "127.0.0.1", want: true},
		{name: "another", remote: "192.0.2.1:1", host: "localhost:8000"},
		{name: "another, opened", remote: "192.0.2.1:1", host: "example.org", open: true, want: true},
		{name: "a proxy here", remote: "127.0.0.1:1", host: "localhost", forwarded: "192.0.2.1"},
		{name: "a name that was bent to here", remote: "127.0.0.1:1", host: "rebound.example.org:8000"},
		{name: "no address", remote: "@", host: "localhost"},
	} {
		a := newAPI(t, func(o *Options) { o.History = tt.open })
		for _, path := range routes {
			r := request("HEAD", path, nil)
			r.RemoteAddr, r.Host = tt.remote, tt.host
			if tt.forwarded != "" {
				r.Header.Set("X-Forwarded-For", tt.forwarded)
			}
			if status, body, _ := do(t, a, r); (status != http.StatusForbidden) != tt.want {
				t.Errorf("%s, %s: %d %s", tt.name, path, status, body)
			}
		}
		r := request("GET", "/sans.org", nil)
		r.RemoteAddr, r.Host = tt.remote, tt.host
		if status, _, _ := do(t, a, r); status != 200 {
			t.Errorf("%s: a domain is answered with %d", tt.name, status)
		}
	}
}

// The OpenAPI document and the handlers hold each other: every documented operation is routed and answers with a documented
// status and type, and every route is documented.
func TestOpenAPI(t *testing.T) {
	var doc struct {
		Paths map[string]map[string]struct {
			Parameters []struct {
				Name, In string
				Required bool
			}
			Responses map[string]struct {
				Content map[string]any
			}
		}
	}
	if err := json.Unmarshal(openAPI, &doc); err != nil {
		t.Fatal(err)
	}
	feed, err := NewFeed(FeedOptions{Ledger: openLedger(t, t.TempDir()).Ledger()})
	if err != nil {
		t.Fatal(err)
	}
	feed.Close() // so that the stream ends
	workers := func() []Worker { return []Worker{{Name: "w1", Up: true, Success: 1}} }
	a := newAPI(t, func(o *Options) {
		o.Score, o.Feed, o.Rank, o.Registration, o.Workers = scores, feed, ranks, registrations, workers
	})
	samples := strings.NewReplacer("{domain}", "sans.org", "{field}", "state", "{string}", "x", "{table}", "dns", "{subject}", "192.0.2.1",
		"{server}", "whois.example.test")
	for path, item := range doc.Paths {
		for method, op := range item {
			method = strings.ToUpper(method)
			for _, asked := range []string{method, "TRACE"} {
				target := samples.Replace(path)
				switch path {
				case "/":
					target = "/?cmd=alexa&tgt=sans.org"
				case "/WHOIS/":
					target = "/WHOIS/?domain_list=sans.org;example.org"
				}
				var body io.Reader
				if method == "POST" {
					body = strings.NewReader("192.0.2.1\n")
				}
				status, _, h := do(t, a, request(asked, target, body))
				text := http.StatusText(status)
				response, ok := op.Responses[itoa(status)]
				if !ok {
					t.Errorf("%s %s: %d %s is not documented", asked, target, status, text)
					continue
				}
				if _, ok := response.Content[h.Get("Content-Type")]; !ok {
					t.Errorf("%s %s: %d of type %q is not documented", asked, target, status, h.Get("Content-Type"))
				}
			}
			if strings.Count(path, "{") != countPath(op.Parameters) {
				t.Errorf("%s: not every part of the path is a parameter", path)
			}
		}
	}
	var routed []string
	a.state.Answers(func(route, _ string, _ uint64) { routed = append(routed, route) })
	for r := routeNone + 1; r < numRoutes; r++ {
		if r != routeHelp && !slices.Contains(routed, r.String()) {
			t.Errorf("route %s is not documented", r)
		}
	}
}

func countPath(parameters []struct {
	Name, In string
	Required bool
}) (n int) {
	for _, p := range parameters {
		if p.In == "path" && p.Required {
			n++
		}
	}
	return n
}

func itoa(n int) string { return lengths[n] }

// FuzzServe gives the API any path: it must answer, in a form that fits the type it names.
func FuzzServe(f *testing.F) {
	for _, seed := range []string{
		"/sans.org", "/%", "/%zz", "/domain/a/b/c", "/domain/*/x", "/measure/%ff", "/v1/lookup/%00", "/?cmd=alexa&tgt=%", "/cache_browse?offset=-1",
		"/WHOIS/x.com:y\r\n", "/WHOIS/?domain_list=a.com;;b:c:d", "/whois/a.com:[::1]:43", "/depuny?domain=xn--a", "/xn--.com", "/..", "/a//domain//", "/v1/lookup/::ffff:1.2.3.4", "/cache_get?domain=%ff",
	} {
		f.Add(seed)
	}
	a := newAPI(f, func(o *Options) { o.Score, o.History, o.Registration = scores, true, registrations })
	f.Fuzz(func(t *testing.T, target string) {
		path, query, _ := strings.Cut(target, "?")
		r := request("GET", "/", nil)
		r.URL.Path, r.URL.RawPath, r.URL.RawQuery = path, path, query
		w := httptest.NewRecorder()
		if !a.Handle(w, r) {
			return
		}
		body := w.Body.Bytes()
		switch h := w.Header(); h.Get("Content-Type") {
		case typeJSON, typeProblem:
			if !json.Valid(body) {
				t.Errorf("%q: invalid JSON %q", target, body)
			}
		case typeText:
		case typeNDJSON:
			for line := range strings.Lines(w.Body.String()) {
				if !json.Valid([]byte(line)) {
					t.Errorf("%q: invalid JSON %q", target, line)
				}
			}
		default:
			t.Errorf("%q: Content-Type %q", target, h.Get("Content-Type"))
		}
	})
}
