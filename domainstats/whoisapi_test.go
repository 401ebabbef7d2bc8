package domainstats

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// registrations are a world of registries, for WHOIS-API's routes.
func registrations(_ context.Context, domain, server string) (*Registration, error) {
	if server != "" && server != "whois.example.test" {
		return nil, ErrServerRefused
	}
	r := &Registration{Domain: domain, Class: "registered", Via: "whois", Server: "whois.registry.example"}
	if server != "" {
		r.Server = server
	}
	switch domain {
	case "sans.org":
		r.Second, r.Registrar = "whois.registrar.example", "Example Registrar, Inc."
		r.Status = []string{"client transfer prohibited", "serverHold", "active", "registered until expiry"}
		r.NameServers = []string{"a.example.net", "b.example.net"}
		r.Created, r.Updated = time.Date(1995, 8, 4, 4, 0, 0, 0, time.UTC), time.Date(2020, 7, 1, 10, 0, 0, 0, time.UTC)
		r.Expires = time.Date(2025, 8, 3, 6, 0, 0, 0, time.FixedZone("", 2*3600))
		r.RegistrantName, r.RegistrantOrganization = "Jürgen <Test>", "Example & Söhne"
		r.RegistrantPhone, r.RegistrantEmail = "+1.3015550100", "hostmaster@example.org"
		r.Raw, r.SecondRaw = "Domain Name: SANS.ORG\r\n", "Registrant Name: Jürgen <Test>\r\n"
	case "free.com":
		r.Class, r.Raw, r.Registrar = "available", "No match for \"FREE.COM\".\r\n", "none of this is shown"
	case "kept.com":
		r.Class, r.Reason = "reserved", "the registry keeps it"
	case "thin.com":
		r.Registrar, r.SecondFault, r.Second = "Thin", Refused, "whois.registrar.example"
	}
	return r, nil
}

const whoisOfSans = `{
 "domain": "sans.org",
 "tld": "org",
 "flag": 1,
 "domain_status": [
  "clientTransferProhibited",
  "serverHold",
  "ok",
  "registered until expiry"
 ],
 "sponsoring_registrar": "Example Registrar, Inc.",
 "top_whois_server": "whois.registry.example",
 "sec_whois_server": "whois.registrar.example",
 "reg_name": "Jürgen <Test>",
 "reg_phone": "+1.3015550100",
 "reg_email": "hostmaster@example.org",
 "org_name": "Example & Söhne",
 "updated_date": "2020-07-01 10:00:00",
 "reg_date": "1995-08-04 04:00:00",
 "expir_date": "2025-08-03 04:00:00",
 "creation_date": "1995-08-04 04:00:00",
 "name_server": [
  "a.example.net",
  "b.example.net"
 ],
 "details": "Domain Name: SANS.ORG\r\n\n##############################\nRegistrant Name: Jürgen <Test>\r\n"
}`

const whoisOfFree = `{
 "domain": "free.com",
 "tld": "com",
 "flag": 1,
 "domain_status": [
  "available"
 ],
 "sponsoring_registrar": "",
 "top_whois_server": "whois.registry.example",
 "sec_whois_server": "",
 "reg_name": "",
 "reg_phone": "",
 "reg_email": "",
 "org_name": "",
 "updated_date": "",
 "reg_date": "",
 "expir_date": "",
 "creation_date": "",
 "name_server": [],
 "details": "No match for \"FREE.COM\".\r\n"
}`

func newWhoisAPI(t testing.TB) *API {
	return newAPIWithoutLedger(t, Options{Registration: registrations})
}

func TestWhoisAPI(t *testing.T) {
	a := newWhoisAPI(t)
	for path, want := range map[string]string{
		"/WHOIS/sans.org": whoisOfSans, "/whois/SANS.org": whoisOfSans, "/WHOIS/%73ans.org": whoisOfSans, "/WHOIS/https://sans.org/": whoisOfSans,
		"/WHOIS/free.com": whoisOfFree,
	} {
		status, body, h := do(t, a, request("GET", path, nil))
		if status != 200 || body != want || h.Get("Content-Type") != typeJSON {
			t.Errorf("GET %s: %d, %q\n got %s\nwant %s", path, status, h.Get("Content-Type"), body, want)
		}
	}
	if n := a.count("whois_api", "answered"); n != 5 {
		t.Errorf("counted %d", n)
	}
}

