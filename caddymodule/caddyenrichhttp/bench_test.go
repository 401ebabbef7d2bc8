package caddyenrichhttp

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strconv"
	"testing"
	"time"

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

// BenchmarkCost is what a request takes as a constant, with two of Caddy's placeholders, with a handler that has nothing to do, and with
// two of its fields, from one client and from a thousand by turns. They are measured in turns, and the quickest batches are what
// counts: it holds on a machine with other work.
func BenchmarkCost(b *testing.B) {
	names := []string{"constant", "placeholders", "idle", "two"}
	sites := make([]*caddyhttp.Server, len(names))
	for i, body := range []string{"respond \"AS64496 DE\"", plainSite, "enrich\nrespond \"AS64496 DE\"", twoFields} {
		sites[i] = realSite(b, body)
	}
	for _, clients := range []int{1, 1000} {
		b.Run(strconv.Itoa(clients), func(b *testing.B) {
			least := make([]time.Duration, len(sites))
			serve := make([]func(), len(sites))
			for i, s := range sites {
				serve[i] = batchOf(s, clients)
			}
			for b.Loop() {
				for i, f := range serve {
					begin := time.Now()
					f()
					if took := time.Since(begin); least[i] == 0 || took < least[i] {
						least[i] = took
					}
				}
			}
			for i, d := range least {
				b.ReportMetric(float64(d.Nanoseconds())/batch, names[i]+"-ns")
			}
		})
	}
}

const batch = 1000

// batchOf gives a batch of requests of so many clients to a site.
func batchOf(s *caddyhttp.Server, clients int) func() {
	random := rand.New(rand.NewPCG(1, 1))
	ctx := withConnection(context.Background(), nil)
	requests := make([]*http.Request, clients)
	for i := range requests {
		a := netip.AddrFrom4([4]byte{1 + byte(random.IntN(223)), byte(random.IntN(256)), byte(random.IntN(256)), 1})
		requests[i] = from(a.String(), "/").WithContext(ctx)
	}
	header := make(http.Header)
	serve := func() {
		for i := range batch {
			clear(header)
			s.ServeHTTP(discard{header}, requests[i%clients])
		}
	}
	serve() // which opens the chain
	return serve
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
