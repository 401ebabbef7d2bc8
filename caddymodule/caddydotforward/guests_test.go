package caddydotforward

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// guest is a guest module, parsed and provisioned as Caddy does it: through JSON.
func guest(t *testing.T, text string) (mod any, asJSON string, err error) {
	t.Helper()
	d := caddyfile.NewTestDispenser(text)
	d.Next()
	info, err := caddy.GetModule("dotforward.handlers." + d.Val())
	if err != nil {
		t.Fatal(err)
	}
	d.Reset()
	parsed := info.New()
	if err := parsed.(caddyfile.Unmarshaler).UnmarshalCaddyfile(d); err != nil {
		return nil, "", err
	}
	if d.Next() {
		t.Fatalf("%q is left of %q", d.Val(), text)
	}
	b, err := json.Marshal(parsed)
	if err != nil {
		t.Fatal(err)
	}
	fresh := info.New()
	if err := caddy.StrictUnmarshalJSON(b, fresh); err != nil {
		t.Fatal(err)
	}
	ctx, err := caddy.ProvisionContext(&caddy.Config{Admin: &caddy.AdminConfig{Disabled: true}, AppsRaw: caddy.ModuleMap{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := fresh.(caddy.Provisioner).Provision(ctx); err != nil {
		return nil, "", err
	}
	if c, ok := fresh.(caddy.CleanerUpper); ok {
		t.Cleanup(func() {
			if err := c.Cleanup(); err != nil {
				t.Error(err)
			}
		})
	}
	return fresh, string(b), nil
}

func TestGuestJSON(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"acl", `{}`},
		{"acl allow 192.0.2.0/24 2001:db8::1", `{"allow":["192.0.2.0/24","2001:db8::1"]}`},
		{"acl deny 192.0.2.1 {\n allow 192.0.2.0/24\n silent\n}", `{"allow":["192.0.2.0/24"],"deny":["192.0.2.1"],"silent":true}`},
		{"limit 50/s", `{"rate":50,"per":1000000000}`},
		{"limit 50/m burst 200 per 24 56 block 5m drop",
			`{"rate":50,"per":60000000000,"burst":200,"ipv4_bits":24,"ipv6_bits":56,"block":300000000000,"drop":true}`},
		{"limit 50/h refuse burst 2", `{"rate":50,"per":3600000000000,"burst":2}`},
		{"hosts /etc/hosts ./hosts.d/*", `{"files":["/etc/hosts","./hosts.d/*"]}`},
		{"hosts {\n record 192.0.2.1 a.test b.test\n record 2001:db8::1 a.test\n ttl 5m\n}",
			`{"records":["192.0.2.1 a.test b.test","2001:db8::1 a.test"],"ttl":300000000000}`},
		{"block ./a.txt {\n allow ./b.txt\n rule ||x.test^ @@||y.x.test^\n subdomains\n answer nxdomain\n ttl 1h\n max_file_size 1MiB\n}",
			`{"files":["./a.txt"],"allow_files":["./b.txt"],"rules":["||x.test^","@@||y.x.test^"],"subdomains":true,` +
				`"answer":"nxdomain","ttl":3600000000000,"max_file_size":1048576}`},
		{"policy young {\n registered 30d\n block\n}", `{"name":"young","registered":2592000000000000,"block":"zero"}`},
		{"policy odd {\n first_seen 1h\n unseen\n unranked\n rank_above 100000\n freq_below 2.5\n tag odd\n log\n event\n block refused\n recheck 10s\n}",
			`{"name":"odd","first_seen":3600000000000,"unseen":true,"unranked":true,"rank_above":100000,"freq_below":2.5,` +
				`"tag":"odd","log":true,"event":true,"block":"refused","recheck":10000000000}`},
		{"policy there {\n country zz XX\n asn AS64496 64497\n log\n}",
			`{"name":"there","countries":["zz","XX"],"asns":["AS64496","64497"],"log":true}`},
		{"route corp.example.org 2.0.192.in-addr.arpa {\n to tcp://192.0.2.53\n to 192.0.2.54:8853 dns.test\n policy race 2\n}",
			`{"zones":["corp.example.org","2.0.192.in-addr.arpa"],"upstreams":[{"address":"tcp://192.0.2.53"},` +
				`{"address":"192.0.2.54:8853","name":"dns.test"}],"policy":"race","ask":2}`},
		{"observe", `{}`},
		{"observe {\n per_name\n queue 100\n every 10s\n new_domain 7d\n}",
			`{"per_name":true,"queue":100,"every":10000000000,"new_domain":604800000000000}`},
	} {
		_, got, err := guest(t, test.text)
		if err != nil || got != test.want {
			t.Errorf("%s:\ngot  %s, %v\nwant %s", test.text, got, err, test.want)
		}
	}
}

func TestGuestErrors(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"acl served 192.0.2.1", `acl has no option "served"`},
		{"acl allow", "wrong argument count"},
		{"acl allow example.org", "neither an address nor a network"},
		{"acl allow 192.0.2.0/24 {\n deny 192.0.2.0/24\n}", "both allowed and denied"},
		{"limit", "limit takes a rate"},
		{"limit 50", "want events/time"},
		{"limit 50/s often", `"often" is none of burst, per, block, drop and refuse`},
		{"limit 50/s block", "wrong argument count"},
		{"limit 50/s block 0s", "no duration above 0"},
		{"limit 50/s per 33 48", "a client of /33"},
		{"limit 50/s {\n drop\n}", "limit has no block"},
		{"hosts", "hosts takes files or records"},
		{"hosts {\n record 192.0.2.1\n}", "record takes an address and names"},
		{"hosts {\n record printer 192.0.2.1\n}", "record in line 1"},
		{"hosts ./a {\n ttl 0s\n}", "want more than 0"},
		{"hosts ./a {\n ttl 1500ms\n}", "want whole seconds"},
		{"hosts ./a {\n name b\n}", `hosts has no option "name"`},
		{"block", "block takes lists or rules"},
		{"block {\n allow ./a\n}", "block takes lists or rules"},
		{"block ./a {\n answer nothing\n}", `"nothing" is no answer`},
		{"block ./a {\n rule /a.*/\n}", "rule in line 1"},
		{"block ./a {\n deny b\n}", `block has no option "deny"`},
		{"policy", "policy takes a name"},
		{"policy p {\n log\n}", "policy p: a policy needs a condition"},
		{"policy p {\n unseen\n}", "policy p: a policy needs something to do"},
		{"policy p {\n registered 0s\n log\n}", "want more than 0"},
		{"policy p {\n freq_below NaN\n log\n}", "want percent"},
		{"policy p {\n country Netherlands\n log\n}", "no code of two letters"},
		{"policy p {\n asn example.org\n log\n}", "no AS number"},
		{"policy p {\n unseen\n block all\n}", `"all" is no answer`},
		{"policy p {\n rank 5\n}", `policy has no option "rank"`},
		{"route", "route takes zones"},
		{"route example.org", "no upstream server"},
		{"route example.org example.org. {\n to tcp://192.0.2.53\n}", "there twice"},
		{"route exa!mple {\n to tcp://192.0.2.53\n}", "no name of a zone"},
		{"route example.org {\n to ftp://192.0.2.53\n}", "want tls://"},
		{"observe names", "wrong argument count"},
		{"observe {\n every 0s\n}", "want more than 0"},
		{"observe {\n new_domain 0s\n}", "want more than 0"},
		{"observe {\n each 1s\n}", `observe has no option "each"`},
	} {
		if _, got, err := guest(t, test.text); err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(test.want)) {
			t.Errorf("%s: %s, %v; want the error %q", test.text, got, err, test.want)
		}
	}
}
