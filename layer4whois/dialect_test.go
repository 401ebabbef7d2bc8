package layer4whois

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
)

func TestAnswers(t *testing.T) {
	_, addr := start(t, Options{Footer: []string{"% data by example.org"}})
	const footer = "% data by example.org\n"
	article := unixLines(articleAnswer)
	for _, tt := range []struct{ in, want string }{
		{"8.8.8.8", article + footer},
		{"::ffff:8.8.8.8", article + footer},
		{"127.0.0.1", "route: 127.0.0.0/8\ndbstatus: warning - no data available\n" + footer},
		{"127.0.0.9", "route: 127.0.0.0/8\n% mmdb: throttled: try again\ndbstatus: warning - no data available\n" + footer},
		{"233.252.0.1", "dbstatus: warning - no data available\n" + footer},
		{"example.org", "registrar: Example Registrar\ncreated: 1995-08-14T04:00:00Z\ndbstatus: ok - data found\n" + footer},
		{"example.net", "dbstatus: warning - no data available\n" + footer},
		{"AS64496", "as_name: Example AS\ncountry_code: DE\nregistry: ripencc\ndbstatus: ok - data found\n" + footer},
		{"a + 64496", "as_name: Example AS\ncountry_code: DE\nregistry: ripencc\ndbstatus: ok - data found\n" + footer},
		{"Customer-7", "Customer:\tseven\n\n"},
		{"Customer-8", "%ERROR:101: no entries found\n"},
		{"203.0.113.1", "route: 203.0.113.0/24\nevil: x injected: y[2J\nbad key: \uFFFD\ndbstatus: ok - data found\n" + footer},
		{"8.8.8.0/24", article + footer},
		{"8.8.8.99/24", "% host bits were set: answered for 8.8.8.0/24\n" + article + footer},
		{"010.0.0.1", `%ERROR:115: invalid search key: "010.0.0.1": ` + reasonOf("010.0.0.1") + "\n"},
		{"-x 8.8.8.8", "%ERROR:111: invalid option supplied: -x\n"},
		{"--aligned 8.8.8.8", "as-domain:      google.com\nas-name:        Google LLC\nasn:            AS15169\n" +
			"continent:      North America\ncontinent-code: NA\ncountry:        United States\ncountry-code:   US\n\n" + footer},
		{"--aligned 127.0.0.1", "%ERROR:101: no entries found\n\n" + footer},
		{"-v 8.8.8.8", "AS      | IP               | BGP Prefix          | CC | Registry | Allocated  | AS Name\n" +
			"15169   | 8.8.8.8          | 8.8.8.0/24          | US | NA       | NA         | Google LLC\n"},
		{"-v 2001:db8::1", "AS      | IP                                       | BGP Prefix          | CC | Registry | Allocated  | AS Name\n" +
			"64496   | 2001:db8::1                              | 2001:db8::/32       | DE | ripencc  | NA         | One / Two\n"},
		{"-v 127.0.0.1", "AS      | IP               | BGP Prefix          | CC | Registry | Allocated  | AS Name\n" +
			"NA      | 127.0.0.1        | NA                  | NA | NA       | NA         | NA\n"},
		{"--cymru 8.8.8.8", "AS      | IP               | AS Name\n15169   | 8.8.8.8          | Google LLC\n"},
		{"-f -p -u 8.8.8.8", "15169   | 8.8.8.8          | 8.8.8.0/24          | Google LLC\n"},
		{"-f -p -o 8.8.8.8", "15169   | 8.8.8.8          | 8.8.8.0/24\n"},
		{"-v 192.0.2.0/24", "AS      | IP               | BGP Prefix          | CC | Registry | Allocated  | AS Name\n" +
			"64496   | 192.0.2.0        | 192.0.2.0/25        | DE | ripencc  | NA         | One / Two\n"},
		{"-v AS64496", "AS      | CC | Registry | Allocated  | AS Name\n64496   | DE | ripencc  | NA         | Example AS\n"},
		{"--cymru AS64496", "AS Name\nExample AS\n"},
		{"-f -w -c -p as64496", "64496   | DE | Example AS\n"},
		{"-v AS64497", "AS      | CC | Registry | Allocated  | AS Name\n64497   | NA | NA       | NA         | NA\n"},
		{"-v example.org", "Error: no ASN or IP match on line 1.\n"},
		{"--json example.net", `{"subject":"example.net","kind":"domain","sources":[]}` + "\n"},
		{"--json Customer-8", `{"error":101,"text":"no entries found","line":1}` + "\n"},
	} {
		if got := unixLines(ask(t, addr, tt.in)); got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.in, got, tt.want)
		}
	}
	var rec map[string]any
	if err := json.Unmarshal([]byte(ask(t, addr, "--json 8.8.8.8")), &rec); err != nil || rec["network"] != "8.8.8.0/24" {
		t.Errorf("json: %v, %v", rec, err)
	}
	if got := ask(t, addr, "8.8.8.8"); strings.Count(got, "\n") != strings.Count(got, "\r\n") {
		t.Errorf("a line does not end with CR LF: %q", got)
	}
}

