package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/whence-project/whence/internal/mailtest"
)

// exampleTests say how each of examples/*.caddyfile is started here, and what it must answer then.
var exampleTests = map[string]struct {
	replace []string // what is in the file, and what takes its place: ports and addresses
	check   func(t *testing.T, s *server, told *mailtest.Server, posted <-chan string)
}{
	"homelab": {[]string{
		"bind :53", "bind 127.0.0.1:0", "bind :43", "bind 127.0.0.1:0",
		"http://whence.home.arpa {", "http://whence.home.arpa {\n\tbind unix/{$WHENCE_TEST_SITE}",
		"grace_period 10s", "grace_period 10s\n\tauto_https disable_redirects\n\tlocal_certs\n\tskip_install_trust\n\thttps_port 0",
		"photos.example.org {", "photos.example.org {\n\tbind 127.0.0.16",
	}, checkHomelab},
	"soc": {[]string{
		"bind :43", "bind 127.0.0.1:0",
		"http://:20000 {", "http://:0 {\n\tbind 127.0.0.11", "http://:8000 {", "http://:0 {\n\tbind 127.0.0.12",
		"http://:5730 {", "http://:0 {\n\tbind 127.0.0.13", "http://:10004 {", "http://:0 {\n\tbind 127.0.0.14",
		"http://:9180 {\n\tbind 127.0.0.1", "http://:0 {\n\tbind 127.0.0.15",
		"wait 1h", "wait 1s",
	}, checkSOC},
	"dns-operator": {[]string{
		"bind :53 tls://:853", "bind 127.0.0.1:0 tls://127.0.0.1:0",
		"auto_https disable_redirects", "auto_https disable_redirects\n\tlocal_certs\n\tskip_install_trust",
		"dns.example.org {\n", "dns.example.org {\n\tbind unix/{$WHENCE_TEST_SITE}\n",
		"http://:9180 {\n\tbind 127.0.0.1", "http://:0 {\n\tbind 127.0.0.15",
		"format slack", "format slack\n\t\t\twait 100ms",
		"lame_duck 10s", "lame_duck 100ms",
	}, checkOperator},
}

// TestExamples formats, validates and starts every example, on ports of the kernel's choice, with resolvers of this machine.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../examples/*.caddyfile")
	if err != nil || len(files) != len(exampleTests) {
		t.Fatalf("%d examples, %d tests of them (%v)", len(files), len(exampleTests), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".caddyfile")
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			config := string(b)
			dialsOnlyPlaceholders(t, config)
			s := newServer(t)
			s.mustRun("fmt", "--diff", abs(t, file))
			s.write("as-it-is", strings.ReplaceAll(config, "/var/log/", s.dir+"/")) // Caddy opens logs to validate them
			s.mustRun("validate", "--adapter", "caddyfile", "--config", "as-it-is")
			config = s.ofThisMachine(config, exampleTests[name].replace)
			told := mailtest.New(t, mailtest.Options{})
			chat, posted := chatServer(t)
			s.env = append(s.resolvers(), "WHENCE_SMTP="+told.Addr()+" plain", "WHENCE_CHAT_URL="+chat)
			s.env = append(s.env, publishers(t)...)
			s.start(config)
			exampleTests[name].check(t, s, told, posted)
			if err := s.load(config); err != nil {
				t.Error(err)
			}
		})
	}
}

