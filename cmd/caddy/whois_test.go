package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/internal/testenv"
)

// TestExample is the newcomer's way: the example as it stands, in a folder without data, and then a database copied in.
func TestExample(t *testing.T) {
	db := testenv.Path(t, "mmdb", "lite-composite.mmdb")
	s := start(t, example(t))
	address := s.whois(0)

	answer := ask(t, address, "8.8.8.8")
	for _, want := range []string{"route: 8.0.0.0/8\r\n", "ARIN", "dbstatus: warning - no data available\r\n"} {
		if !strings.Contains(answer, want) {
			t.Errorf("without a database: no %q in\n%s", want, answer)
		}
	}
	s.copyFile(db, "data/lite.mmdb")
	eventually(t, "the database is taken in", func() bool {
		answer = ask(t, address, "8.8.8.8")
		return strings.Contains(answer, "dbstatus: ok")
	})
	for _, want := range []string{"route: 8.8.8.0/24\r\n", "as_name: Google LLC\r\n", "asn: AS15169\r\n", "country_code: US\r\n"} {
		if !strings.Contains(answer, want) {
			t.Errorf("with a database: no %q in\n%s", want, answer)
		}
	}
	s.write("records/8.8.8.8", "role: our resolver\n")
	eventually(t, "the record is taken in", func() bool {
		return ask(t, address, "8.8.8.8") == "role: our resolver\r\n\r\n"
	})
}

// example is Caddyfile.example with the admin endpoint, the sockets and the ports of a test.
func example(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	const fixed = "127.0.0.1:1043"
	config := string(b)
	if !strings.Contains(config, fixed) {
		t.Fatalf("Caddyfile.example does not bind %s", fixed)
	}
	config = strings.ReplaceAll(config, fixed, "127.0.0.1:0")
	config = strings.ReplaceAll(config, "127.0.0.1:1053", "127.0.0.1:0")
	config = strings.Replace(config, "\tbind 127.0.0.1\n", "\tbind unix/{$WHENCE_TEST_SITE}\n", 1)
	config = strings.ReplaceAll(config, "limit 50/m burst 200", "limit 100000/s burst 100000")
	config = strings.Replace(config, "cache_ttl 24h\n", "cache_ttl 24h\n\t\t\tallow_networks 127.0.0.0/8\n\t\t\tlimit default off\n", 1)
	return strings.Replace(config, "\n{\n", "\n{\n\tadmin unix/{$WHENCE_TEST_ADMIN}\n", 1)
}

// lite is a server with the composite database alone, in the dialect, and more options.
func lite(t *testing.T, options string) *server {
	t.Helper()
	db := testenv.Path(t, "mmdb", "lite-composite.mmdb")
	abs, err := filepath.Abs(db)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, liteConfig(abs, options))
}

func liteConfig(db, options string) string {
	if options != "" {
		options += "\n"
	}
	return globals(fmt.Sprintf("\tenrich {\n\t\tmmdb %s\n\t}\n\twhois {\n\t\tbind 127.0.0.1:0\n%s\t}", db, options))
}

// TestArticle holds the answers to the two queries that the article on the MMDB WHOIS server shows.
func TestArticle(t *testing.T) {
	address := lite(t, "").whois(0)
	for _, test := range []struct{ query, want string }{
		{"8.8.8.8", "route: 8.8.8.0/24\r\nas_domain: google.com\r\nas_name: Google LLC\r\nasn: AS15169\r\ncontinent: North America\r\n" +
			"continent_code: NA\r\ncountry: United States\r\ncountry_code: US\r\ndbstatus: ok - data found\r\n"},
		{"127.0.0.1", "route: 127.0.0.0/8\r\ndbstatus: warning - no data available\r\n"},
	} {
		if got := ask(t, address, test.query); got != test.want {
			t.Errorf("%s:\n%q, want\n%q", test.query, got, test.want)
		}
	}
}

// TestDebianClient asks with Debian's whois, which decorates some queries and converts others.
func TestDebianClient(t *testing.T) {
	whois := testenv.Program(t, "whois", "whois")
	host, port, err := net.SplitHostPort(lite(t, "").whois(0))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"8.8.8.8"}, "as_name: Google LLC"},
		{[]string{"2001:4860:4860::8888"}, "asn: AS15169"},
		{[]string{"--", "-v 8.8.8.8"}, "15169   | 8.8.8.8          | 8.8.8.0/24          | US |"},
		{[]string{"AS15169"}, "asn: AS15169"},
		{[]string{"8.8.8.0/24"}, "route: 8.8.8.0/24"},
		{[]string{"--", "--json 8.8.8.8"}, `"asn":"AS15169"`},
		{[]string{"-B", "-r", "8.8.8.8"}, "as_name: Google LLC"},
	} {
		cmd := exec.Command(whois, append([]string{"-h", host, "-p", port}, test.args...)...)
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("whois %q: %v", test.args, err)
		}
		if !strings.Contains(string(out), test.want) {
			t.Errorf("whois %q: no %q in\n%s", test.args, test.want, out)
		}
	}
}

