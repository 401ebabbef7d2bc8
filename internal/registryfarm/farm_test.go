package registryfarm_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich/registration/rdap"
	"github.com/whence-project/whence/enrich/registration/whoisclient"
	"github.com/whence-project/whence/enrich/registration/whoisreply"
	"github.com/whence-project/whence/internal/registryfarm"
	"github.com/whence-project/whence/internal/testenv"
)

// farmOf is a farm with one registry of each kind.
func farmOf(t *testing.T, o registryfarm.Options) *registryfarm.Farm {
	t.Helper()
	o.Registries = append(o.Registries,
		registryfarm.Registry{Name: "secure", Suffixes: []string{"secure"}, RDAP: true, TLS: true, WHOIS: true,
			Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}, AS: [][2]uint32{{64496, 64511}},
			Tags: []string{"FARM"}},
		registryfarm.Registry{Name: "plain", Suffixes: []string{"plain", "co.plain"}, RDAP: true, WHOIS: true, Style: registryfarm.RPSL},
		registryfarm.Registry{Name: "thin", Suffixes: []string{"thin"}, RDAP: true, WHOIS: true, Thin: true, Registrar: "registrar"},
		registryfarm.Registry{Name: "old", Suffixes: []string{"old", "co.uk"}, WHOIS: true, Style: registryfarm.Sections, Form: "domain =%s"},
		registryfarm.Registry{Name: "registrar", RDAP: true, WHOIS: true},
		registryfarm.Registry{Name: "moved", Suffixes: []string{"moved"}, RDAP: true, WHOIS: true, Moved: "registrar"},
	)
	return registryfarm.New(t, o)
}

// ask asks an RDAP server.
func ask(t *testing.T, f *registryfarm.Farm, url string) (*rdap.Response, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c := rdap.Client{HTTP: rdap.NewHTTPClient(nil, f.CertPool())}
	defer c.HTTP.CloseIdleConnections()
	return c.Get(ctx, url)
}

// whois asks a WHOIS server.
func whois(t *testing.T, addr, form, name string) (string, error) {
	t.Helper()
	s, err := whoisclient.ParseServer(addr)
	if err != nil {
		t.Fatal(err)
	}
	s.Query = form
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c := whoisclient.Client{Dial: new(net.Dialer).DialContext}
	r, err := c.Ask(ctx, s, name)
	return r.Text, err
}

func TestExpectedIsServedOverRDAP(t *testing.T) {
	f := farmOf(t, registryfarm.Options{})
	for _, registry := range []string{"secure", "plain", "thin", "registrar"} {
		for i := range 25 {
			name := fmt.Sprintf("tulip%d.%s", i, strings.Replace(registry, "registrar", "thin", 1))
			r, err := ask(t, f, rdap.DomainURL(f.RDAPURL(registry), name))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			o, want := r.Object, registryfarm.Expected(strings.ToUpper(name))
			for _, tt := range []struct{ what, got, want string }{
				{"name", o.LDHName, want.Name}, {"handle", o.Handle, want.Handle}, {"created", o.Created.String(), want.Created.String()},
				{"updated", o.Updated.String(), want.Updated.String()}, {"expires", o.Expires.String(), want.Expires.String()},
				{"registrar", o.Registrar, want.Registrar}, {"its number", o.RegistrarID, want.RegistrarID}, {"its page", o.RegistrarURL, want.RegistrarURL},
				{"abuse", o.Abuse.Email, want.AbuseEmail}, {"name servers", fmt.Sprint(o.NameServers), fmt.Sprint(want.NameServers)},
				{"status", fmt.Sprint(o.Status), fmt.Sprint(want.Status)}, {"signed", fmt.Sprint(o.DNSSEC == "signedDelegation"), fmt.Sprint(want.Signed)},
			} {
				if tt.got != tt.want {
					t.Errorf("%s of %s: %s %q, want %q", registry, name, tt.what, tt.got, tt.want)
				}
			}
			got := o.Registrant
			redacted := got.Redacted
			got.Redacted = 0
			if registry == "thin" {
				if got != (whoisreply.Contact{}) || !slices.Equal(o.Related, []string{rdap.DomainURL(f.RDAPURL("registrar"), name)}) {
					t.Errorf("%s: contact %+v, related %q of a thin registry", name, got, o.Related)
				}
				continue
			}
			if got != contactOf(want.Registrant) || (redacted != 0) != want.Redacted || len(o.Related) > 0 {
				t.Errorf("%s: registrant %+v, redacted %d, related %q, want %+v, %t", name, got, redacted, o.Related, want.Registrant, want.Redacted)
			}
		}
	}
	if n := f.Counts("secure"); n.RDAP != 25 || n.Queries != 25 || n.Peak != 1 || n.Open != 0 {
		t.Errorf("counts %+v", n)
	}
	if got := f.Requests("secure")[0]; got.Proto != "HTTP/2.0" || !strings.Contains(got.Accept, "rdap+json") || got.Path != "/rdap/domain/tulip0.secure" {
		t.Errorf("request %+v", got)
	}
	if n := f.Queries("TULIP3.thin"); n != 2 { // the registry's and the registrar's
		t.Errorf("%d queries about a name", n)
	}
}

