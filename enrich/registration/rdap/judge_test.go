package rdap

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

const rdapType = "application/rdap+json"

// What HTTP says, with what body, and what may be concluded from it. Above all: who may say "not registered".
func TestKinds(t *testing.T) {
	const notFound = `{"rdapConformance":["rdap_level_0"],"errorCode":404,"title":"Not Found","description":["The domain was not found."]}`
	for _, tt := range []struct {
		name   string
		status int
		media  string
		body   string
		want   Kind
	}{
		{"an RDAP body", 404, rdapType, notFound, NotFound},
		{"an RDAP body as JSON", 404, "application/json", notFound, NotFound},
		{"an RDAP body of an unknown type", 404, "", notFound, NotFound},
		{"a number in quotes", 404, rdapType, `{"errorCode":"404","title":"Object not found"}`, NotFound},
		{"as little as there may be", 404, rdapType, `{}`, NotFound},
		{"another language", 404, rdapType, `{"errorCode":404,"title":"Niet gevonden"}`, NotFound},
		{"terms of use beside", 404, rdapType, `{"errorCode":404,"title":"Not Found","notices":[{"title":"Terms of Use","description":["You may not exceed the limit of 10 queries per minute, or your quota is exceeded. Too many requests are rejected."]}]}`, NotFound},
		{"empty", 404, rdapType, "", NotFound},
		{"empty, of no type", 404, "", " \r\n", NotFound},
		{"a success that is none", 200, rdapType, notFound, NotFound},

		{"kept back", 404, rdapType, `{"errorCode":404,"title":"Not Found","description":["Domain Name: example.test","This name is not available for registration:","Registry Reserved"]}`, Reserved},

		{"empty, a page", 404, "text/html; charset=UTF-8", "", Doubtful},
		{"a page", 404, "text/html", "<html><head><title>404 Not Found</title></head><body>nginx</body></html>", Doubtful},
		{"a page that says it is RDAP", 404, rdapType, "<html>404 Not Found</html>", Doubtful},
		{"text", 404, "text/plain", "404 page not found\n", Doubtful},
		{"a gateway", 404, "application/json", `{"message":"no Route matched with those values"}`, Doubtful},
		{"a framework", 404, "application/json", `{"timestamp":"2026-01-01T00:00:00Z","status":404,"error":"Not Found","path":"/domain/example.test"}`, Doubtful},
		{"JSON that is no object", 404, rdapType, `"Not Found"`, Doubtful},
		{"the object", 404, rdapType, domainAnswer, Doubtful},
		{"another code within", 404, rdapType, `{"errorCode":500,"title":"Internal Server Error"}`, Doubtful},
		{"not its names", 404, rdapType, `{"errorCode":404,"title":"Not Found","description":["TLD not supported"]}`, Doubtful},
		{"out of order", 404, rdapType, `{"errorCode":404,"title":"Service temporarily unavailable, try again later"}`, Doubtful},
		{"a limit in a notice", 404, rdapType, `{"errorCode":404,"title":"Not Found","notices":[{"title":"Rate Limit Notice","description":["Query rate limit exceeded"]}]}`, Doubtful},

		{"a limit in the 404", 404, rdapType, `{"errorCode":404,"title":"Not Found","description":["Query limit exceeded"]}`, Throttled},
		{"429 in the 404", 404, rdapType, `{"errorCode":429,"title":"Too Many Requests"}`, Throttled},
		{"429", 429, "", "", Throttled},
		{"429 with a page", 429, "text/html", "<h1>Not Found</h1>", Throttled},
		{"503 with words", 503, "text/plain", "Too many requests, slow down", Throttled},
		{"503", 503, "text/html", "<h1>Service Temporarily Unavailable</h1> please try again later", Server},
		{"403, a page", 403, "text/html", "<HTML><HEAD><TITLE>Number of allowed queries exceeded.\n</TITLE></HEAD><BODY><h3>403 Forbidden</h3><div>Number of allowed queries exceeded.\n</div></BODY>", Throttled},
		{"403, a content network", 403, "text/html", "<h1>Access denied</h1><p>You are being rate limited</p>", Throttled},
		{"422, too fast", 422, rdapType, `{"rdapConformance":["rdap_level_0"],"errorCode":"422","title":"Forbidden request","description":["Your access is too fast,please try again later."]}`, Throttled},
		{"200 with a notice", 200, rdapType, `{"rdapConformance":["rdap_level_0"],"notices":[{"title":"Rate Limit Notice","description":["Query rate limit exceeded. Reduced information."]}],"lang":"en"}`, Throttled},
		{"200 with a notice that is no list", 200, rdapType, `{"notices":{"title":"401 Unauthorized","description":"Path 'domain': Quota exceeded (31/30) for 192.0.2.1"}}`, Throttled},
		{"200 with a notice and the bare name", 200, rdapType, `{"objectClassName":"domain","ldhName":"example.test","notices":{"title":"401 Unauthorized","description":"Path 'domain': Quota exceeded (31/30) for 192.0.2.1"}}`, Throttled},
		{"200 with 429 within", 200, rdapType, `{"errorCode":429,"title":"x"}`, Throttled},
		{"200 of a gateway", 200, "application/json", `{"message":"API rate limit exceeded"}`, Throttled},
		{"200, text", 200, "text/plain", "Query limit exceeded", Throttled},

		{"401", 401, "", "", Refused},
		{"403", 403, "text/html", "<h1>Forbidden</h1>", Refused},
		{"451", 451, "", "", Refused},
		{"500", 500, rdapType, `{"errorCode":500,"title":"Internal Server Error"}`, Server},
		{"502", 502, "", "", Server},
		{"504", 504, "", "", Timeout},
		{"501", 501, rdapType, `{"errorCode":501,"title":"501 Not Implemented"}`, Invalid},
		{"400", 400, rdapType, notFound, Invalid},
		{"410", 410, "", "", Invalid},
		{"204", 204, "", "", Invalid},
		{"a page for an answer", 200, "text/html", "<html>Domain not found</html>", Invalid},
		{"no object", 200, rdapType, `{"rdapConformance":["rdap_level_0"]}`, Invalid},
		{"no name", 200, rdapType, `{"objectClassName":"domain"}`, Invalid},
		{"another name", 200, rdapType, `{"objectClassName":"domain","ldhName":"www.example.test","status":["active"]}`, Invalid},
		{"another name, and terms of use", 200, rdapType, strings.ReplaceAll(strings.ReplaceAll(domainAnswer, "EXAMPLE", "other"), "example", "other"), Invalid},
		{"another class", 200, rdapType, `{"objectClassName":"nameserver","ldhName":"example.test"}`, Invalid},
		{"a list", 200, rdapType, `{"domainSearchResults":[]}`, Invalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, base := server(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = nil
				if tt.media != "" {
					w.Header().Set("Content-Type", tt.media)
				}
				w.WriteHeader(tt.status)
				if tt.body != "" {
					w.Write([]byte(tt.body))
				}
			})
			e := mustFail(t, c, base)
			if e.Kind != tt.want || e.Status != tt.status || e.URL != base+"domain/example.test" {
				t.Errorf("%s: %v, want %s", e.Kind, e, tt.want)
			}
			if strings.ContainsAny(e.Error(), "\r\n\x00") {
				t.Errorf("more than a line: %q", e)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	const date = "Sat, 21 Nov 2026 10:00:00 GMT"
	for _, tt := range []struct {
		header, body string
		want         time.Duration
	}{
		{"", "", 0},
		{"50", "", 50 * time.Second},
		{" 0 ", "", 0},
		{"-5", "", 0},
		{"86401", "", 24 * time.Hour},
		{"99999999999999999999", "", 24 * time.Hour},
		{"Sat, 21 Nov 2026 10:02:00 GMT", "", 2 * time.Minute},
		{"Saturday, 21-Nov-26 10:02:00 GMT", "", 2 * time.Minute},
		{"Sat, 21 Nov 2026 09:00:00 GMT", "", 0},
		{"Wed, 21 Nov 2096 09:00:00 GMT", "", 24 * time.Hour},
		{"soon", "", 0},
		{"", `{"errorCode":429,"title":"Too Many Requests","description":["Query limit exceeded, please retry in 50 seconds"]}`, 50 * time.Second},
		{"7", `{"errorCode":429,"title":"Too Many Requests","description":["Query limit exceeded, please retry in 50 seconds"]}`, 7 * time.Second},
	} {
		c, base := server(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", date)
			if tt.header != "" {
				w.Header().Set("Retry-After", tt.header)
			}
			w.WriteHeader(429)
			w.Write([]byte(tt.body))
		})
		if e := mustFail(t, c, base); e.Kind != Throttled || e.RetryAfter != tt.want {
			t.Errorf("Retry-After %q, %q: %s, %v, want %v", tt.header, tt.body, e.Kind, e.RetryAfter, tt.want)
		}
	}
	c, base := server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(503)
	})
	if e := mustFail(t, c, base); e.Kind != Throttled || e.RetryAfter != 2*time.Minute {
		t.Errorf("503: %s, %v", e.Kind, e.RetryAfter)
	}
}

