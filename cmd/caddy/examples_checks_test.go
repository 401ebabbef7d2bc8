package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/whence-project/whence/internal/mailtest"
)

func checkHomelab(t *testing.T, s *server, _ *mailtest.Server, _ <-chan string) {
	s.write("blocklists/ads.txt", "ads.example.org\n")
	s.write("records/192.168.0.0_16", "netname: home\n")
	for _, network := range []string{"udp", "tcp"} {
		mustResolve(t, network, s.dns(network), "www.example.org", dns.RcodeSuccess)
	}
	first := func(name string) string {
		reply := mustResolve(t, "udp", s.dns("udp"), name, dns.RcodeSuccess)
		if len(reply.Answer) == 0 {
			return ""
		}
		return reply.Answer[0].(*dns.A).A.String()
	}
	if got := first("whence.home.arpa"); got != "192.168.1.2" {
		t.Errorf("the host of the example is %s", got)
	}
	eventually(t, "a name on the list is blocked", func() bool { return first("x.ads.example.org") == "0.0.0.0" })
	eventually(t, "the record is there", func() bool { return strings.HasPrefix(ask(t, s.whois(0), "192.168.3.4"), "netname: home") })
	c := s.client("site.sock")
	resp, err := c.Get("http://whence.home.arpa/v1/lookup/www.example.org")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("/v1/lookup: %s", resp.Status)
	}
	checkPhotos(t, s)
}

// checkPhotos visits the site that tells visitors apart by country, from an address that has none.
func checkPhotos(t *testing.T, s *server) {
	https := httpsAt("tcp", s.siteOn("127.0.0.16"), "photos.example.org")
	var body []byte
	eventually(t, "there is a certificate", func() bool {
		resp, err := https.Get("https://photos.example.org/")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		body, err = io.ReadAll(resp.Body)
		return err == nil
	})
	if string(body) != "photos" {
		t.Errorf("the service behind the site says %q", body)
	}
	s.log.wait(t, 1, `"logger":"http.log.access`, `"status":200`)
}

func checkSOC(t *testing.T, s *server, told *mailtest.Server, _ <-chan string) {
	eventually(t, "the list is downloaded and taken in", func() bool {
		_, body, err := fetch(httpAt(s.siteOn("127.0.0.11")), "/alexa/example.org")
		return err == nil && body == "2"
	})
	for _, tt := range []struct{ ip, path, want string }{
		{"127.0.0.11", "/domain/creation_date/example.org", ""},
		{"127.0.0.12", "/example.org", `"seen_by_web": `},
		{"127.0.0.13", "/example.org", `{"alerts":[`},
		{"127.0.0.14", "/measure/example.org", "("},
		{"127.0.0.15", "/metrics", "caddy_whence_"},
	} {
		status, body, err := fetch(httpAt(s.siteOn(tt.ip)), tt.path)
		if err != nil || status != http.StatusOK || !strings.Contains(body, tt.want) {
			t.Errorf("%s of %s: %d %q, %v", tt.path, tt.ip, status, body, err)
		}
	}
	if got := ask(t, s.whois(0), linkLocal); !strings.HasPrefix(got, "route: 169.254.0.0/16") {
		t.Errorf("whois says %q", got)
	}
	eventually(t, "first contacts are mailed", func() bool {
		mails, _ := told.Received()
		return slices.ContainsFunc(mails, func(m *mailtest.Received) bool { return strings.Contains(m.Body, "example.org") })
	})
	eventually(t, "first contacts are in a file of their own", func() bool {
		b, err := os.ReadFile(s.path("first-contacts.json"))
		return err == nil && strings.Contains(string(b), `"name":"example.org"`)
	})
}

func checkOperator(t *testing.T, s *server, _ *mailtest.Server, posted <-chan string) {
	for _, network := range []string{"udp", "tcp"} {
		mustResolve(t, network, s.dns(network), "www.example.org", dns.RcodeSuccess)
	}
	q := new(dns.Msg).SetQuestion("www.example.org.", dns.TypeA)
	eventually(t, "there is a certificate, and an answer over TLS", func() bool {
		reply, _, err := (&dns.Client{Net: "tcp-tls", Timeout: patience, TLSConfig: untrusted("dns.example.org")}).Exchange(q, s.dns("tls"))
		return err == nil && reply.Rcode == dns.RcodeSuccess
	})
	b, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	https := httpsAt("unix", s.path("site.sock"), "dns.example.org")
	resp, err := https.Post("https://dns.example.org/dns-query", "application/dns-message", strings.NewReader(string(b)))
	checkDoH(t, resp, err)
	operations := httpAt(s.siteOn("127.0.0.15"))
	if body := mustFetch(t, operations, "/metrics"); !strings.Contains(body, "caddy_whence_dns_queries_total") {
		t.Errorf("metrics: %.200q", body)
	}
	// Databases could not be downloaded here, so that both are right.
	if status, body, err := fetch(operations, "/health"); err != nil || !strings.HasPrefix(body, fmt.Sprintf(`{"healthy":%v,`, status == http.StatusOK)) {
		t.Errorf("health: %d %.200q, %v", status, body, err)
	}
	s.write("blocklists/broken.txt", "\x1f\x8bno gzip")
	for timeout := time.After(patience); ; {
		select {
		case message := <-posted:
			if strings.Contains(message, "broken.txt") {
				return
			}
		case <-timeout:
			t.Fatal("the chat was not told of a list that was refused")
		}
	}
}
