package domainstats

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/whence-project/whence/enrich"
)

const (
	sansValue = `{"alerts":[],"category":"ESTABLISHED","freq_score":[6.2885,7.9696],"seen_by_isc":"RDAP",` +
		`"seen_by_web":"Fri, 04 Aug 1995 04:00:00 GMT","seen_by_you":"` + seenNow + `"}`
	sansEntry = `{"cache_expires":"Sun, 03 Aug 2025 04:00:00 GMT","cache_value":` + sansValue + `,"domain":"sans.org"}`
)

func TestCacheRoutes(t *testing.T) {
	a := newAPI(t, func(o *Options) { o.Registrations = func() (uint64, uint64) { return 7, 3 } })
	get(t, a, "/www.sans.org")
	get(t, a, "/local.com")
	for _, tt := range [][2]string{
		{"/cache_get?domain=sans.org", sansEntry},
		{"/cache_get?domain=SANS.org", sansEntry},
		{"/cache_get?domain=www.sans.org", `{"text":"That domain is not in the database."}`},
		{"/cache_get", `{"text":"Try /cache_get?domain=markbaggett.com"}`},
		{"/cache_browse", `[{"cache_expires":"Never","cache_value":{"alerts":[],"category":"NEW","seen_by_isc":"LOCAL",` +
			`"seen_by_web":"Tue, 01 Jan 2019 00:00:00 GMT","seen_by_you":"` + seenNow + `"},"domain":"local.com"},` + sansEntry + `]`},
		{"/cache_browse?offset=1", `[` + sansEntry + `]`},
		{"/cache_browse?offset=2", `[]`},
		{"/cache_browse?offset=1&limit=1", `[{"next":"http://localhost:8000/cache_browse?after=sans.org&limit=1&offset=2"},` + sansEntry + `]`},
		{"/depuny?domain=xn--yutube-wqf.com", `"y\u043eutube.com"`},
		{"/depuny?domain=example.org", `"example.org"`},
		{"/depuny?domain=xn--0.com", `{"text":"That is not a domain in Punycode."}`},
		{"/depuny", `{"text":"Try /depuny?domain=xn--yutube-wqf.com"}`},
		{"/stats-reset", `{"text":"Success"}`},
	} {
		if body := get(t, a, tt[0]); body != tt[1]+"\n" {
			t.Errorf("%s:\n got %s\nwant %s", tt[0], body, tt[1])
		}
	}
	get(t, a, "/sans.org")
	get(t, a, "/example.com")
	var stats struct {
		Hit, Miss int
		Good      int      `json:"rdap_good"`
		Fail      int      `json:"rdap_fail"`
		Size      *int64   `json:"size"`
		Warnings  []string `json:"warnings"`
	}
	body := get(t, a, "/stats")
	if err := json.Unmarshal([]byte(body), &stats); err != nil || stats.Hit != 1 || stats.Miss != 1 || stats.Good != 7 || stats.Fail != 3 ||
		stats.Size == nil || stats.Warnings == nil {
		t.Errorf("%s: %+v, %v", body, stats, err)
	}
	if !strings.HasPrefix(body, `{"hit":1,"miss":1,"rdap_fail":3,"rdap_good":7,"size":`) || !strings.HasSuffix(body, `,"warnings":[]}`+"\n") {
		t.Error(body)
	}
}

// A client that follows the links sees every name once.
func TestBrowseAll(t *testing.T) {
	a := newAPI(t, func(o *Options) { o.BrowseLimit = 7 })
	for i := range 30 {
		get(t, a, fmt.Sprintf("/n%d.com", i))
	}
	seen := map[string]int{}
	for next := "/cache_browse?limit=1000"; next != ""; {
		var entries []struct{ Next, Domain string }
		if err := json.Unmarshal([]byte(get(t, a, next)), &entries); err != nil {
			t.Fatal(err)
		}
		next = ""
		for _, e := range entries {
			if e.Next != "" {
				u, err := url.Parse(e.Next)
				if err != nil {
					t.Fatal(err)
				}
				next = u.RequestURI()
				continue
			}
			seen[e.Domain]++
		}
	}
	if len(seen) != 30 {
		t.Errorf("%d names seen", len(seen))
	}
	for name, n := range seen {
		if n != 1 {
			t.Errorf("%s was seen %d times", name, n)
		}
	}
}