func contactOf(p registryfarm.Person) whoisreply.Contact {
	return whoisreply.Contact{Name: p.Name, Organization: p.Organization, Address: p.Street, City: p.City, State: p.State,
		PostalCode: p.PostalCode, Country: p.Country, Email: p.Email, Phone: p.Phone}
}

func TestExpectedIsServedOverWHOIS(t *testing.T) {
	f := farmOf(t, registryfarm.Options{})
	for _, tt := range []struct{ registry, form string }{{"secure", ""}, {"plain", "-T dn %s"}, {"thin", "%s"}, {"old", "domain =%s"}} {
		for i := range 25 {
			name := fmt.Sprintf("tulip%d.%s", i, tt.registry)
			text, err := whois(t, f.WHOISAddr(tt.registry), tt.form, name)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			r, want := whoisreply.Parse(text, name), registryfarm.Expected(name)
			if r.Class != whoisreply.Registered || r.Domain != name || !r.Created.Equal(want.Created) || !r.Updated.Equal(want.Updated) ||
				!r.Expires.Equal(want.Expires) || r.Registrar != want.Registrar || !slices.Equal(r.NameServers, want.NameServers) ||
				!slices.Equal(r.Status, want.Status) {
				t.Errorf("%s\n%s\nis read as %+v", name, text, r)
			}
			s, referred := whoisclient.Referral(text)
			_, contacts, registrar := f.Expected(name)
			if referred != (tt.registry == "thin") || referred && s.Addr() != f.WHOISAddr(registrar) {
				t.Errorf("%s: referral %+v, want the server of %q", name, s, registrar)
			}
			if tt.registry != "old" && (r.Registrant.Organization != "") != contacts {
				t.Errorf("%s: registrant %+v, contacts %t", name, r.Registrant, contacts)
			}
		}
	}
	if got := f.WHOISQueries("old")[0]; got != "domain =tulip0.old\r\n" {
		t.Errorf("query %q", got)
	}
	if text, _ := whois(t, f.WHOISAddr("old"), "", "tulip.old"); !strings.Contains(text, "Malformed") || f.Counts("old").Malformed != 1 {
		t.Errorf("a query in another form: %q, %+v", text, f.Counts("old"))
	}
	if text, _ := whois(t, f.WHOISAddr("plain"), "", "tulip.secure"); whoisreply.Parse(text, "tulip.secure").Class != whoisreply.Unsupported ||
		f.Counts("plain").Strays != 1 {
		t.Errorf("somebody else's name: %q, %+v", text, f.Counts("plain"))
	}
}

func TestNumbers(t *testing.T) {
	f := farmOf(t, registryfarm.Options{})
	for _, s := range []string{"192.0.2.1/32", "192.0.2.0/25", "2001:db8::1/128"} {
		p := netip.MustParsePrefix(s)
		r, err := ask(t, f, rdap.IPURL(f.RDAPURL("secure"), p))
		if err != nil {
			t.Fatal(err)
		}
		o, want := r.Object, registryfarm.ExpectedNetwork(p)
		if !slices.Equal(o.Prefixes, []netip.Prefix{want.Prefix}) || o.Name != want.Name || o.Country != want.Country || o.Type != want.Type ||
			!o.Created.Equal(want.Created) || o.Abuse.Email != want.AbuseEmail || o.Registrant.Organization != want.Organization {
			t.Errorf("%s is %+v, want %+v", s, o, want)
		}
	}
	r, err := ask(t, f, rdap.ASURL(f.RDAPURL("secure"), 64500))
	if err != nil {
		t.Fatal(err)
	}
	if o, want := r.Object, registryfarm.ExpectedAS(64500); o.StartAS != 64500 || o.Name != want.Name || o.Country != want.Country {
		t.Errorf("AS64500 is %+v, want %+v", o, want)
	}
	if _, err := ask(t, f, rdap.ASURL(f.RDAPURL("secure"), 1)); kindOf(err) != rdap.NotFound || f.Counts("secure").Strays != 1 {
		t.Errorf("somebody else's AS number: %v", err)
	}
	if r, err := ask(t, f, rdap.EntityURL(f.RDAPURL("secure"), "H1-FARM")); err != nil || r.Object.Handle != "H1-FARM" {
		t.Errorf("entity: %v", err)
	}
	c := http.Client{Transport: rdap.NewHTTPClient(nil, f.CertPool()).Transport}
	if resp, err := c.Get(f.RDAPURL("secure") + "help"); err != nil || resp.StatusCode != 200 {
		t.Errorf("help: %v", err)
	}
	if r, err := ask(t, f, rdap.DomainURL(f.RDAPURL("moved"), "tulip.moved")); err != nil || r.URL != f.RDAPURL("registrar")+"domain/tulip.moved" {
		t.Errorf("moved: %v", err)
	}
}

