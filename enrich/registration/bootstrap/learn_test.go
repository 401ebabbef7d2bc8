package bootstrap

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich/registration/whoisclient"
)

func TestLearn(t *testing.T) {
	now := t0
	b := New(Options{Compiled: true, Now: func() time.Time { return now }})
	b.Learn("MIL.", whoisclient.Server{Host: "whois.denic.de"}, t0.Add(time.Hour))
	b.Learn("de", whoisclient.Server{Host: "whois.other.test"}, t0.Add(time.Hour))
	b.Learn("uk", whoisclient.Server{Host: "whois.other.test"}, t0.Add(time.Hour))
	b.Learn("es", whoisclient.Server{Host: "whois.other.test"}, t0.Add(time.Hour))
	b.Learn("ad", whoisclient.Server{Host: "whois.ad.test"}, t0.Add(time.Hour))
	b.Learn("", whoisclient.Server{Host: "whois.test"}, t0.Add(time.Hour))
	b.Learn("nosuchtld", whoisclient.Server{}, t0.Add(time.Hour))
	for _, tt := range []struct{ name, want string }{
		{"example.mil", `- whois.denic.de(-T dn,ace %s) "mil" refer`},
		{"example.de", `https://rdap.denic.de/ whois.denic.de(-T dn,ace %s) "de" compiled`},
		{"trust.nhs.uk", `- - "nhs.uk" compiled`},
		{"example.es", `- - "es" compiled`},
		{"example.ad", `https://rdap.nic.ad/ whois.ad.test "ad" compiled`},
		{"example.nosuchtld", `- - "" `},
	} {
		if got := text(b.Domain(tt.name)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	now = t0.Add(time.Hour)
	if got := text(b.Domain("example.mil")); got != `- - "mil" compiled` {
		t.Errorf("an hour later: %s", got)
	}
}

func TestLearnIsBounded(t *testing.T) {
	b := New(Options{Now: at(t0)})
	full := make(map[string]learned, maxLearned)
	for i := range maxLearned {
		full[fmt.Sprintf("tld%d", i)] = learned{whoisclient.Server{Host: "whois.test"}, t0.Add(time.Duration(1+i) * time.Minute)}
	}
	b.view.Store(&view{learned: full})
	for i := maxLearned; i < maxLearned+10; i++ {
		b.Learn(fmt.Sprintf("tld%d", i), whoisclient.Server{Host: "whois.test"}, t0.Add(time.Duration(1+i)*time.Minute))
	}
	if n := len(b.view.Load().learned); n != maxLearned {
		t.Errorf("%d learned", n)
	}
	for name, want := range map[string]bool{"a.tld9": false, "a.tld10": true, fmt.Sprintf("a.tld%d", maxLearned+9): true} {
		if got := b.Domain(name).Whois.Host != ""; got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// What servers want must be what the client can send.
func TestOwnTables(t *testing.T) {
	for host, s := range forms() {
		if err := s.Check(); err != nil || s.Host != host {
			t.Errorf("%s: %v", host, err)
		}
	}
	for suffix, o := range loadOwn().suffixes {
		if suffix != spell(suffix) || o.whois.Host != "" && o.whois.Check() != nil || o.noWhois && o.whois.Host != "" {
			t.Errorf("%s: %+v", suffix, o)
		}
		if strings.Contains(suffix, ".") && len(o.rdap) == 0 && o.whois.Host == "" && !o.noWhois {
			t.Errorf("%s: nothing is said", suffix)
		}
	}
	if IANA.Check() != nil {
		t.Error("IANA's server")
	}
}
