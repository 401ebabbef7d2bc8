package caddyenrichhttp

import (
	"context"
	"net/http"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/whence-project/whence/internal/testenv"
)

// The same answer, without an enrich directive, and with two of its fields. Both use two placeholders.
const (
	plainSite = "respond \"{http.request.method} {http.request.proto}\""
	twoFields = "enrich\nrespond \"{enrich.asn} {enrich.country_code}\""
)

// discard is an http.ResponseWriter that allocates nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

// serving gives requests of one client to a site, as they come over a connection that stays.
func serving(s *caddyhttp.Server, client string, version int) func() {
	r := from(client, "/")
	r.ProtoMajor = version
	r = r.WithContext(withConnection(context.Background(), nil))
	header := make(http.Header)
	serve := func() {
		clear(header)
		s.ServeHTTP(discard{header}, r)
	}
	serve() // which opens the chain
	return serve
}

// realSite is a site whose chain is IANA's registries and a database.
func realSite(t testing.TB, body string) *caddyhttp.Server {
	db := testenv.Path(t, "mmdb", "lite-composite.mmdb")
	return provision(t, "{\n\tadmin off\n\tenrich {\n\t\tiana\n\t\tmmdb "+db+"\n\t}\n}\nhttp://example.org {\n"+body+"\n}\n")
}

// TestAllocations holds that two fields cost a request nothing that Caddy's own placeholders do not: it allocates one value for each of
// these, which on a connection that stays is not even needed.
func TestAllocations(t *testing.T) {
	plain := testing.AllocsPerRun(1000, serving(realSite(t, plainSite), "8.8.8.8", 1))
	enriched := testing.AllocsPerRun(1000, serving(realSite(t, twoFields), "8.8.8.8", 1))
	t.Logf("%.0f allocations without, %.0f with", plain, enriched)
	if enriched > plain {
		t.Errorf("%.0f allocations a request with two fields, %.0f without", enriched, plain)
	}
}

func BenchmarkRequest(b *testing.B) {
	for _, bm := range []struct {
		name, body string
		version    int
	}{{"constant", "respond ok", 1}, {"plain", plainSite, 1}, {"idle", "enrich\nrespond ok", 1}, {"two", twoFields, 1}, {"two, HTTP 2", twoFields, 2}} {
		b.Run(bm.name, func(b *testing.B) {
			serve := serving(realSite(b, bm.body), "8.8.8.8", bm.version)
			b.ReportAllocs()
			for b.Loop() {
				serve()
			}
		})
	}
}