// Without a source of registrations the routes are not ours.
func TestWhoisAPIIsOff(t *testing.T) {
	a := newAPIWithoutLedger(t, Options{})
	for _, path := range []string{"/WHOIS/sans.org", "/WHOIS/?domain_list=sans.org"} {
		if status, body, _ := do(t, a, request("GET", path, nil)); status != 404 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// ask asks a route of WHOIS-API and decodes the answer.
func ask(t testing.TB, a *API, target string) (status int, v struct {
	whoisAnswer
	Error string
}) {
	t.Helper()
	status, body, h := do(t, a, request("GET", target, nil))
	if err := json.Unmarshal([]byte(body), &v); err != nil || h.Get("Content-Type") != typeJSON {
		t.Fatalf("%s: %v in %s %s", target, err, h.Get("Content-Type"), body)
	}
	return status, v
}

// Nothing but a registry's word makes a name free or registered, and what the registry said is not lost for the registrar's fault.
func TestWhoisAPIFlags(t *testing.T) {
	for _, tt := range []struct {
		reg    Registration
		flag   int
		status string
	}{
		{Registration{Class: "registered", Status: []string{"client hold"}}, 1, "clientHold"},
		{Registration{Class: "registered", Status: []string{"Locked"}, SecondFault: Refused}, -15, "Locked"},
		{Registration{Class: "registered", SecondFault: Timeout}, -11, ""},
		{Registration{Class: "available"}, 1, "available"},
		{Registration{Class: "reserved"}, 1, "reserved"},
		{Registration{Class: "available", Fault: Timeout}, -1, ""},
		{Registration{Class: "available", Status: []string{"free"}, Fault: ReadError}, -3, ""},
		{Registration{Class: "throttled"}, -5, ""},
		{Registration{Class: "blocked"}, -5, ""},
		{Registration{Class: "unsupported"}, -4, ""},
		{Registration{Class: "unsupported", Fault: Unreachable}, -2, ""},
		{Registration{Class: "error"}, -4, ""},
		{Registration{}, -4, ""},
		{Registration{Fault: OtherFault}, -4, ""},
		{Registration{Fault: Refused}, -5, ""},
	} {
		v := tt.reg.answer("x.example.org")
		if got := strings.Join(v.Status, " "); v.Flag != tt.flag || got != tt.status || v.TLD != "org" || v.Domain != "x.example.org" {
			t.Errorf("%+v: %+v", tt.reg, v)
		}
	}
	if _, v := ask(t, newWhoisAPI(t), "/WHOIS/thin.com"); v.Registrar != "Thin" || v.Flag != -15 {
		t.Errorf("the registry's answer is lost: %+v", v)
	}
	if _, v := ask(t, newWhoisAPI(t), "/WHOIS/kept.com"); v.Details != "the registry keeps it" {
		t.Errorf("no reason: %+v", v)
	}
}

func TestWhoisTarget(t *testing.T) {
	for asked, want := range map[string][2]string{
		"example.com":                           {"example.com", ""},
		" WWW.Example.COM. ":                    {"www.example.com", ""},
		"müller.de":                             {"xn--mller-kva.de", ""},
		"https://example.com/x":                 {"example.com", ""},
		"example.com:whois.example.net":         {"example.com", "whois.example.net"},
		"example.com:WHOIS.Example.net.":        {"example.com", "whois.example.net"},
		"example.com:whois.bücher.example":      {"example.com", "whois.xn--bcher-kva.example"},
		"example.com:whois.example.net:4343":    {"example.com", "whois.example.net:4343"},
		"example.com:192.0.2.1":                 {"example.com", "192.0.2.1"},
		"example.com:192.0.2.1:043":             {"example.com", "192.0.2.1:43"},
		"example.com:2001:db8::1":               {"example.com", "2001:db8::1"},
		"example.com:[2001:db8::1]":             {"example.com", "2001:db8::1"},
		"example.com:[2001:DB8::1]:43":          {"example.com", "[2001:db8::1]:43"},
		"example.com:::ffff:127.0.0.1":          {"example.com", "127.0.0.1"},
		"co.uk:whois.example.net":               {"co.uk", "whois.example.net"},
		"":                                      {},
		":":                                     {},
		"com":                                   {},
		"co.uk":                                 {},
		"192.0.2.1":                             {},
		"2001:db8::1":                           {},
		"AS64496":                               {},
		"two words.com":                         {},
		"exa\rmple.com":                         {},
		"example.com\r\nexample.org":            {},
		"example.com:":                          {},
		"example.com::43":                       {},
		"example.com:whois.example.net:":        {},
		"example.com:whois.example.net:0":       {},
		"example.com:whois.example.net:+43":     {},
		"example.com:whois.example.net:65536":   {},
		"example.com:whois.example.net:43:43":   {},
		"example.com:whois.example.net/x":       {},
		"example.com:user@whois.example.net":    {},
		"example.com:whois.example.net\r\nx":    {},
		"example.com:whois.example.net\x00":     {},
		"example.com:[::1":                      {},
		"example.com:127.1":                     {},
		"example.com:0x7f000001":                {},
		"example.com:2130706433":                {},
		"example.com:-h":                        {},
		strings.Repeat("a", 64) + ".com":        {},
		"a.com:" + strings.Repeat("a.", 200):    {},
		"-T dn example.com":                     {},
		"example.com:whois.example.net example": {},
	} {
		domain, server, ok := whoisTarget(asked)
		if ok != (want[0] != "") || ok && [2]string{domain, server} != want {
			t.Errorf("%q: %q, %q, %v, want %q", asked, domain, server, ok, want)
		}
	}
}

// What cannot be read is said so in the original's words, and none of it gets into a header.
func TestWhoisAPIErrors(t *testing.T) {
	a := newWhoisAPI(t)
	status, body, h := do(t, a, request("GET", "/WHOIS/%0d%0aSet-Cookie:%20x%22", nil))
	want := "{\n \"domain\": \"\\r\\nSet-Cookie: x\\\"\",\n \"error\": \"当前无法处理/无法解析的输入\"\n}"
	if status != 200 || body != want || len(h) != 2 {
		t.Errorf("%d %v\n got %s\nwant %s", status, h, body, want)
	}
	for target, want := range map[string]int{
		"/WHOIS/192.0.2.1": 200, "/WHOIS/co.uk": 200, "/WHOIS//": 200, "/WHOIS/": 200, "/WHOIS/?domain_list=;;": 200,
		"/WHOIS/sans.org:127.0.0.1": 403, "/WHOIS/sans.org:whois.other.test": 403, "/WHOIS/sans.org:[::1]:43": 403,
		"/WHOIS/" + strings.Repeat("a.", 3000) + "com":                     414,
		"/WHOIS/?domain_list=" + strings.Repeat("example.com;", maxList+1): 413,
	} {
		if status, v := ask(t, a, target); status != want || v.Error == "" {
			t.Errorf("%.40s: %d %+v", target, status, v)
		}
	}
	status, _, h = do(t, a, request("POST", "/WHOIS/sans.org", nil))
	if status != 405 || h.Get("Content-Type") != typeJSON {
		t.Errorf("POST: %d %v", status, h)
	}
}

// A registry that hangs and one that fails otherwise are told apart, in the time that an answer may take.
func TestWhoisAPITimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPIWithoutLedger(t, Options{RegistrationWait: 5 * time.Second,
			Registration: func(ctx context.Context, domain, _ string) (*Registration, error) {
				switch domain {
				case "slow.com":
					<-ctx.Done()
					return nil, ctx.Err()
				case "none.com":
					return nil, nil
				}
				return nil, errors.New("out of order")
			}})
		from := time.Now()
		if _, v := ask(t, a, "/WHOIS/slow.com"); v.Flag != -1 || time.Since(from) != 5*time.Second {
			t.Errorf("%+v after %v", v, time.Since(from))
		}
		if _, v := ask(t, a, "/WHOIS/broken.com"); v.Flag != -4 || v.Details != "out of order" {
			t.Errorf("%+v", v)
		}
		if _, v := ask(t, a, "/WHOIS/none.com"); v.Flag != -4 {
			t.Errorf("%+v", v)
		}
	})
}