func reasonOf(s string) string {
	_, err := enrich.ParseSubject(s)
	return err.(*enrich.SubjectError).Reason
}

func TestAboutTheServer(t *testing.T) {
	_, addr := start(t, Options{Host: "whois.example.org"})
	for in, want := range map[string]string{
		"-q version": "% whois.example.org WHOIS server (RFC 3912)",
		"-q sources": "mmdb:3:N:0-0",
		"-q types":   "domain",
		"-t route":   "country_code: [optional] [single]",
		"help":       "% Ask for an address",
	} {
		if got := ask(t, addr, in); !strings.Contains(got, want) || strings.Count(got, "\n") != strings.Count(got, "\r\n") {
			t.Errorf("%s: %q", in, got)
		}
	}
}

// Within a prefix every network that the chain tells apart is an answer.
func TestWalk(t *testing.T) {
	_, addr := start(t, Options{})
	one := "asn: AS64496\nas_name: One | Two\ncountry_code: DE\nregistry: ripencc\ndbstatus: ok - data found\n"
	walk := "route: 192.0.2.0/25\n" + one + "\nroute: 192.0.2.128/26\ndbstatus: warning - no data available\n" +
		"\nroute: 192.0.2.192/26\n" + one
	for in, want := range map[string]string{
		"192.0.2.0/24":            walk,
		"192.0.2.0 - 192.0.2.255": walk,
		"192.0.2.128-192.0.2.255": "route: 192.0.2.128/26\ndbstatus: warning - no data available\n\nroute: 192.0.2.192/26\n" + one,
		"192.0.2.126-192.0.2.128": "route: 192.0.2.0/25\n" + one + "\nroute: 192.0.2.128/26\ndbstatus: warning - no data available\n",
		"192.0.2.0/26":            "route: 192.0.2.0/25\n" + one,
		"-j 192.0.2.0/24":         "", // three objects, below
	} {
		got := unixLines(ask(t, addr, in))
		if want != "" && got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", in, got, want)
		}
		if want == "" && strings.Count(got, "\n") != 3 {
			t.Errorf("%s: %s", in, got)
		}
	}
}

// hosts is a source to which every address is a network of its own.
type hosts struct{}

func (hosts) Add(q *enrich.Query, r *enrich.Record) enrich.Verdict {
	a := q.Subject.Addr()
	r.Cover(netip.PrefixFrom(a, a.BitLen()))
	return enrich.Next
}

func TestWalkIsBounded(t *testing.T) {
	_, addr := start(t, Options{Chain: enrich.NewChain("", enrich.Link{Name: "hosts", Source: hosts{}})})
	for _, in := range []string{"10.0.0.0/8", "2001:db8::/32", "255.255.254.0/23", "10.0.0.1 - 10.255.255.254"} {
		got := unixLines(ask(t, addr, in))
		if n := strings.Count(got, "route: "); n != maxAnswers || !strings.HasSuffix(got, "% cut off after 256 networks: ask for a smaller one\n") {
			t.Errorf("%s: %d answers, ends with %q", in, n, got[max(0, len(got)-60):])
		}
	}
	if got := ask(t, addr, "255.255.255.0/24"); strings.Count(got, "route: ") != 256 {
		t.Errorf("the last network of all: %.200q", got)
	}
}