func kindOf(err error) rdap.Kind {
	var e *rdap.Error
	if !errors.As(err, &e) {
		return rdap.Kind(255)
	}
	return e.Kind
}

func TestConcurrencyIsCounted(t *testing.T) {
	f := farmOf(t, registryfarm.Options{})
	f.Hold("secure")
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	c := rdap.Client{HTTP: rdap.NewHTTPClient(nil, f.CertPool())}
	for i := range 20 {
		all.Go(func() { c.Get(ctx, rdap.DomainURL(f.RDAPURL("secure"), fmt.Sprintf("n%d.secure", i))) })
	}
	if err := f.Await(t.Context(), "secure", 20); err != nil {
		t.Fatal(err)
	}
	cancel()
	all.Wait()
	if n := f.Counts("secure"); n.Peak != 20 || f.Total().Peak != 20 {
		t.Errorf("counts %+v", n)
	}
	f.Close() // waits for nobody who hangs
	asked, lost := f.AllQueries()
	if len(asked) != 20 || lost != 0 || asked["n7.secure"] != 1 {
		t.Errorf("names %v, %d lost", asked, lost)
	}
}

func TestHoldAndLatency(t *testing.T) {
	f := farmOf(t, registryfarm.Options{})
	release := f.Hold("plain")
	answers := make(chan error, 2)
	go func() {
		_, err := ask(t, f, rdap.DomainURL(f.RDAPURL("plain"), "a.plain"))
		answers <- err
	}()
	go func() {
		_, err := whois(t, f.WHOISAddr("plain"), "", "b.plain")
		answers <- err
	}()
	if err := f.Await(t.Context(), "plain", 2); err != nil {
		t.Fatal(err)
	}
	if len(answers) > 0 {
		t.Error("an answer that was held")
	}
	release()
	release()
	for range 2 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	const latency = 50 * time.Millisecond
	f.SetLatency("plain", latency)
	start := time.Now()
	if _, err := whois(t, f.WHOISAddr("plain"), "", "c.plain"); err != nil || time.Since(start) < latency {
		t.Errorf("after %s: %v", time.Since(start), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Await(ctx, "plain", 1); err == nil {
		t.Error("nobody is there, and it did not fail")
	}
}

func TestMistakes(t *testing.T) {
	for _, list := range [][]registryfarm.Registry{
		{{}}, {{Name: registryfarm.IANA}}, {{Name: "a"}, {Name: "a"}}, {{Name: "a", Registrar: "b"}}, {{Name: "a", Moved: "b"}},
		{{Name: "a", Suffixes: []string{"test"}}, {Name: "b", Suffixes: []string{"TEST"}}}, {{Name: "a", Suffixes: []string{"a b"}}},
	} {
		if f, err := registryfarm.Start(registryfarm.Options{Registries: list}); err == nil {
			f.Close()
			t.Errorf("%+v was started", list)
		}
	}
}

func TestIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		testenv.Skip(t, "no IPv6 on loopback: %v", err)
	}
	l.Close()
	f := registryfarm.New(t, registryfarm.Options{TLS: true, Registries: []registryfarm.Registry{
		{Name: "six", Suffixes: []string{"xn--p1ai"}, RDAP: true, TLS: true, WHOIS: true, IPv6: true}}})
	if !strings.HasPrefix(f.RDAPURL("six"), "https://[::1]:") || !strings.HasPrefix(f.BootstrapURL(), "https://") {
		t.Errorf("URLs %s, %s", f.RDAPURL("six"), f.BootstrapURL())
	}
	if _, err := ask(t, f, rdap.DomainURL(f.RDAPURL("six"), "пример.рф")); err != nil {
		t.Error(err)
	}
	if _, err := whois(t, f.WHOISAddr("six"), "", "пример.рф"); err != nil || f.Queries("xn--e1afmkfd.xn--p1ai") != 2 {
		t.Errorf("%d queries, %v", f.Queries("пример.рф"), err)
	}
	if got := f.BySource("six")[netip.IPv6Loopback()]; got != 2 {
		t.Errorf("%d queries from ::1", got)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := f.WriteCA(path); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != string(f.CAPEM()) {
		t.Errorf("the file of the authority: %v", err)
	}
}