func TestStatsText(t *testing.T) {
	a := newAPI(t, func(o *Options) { o.Format = FormatB })
	get(t, a, "/sans.org")
	get(t, a, "/sans.org")
	get(t, a, "/example.com")
	body := get(t, a, "/stats")
	var maxSize, size, bytes, kilobytes int
	if _, err := fmt.Sscanf(body, "cache_stats(hit=2, miss=1, expire=0), ('Max Size': %d, 'Current size': %d, 'Cache Bytes': %d, "+
		"'Application Kilobytes': %d)\ndatabase_stats(hit=1, miss=2, insert=2, delete=0)", &maxSize, &size, &bytes, &kilobytes); err != nil || size != 2 || kilobytes == 0 {
		t.Errorf("%q: %v", body, err)
	}
}

func TestShowCache(t *testing.T) {
	a := newAPI(t, func(o *Options) { o.BrowseLimit = 2 })
	for range 3 {
		get(t, a, "/sans.org")
	}
	get(t, a, "/one.com")
	get(t, a, "/local.com")
	get(t, a, "/local.com")
	got := lines(get(t, a, "/showcache"))
	if len(got) != 3 || strings.Fields(got[0])[3] != "RECORD" {
		t.Fatalf("%q", got)
	}
	for i, want := range [][]string{{"sans.org", "3", "2025-08-03"}, {"local.com", "2", "Never"}} {
		row := strings.Fields(got[i+1])
		if row[0] != want[0] || row[1] != want[1] || row[2] != want[2] || !strings.Contains(got[i+1], `{"seen_by_web": "`) {
			t.Errorf("row %d: %s", i+1, got[i+1])
		}
	}
}

// broken is a source that says what went wrong.
type broken struct{ world }

func (broken) Status() enrich.Status {
	return enrich.Status{Kind: "mmdb", LastError: "lite.mmdb: broken"}
}

func TestStatusOfSources(t *testing.T) {
	a := newAPI(t, func(o *Options) { o.Chain = enrich.NewChain("", enrich.Link{Name: "lite", Source: broken{}}) })
	if body := get(t, a, "/stats"); !strings.HasSuffix(body, `"warnings":["lite: lite.mmdb: broken"]}`+"\n") {
		t.Error(body)
	}
	if body := get(t, a, "/v1/sources"); !strings.HasPrefix(body, `[{"name":"lite","kind":"mmdb",`) || !json.Valid([]byte(body)) {
		t.Error(body)
	}
}

func TestLookup(t *testing.T) {
	a := newAPI(t, nil)
	for path, want := range map[string]string{
		"/v1/lookup/192.0.2.0/24":        `{"subject":"192.0.2.0/24","kind":"prefix","sources":[]}` + "\n",
		"/v1/lookup/as64496":             `{"subject":"AS64496","kind":"as","sources":[]}` + "\n",
		"/v1/lookup/M%C3%BCller.example": `{"subject":"xn--mller-kva.example","kind":"domain","sources":[]}` + "\n",
	} {
		if body := get(t, a, path); body != want {
			t.Errorf("%s: %s", path, body)
		}
	}
	status, body, h := do(t, a, request("GET", "/v1/lookup/010.0.0.1", nil))
	var p struct {
		Type, Title, Detail string
		Status              int
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil || status != 400 || p.Status != 400 || p.Title != "Bad Request" || p.Detail == "" ||
		h.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %s", status, body)
	}
	long := "/v1/lookup/" + strings.Repeat("x", 5000)
	if status, _, h := do(t, a, request("GET", long, nil)); status != 414 || h.Get("Content-Type") != typeProblem {
		t.Errorf("a long subject: %d", status)
	}
	if status, _, h := do(t, a, request("GET", "/measure/"+strings.Repeat("x", 5000), nil)); status != 414 || h.Get("Content-Type") != typeText {
		t.Errorf("a long string: %d", status)
	}
}
