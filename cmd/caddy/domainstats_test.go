package main

import (
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/whence-project/whence/internal/testenv"
)

// firstContact is how formats B and C tell it.
const firstContact = "YOUR-FIRST-CONTACT"

// domainStats is a configuration with a site on the unix socket "site", where domain_stats has these options.
func domainStats(options string) string {
	return globals("\tenrich {\n\t\tiana\n\t\trank ./top.csv\n\t\tlexical\n\t\tsightings\n\t}") + unixSite("site", options)
}

// unixSite is a site with domain_stats on a unix socket.
func unixSite(socket, options string) string {
	return fmt.Sprintf("http:// {\n\tbind unix/{$WHENCE_TEST_DIR}/%s\n\tdomain_stats {\n%s\n\t}\n}\n", socket, options)
}

func startDomainStats(t *testing.T, options string) (*server, *http.Client) {
	t.Helper()
	s := newServer(t)
	s.write("top.csv", "1,example.com\n2,example.org\n")
	s.start(domainStats(options))
	return s, s.client("site")
}

// fetch gets a path and returns the answer's status and body.
func fetch(c *http.Client, path string) (int, string, error) {
	resp, err := c.Get("http://localhost" + path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// mustFetch is fetch of what must be answered.
func mustFetch(t *testing.T, c *http.Client, path string) string {
	t.Helper()
	status, body, err := fetch(c, path)
	if err != nil || status != http.StatusOK {
		t.Fatalf("GET %s: %d %q (%v)", path, status, body, err)
	}
	return body
}

// TestDomainStatsFormats asks all three formats of one server with curl, the way their callers do.
func TestDomainStatsFormats(t *testing.T) {
	curl := testenv.Program(t, "curl", "curl")
	s := newServer(t)
	s.write("top.csv", "1,example.com\n2,example.org\n")
	s.start(domainStats("\t\tformat c") + strings.Replace(unixSite("b", "\t\tformat b\n\t\tscope b"), "http://", "http://b.example.org", 1) +
		strings.Replace(unixSite("a", "\t\tformat a\n\t\tscope a"), "http://", "http://a.example.org", 1))
	const date, stamp = `[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT`, `\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`
	for _, test := range []struct{ socket, path, want string }{
		{"site", "/www.example.org", `\{"alerts":\["YOUR-FIRST-CONTACT","No whois record for example.org"\],"category":"ERROR","freq_score":\[[\d.]+,[\d.]+\],` +
			`"seen_by_isc":"ERROR","seen_by_web":"ERROR","seen_by_you":"` + date + `"\}\n`},
		{"site", "/EXAMPLE.org", `\{"alerts":\["No whois record for example.org"\],"category":"ERROR",.*"seen_by_you":"` + date + `"\}\n`},
		{"b", "/www.example.org", `\{"seen_by_web": "ERROR", "seen_by_isc": "ERROR", "seen_by_you": "` + stamp + `", "category": "ERROR", ` +
			`"alerts": \["YOUR-FIRST-CONTACT", "No whois record for example.org"\]\}`},
		{"a", "/alexa/example.org", `2`},
		{"a", "/alexa/example.net", `0`},
		{"a", "/domain/creation_date/example.org", `No whois record for example.org`},
		{"a", "/?cmd=alexa&tgt=example.com", `1`},
		{"site", "/measure1/sans.org", `\d+\.\d+`},
		{"site", "/measure/sans.org", `\(\d+\.\d+, \d+\.\d+\)`},
		{"site", "/stats", `\{"hit":\d+,"miss":\d+,"rdap_fail":0,"rdap_good":0,"size":\d+,"warnings":\[\]\}\n`},
		{"site", "/v1/lookup/example.org", `\{"subject":"example.org","kind":"domain","rank":2,.*"first_seen":"\d{4}-.*\}\n`},
	} {
		out, err := exec.Command(curl, "-sS", "--max-time", "10", "--unix-socket", s.path(test.socket),
			"http://"+strings.TrimPrefix(test.socket+".example.org", "site.")+test.path).Output()
		if err != nil || !regexp.MustCompile("^(?s:"+test.want+")$").Match(out) {
			t.Errorf("%s: %s (%v), want %s", test.path, out, err, test.want)
		}
	}
}

// contacts counts the answers to requests for path that are a first contact; the requests come all at once.
func contacts(t *testing.T, c *http.Client, path string, requests int) (n int) {
	t.Helper()
	var firsts, failed atomic.Int64
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for range requests {
		wg.Go(func() {
			<-begin
			status, body, err := fetch(c, path)
			switch {
			case err != nil || status != http.StatusOK || !strings.Contains(body, `"seen_by_you":"`) ||
				strings.Contains(body, `"seen_by_you":"ERROR"`):
				failed.Add(1)
			case strings.Contains(body, firstContact):
				firsts.Add(1)
			}
		})
	}
	close(begin)
	wg.Wait()
	if failed.Load() > 0 {
		t.Errorf("%d of %d requests for %s failed", failed.Load(), requests, path)
	}
	return int(firsts.Load())
}

// TestFirstContactOnce has a thousand clients ask for one new name at once: one of them hears of the first contact. Nobody does
// again, not after a restart, a kill -9 or reloads, and the log has one line.
func TestFirstContactOnce(t *testing.T) {
	s, c := startDomainStats(t, "")
	config := domainStats("")
	if n := contacts(t, c, "/new.example.org", 1000); n != 1 {
		t.Errorf("%d first contacts among 1000 requests", n)
	}
	// The line of a second name says that the first one's batch is done with.
	s.log.wait(t, 1, `"msg":"first contact"`, `"name":"example.org"`)
	second := contacts(t, c, "/example.net", 1)
	if second != 1 {
		t.Errorf("%d first contacts of example.net", second)
	}
	s.log.wait(t, 1, `"msg":"first contact"`, `"name":"example.net"`)
	for i, again := range []struct {
		name string
		do   func()
	}{
		{"kill -9", func() { s.kill(); s.start(config) }},
		{"a restart", func() { s.stop(); s.start(config) }},
		{"a reload", func() {
			if err := s.load(config + "# changed\n"); err != nil {
				t.Error(err)
			}
		}},
		{"kill -9 again", func() { s.kill(); s.start(config) }},
	} {
		again.do()
		if n := contacts(t, c, "/new.example.org", 100); n != 0 {
			t.Errorf("%d first contacts after %s", n, again.name)
		}
		fresh := fmt.Sprintf("fresh%d.org", i)
		if n := contacts(t, c, "/"+fresh, 10); n != 1 {
			t.Errorf("%d first contacts of %s after %s", n, fresh, again.name)
		}
		s.log.wait(t, 1, `"msg":"first contact"`, fmt.Sprintf(`"name":"%s"`, fresh))
	}
	if n := len(matching(s.log.String(), []string{`"msg":"first contact"`, `"name":"example.org"`})); n != 1 {
		t.Errorf("%d lines in the log of one first contact", n)
	}
}
