package domainstats

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
)

const (
	seenNow  = "Sat, 07 Nov 2020 17:19:49 GMT"
	seenText = "2020-11-07 17:19:49"
)

// TestGolden holds every byte that a caller may depend on. The requests are made in this order, to one API.
func TestGolden(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options func(*Options)
		asks    [][2]string // target, body
		content string
	}{
		{name: "format C", content: "application/json", asks: [][2]string{
			{"/sans.org", `{"alerts":["YOUR-FIRST-CONTACT"],"category":"ESTABLISHED","freq_score":[6.2885,7.9696],"seen_by_isc":"RDAP",` +
				`"seen_by_web":"Fri, 04 Aug 1995 04:00:00 GMT","seen_by_you":"` + seenNow + `"}` + "\n"},
			{"/www.SANS.org", `{"alerts":[],"category":"ESTABLISHED","freq_score":[6.2885,7.9696],"seen_by_isc":"RDAP",` +
				`"seen_by_web":"Fri, 04 Aug 1995 04:00:00 GMT","seen_by_you":"` + seenNow + `"}` + "\n"},
			{"/a.young.com", `{"alerts":["LOW-FREQ-SCORES","YOUR-FIRST-CONTACT"],"category":"NEW","freq_score":[4.1,3.0],"seen_by_isc":"WHOIS",` +
				`"seen_by_web":"Thu, 01 Oct 2020 00:00:00 GMT","seen_by_you":"` + seenNow + `"}` + "\n"},
			{"/microsoft.com.au", `{"alerts":["YOUR-FIRST-CONTACT","RDAP lookup to https://www.rdap.net/domain/microsoft.com.au returned 404"],` +
				`"category":"ERROR","freq_score":[5.2609,5.1892],"seen_by_isc":"ERROR","seen_by_web":"ERROR","seen_by_you":"` + seenNow + `"}` + "\n"},
			{"/dateless.de", `{"alerts":["SUSPECT-FREQ-SCORE","YOUR-FIRST-CONTACT","The registration of dateless.de has no creation date"],` +
				`"category":"ERROR","freq_score":[5.0,3.9],"seen_by_isc":"RDAP","seen_by_web":"ERROR","seen_by_you":"` + seenNow + `"}` + "\n"},
			{"/unknown.example.com", `{"alerts":["YOUR-FIRST-CONTACT","No whois record for example.com"],"category":"ERROR",` +
				`"seen_by_isc":"ERROR","seen_by_web":"ERROR","seen_by_you":"` + seenNow + `"}` + "\n"},
			{"/local.com", `{"alerts":["YOUR-FIRST-CONTACT"],"category":"NEW","seen_by_isc":"LOCAL","seen_by_web":"Tue, 01 Jan 2019 00:00:00 GMT",` +
				`"seen_by_you":"` + seenNow + `"}` + "\n"},
			{"/host.internal", noSuffixC}, {"/google", noSuffixC}, {"/8.8.8.8", noSuffixC}, {"/com", noSuffixC}, {"/%00", noSuffixC},
		}},
		{name: "format C with scores of any string", content: "application/json", options: func(o *Options) { o.Score = scores }, asks: [][2]string{
			{"/google", `{"alerts":["No valid eTLD exists for this domain."],"category":"ERROR","freq_score":[6.1,5.0],"seen_by_isc":"ERROR",` +
				`"seen_by_web":"ERROR","seen_by_you":"ERROR"}` + "\n"},
			{"/ggpht.com", `{"alerts":["LOW-FREQ-SCORES","YOUR-FIRST-CONTACT","No whois record for ggpht.com"],"category":"ERROR",` +
				`"freq_score":[4.0377,3.871],"seen_by_isc":"ERROR","seen_by_web":"ERROR","seen_by_you":"` + seenNow + `"}` + "\n"},
		}},
		{name: "format B", content: "text/plain", options: func(o *Options) { o.Format = FormatB }, asks: [][2]string{
			{"/sans.org", `{"seen_by_web": "1995-08-04 04:00:00", "seen_by_isc": "RDAP", "seen_by_you": "` + seenText + `", "category": "ESTABLISHED", ` +
				`"alerts": ["YOUR-FIRST-CONTACT"]}`},
			{"/young.com", `{"seen_by_web": "2020-10-01 00:00:00", "seen_by_isc": "WHOIS", "seen_by_you": "` + seenText + `", "category": "NEW", ` +
				`"alerts": ["LOW-FREQ-SCORES", "YOUR-FIRST-CONTACT"]}`},
			{"/microsoft.com.au", `{"seen_by_web": "ERROR", "seen_by_isc": "ERROR", "seen_by_you": "` + seenText + `", "category": "ERROR", ` +
				`"alerts": ["YOUR-FIRST-CONTACT", "RDAP lookup to https://www.rdap.net/domain/microsoft.com.au returned 404"]}`},
			{"/a/b", "API Documentation\nhttp://localhost:8000/domain.tld   where domain is a non-dotted domain and tld is a valid top level domain."},
		}},
		{name: "format B0", content: "text/plain", options: func(o *Options) { o.Format = FormatB0 }, asks: [][2]string{
			{"/sans.org", `{"seen_by_web": "ESTABLISHED", "seen_by_us": "UNSUPPORTED", "seen_by_you": "FIRST-CONTACT", "rank": 25646, "other": {}}`},
			{"/sans.org", `{"seen_by_web": "ESTABLISHED", "seen_by_us": "UNSUPPORTED", "seen_by_you": "` + seenText + `", "rank": 25646, "other": {}}`},
			{"/young.com", `{"seen_by_web": "2020-10-01 00:00:00", "seen_by_us": "UNSUPPORTED", "seen_by_you": "FIRST-CONTACT", "rank": -1, "other": {}}`},
			{"/x.internal", `{"error": "No valid eTLD exists for this domain.", "expiration": "` + seenText + `"}`},
		}},
		{name: "format A", content: "text/plain", options: func(o *Options) { o.Rank = ranks }, asks: [][2]string{
			{"/alexa/sans.org", "25646"}, {"/alexa/SANS.ORG", "25646"}, {"/alexa/www.sans.org", "25646"}, {"/alexa/www.example.org", "7"},
			{"/alexa/example.org", "0"}, {"/alexa/nothing", "0"},
			{"/domain/creation_date/sans.org", "1995-08-04 04:00:00; "},
			{"/domain/creation_date/www.sans.org", "1995-08-04 04:00:00; "},
			{"/domain/creation_date/state/zipcode/city/sans.org", "1995-08-04 04:00:00; MD; 20814; Bethesda; "},
			{"/prefix/domain/creation_date/sans.org", "1995-08-04 04:00:00; "},
			{"/domain/name_servers/sans.org", "ns3.example.net; "},
			{"/domain/name_servers*/sans.org", "['a.example.net', 'b.example.net', 'ns3.example.net']; "},
			{"/domain/state*/alexa/sans.org", "MD; 25646; "},
			{"/domain/nonsense/sans.org", "no field named nonsense found; "},
			{"/domain/domain_name/expiration_date/updated_date/sans.org", "sans.org; 2025-08-03 04:00:00; 2020-07-01 10:00:00; "},
			{"/domain/creation_date/example.com", "No whois record for example.com"},
			{"/domain/creation_date/www.Example.com", "No whois record for www.Example.com"},
			{"/domain/example.com", "No whois record for example.com"},
			{"/domain/sans.org", recordOfSans},
			{"/created/sans.org", "1995-08-04 04:00:00"}, {"/created/example.com", "No whois record for example.com"},
			{"/?cmd=domain&tgt=creation_date/sans.org", "1995-08-04 04:00:00; "}, {"/?tgt=sans.org&cmd=alexa", "25646"},
			{"/x?cmd=created&tgt=sans.org", "1995-08-04 04:00:00"},
			{"/?cmd=nonsense&tgt=x", "API Documentation\nhttp://localhost:8000/cmd/tgt cmd = domain or alexa tgt = domain name"},
			{"/domain/", "API Documentation\nhttp://localhost:8000/cmd/tgt cmd = domain or alexa tgt = domain name"},
		}},
		{name: "format A, first of several", content: "text/plain", options: func(o *Options) { o.Values = FirstValue }, asks: [][2]string{
			{"/domain/name_servers/sans.org", "a.example.net; "},
			{"/alexa/example.org", "Alexa not loaded on server. Restart server with -a or --alexa and file path."},
		}},
		{name: "format A, all of several", content: "text/plain", options: func(o *Options) { o.Values, o.Format = AllValues, FormatA }, asks: [][2]string{
			{"/domain/name_servers/city/sans.org", "['a.example.net', 'b.example.net', 'ns3.example.net']; Bethesda; "},
			{"/alexa/sans.org", "25646"},
			{"/sans.org", "API Documentation\nhttp://localhost:8000/cmd/tgt cmd = domain or alexa tgt = domain name"},
		}},
		{name: "freq_server", content: "text/plain", options: func(o *Options) { o.Score = scores }, asks: [][2]string{
			{"/measure/sans.org", "(6.2885, 7.9696)"}, {"/measure1/sans.org", "6.2885"}, {"/measure2/ggpht.com", "3.871"},
			{"/measure/a%2Fb", "(5.0, 0.0)"}, {"/measure/a/b", "(3.0, 0.0)"}, {"/measure/x/alexa/sans.org", "(16.0, 0.0)"},
			{"/dns/sans.org", "(6.2885, 7.9696)"}, {"/dns1/sans.org", "(6.2885, 7.9696)"}, {"/dns2/sans.org", "7.9696"}, {"/dns11/sans.org", "6.2885"},
			{"/?cmd=measure&tgt=sans.org", "(6.2885, 7.9696)"}, {"/?cmd=measure2&tgt=sans.org", "7.9696"},
		}},
		{name: "no freq_server", content: "text/plain", asks: [][2]string{{"/measure/sans.org", "No frequency table is loaded."}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newAPI(t, tt.options)
			for _, ask := range tt.asks {
				status, body, h := do(t, a, request("GET", ask[0], nil))
				if status != http.StatusOK || body != ask[1] {
					t.Errorf("GET %s: %d\n got %q\nwant %q", ask[0], status, body, ask[1])
				}
				if got := h.Get("Content-Type"); got != tt.content {
					t.Errorf("GET %s: Content-Type %q, want %q", ask[0], got, tt.content)
				}
				if got := h.Get("Content-Length"); got != lengths[len(body)] {
					t.Errorf("GET %s: Content-Length %q of %d bytes", ask[0], got, len(body))
				}
			}
		})
	}
}

