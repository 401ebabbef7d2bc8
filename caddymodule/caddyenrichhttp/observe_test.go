package caddyenrichhttp

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/whence-project/whence/caddymodule/caddystore"
	"github.com/whence-project/whence/store"
)

// TestObserve holds that asking is not seeing, unless the directive says so.
func TestObserve(t *testing.T) {
	ctx, err := caddy.ProvisionContext(adapt(t, strings.Replace(options, "%s", "\tstore "+t.TempDir()+"\n", 1)+`http://example.org {
	enrich
	@seen path /seen
	enrich @seen {query.name} {
		as name
		observe
	}
	enrich @seen {
		as client
		observe clients
	}
	respond "{enrich.asn} {enrich.name.rank}"
}
`))
	if err != nil {
		t.Fatal(err)
	}
	http, err := ctx.App("http")
	if err != nil {
		t.Fatal(err)
	}
	app, err := ctx.App("store")
	if err != nil {
		t.Fatal(err)
	}
	st := app.(*caddystore.App)
	defer st.Cleanup()
	s, err := st.Store()
	if err != nil {
		t.Fatal(err)
	}
	site := http.(*caddyhttp.App).Servers["srv0"]
	ask(site, from("192.0.2.1", "/?name=example.com"))
	if scopes := s.Ledger().Scopes(); len(scopes) > 0 {
		t.Errorf("asking was seeing: %v", scopes)
	}
	for _, name := range []string{"www.example.com", "com", "not+a+name", "192.0.2.0/24", ""} {
		ask(site, from("2001:db8::1", "/seen?name="+name))
	}
	for _, tt := range []struct {
		scope, name string
		want        store.Result
	}{
		{DefaultScope, "example.com", store.Seen},
		{DefaultScope, "www.example.com", store.Unseen},
		{DefaultScope, "com", store.Seen},
		{DefaultScope, "192.0.2.1", store.Unseen},
		{"clients", "2001:db8::1", store.Seen},
		{"clients", "192.0.2.1", store.Unseen},
	} {
		if got, _ := s.Ledger().Lookup(tt.scope, tt.name); got != tt.want {
			t.Errorf("%s in %s: %v, want %v", tt.name, tt.scope, got, tt.want)
		}
	}
	if scopes := s.Ledger().Scopes(); !slices.Equal(scopes, []string{"clients", DefaultScope}) {
		t.Errorf("scopes %v", scopes)
	}
}