// WHOIS-API's node and its callers: curl http://ip:port/WHOIS/<domain>, with or without a server.
func TestCallerWhoisAPI(t *testing.T) {
	srv := httptest.NewServer(newWhoisAPI(t))
	defer srv.Close()
	for path, server := range map[string]string{"sans.org": "whois.registry.example", "sans.org:whois.example.test": "whois.example.test"} {
		res, err := http.Get(srv.URL + "/WHOIS/" + path)
		if err != nil {
			t.Fatal(err)
		}
		var v map[string]any
		if err := json.NewDecoder(res.Body).Decode(&v); err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if len(v) != 17 || v["flag"] != 1.0 || v["top_whois_server"] != server || v["reg_date"] != "1995-08-04 04:00:00" {
			t.Errorf("%s: %v", path, v)
		}
	}
}

// FuzzWhoisTarget gives the routes any name and server: what is asked of others has no more in it than a name and a server have.
func FuzzWhoisTarget(f *testing.F) {
	for _, seed := range []string{"example.com", "m\u00fcller.de:whois.example.net:43", "a.b:[::1]:4343", "https://x.y:1/z", "a.b:\r\n", "a.b:fe80::1%eth0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, asked string) {
		domain, server, ok := whoisTarget(asked)
		if !ok {
			return
		}
		if !isPlain(domain) || strings.IndexByte(domain, '.') < 0 {
			t.Errorf("%q: the domain %q", asked, domain)
		}
		if strings.ContainsFunc(server, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("/@;?#\\\"'", r) }) {
			t.Errorf("%q: the server %q", asked, server)
		}
		if server != "" {
			if _, again, ok := whoisTarget(domain + ":" + server); !ok || again != server {
				t.Errorf("%q: the server %q is read as %q", asked, server, again)
			}
		}
	})
}

// FuzzDomainList gives the list any query.
func FuzzDomainList(f *testing.F) {
	for _, seed := range []string{"domain_list=a;b", "domain_list=%3b%3B;x&domain_list=", "domain_list=%", "x=domain_list=y"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		for _, name := range domainList(query) {
			if name == "" || strings.TrimSpace(name) != name || strings.IndexByte(name, ';') >= 0 {
				t.Errorf("%q: %q", query, name)
			}
		}
	})
}