func abs(t *testing.T, file string) string {
	t.Helper()
	path, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// mustRun runs a command of the binary.
func (s *server) mustRun(args ...string) string {
	s.t.Helper()
	out, err := s.command(args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("caddy %q: %v\n%s", args, err, out)
	}
	return string(out)
}

var dialled = regexp.MustCompile(`(.?.?)\b(?:tls|udp|tcp|https|socks5h?)://[^:]`)

// dialsOnlyPlaceholders holds that an example asks others at addresses from the environment only, so that a test may say which.
func dialsOnlyPlaceholders(t *testing.T, config string) {
	t.Helper()
	for line := range strings.Lines(config) {
		code, _, _ := strings.Cut(line, "#")
		code = regexp.MustCompile(`"[^"]*"`).ReplaceAllString(code, "")
		for _, option := range []string{"update ", "server ", "webhook ", "registries "} {
			if rest, ok := strings.CutPrefix(strings.TrimSpace(code), option); ok && !strings.HasPrefix(rest, "{$") && !strings.HasPrefix(rest, "{env.") {
				t.Errorf("%q asks a server that no test can replace", strings.TrimSpace(line))
			}
		}
		for _, found := range dialled.FindAllStringSubmatch(code, -1) {
			if !regexp.MustCompile(`[A-Z0-9]:$`).MatchString(found[1]) {
				t.Errorf("%q names a server that is asked; make it {$WHENCE_…:%s…}", strings.TrimSpace(line), found[0][len(found[1]):])
			}
		}
	}
}

// ofThisMachine makes the replacements, each of which must be of something, and has folders and the admin endpoint below the server's
// folder.
func (s *server) ofThisMachine(config string, replace []string) string {
	s.t.Helper()
	replace = append([]string{"admin unix//run/whence/admin.sock", "admin unix/{$WHENCE_TEST_ADMIN}"}, replace...)
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(config, replace[i]) {
			s.t.Fatalf("the example has no %q", replace[i])
		}
		config = strings.ReplaceAll(config, replace[i], replace[i+1])
	}
	return strings.NewReplacer("/var/lib/whence", s.dir, "/var/log/whence", s.dir, "unix//run/whence/admin.sock", "unix/"+s.path("admin.sock")).Replace(config)
}

// resolvers starts the servers that an example may ask, and returns the environment that leads it to them.
func (s *server) resolvers() (env []string) {
	s.t.Helper()
	var authorities []byte
	for i, prefix := range []string{"WHENCE_DOT", "WHENCE_DOT2", "WHENCE_DOT3"} {
		name := fmt.Sprintf("dot%d.test", i)
		_, address, ca := newDoT(s.t, s, name)
		env = append(env, prefix+"=tls://"+address, prefix+"_NAME="+name)
		pem, err := os.ReadFile(s.path(ca))
		if err != nil {
			s.t.Fatal(err)
		}
		authorities = append(authorities, pem...)
	}
	s.write("authorities.pem", string(authorities))
	return append(env, "SSL_CERT_FILE="+s.path("authorities.pem"), "WHENCE_ROUTER=udp://127.0.0.1:9", "WHENCE_INTERNAL=udp://127.0.0.1:9")
}

// chatServer takes what is posted to it.
func chatServer(t *testing.T) (url string, posted <-chan string) {
	t.Helper()
	messages := make(chan string, 100)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err == nil {
			messages <- string(b)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL, messages
}

// publishers offers what examples download (a list of two names, and databases, of which there are none), and the service that one is
// in front of.
func publishers(t *testing.T) (env []string) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/top.csv" {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, "1,example.net\n2,example.org\n")
	}))
	t.Cleanup(srv.Close)
	photos := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "photos") }))
	t.Cleanup(photos.Close)
	return []string{"WHENCE_TOP=" + srv.URL + "/top.csv", "WHENCE_IPINFO=" + srv.URL + "/a.mmdb", "WHENCE_COUNTRIES=" + srv.URL + "/b.mmdb",
		"WHENCE_ASNS=" + srv.URL + "/c.mmdb", "IPINFO_TOKEN=secret", "WHENCE_PHOTOS=" + photos.Listener.Addr().String()}
}

// untrusted takes any certificate: Caddy's own authority has signed.
func untrusted(name string) *tls.Config {
	return &tls.Config{ServerName: name, InsecureSkipVerify: true}
}

// httpsAt is httpAt over TLS.
func httpsAt(network, address, name string) *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: untrusted(name), DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		}}}
}

// siteOn is the address of the HTTP listener on that loopback address, whose port the kernel chose.
func (s *server) siteOn(ip string) string {
	s.t.Helper()
	line := s.log.wait(s.t, 1, `"msg":"port 0 listener"`, `"actual_address":"`+ip+":")
	var entry struct {
		Address string `json:"actual_address"`
	}
	if err := json.Unmarshal([]byte(line), &entry); err != nil {
		s.t.Fatal(err)
	}
	return entry.Address
}
