package registration

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration/bootstrap"
	"github.com/whence-project/whence/enrich/registration/manners"
	"github.com/whence-project/whence/enrich/registration/rdap"
	"github.com/whence-project/whence/enrich/registration/whoisclient"
)

func TestDiscreetQueriesAreNotAskedInClearText(t *testing.T) {
	for _, tt := range []struct {
		name      string
		rdap      http.HandlerFunc
		cleartext bool
		discreet  bool
		asked     string
	}{
		{"WHOIS only", nil, false, true, ""},
		{"WHOIS only, allowed", nil, true, true, "whois example.test"},
		{"a person asks", nil, false, false, "whois example.test"},
		{"RDAP without encryption", serveDomain, false, true, ""},
		{"RDAP, a person asks", serveDomain, false, false, "rdap example.test"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := new(upstream)
			o := bootstrap.Override{Suffix: "test", Whois: u.whoisServer(t, func(string) string { return whoisRegistered })}
			if tt.rdap != nil {
				o.RDAP = []string{u.rdapServer(t, tt.rdap)}
			}
			_, chain := newSource(t, Options{Cleartext: tt.cleartext}, o)
			r := lookup(chain, enrich.Query{Discreet: tt.discreet})
			if got := u.all(); got != tt.asked {
				t.Errorf("asked %q, want %q; notes %s", got, tt.asked, notes(r))
			}
			if tt.asked == "" && !strings.HasPrefix(notes(r), "unfetched: not looked up: there is no RDAP over HTTPS") {
				t.Errorf("notes %s", notes(r))
			}
			if r = lookup(chain, enrich.Query{}); tt.asked == "" && !r.Found() {
				t.Errorf("for a query that is not discreet: %s", notes(r))
			}
		})
	}
}

func TestTheNameThatARegistryHas(t *testing.T) {
	s, _ := newSource(t, Options{}, bootstrap.Override{Suffix: "uk.com", RDAP: []string{"https://rdap.example/"}})
	for name, want := range map[string]string{
		"example.org": "example.org", "www.example.org": "example.org", "a.b.example.co.uk": "example.co.uk", "org": "", "co.uk": "",
		"foo.github.io": "github.io", "github.io": "github.io", "a.foo.github.io": "github.io",
		"bucket.s3.amazonaws.com": "amazonaws.com", "s3.amazonaws.com": "amazonaws.com",
		"www.example.uk.com": "example.uk.com", "uk.com": "uk.com", "host.internal": "host.internal", "a.host.internal": "host.internal",
		"foo.blogspot.com": "blogspot.com",
	} {
		if got := s.keyOf(&enrich.Query{Subject: enrich.DomainOf(name)}); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestIANAIsAskedForTheServerOfATopLevelDomain has one of which the tables know that it exists, and nobody to ask.
func TestIANAIsAskedForTheServerOfATopLevelDomain(t *testing.T) {
	for _, tt := range []struct {
		name, refer string
		want        string
		asked       string
	}{
		{"told", "domain: AQ\r\nrefer: whois.nic.aq\r\nstatus: ACTIVE\r\n", "registered", "whois aq, whois example.aq, whois other.aq"},
		{"there is none", "domain: AQ\r\nstatus: ACTIVE\r\nremarks: Registration information: http://nic.aq\r\n", "unsupported", "whois aq"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := new(upstream)
			iana := u.whoisServer(t, func(string) string { return tt.refer })
			registry := u.whoisServer(t, func(q string) string { return strings.ReplaceAll(whoisRegistered, "EXAMPLE.TEST", q) })
			s, chain := newSource(t, Options{Refer: true, Bootstrap: bootstrap.New(bootstrap.Options{Compiled: true})})
			s.opt.Whois.Dial = dialTo(dialTo(s.opt.Whois.Dial, "whois.nic.aq:43", registry.Addr()), "whois.iana.org:43", iana.Addr())
			for _, name := range []string{"example.aq", "other.aq", "example.aq"} {
				if r := lookup(chain, enrich.Query{Subject: enrich.DomainOf(name)}); field(r, "registration") != tt.want && tt.want == "registered" {
					t.Errorf("%s: %s", name, r.AppendJSON(nil))
				}
			}
			r := lookup(chain, enrich.Query{Subject: enrich.DomainOf("third.aq"), Offline: true})
			if tt.want == "unsupported" && field(r, "registration") != tt.want {
				t.Errorf("%s", r.AppendJSON(nil))
			}
			if got := u.all(); got != tt.asked {
				t.Errorf("asked %q, want %q", got, tt.asked)
			}
		})
	}
}

func TestDiscreetQueriesAreAskedOverHTTPS(t *testing.T) {
	u := new(upstream)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.ask("rdap")
		fails(500, 0)(w, r)
	}))
	defer server.Close()
	whois := u.whoisServer(t, func(string) string { return whoisRegistered })
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	_, chain := newSource(t, Options{RDAP: &rdap.Client{HTTP: rdap.NewHTTPClient(nil, roots)}}, suffix(server.URL+"/", whois))
	if r := lookup(chain, enrich.Query{Discreet: true}); r.Found() || u.all() != "rdap" {
		t.Errorf("asked %s: %s", u.all(), r.AppendJSON(nil))
	}
}

// TestNobodyIsHeldUpWhereNoRegistryCanBeReached has a machine that nothing leaves.
func TestNobodyIsHeldUpWhereNoRegistryCanBeReached(t *testing.T) {
	s, chain := newSource(t, Options{Wait: time.Second}, suffix("", &whoisclient.Server{Host: "127.0.0.1", Port: 1}))
	away := errors.New("network is unreachable")
	s.opt.Whois.Dial = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: away}
	}
	for i := range 2 * unreachable {
		if want := map[bool]time.Duration{true: time.Second}[i < unreachable]; s.Patience() != want && i != unreachable {
			t.Errorf("after %d failures: patience %v, want %v", i, s.Patience(), want)
		}
		q := enrich.Query{Subject: enrich.DomainOf(fmt.Sprintf("name%d.test", i)), Insist: true}
		if r := lookup(chain, q); r.Found() {
			t.Fatalf("%s", r.AppendJSON(nil))
		}
		s.opt.Manners.Configure(manners.Options{Default: manners.NoLimit(), BreakerFailures: 1000})
	}
	if s.reached(true); s.Patience() != time.Second {
		t.Errorf("when one answers again: patience %v", s.Patience())
	}
}