func TestSuppressed(t *testing.T) {
	iana := &enrich.Origin{Source: "iana", Baseline: true}
	db := &enrich.Origin{Source: "mmdb"}
	block := enrich.NewBuilder(iana).Field("special", "Private-Use (RFC 1918)").Special().Build()
	made := enrich.NewBuilder(db).Add(enrich.Field{Key: "country", Value: "XX", Canon: enrich.Country}).
		Canonical(enrich.Country, "XX").Field("city", "Nowhere").Build()
	var r enrich.Record
	r.Reset(enrich.AddressOf(netip.MustParseAddr("10.0.0.1")))
	r.Attach(block, prefix("10.0.0.0/8"))
	r.Attach(made, prefix("10.0.0.0/24"))
	want := "route: 10.0.0.0/24\nspecial: Private-Use (RFC 1918)\ncity: Nowhere\ndbstatus: ok - data found\n"
	if got := unixLines(string(Lines.AppendAnswer(nil, &r, 0))); got != want {
		t.Errorf("lines: %s", got)
	}
	if got := string(Aligned.AppendAnswer(nil, &r, 0)); strings.Contains(got, "XX") || !strings.Contains(got, "special: Private") {
		t.Errorf("aligned: %s", got)
	}
}

// A chain of nothing but a folder of records answers in that source's own words.
func TestMiss(t *testing.T) {
	_, addr := start(t, Options{Chain: enrich.NewChain("", enrich.Link{Name: "records", Source: missing{}}), Footer: []string{"% f"}})
	for _, in := range []string{"nothing", "example.org", "192.0.2.1", "--aligned 192.0.2.1"} {
		if got := ask(t, addr, in); got != "Record not found\r\n" {
			t.Errorf("%s: %q", in, got)
		}
	}
}

type missing struct{}

func (missing) Add(_ *enrich.Query, r *enrich.Record) enrich.Verdict {
	r.Miss("Record not found")
	return enrich.Next
}

func TestDialectByName(t *testing.T) {
	for _, n := range []string{"lines", "aligned", "cymru", "json"} {
		if d := DialectByName(n); d == nil || d.Name() != n {
			t.Errorf("%s: %v", n, d)
		}
	}
	if DialectByName("rpsl") != nil {
		t.Error("an unknown dialect was found")
	}
}

func TestAccess(t *testing.T) {
	log := make(chan Access, 16)
	clock := time.Date(2026, 11, 21, 10, 46, 53, 214e6, time.Local)
	_, addr := start(t, Options{Access: func(a *Access) { log <- *a }, Now: func() time.Time { return clock }})
	for _, tt := range []struct{ in, want string }{
		{"8.8.8.8\r\n", "8.8.8.8|8.8.8.8|lines|found|0|192|0 0 0"},
		{"127.0.0.1\n", "127.0.0.1|127.0.0.1|lines|none|0|59|0 0 0"},
		{"-j Customer-8\n", "-j Customer-8|Customer-8|json|none|101|49|0 0 0"},
		{"help\n", fmt.Sprintf("help||lines|help|0|%d|0 0 0", len(appendHelp(nil)))},
		{"010.0.0.1\n", "010.0.0.1||lines|error|115|*|0 0 0"},
		{"a\x1bb\n", "ab||lines|error|115|*|0 0 0"},
		{strings.Repeat("x", 300) + "\n", strings.Repeat("x", 256) + "…||lines|error|115|*|0 0 0"},
		{"GET / HTTP/1.0\n", "||lines|error|115|*|0 0 0"},
		{"begin\n8.8.8.8\n127.0.0.1\nnonsense\nend\n", "begin||cymru|bulk|0|*|3 1 1"},
	} {
		exchange(t, addr, tt.in, false)
		a := <-log
		bytes := fmt.Sprint(a.Bytes)
		if strings.Contains(tt.want, "*") && a.Bytes > 0 {
			bytes = "*"
		}
		got := fmt.Sprintf("%s|%s|%s|%s|%d|%s|%d %d %d", a.Query, a.Subject, a.Dialect, a.Outcome, a.Error, bytes, a.Lines, a.Found, a.Errors)
		if got != tt.want || a.Client.Addr() != netip.MustParseAddr("127.0.0.1") || !a.Time.Equal(clock) {
			t.Errorf("%.40q: %s\nwant %s", tt.in, got, tt.want)
		}
	}
}