// An answer is only taken for the object that was asked for.
func TestMismatch(t *testing.T) {
	const network = `{"objectClassName":"ip network","startAddress":"192.0.2.0","endAddress":"192.0.2.255","name":"N"}`
	const all = `{"objectClassName":"ip network","startAddress":"0.0.0.0","endAddress":"255.255.255.255","name":"IANA-BLK"}`
	const as = `{"objectClassName":"autnum","startAutnum":64496,"endAutnum":64500}`
	const idn = `{"objectClassName":"domain","ldhName":"bücher.test","unicodeName":"bücher.test","status":"active"}`
	for _, tt := range []struct {
		path, body string
		ok         bool
	}{
		{"ip/192.0.2.1", network, true},
		{"ip/192.0.2.0/24", network, true},
		{"ip/192.0.2.128/25", network, true},
		{"ip/192.0.2.0/23", network, false},
		{"ip/198.51.100.1", network, false},
		{"ip/2001:db8::1", network, false},
		{"ip/192.0.2.1", all, false},
		{"ip/0.0.0.0/0", all, true},
		{"ip/x", network, false},
		{"autnum/64496", as, true},
		{"autnum/64500", as, true},
		{"autnum/64501", as, false},
		{"autnum/x", as, false},
		{"autnum/64496", network, false},
		{"domain/xn--bcher-kva.test", idn, true},
		{"domain/bücher.test.", idn, true},
		{"domain/bucher.test", idn, false},
		{"entity/E1", `{"objectClassName":"entity","handle":"e1"}`, true},
		{"entity/E1", `{"objectClassName":"entity","handle":"E2"}`, false},
		{"nameserver/ns1.example.test", `{"objectClassName":"nameserver","ldhName":"NS1.example.test"}`, true},
	} {
		c, base := server(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(tt.body)) })
		if _, err := c.Get(t.Context(), base+tt.path); (err == nil) != tt.ok {
			t.Errorf("%s for %s: %v", tt.body, tt.path, err)
		}
	}
}