const noSuffixC = `{"alerts":["No valid eTLD exists for this domain."],"category":"ERROR","seen_by_isc":"ERROR","seen_by_web":"ERROR","seen_by_you":"ERROR"}` + "\n"

const recordOfSans = `{'alexa': '25646',
 'city': 'Bethesda',
 'creation_date': datetime.datetime(1995, 8, 4, 4, 0),
 'domain_name': 'sans.org',
 'expiration_date': datetime.datetime(2025, 8, 3, 4, 0),
 'freq_avg': '6.2885',
 'freq_word': '7.9696',
 'name_servers': ['a.example.net', 'b.example.net', 'ns3.example.net'],
 'registrar': 'Example Registrar, Inc.',
 'registration_via': 'rdap',
 'state': 'MD',
 'updated_date': datetime.datetime(2020, 7, 1, 10, 0),
 'zipcode': '20814'}`

// A changed setting counts at once, for what is known already too.
func TestComputedWhenRead(t *testing.T) {
	ledger := openLedger(t, t.TempDir()).Ledger()
	for _, tt := range []struct {
		age     time.Duration
		average float64
		want    string
	}{
		{0, 0, `["LOW-FREQ-SCORES","YOUR-FIRST-CONTACT"],"category":"NEW"`},
		{30 * 24 * time.Hour, 0, `["LOW-FREQ-SCORES"],"category":"ESTABLISHED"`},
		{38 * 24 * time.Hour, 4.0, `["SUSPECT-FREQ-SCORE"],"category":"NEW"`},
		{30 * 24 * time.Hour, -1, `["SUSPECT-FREQ-SCORE"],"category":"ESTABLISHED"`},
	} {
		a := newAPI(t, func(o *Options) { o.Ledger, o.EstablishedAge, o.FreqAverageAlert = ledger, tt.age, tt.average })
		if got := get(t, a, "/young.com"); !strings.Contains(got, tt.want) {
			t.Errorf("age %v, average %v: got %s, want %s", tt.age, tt.average, got, tt.want)
		}
	}
}

