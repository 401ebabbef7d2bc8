package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/internal/testenv"
)

// portSite is a site with domain_stats on a port of the kernel's choice, on loopback.
func portSite(more, options string) string {
	return fmt.Sprintf("http://:0 {\n\tbind 127.0.0.1\n%s\n\tdomain_stats {\n%s\n\t}\n}\n", more, options)
}

var historyRoutes = []string{"/cache_browse", "/cache_get?domain=example.org", "/showcache", "/stats-reset", "/v1/first-contacts?after=0"}

// TestHistoryIsLocal asks the history routes as a client on this machine, and as one from elsewhere that Caddy was told of by a
// proxy it trusts.
func TestHistoryIsLocal(t *testing.T) {
	proxied := "\tservers {\n\t\ttrusted_proxies static 127.0.0.0/8\n\t\tclient_ip_headers X-Client\n\t}\n"
	for _, test := range []struct {
		name, options, client string
		want                  int
	}{
		{"loopback", "", "", http.StatusOK},
		{"elsewhere", "", "203.0.113.9", http.StatusForbidden},
		{"elsewhere, IPv6", "", "2001:db8::9", http.StatusForbidden},
		{"loopback by a proxy", "", "127.0.0.1", http.StatusOK},
		{"elsewhere, opened", "\t\thistory", "203.0.113.9", http.StatusOK},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, globals(proxied)+portSite("", test.options))
			base := "http://" + s.site(0)
			if _, err := http.Get(base + "/example.org"); err != nil {
				t.Fatal(err)
			}
			for _, path := range historyRoutes {
				req, _ := http.NewRequest("GET", base+path, nil)
				if test.client != "" {
					req.Header.Set("X-Client", test.client)
				}
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close() // first contacts are a stream
				if resp.StatusCode != test.want {
					t.Errorf("%s: %s, want %d", path, resp.Status, test.want)
				}
			}
		})
	}
}

// TestHistoryBehindPassword opens the history to whoever has the password, with Caddy's own basic_auth in front.
func TestHistoryBehindPassword(t *testing.T) {
	curl := testenv.Program(t, "curl", "curl")
	s := newServer(t)
	hash, err := s.command("hash-password", "--bcrypt-cost", "5", "--plaintext", "correct horse").Output()
	if err != nil {
		t.Fatal(err)
	}
	s.start(globals("") + portSite("\tbasic_auth {\n\t\tsoc "+strings.TrimSpace(string(hash))+"\n\t}", "\t\thistory"))
	for _, test := range []struct{ user, want string }{
		{"", "401"},
		{"soc:wrong", "401"},
		{"soc:correct horse", "200"},
	} {
		args := []string{"-sS", "-o", s.path("out"), "-w", "%{http_code}", "http://" + s.site(0) + "/cache_browse"}
		if test.user != "" {
			args = append(args, "-u", test.user)
		}
		if out, err := exec.Command(curl, args...).Output(); err != nil || string(out) != test.want {
			t.Errorf("user %q: %s (%v), want %s", test.user, out, err, test.want)
		}
	}
}

// bulkNames is a list of n names, of which some are no subjects.
func bulkNames(n int) (names []string, list []byte) {
	for i := range n {
		name := fmt.Sprintf("host%d.example.org", i)
		if i%1000 == 999 {
			name = fmt.Sprintf("no subject %d", i)
		}
		names = append(names, name)
		list = append(append(list, name...), '\n')
	}
	return names, list
}

// checkBulkLines reads an answer and holds it against the names: one line for each, in order.
func checkBulkLines(t *testing.T, r io.Reader, names []string) {
	t.Helper()
	lines := bufio.NewScanner(r)
	for i, name := range names {
		if !lines.Scan() {
			t.Fatalf("%d lines for %d names: %v", i, len(names), lines.Err())
		}
		if want := `{"subject":"` + name + `",`; !strings.HasPrefix(lines.Text(), want) {
			t.Fatalf("line %d is %.100s, want %s…", i, lines.Text(), want)
		}
	}
	if lines.Scan() {
		t.Errorf("a line more than names: %.100s", lines.Text())
	}
}

// TestBulkLookup posts 100,000 names and expects a line for each, in order; nothing is seen by it.
func TestBulkLookup(t *testing.T) {
	_, c := startDomainStats(t, "")
	names, list := bulkNames(100_000)
	resp, err := c.Post("http://localhost/v1/lookup", "text/plain", bytes.NewReader(list))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("%s, %v", resp.Status, resp.Header)
	}
	checkBulkLines(t, resp.Body, names)
	if n := contacts(t, c, "/example.org", 1); n != 1 {
		t.Error("a lookup of a list was a sighting")
	}
}

// TestSlowReader posts a long list and reads nothing: the server holds little of it and serves on. Then the client reads it all.
func TestSlowReader(t *testing.T) {
	s, c := startDomainStats(t, "")
	mustFetch(t, c, "/example.org")
	names, list := bulkNames(300_000) // their answers are more than 100 MB
	before := s.rss()
	conn, err := net.Dial("unix", s.path("site"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	sent := make(chan error, 1)
	stuck := make(chan struct{}, 1)
	go func() {
		_, err := fmt.Fprintf(conn, "POST /v1/lookup HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", len(list))
		timer := time.AfterFunc(time.Second, func() { stuck <- struct{}{} })
		for part := list; len(part) > 0 && err == nil; part = part[min(4096, len(part)):] {
			timer.Reset(time.Second)
			_, err = conn.Write(part[:min(4096, len(part))])
		}
		timer.Stop()
		sent <- err
	}()
	select {
	case <-stuck: // the server takes no more
	case err := <-sent:
		t.Fatalf("the server has taken all of the list (%v)", err)
	}
	for i := range 100 {
		mustFetch(t, c, fmt.Sprintf("/s%d.org", i))
	}
	if after := s.rss(); before > 0 && after > before+32<<20 {
		t.Errorf("resident memory went from %d to %d MiB", before>>20, after>>20)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	checkBulkLines(t, resp.Body, names)
	if err := <-sent; err != nil {
		t.Error(err)
	}
}
