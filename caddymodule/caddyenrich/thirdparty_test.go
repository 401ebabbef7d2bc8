package caddyenrich_test

import (
	"context"
	"net/netip"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/whence-project/whence/caddymodule/caddyenrich"
	"github.com/whence-project/whence/enrich"
)

// What follows, up to the test, is all that a third party writes to add a source.

func init() { caddy.RegisterModule(new(Site)) }

// Site tells which of our sites an address belongs to.
type Site struct {
	Network netip.Prefix `json:"network"`
	Name    string       `json:"name"`
}

func (*Site) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "enrich.sources.site", New: func() caddy.Module { return new(Site) }}
}

func (s *Site) UnmarshalCaddyfile(d *caddyfile.Dispenser) (err error) {
	var network string
	if d.Next(); !d.AllArgs(&network, &s.Name) {
		return d.ArgErr()
	}
	s.Network, err = netip.ParsePrefix(network)
	return err
}

func (s *Site) Add(q *enrich.Query, r *enrich.Record) enrich.Verdict {
	if s.Network.Contains(q.Subject.Addr()) {
		r.Cover(s.Network)
		r.Set("site", s.Name)
	}
	return enrich.Next
}

func TestThirdPartySource(t *testing.T) {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(`{
	admin off
	persist_config off
	enrich lan {
		iana
		site 10.1.0.0/16 Berlin
	}
}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(config, true); err != nil {
		t.Fatal(err)
	}
	defer caddy.Stop()
	v, err := caddy.ActiveContext().App("enrich")
	if err != nil {
		t.Fatal(err)
	}
	chain, err := v.(*caddyenrich.App).Chain("lan")
	if err != nil {
		t.Fatal(err)
	}
	subject, err := enrich.ParseSubject("10.1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	r := chain.Answer(context.Background(), subject, 0)
	if got := r.Network().String(); got != "10.1.0.0/16" {
		t.Errorf("network %s, want the source's", got)
	}
	parts := r.Parts()
	if len(parts) != 2 || parts[1].Source != "site" || parts[1].Fragment.Fields()[0].Value != "Berlin" {
		t.Errorf("answer %s, want a part of the source site with Berlin", r.AppendJSON(nil))
	}
}
