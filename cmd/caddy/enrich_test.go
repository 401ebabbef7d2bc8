package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/whence-project/whence/internal/testenv"
)

// enrichConfig is a configuration with a site on the unix socket "site" and on a port, which trusts the former's clients; whatever
// entry has a client is enriched in the log.
func enrichConfig(t *testing.T, word string) string {
	t.Helper()
	db, err := filepath.Abs(testenv.Path(t, "mmdb", "lite-composite.mmdb"))
	if err != nil {
		t.Fatal(err)
	}
	site := `
	log
	enrich {
		log
		headers
	}
	enrich {query.ip} {
		as subject
		log network
		observe
	}
	@us enrich country_code us
	@google expression ` + "`enrich('asn', 'AS15169') && {enrich.country_code} == 'US'`" + `
	@seen enrich {query.ip} first_seen *
	header @us X-Us yes
	header @seen X-Seen yes
	header @google X-Google yes
	log_append word {enrich.country_code}
	reverse_proxy /upstream unix/{$WHENCE_TEST_DIR}/upstream
	@here not path /upstream
	respond @here "` + word + ` {enrich.asn} {enrich.country_code} {enrich.network} {enrich.subject.asn}."
`
	return globals(`	log {
		format enrich {
			wrap json
			fields request>client_ip request>host client_ip
			add asn special_purpose
		}
	}
	log filtered {
		output file {$WHENCE_TEST_DIR}/filtered.log
		format filter {
			request>client_ip enrich {
				add country_code
				object
			}
		}
	}
	servers {
		trusted_proxies_unix
	}
	enrich {
		iana
		mmdb `+db+`
		sightings
	}`) + fmt.Sprintf(`http://site.test {
	bind unix/{$WHENCE_TEST_DIR}/site
%[1]s}
http://:0 {
	bind ::1
%[1]s}
http:// {
	bind unix/{$WHENCE_TEST_DIR}/upstream
	respond "{header.X-Whence-Asn} {header.X-Whence-As-Name} {header.X-Whence-Country-Code}."
}
`, site)
}

// getFrom is the answer to a client that comes over a trusted proxy.
func (s *server) getFrom(c *http.Client, client, path string, header ...string) (body string, h http.Header, err error) {
	r, err := http.NewRequest("GET", "http://site.test"+path, nil)
	if err != nil {
		return "", nil, err
	}
	r.Header.Set("X-Forwarded-For", client)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		return "", nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), resp.Header, err
}

// TestEnrich is a site that knows its clients, from the socket to the log.
func TestEnrich(t *testing.T) {
	if ln, err := net.Listen("tcp", "[::1]:0"); err != nil {
		testenv.Skip(t, "no IPv6 here: %v", err)
	} else {
		ln.Close()
	}
	s := start(t, enrichConfig(t, "one"))
	c := s.client("site")
	for _, tt := range []struct{ client, path, body, marks string }{
		{"8.8.8.8", "/", "one AS15169 US 8.8.8.0/24 .", "yes yes "},
		{"2001:4860:4860::8888", "/", "one AS15169 US 2001:4860:4840::/42 .", "yes yes "},
		{"1.1.1.1", "/?ip=8.8.8.8", "one AS13335 AU 1.1.1.0/24 AS15169.", "  yes"},
		{"10.1.2.3", "/?ip=nobody+knows", "one   10.0.0.0/9 .", "  "},
		{"8.8.8.8", "/upstream", "AS15169 Google LLC US.", "yes yes "},
		{"10.1.2.3", "/upstream", "  .", "  "},
	} {
		body, h, err := s.getFrom(c, tt.client, tt.path, "X-Whence-Asn", "AS1", "X-Whence-Country-Code", "XX")
		if marks := h.Get("X-Us") + " " + h.Get("X-Google") + " " + h.Get("X-Seen"); err != nil || body != tt.body || marks != tt.marks {
			t.Errorf("%s from %s: %q, marks %q (%v), want %q, %q", tt.path, tt.client, body, marks, err, tt.body, tt.marks)
		}
	}
	// Who is not trusted speaks for itself alone, over IPv6.
	body, _, err := s.getFrom(httpAt(s.site(0)), "8.8.8.8", "/")
	if err != nil || body != "one   ::1/128 ." {
		t.Errorf("over IPv6: %q (%v)", body, err)
	}
	s.checkEnrichedLogs(t)
}

// checkEnrichedLogs reads what TestEnrich's requests left behind.
func (s *server) checkEnrichedLogs(t *testing.T) {
	var entry struct {
		Word    string
		Enrich  map[string]string
		Subject map[string]string `json:"enrich_subject"`
		Request map[string]any
	}
	line := s.log.wait(t, 1, `"handled request"`, `"uri":"/?ip=8.8.8.8"`)
	if err := json.Unmarshal([]byte(line), &entry); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	if entry.Word != "AU" || entry.Enrich["asn"] != "AS13335" || entry.Enrich["country_code"] != "AU" || len(entry.Enrich) != 3 ||
		entry.Subject["network"] != "8.8.8.0/24" || len(entry.Subject) != 1 || entry.Request["client_ip_asn"] != "AS13335" {
		t.Errorf("the access log has %s", line)
	}
	if line := s.log.wait(t, 1, `"handled request"`, `"client_ip":"10.1.2.3"`); !strings.Contains(line, `"client_ip_special_purpose":"Private-Use"`) {
		t.Errorf("the access log has %s", line)
	}
	if line := s.log.wait(t, 1, `"first contact"`, `"scope":"http"`); !strings.Contains(line, `"name":"8.8.8.8"`) {
		t.Errorf("the first contact is %s", line)
	}
	eventually(t, "the filtered log", func() bool {
		b, err := os.ReadFile(s.path("filtered.log"))
		return err == nil && strings.Contains(string(b), `"client_ip":"1.1.1.1","client_ip_enrich":{"country_code":"AU"}`)
	})
}

// TestEnrichWhileReloading has requests, each of another client, served and logged while configurations come and go.
func TestEnrichWhileReloading(t *testing.T) {
	s := start(t, enrichConfig(t, "word"))
	clients := []struct{ address, body string }{
		{"8.8.8.8", "word AS15169 US 8.8.8.0/24 ."},
		{"1.1.1.1", "word AS13335 AU 1.1.1.0/24 ."},
		{"10.1.2.3", "word   10.0.0.0/9 ."},
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var asked, wrong atomic.Int64
	for i := range 6 {
		c := s.client("site")
		wg.Go(func() {
			for n := i; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				who := clients[n%len(clients)]
				body, _, err := s.getFrom(c, who.address, "/")
				if err != nil {
					continue // Caddy's own listeners reset connections when they are replaced
				}
				if asked.Add(1); body != who.body && wrong.Add(1) == 1 {
					t.Errorf("%s: %q, want %q", who.address, body, who.body)
				}
			}
		})
	}
	for range 15 {
		if err := s.load(enrichConfig(t, "word")); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
	if asked.Load() < 100 || wrong.Load() > 0 {
		t.Errorf("%d requests, %d of them answered wrongly", asked.Load(), wrong.Load())
	}
	if strings.Contains(s.log.String(), `"panic`) {
		t.Error("something panicked")
	}
}
