package caddyenrichhttp

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// onOne is a server as it sees requests of one connection, in turns.
func onOne(s *caddyhttp.Server) func(*http.Request) string {
	ctx := withConnection(context.Background(), nil)
	return func(r *http.Request) string { return ask(s, r.WithContext(ctx)) }
}

// TestConnections holds that requests of a connection, which share what was made for them, do not see each other's answers.
func TestConnections(t *testing.T) {
	s := site(t, `
	@named path /named
	enrich @named {query.ip} {
		as subject
	}
	@plain path /plain /named
	enrich @plain
	log
	respond /named "{enrich.country_code} {enrich.subject.country_code}"
	respond "{enrich.country_code}"`)
	serve := onOne(s)
	for _, tt := range []struct{ target, client, want string }{
		{"/plain", "192.0.2.1", "DE"},
		{"/plain", "192.0.2.200", "FR"},
		{"/", "192.0.2.1", "{enrich.country_code}"}, // none of this one's
		{"/plain", "10.0.0.1", "DE"},
		{"/named?ip=192.0.2.200", "192.0.2.1", "DE FR"},
		{"/plain", "192.0.2.200", "FR"},
		{"/named?ip=nothing+known", "192.0.2.200", "FR "},
		{"/named?ip=192.0.2.1", "192.0.2.200", "FR DE"},
	} {
		if got := serve(from(tt.client, tt.target)); got != tt.want {
			t.Errorf("%s from %s: %q, want %q", tt.target, tt.client, got, tt.want)
		}
	}
}

// TestRequestWithinRequest is one that a handler makes while it serves another on the same connection.
func TestRequestWithinRequest(t *testing.T) {
	ctx := withConnection(context.Background(), nil)
	outer := requestOf(prepared(from("192.0.2.1", "/").WithContext(ctx)))
	outer.frames.Add(1)
	inner := requestOf(prepared(from("192.0.2.200", "/").WithContext(ctx)))
	if inner == outer {
		t.Fatal("the inner request took what the outer one uses")
	}
	outer.frames.Add(-1)
	if next := requestOf(prepared(from("192.0.2.1", "/").WithContext(ctx))); next != outer {
		t.Error("what was made is not used again")
	}
}

func prepared(r *http.Request) *http.Request {
	return caddyhttp.PrepareRequest(r, caddy.NewReplacer(), httptest.NewRecorder(), new(caddyhttp.Server))
}

// TestAtTheSameTime has connections of HTTP/1 and of HTTP/2 ask for many clients at the same time.
func TestAtTheSameTime(t *testing.T) {
	handler := site(t, "enrich {\nheaders\n}\n@de enrich country_code DE\nheader @de X-De yes\nlog\nrespond \"{enrich.country_code} {enrich.asn} {header.X-Whence-Asn}\"")
	server := httptest.NewUnstartedServer(handler)
	server.Config.ConnContext = withConnection
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	for _, http2 := range []bool{false, true} {
		transport := &http.Transport{Protocols: new(http.Protocols), MaxConnsPerHost: 4}
		transport.Protocols.SetHTTP1(!http2)
		transport.Protocols.SetUnencryptedHTTP2(http2)
		defer transport.CloseIdleConnections()
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				for n := range 50 {
					last, want := (i*50+n)%256, "DE AS64496 AS64496"
					if last > 127 {
						want = "FR AS64497 AS64497"
					}
					if got := fetch(t, transport, server.URL, fmt.Sprintf("192.0.2.%d", last)); got != want {
						t.Errorf("HTTP/2 %v: %d: %q, want %q", http2, last, got, want)
					}
				}
			})
		}
		wg.Wait()
	}
}

func fetch(t *testing.T, transport http.RoundTripper, url, client string) string {
	r, _ := http.NewRequest("GET", url, nil)
	r.Host = "example.org"
	r.Header.Set("X-Forwarded-For", client)
	resp, err := transport.RoundTrip(r)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return string(b)
}