// TestNetcat asks as shells do: a line feed alone, no line end at all, and half-closed or not.
func TestNetcat(t *testing.T) {
	nc := testenv.Program(t, "nc", "netcat-openbsd")
	host, port, _ := net.SplitHostPort(lite(t, "").whois(0))
	for _, test := range []struct {
		stdin string
		args  []string
	}{
		{"8.8.8.8\r\n", nil},
		{"8.8.8.8\n", nil},
		{"8.8.8.8", []string{"-N"}},
		{"8.8.8.8\n", []string{"-N"}},
	} {
		cmd := exec.Command(nc, append(test.args, host, port)...)
		cmd.Stdin = strings.NewReader(test.stdin)
		out, err := cmd.Output()
		if err != nil || !strings.Contains(string(out), "asn: AS15169\r\n") {
			t.Errorf("printf %q | nc %q: %v\n%s", test.stdin, test.args, err, out)
		}
	}
}

// attackers are the addresses of a honeypot's log.
func attackers(t *testing.T) (addresses []string) {
	t.Helper()
	b, err := os.ReadFile(testenv.Path(t, "logs", "list_of_attacker_ips.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" {
			addresses = append(addresses, line)
		}
	}
	return addresses
}

// TestCymruBulk sends all attackers over one connection, as a bulk client of whois.cymru.com does, and expects a line for each, in order.
func TestCymruBulk(t *testing.T) {
	s := lite(t, "")
	c, err := net.Dial("tcp", s.whois(0))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	addresses := attackers(t)
	go io.WriteString(c, "begin\r\nverbose\r\n"+strings.Join(addresses, "\r\n")+"\r\nend\r\n")

	lines := bufio.NewScanner(c)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "Bulk mode; ") {
		t.Fatalf("greeting %q (%v)", lines.Text(), lines.Err())
	}
	v6 := 0
	for i, want := range addresses {
		if !lines.Scan() {
			t.Fatalf("%d answers for %d addresses: %v", i, len(addresses), lines.Err())
		}
		cols := strings.Split(lines.Text(), "|")
		if len(cols) != 7 {
			t.Fatalf("answer %d has %d columns: %q", i, len(cols), lines.Text())
		}
		asked, err := netip.ParseAddr(want)
		if err != nil {
			t.Fatal(err)
		}
		if asked.Is6() {
			v6++
		}
		if got := strings.TrimSpace(cols[1]); got != want && got != asked.String() {
			t.Errorf("answer %d is about %s, want %s", i, got, want)
		}
		if network := strings.TrimSpace(cols[2]); network != "NA" {
			if p, err := netip.ParsePrefix(network); err != nil || !p.Contains(asked) {
				t.Errorf("answer %d: network %s does not hold %s", i, network, want)
			}
		}
	}
	if lines.Scan() {
		t.Errorf("an answer more than addresses: %q", lines.Text())
	}
	if len(addresses) < 5600 || v6 < 50 {
		t.Errorf("the list has %d addresses, %d of them IPv6: is it whole?", len(addresses), v6)
	}
}

// TestProxyProtocol has Caddy's own listener wrapper tell the client's address, which then is the one that is denied.
func TestProxyProtocol(t *testing.T) {
	s := lite(t, "\t\tdeny 192.0.2.0/24\n\t\tlistener_wrappers {\n\t\t\tproxy_protocol {\n\t\t\t\tallow 127.0.0.0/8\n\t\t\t}\n\t\t}")
	address := s.whois(0)
	if got := ask(t, address, "PROXY TCP4 198.51.100.7 127.0.0.1 4711 43\r\n8.8.8.8"); !strings.Contains(got, "asn: AS15169") {
		t.Errorf("a client that is not denied: %q", got)
	}
	if got := ask(t, address, "PROXY TCP4 192.0.2.7 127.0.0.1 4711 43\r\n8.8.8.8"); !strings.HasPrefix(got, "%ERROR:201") {
		t.Errorf("a denied client: %q", got)
	}
	s.log.wait(t, 1, `"logger":"whois.access"`, `"client_ip":"198.51.100.7"`, `"outcome":"found"`)
}

// TestMetrics: what was counted goes on over a reload, and no label is one that a client chose.
func TestMetrics(t *testing.T) {
	config := globals("\twhois {\n\t\tbind 127.0.0.1:0\n\t}")
	s := start(t, config)
	ask(t, s.whois(0), linkLocal)
	if err := s.load(config); err != nil {
		t.Fatal(err)
	}
	ask(t, s.whois(0), linkLocal)
	ask(t, s.whois(0), "010.0.0.1")
	ask(t, s.whois(0), "begin\r\n192.0.2.1\r\n192.0.2.2\r\nend")
	var metrics string
	eventually(t, "all queries are counted", func() bool {
		metrics = s.get("/metrics")
		return strings.Contains(metrics, "caddy_whence_whois_bulk_lines_total 2\n")
	})
	for _, want := range []string{
		`caddy_whence_whois_queries_total{dialect="lines",outcome="none"} 2`,
		`caddy_whence_whois_queries_total{dialect="lines",outcome="error"} 1`,
		`caddy_whence_whois_queries_total{dialect="cymru",outcome="bulk"} 1`,
		`caddy_whence_whois_query_duration_seconds_count 3`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("no %s in\n%s", want, strings.Join(matching(metrics, []string{"whence"}), ""))
		}
	}
}
