package caddyenrichhttp

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// TestHeaders asks an upstream what it got.
func TestHeaders(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := make(map[string]string)
		for name, values := range r.Header {
			if isOurs(name) {
				got[name] = strings.Join(values, "|")
			}
		}
		json.NewEncoder(w).Encode(got)
	}))
	defer upstream.Close()
	u, _ := url.Parse(upstream.URL)
	proxy := "\nreverse_proxy " + u.Host
	forged := []string{"X-Whence-Asn", "AS1", "x-whence-COUNTRY-code", "XX", "X-Whence-Rank", "1", "X-Whence-Other-Asn", "AS1",
		"Connection", "keep-alive, X-Whence-Country-Code"}
	for _, tt := range []struct {
		name, body, client, target string
		want                       map[string]string
	}{
		{"the usual ones", "enrich {\nheaders\n}", "192.0.2.1", "/",
			map[string]string{"X-Whence-Asn": "AS64496", "X-Whence-As-Name": "Beispiel AG", "X-Whence-Country-Code": "DE"}},
		{"chosen ones", "enrich {\nheaders network tag\n}", "192.0.2.1", "/", map[string]string{"X-Whence-Network": "192.0.2.0/24", "X-Whence-Tag": "a,b"}},
		{"what is not known", "enrich {\nheaders registrar country_code\n}", "192.0.2.1", "/", map[string]string{"X-Whence-Country-Code": "DE"}},
		{"nothing known", "enrich {query.ip} {\nheaders\n}", "192.0.2.1", "/", map[string]string{}},
		{"several", "enrich {\nheaders asn\n}\nenrich {query.ip} {\nas other\nheaders asn\n}", "192.0.2.1", "/?ip=192.0.2.200",
			map[string]string{"X-Whence-Asn": "AS64496", "X-Whence-Other-Asn": "AS64497"}},
	} {
		got := make(map[string]string)
		body := ask(site(t, tt.body+proxy), from(tt.client, tt.target, forged...))
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Errorf("%s: %v: %s", tt.name, err, body)
		}
		if !maps.Equal(got, tt.want) {
			t.Errorf("%s: the upstream got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestStrip(t *testing.T) {
	r := from("192.0.2.1", "/", "Connection", "close, x-whence-asn", "Connection", "Upgrade", "X-Other", "stays")
	r.Header["x-whence-raw"] = []string{"not canonical"}
	r.Trailer = http.Header{"X-Whence-Late": nil, "X-Sum": nil}
	strip(r)
	if len(r.Header) != 2 || r.Header.Get("X-Other") != "stays" || !slices.Equal(r.Header["Connection"], []string{"close", "Upgrade"}) {
		t.Errorf("headers left: %v", r.Header)
	}
	if len(r.Trailer) != 1 {
		t.Errorf("trailers left: %v", r.Trailer)
	}
}
