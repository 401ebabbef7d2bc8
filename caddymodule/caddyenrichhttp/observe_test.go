package caddyenrichhttp

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/whence-project/whence/caddymodule/caddystore"
	"github.com/whence-project/whence/store"
)

// TestObserve holds that asking is not seeing, unless the directive says so.
func TestObserve(t *testing.T) {
	dir, err := os.MkdirTemp("", "w") // short: a Unix socket's path has at most 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	text := strings.Replace(options, "%s", "\tlog {\n\t\toutput discard\n\t}\n\tstore "+dir+"\n", 1) + `http://example.org {
	bind unix/` + dir + `/site.sock
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
`
	b, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(b, true); err != nil {
		t.Fatal(err)
	}
	defer caddy.Stop()
	http, err := caddy.ActiveContext().App("http")
	if err != nil {
		t.Fatal(err)
	}
	app, err := caddy.ActiveContext().App("store")
	if err != nil {
		t.Fatal(err)
	}
	s, err := app.(*caddystore.App).Store()
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
