package caddyenrichhttp

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/whence-project/whence/enrich"
)

func init() { caddy.RegisterModule(new(atlas)) }

// atlas is a source for these tests: addresses are of an AS and a country by their last byte, or by their last but one in IPv6, names
// are ranked, and AS numbers have a name that must be fetched.
type atlas struct{}

var (
	lookups atomic.Int64
	wants   atomic.Uint64 // of the last query
	fetched sync.Map      // subjects
)

func (*atlas) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "enrich.sources.atlas", New: func() caddy.Module { return new(atlas) }}
}

func (*atlas) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { d.Next(); return nil }

var (
	german = atlasFragment("AS64496", "DE", "Beispiel AG")
	french = atlasFragment("AS64497", "FR", "Exemple SA")
)

func atlasFragment(asn, country, name string) *enrich.Fragment {
	return enrich.NewBuilder(&enrich.Origin{Source: "atlas"}).
		Add(enrich.Field{Key: "tier", Value: "1", Type: enrich.Number}).
		Add(enrich.Field{Key: "tag", Value: "a", List: true}).Add(enrich.Field{Key: "tag", Value: "b", List: true}).
		Canonical(enrich.ASN, asn).Canonical(enrich.CountryCode, country).Canonical(enrich.ASName, name).Build()
}

func (*atlas) Add(q *enrich.Query, r *enrich.Record) enrich.Verdict {
	lookups.Add(1)
	wants.Store(uint64(q.Want))
	switch a := q.Subject.Addr(); q.Subject.Kind() {
	case enrich.Address:
		f := german
		if b := a.AsSlice(); b[len(b)-1] > 127 {
			f = french
		}
		p, _ := a.Prefix(a.BitLen() - 8)
		r.Attach(f, p)
	case enrich.Domain:
		r.Set("rank", "17")
	case enrich.AS:
		if _, ok := fetched.Load(q.Subject); !ok {
			r.Note(enrich.Unfetched, "not here yet")
			return enrich.Pending
		}
		r.Set("as_name", "Fetched Networks")
	}
	return enrich.Next
}

func (*atlas) Fetch(_ context.Context, a *enrich.Ask) error {
	fetched.Store(a.Subject, true)
	return nil
}

// options are global options with a chain of atlas alone, and a chain lan of iana.
const options = "{\n\tadmin off\n\tpersist_config off\n\tauto_https off\n\tenrich {\n\t\tatlas\n\t}\n\tenrich lan {\n\t\tiana\n\t}\n%s}\n"

// site provisions a site; requests are given to it as its listener would.
func site(t testing.TB, body string) *caddyhttp.Server {
	t.Helper()
	return provision(t, strings.Replace(options, "%s", "\tservers {\n\t\ttrusted_proxies static 192.0.2.250 127.0.0.1\n\t}\n", 1)+"http://example.org {\n"+body+"\n}\n")
}

func provision(t testing.TB, text string) *caddyhttp.Server {
	t.Helper()
	ctx, err := caddy.ProvisionContext(adapt(t, text))
	if err != nil {
		t.Fatal(err)
	}
	app, err := ctx.App("http")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range app.(*caddyhttp.App).Servers {
		return s
	}
	t.Fatal("no server")
	return nil
}

func adapt(t testing.TB, text string) *caddy.Config {
	t.Helper()
	b, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return config(t, b)
}

func config(t testing.TB, b []byte) *caddy.Config {
	t.Helper()
	c := new(caddy.Config)
	if err := json.Unmarshal(b, c); err != nil {
		t.Fatal(err)
	}
	return c
}

// from is a request of a client; target is a path and a query.
func from(client, target string, headers ...string) *http.Request {
	r := httptest.NewRequest("GET", "http://example.org"+target, nil)
	r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(client), 1234).String()
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

// ask is the body of the answer.
func ask(s *caddyhttp.Server, r *http.Request) string {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Body.String()
}

// provisioned is a context with the chains of options.
func provisioned(t testing.TB) caddy.Context {
	t.Helper()
	ctx, err := caddy.ProvisionContext(adapt(t, strings.Replace(options, "%s", "", 1)))
	if err != nil {
		t.Fatal(err)
	}
	return ctx
}
