package registryfarm_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich/registration/rdap"
	"github.com/whence-project/whence/enrich/registration/whoisclient"
	"github.com/whence-project/whence/enrich/registration/whoisreply"
	"github.com/whence-project/whence/internal/registryfarm"
)

const answered = rdap.Kind(254)

func TestBehavioursOverRDAP(t *testing.T) {
	f := farmOf(t, registryfarm.Options{Private: []string{"169.254.169.254:1"}, Drip: time.Microsecond})
	for _, tt := range []struct {
		name string
		want rdap.Kind
		wait time.Duration
	}{
		{"tulip", answered, 0}, {"free-a", rdap.NotFound, 0}, {"free-b", rdap.NotFound, 0}, {"free-c", rdap.NotFound, 0},
		{"free-d", rdap.NotFound, 0}, {"reserved-a", rdap.Reserved, 0}, {"expired-a", answered, 0},
		{"throttle-a", rdap.Throttled, registryfarm.Retry}, {"throttledate-a", rdap.Throttled, registryfarm.Retry},
		{"busy-a", rdap.Throttled, registryfarm.Retry}, {"blocked-a", rdap.Refused, 0},
		{"reset-a", rdap.Network, 0}, {"cut-a", rdap.Network, 0}, {"drip-a", answered, 0}, {"error-a", rdap.Server, 0},
		{"empty-a", rdap.Invalid, 0}, {"flaky-a", rdap.Server, 0}, {"flaky-a", answered, 0}, {"flaky-a", rdap.Server, 0},
		{"big-a", rdap.TooLarge, 0}, {"gzip-a", answered, 0}, {"bomb-a", rdap.TooLarge, 0},
		{"loop-a", rdap.Redirect, 0}, {"loopself-a", rdap.Redirect, 0}, {"loopfar-a", rdap.Redirect, 0}, {"lead-a", answered, 0},
		{"html404-a", rdap.Doubtful, 0}, {"notjson-a", rdap.Invalid, 0}, {"othername-a", rdap.Invalid, 0}, {"nofinalnewline-a", answered, 0},
	} {
		for _, registry := range []string{"secure", "plain"} {
			name := tt.name + "." + registry
			_, err := ask(t, f, rdap.DomainURL(f.RDAPURL(registry), name))
			got := answered
			var wait time.Duration
			var e *rdap.Error
			if errors.As(err, &e) {
				got, wait = e.Kind, e.RetryAfter
			}
			if got != tt.want || wait != tt.wait {
				t.Errorf("%s: %s (wait %s), want %s (%s): %v", name, got, wait, tt.want, tt.wait, err)
			}
		}
	}
	c := http.Client{Transport: rdap.NewHTTPClient(nil, f.CertPool()).Transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	resp, err := c.Get(f.RDAPURL("secure") + "domain/private-a.secure")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if to := resp.Header.Get("Location"); to != "https://169.254.169.254:1/rdap/domain/private-a.secure" || f.PrivateTarget("private-a.secure") != "169.254.169.254:1" {
		t.Errorf("private leads to %q", to)
	}
	f.Behave("plain", registryfarm.Error)
	if _, err := ask(t, f, rdap.DomainURL(f.RDAPURL("plain"), "tulip.plain")); kindOf(err) != rdap.Server {
		t.Errorf("a registry that is out of order: %v", err)
	}
	f.Behave("plain", registryfarm.Ordinary)
	if _, err := ask(t, f, rdap.DomainURL(f.RDAPURL("plain"), "tulip.plain")); err != nil {
		t.Errorf("a registry in order again: %v", err)
	}
}

func TestBehavioursOverWHOIS(t *testing.T) {
	f := farmOf(t, registryfarm.Options{Private: []string{"10.0.0.1"}, Drip: time.Microsecond})
	const none = whoisclient.Stage(255)
	for _, tt := range []struct {
		name  string
		class whoisreply.Class
		stage whoisclient.Stage
		wait  time.Duration
	}{
		{"tulip", whoisreply.Registered, none, 0}, {"free-a", whoisreply.Available, none, 0}, {"free-b", whoisreply.Available, none, 0},
		{"free-c", whoisreply.Available, none, 0}, {"free-d", whoisreply.Available, none, 0}, {"reserved-a", whoisreply.Reserved, none, 0},
		{"expired-a", whoisreply.Registered, none, 0}, {"throttle-a", whoisreply.Throttled, none, registryfarm.Retry},
		{"busy-a", whoisreply.Throttled, none, registryfarm.Retry}, {"blocked-a", whoisreply.Blocked, none, 0},
		{"error-a", whoisreply.Error, none, 0}, {"flaky-a", whoisreply.Error, none, 0}, {"flaky-a", whoisreply.Registered, none, 0},
		{"reset-a", whoisreply.Error, whoisclient.Read, 0}, {"drip-a", whoisreply.Registered, none, 0}, {"empty-a", whoisreply.Error, whoisclient.Empty, 0},
		{"big-a", whoisreply.Registered, none, 0}, {"bomb-a", whoisreply.Registered, none, 0}, {"notjson-a", whoisreply.Error, none, 0},
		{"private-a", whoisreply.Registered, none, 0}, {"nofinalnewline-a", whoisreply.Registered, none, 0},
	} {
		for _, r := range []struct{ name, form string }{{"secure", ""}, {"plain", ""}, {"old", "domain =%s"}} {
			name := tt.name + "." + r.name
			text, err := whois(t, f.WHOISAddr(r.name), r.form, name)
			stage := none
			var e *whoisclient.Error
			if errors.As(err, &e) {
				stage = e.Stage
			}
			if got := whoisreply.Parse(text, name); got.Class != tt.class || stage != tt.stage || got.Wait != tt.wait {
				t.Errorf("%s: %s, %v, wait %s, want %s, wait %s\n%.300s", name, got.Class, err, got.Wait, tt.class, tt.wait, text)
			}
		}
	}
}

func TestReferralsOverWHOIS(t *testing.T) {
	f := farmOf(t, registryfarm.Options{Private: []string{"10.0.0.1"}})
	for _, tt := range []struct{ server, name, want string }{
		{"thin", "loop-a.thin", f.WHOISAddr("registrar")}, {"registrar", "loop-a.thin", f.WHOISAddr("thin")},
		{"secure", "loopself-a.secure", f.WHOISAddr("secure")}, {"secure", "private-a.secure", "10.0.0.1:43"},
		{"thin", "nofinalnewline-a.thin", f.WHOISAddr("registrar")}, {"secure", "tulip.secure", ""}, {"moved", "tulip.moved", f.WHOISAddr("registrar")},
	} {
		text, err := whois(t, f.WHOISAddr(tt.server), "", tt.name)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if s, ok := whoisclient.Referral(text); ok {
			got = s.Addr()
		}
		if got != tt.want {
			t.Errorf("%s of %s refers to %q, want %q", tt.name, tt.server, got, tt.want)
		}
		if strings.HasPrefix(tt.name, "nofinal") && strings.HasSuffix(text, "\n") {
			t.Errorf("%s: the last line is ended", tt.name)
		}
	}
}

func TestStandInForIANA(t *testing.T) {
	f := farmOf(t, registryfarm.Options{Registries: []registryfarm.Registry{
		{Name: "hidden", Suffixes: []string{"hidden"}, WHOIS: true, Hidden: true}}})
	for _, tt := range []struct{ name, want string }{
		{"plain", f.WHOISAddr("plain")}, {"a.co.plain", f.WHOISAddr("plain")}, {"uk", f.WHOISAddr("old")}, {"hidden", ""}, {"nowhere", ""},
		{"192.0.2.7", f.WHOISAddr("secure")}, {"AS64500", f.WHOISAddr("secure")}, {"loopself-x", f.IANAAddr()},
	} {
		text, err := whois(t, f.IANAAddr(), "", tt.name)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if s, ok := whoisclient.Referral(text); ok {
			got = s.Addr()
		}
		if got != tt.want {
			t.Errorf("%s refers to %q, want %q", tt.name, got, tt.want)
		}
	}
	if n := f.Counts(registryfarm.IANA); n.WHOIS != 8 || f.Total().Queries != 0 {
		t.Errorf("counts %+v, in all %+v", n, f.Total())
	}
}

func TestThrottleTexts(t *testing.T) {
	for _, text := range registryfarm.ThrottleTexts {
		if got := whoisreply.Parse(text, "tulip.test").Class; got != whoisreply.Throttled {
			t.Errorf("%q is %s", text, got)
		}
	}
	f := farmOf(t, registryfarm.Options{})
	for c := 'a'; c <= 'z'; c++ {
		name := "throttletext-" + string(c) + ".plain"
		if _, err := ask(t, f, rdap.DomainURL(f.RDAPURL("plain"), name)); kindOf(err) != rdap.Throttled {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCharsets(t *testing.T) {
	f := farmOf(t, registryfarm.Options{})
	for name, charset := range map[string]string{"latin1-a": "", "eucjp-a": "euc-jp", "iso2022jp-a": "", "euckr-a": "euc-kr", "gbk-a": "gbk",
		"big5-a": "big5", "koi8r-a": "koi8-r"} {
		name += ".secure"
		s, err := whoisclient.ParseServer(f.WHOISAddr("secure"))
		if err != nil {
			t.Fatal(err)
		}
		s.Charset = charset
		c := whoisclient.Client{Dial: new(net.Dialer).DialContext}
		r, err := c.Ask(t.Context(), s, name)
		if err != nil {
			t.Fatal(err)
		}
		want := registryfarm.Expected(name).Registrant
		if got := whoisreply.Parse(r.Text, name).Registrant; got.Name != want.Name || got.Organization != want.Organization {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

// Who hangs on ends with the farm, and a client that goes ends what hangs.
func TestHang(t *testing.T) {
	f := farmOf(t, registryfarm.Options{})
	ended := make(chan error, 2)
	go func() {
		conn, err := net.Dial("tcp", f.WHOISAddr("plain"))
		if err == nil {
			io.WriteString(conn, "hang-a.plain\r\n")
			_, err = io.ReadAll(conn)
		}
		ended <- err
	}()
	go func() {
		_, err := http.Get(f.RDAPURL("plain") + "domain/hang-b.plain")
		ended <- err
	}()
	if err := f.Await(t.Context(), "plain", 2); err != nil {
		t.Fatal(err)
	}
	f.Close()
	<-ended
	<-ended
}