func TestAppendNumber(t *testing.T) {
	for in, want := range map[float64]string{
		0: "0.0", 5: "5.0", 6.2885: "6.2885", 3.871: "3.871", 0.0001: "0.0001", 0.00004: "0.0", 10.5: "10.5", -1.25: "-1.25", 99.99996: "100.0",
	} {
		if got := string(appendNumber(nil, in)); got != want {
			t.Errorf("appendNumber(%v) = %s, want %s", in, got, want)
		}
	}
}

func TestAppendDate(t *testing.T) {
	for i := range 5000 {
		at := time.Date(1985, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * 78_901 * time.Second)
		if got, want := string(appendDate(nil, at, http.TimeFormat)), at.Format(http.TimeFormat); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
		if got := parseTime(at.Format(time.RFC3339)); !got.Equal(at) {
			t.Fatalf("parseTime(%s) = %s", at.Format(time.RFC3339), got)
		}
	}
	for in, want := range map[string]string{
		"": "0001-01-01T00:00:00Z", "1995": "0001-01-01T00:00:00Z", "1995-02-30T00:00:00Z": "0001-01-01T00:00:00Z", "1995-13-01T00:00:00Z": "0001-01-01T00:00:00Z",
		"1996-02-29T00:00:00Z": "1996-02-29T00:00:00Z", "1995-08-04T04:00:00+02:00": "1995-08-04T02:00:00Z",
		"1995-08-04T04:00:00.5Z": "1995-08-04T04:00:00Z", "xxxx-08-04T04:00:00Z": "0001-01-01T00:00:00Z",
	} {
		if got := parseTime(in).Format(time.RFC3339); got != want {
			t.Errorf("parseTime(%q) = %s, want %s", in, got, want)
		}
	}
}

// What a source says of its failure comes before what it has not fetched, and before nothing.
func TestReason(t *testing.T) {
	for _, tt := range []struct {
		notes []enrich.Note
		want  string
	}{
		{nil, "No whois record for example.com"},
		{[]enrich.Note{{Kind: enrich.Info, Text: "something else"}}, "No whois record for example.com"},
		{[]enrich.Note{{Kind: enrich.Unfetched, Text: "not here yet"}}, "not here yet"},
		{[]enrich.Note{{Kind: enrich.Unfetched, Text: "not here yet"}, {Kind: enrich.Throttled, Text: "wait"}, {Kind: enrich.Unfetched, Text: "x"}}, "wait"},
		{[]enrich.Note{{Kind: enrich.Throttled, Text: "wait"}, {Kind: enrich.Failed, Text: "404"}, {Kind: enrich.Throttled, Text: "x"}}, "404"},
	} {
		var r enrich.Record
		for _, n := range tt.notes {
			r.Note(n.Kind, n.Text)
		}
		if got := reasonOf(&r, "example.com", "", false); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.notes, got, tt.want)
		}
	}
}
