package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/whence-project/whence/dotforward/upstream/dottest"
	"github.com/whence-project/whence/internal/testenv"
)

// newDoT starts an upstream server for the test, whose certificate is in the server's folder under the name that is returned with
// its address.
func newDoT(t *testing.T, s *server, name string) (up *dottest.Server, address, ca string) {
	t.Helper()
	cert, _, err := dottest.Certificate(name)
	if err != nil {
		t.Fatal(err)
	}
	up = dottest.New(cert)
	if address, err = up.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(up.Stop)
	ca = name + ".pem"
	s.write(ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})))
	return up, address, ca
}

// forwarder is a configuration with one upstream server and more lines in the block.
func forwarder(address, name, ca string, lines ...string) string {
	lines = append([]string{"bind 127.0.0.1:0", "forward tls://" + address + " " + name + " {", "\ttrusted_ca " + ca, "}"}, lines...)
	return globals("\tdotforward {\n\t\t"+strings.Join(lines, "\n\t\t")+"\n\t}") +
		"http:// {\n\tbind unix/{$WHENCE_TEST_DIR}/site\n\tdns_query\n}\n"
}

func startForwarder(t *testing.T, lines ...string) (*server, *dottest.Server, string) {
	t.Helper()
	s := newServer(t)
	up, address, ca := newDoT(t, s, "dot.test")
	s.start(forwarder(address, "dot.test", ca, lines...))
	return s, up, s.dns("udp")
}

// dns is the address that the server listens on for DNS.
func (s *server) dns(network string) string {
	s.t.Helper()
	line := s.log.wait(s.t, 1, `"logger":"dotforward"`, `"msg":"listening"`, `"network":"`+network+`"`)
	var entry struct{ Address string }
	if err := json.Unmarshal([]byte(line), &entry); err != nil {
		s.t.Fatal(err)
	}
	return entry.Address
}

// resolve asks for the addresses of a name.
func resolve(network, address, name string) (*dns.Msg, error) {
	q := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	reply, _, err := (&dns.Client{Net: network, Timeout: 6 * time.Second}).Exchange(q, address)
	return reply, err
}

func mustResolve(t *testing.T, network, address, name string, rcode int) *dns.Msg {
	t.Helper()
	reply, err := resolve(network, address, name)
	if err != nil || reply.Rcode != rcode {
		t.Fatalf("%s over %s: %v, %v", name, network, reply, err)
	}
	return reply
}

// TestForwarderAnswersOnEveryTransport asks over UDP, TCP and HTTPS, with Go's and with Knot's client.
func TestForwarderAnswersOnEveryTransport(t *testing.T) {
	testenv.Program(t, "kdig", "knot-dnsutils")
	s, up, udp := startForwarder(t)
	for _, network := range []string{"udp", "tcp"} {
		reply := mustResolve(t, network, s.dns(network), "www.example.org", dns.RcodeSuccess)
		if len(reply.Answer) != 1 || !reply.RecursionAvailable {
			t.Errorf("%s: %v", network, reply)
		}
	}
	if n := up.Stats(); n.Proto == 0 || n.Queries > 3 {
		t.Errorf("the upstream server saw %+v: want ALPN dot, and one query for two of ours", n)
	}
	host, port, _ := net.SplitHostPort(udp)
	for _, option := range []string{"+notcp", "+tcp", "+dnssec"} {
		out, err := exec.Command("kdig", "@"+host, "-p", port, option, "+short", "kdig.example.org", "A").Output()
		if err != nil || net.ParseIP(strings.TrimSpace(string(out))) == nil {
			t.Errorf("kdig %s: %q, %v", option, out, err)
		}
	}
	q := new(dns.Msg).SetQuestion("doh.example.org.", dns.TypeA)
	q.Id = 0
	b, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	c := s.client("site")
	get, err := c.Get("http://localhost/dns-query?dns=" + base64.RawURLEncoding.EncodeToString(b))
	checkDoH(t, get, err)
	post, err := c.Post("http://localhost/dns-query", "application/dns-message", bytes.NewReader(b))
	checkDoH(t, post, err)
	if status, body, err := fetch(c, "/dns-query?dns=%21"); err != nil || status != http.StatusBadRequest {
		t.Errorf("garbage over HTTPS: %d %q, %v", status, body, err)
	}
	if m := s.get("/metrics"); !strings.Contains(m, `caddy_whence_dns_queries_total{outcome="hit",rcode="NOERROR",transport="tcp",type="A"} `) {
		t.Errorf("the metrics have no hit over TCP: %s", grep(m, "caddy_whence_dns_queries_total"))
	}
}

func grep(text, word string) string { return strings.Join(matching(text, []string{word}), "") }

func checkDoH(t *testing.T, resp *http.Response, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	reply := new(dns.Msg)
	if err != nil || resp.StatusCode != http.StatusOK || reply.Unpack(b) != nil || len(reply.Answer) != 1 ||
		!strings.Contains(resp.Header.Get("Cache-Control"), "max-age=") {
		t.Errorf("over HTTPS: %s, %v, %v, %v", resp.Status, resp.Header, reply, err)
	}
}

// TestForwarderReloadLosesNothing reloads under queries over UDP and TCP, which nobody answers twice or not at all.
func TestForwarderReloadLosesNothing(t *testing.T) {
	s := newServer(t)
	up, address, ca := newDoT(t, s, "dot.test")
	config := forwarder(address, "dot.test", ca)
	s.start(config)
	var asked, lost atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 16 {
		network := []string{"udp", "tcp"}[i%2]
		addr := s.dns(network)
		wg.Go(func() {
			c, err := (&dns.Client{Net: network, Timeout: 6 * time.Second}).Dial(addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				q := new(dns.Msg).SetQuestion(fmt.Sprintf("n%d-%d.example.org.", i, n%50), dns.TypeA)
				asked.Add(1)
				reply, _, err := (&dns.Client{Net: network, Timeout: 6 * time.Second}).ExchangeWithConn(q, c)
				if err != nil || reply.Rcode != dns.RcodeSuccess {
					lost.Add(1)
					t.Errorf("%s query %d of %d: %v, %v", network, n, i, reply, err)
					return
				}
			}
		})
	}
	reloads := 0
	for ; reloads < 20 || asked.Load() < 2000 && reloads < 500; reloads++ {
		if err := s.load(config); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
	if asked.Load() < 2000 {
		t.Errorf("only %d queries in %d reloads", asked.Load(), reloads)
	}
	if n := up.Stats(); n.Queries > 16*50+200 || n.Conns > 4 {
		t.Errorf("the upstream server got %d queries for 800 names, over %d connections: cache and connections outlive a reload", n.Queries, n.Conns)
	}
	t.Logf("%d reloads, %d queries, %d lost", reloads, asked.Load(), lost.Load())
}

// TestForwarderAnswersWhateverTheUpstreamDoes has an upstream server misbehave in every way.
func TestForwarderAnswersWhateverTheUpstreamDoes(t *testing.T) {
	_, up, addr := startForwarder(t)
	mustResolve(t, "udp", addr, "before.example.org", dns.RcodeSuccess)
	for fault := dottest.Silent; fault <= dottest.Truncated; fault++ {
		up.Behave(dottest.Behaviour{Fault: fault})
		began := time.Now()
		reply, err := resolve("udp", addr, fmt.Sprintf("fault%d.example.org", fault))
		if err != nil {
			t.Errorf("fault %d: %v: a query is answered, if only with SERVFAIL", fault, err)
			continue
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("fault %d: %v took %v, longer than clients wait", fault, dns.RcodeToString[reply.Rcode], took)
		}
		if reply.Rcode == dns.RcodeSuccess && len(reply.Answer) == 0 {
			t.Errorf("fault %d: an empty answer that nobody gave: %v", fault, reply)
		}
	}
	up.Stop()
	if reply := mustResolve(t, "udp", addr, "before.example.org", dns.RcodeSuccess); len(reply.Answer) != 1 {
		t.Errorf("what is known, with the server gone: %v", reply)
	}
	q := new(dns.Msg).SetQuestion("never.example.org.", dns.TypeA)
	q.SetEdns0(1232, false)
	reply, _, err := (&dns.Client{Timeout: 6 * time.Second}).Exchange(q, addr)
	if err != nil || reply.Rcode != dns.RcodeServerFailure || ede(reply) == nil {
		t.Errorf("what is not known: %v, %v; want SERVFAIL with an extended error", reply, err)
	}
}

// ede is the extended error of a reply, nil for none.
func ede(m *dns.Msg) *dns.EDNS0_EDE {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				return e
			}
		}
	}
	return nil
}

// TestForwarderOnATakenPort has the port in use: the error says by whom.
func TestForwarderOnATakenPort(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	s := newServer(t)
	_, address, ca := newDoT(t, s, "dot.test")
	s.write("Caddyfile", strings.Replace(forwarder(address, "dot.test", ca), "127.0.0.1:0", pc.LocalAddr().String(), 1))
	out, err := s.command("run", "--config", "Caddyfile", "--adapter", "caddyfile").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "in use") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestForwarderThroughTheAdminAPI asks for the upstream servers and for a name, forgets answers, and has the server go.
func TestForwarderThroughTheAdminAPI(t *testing.T) {
	s, up, addr := startForwarder(t, "block ./none.txt")
	mustResolve(t, "udp", addr, "www.example.org", dns.RcodeSuccess)
	if got := s.get("/whence/dotforward"); !strings.Contains(got, `"healthy":true`) || !strings.Contains(got, `"up":true`) {
		t.Errorf("status: %s", got)
	}
	if got := s.get("/whence/dotforward/explain/www.example.org"); !strings.Contains(got, `"state":"fresh"`) || !strings.Contains(got, `"servers":["tls://127.0.0.1`) {
		t.Errorf("explain: %s", got)
	}
	s.wants(200, "GET", "/whence/dotforward/cache?name=example.org&below", "", `"entries":1,`, `"answers":[{"name":"www.example.org.","type":"A",`, `"rcode":"NOERROR","state":"fresh"`)
	s.wants(400, "GET", "/whence/dotforward/cache?name=..", "", "no domain name")
	s.wants(400, "DELETE", "/whence/dotforward/cache?below=true", "", "say what to forget")
	s.wants(200, "DELETE", "/whence/dotforward/cache?name=example.org", "", `{"removed":0}`)
	s.wants(200, "DELETE", "/whence/dotforward/cache?name=Example.ORG&below=true", "", `{"removed":1}`)
	mustResolve(t, "udp", addr, "www.example.org", dns.RcodeSuccess)
	s.wants(200, "DELETE", "/whence/dotforward/cache?all=true", "", `{"removed":1}`)
	s.wants(405, "POST", "/whence/dotforward/cache", "", "this route takes DELETE, GET, HEAD, OPTIONS")
	s.wants(200, "GET", "/whence/health", "", `[{"level":"warning","where":"dotforward/block","text":"`, "no list there yet")
	up.Stop()
	_, _ = resolve("udp", addr, "other.example.org")
	eventually(t, "the server is not healthy without an upstream server", func() bool {
		code, body := s.admin("GET", "/whence/health", "")
		return code == 503 && strings.Contains(body, `"where":"dotforward/tls://127.0.0.1`)
	})
	resp, err := s.http.Post("http://localhost/whence/dotforward/lame-duck?grace=0s", "", nil)
	if err != nil || resp.StatusCode != http.StatusAccepted {
		t.Fatalf("lame duck: %v, %v", resp, err)
	}
	resp.Body.Close()
	if got := s.get("/whence/dotforward"); !strings.Contains(got, `"healthy":false`) {
		t.Errorf("status of a lame duck: %s", got)
	}
	eventually(t, "queries are refused", func() bool {
		reply, err := resolve("udp", addr, "www.example.org")
		return err == nil && reply.Rcode == dns.RcodeRefused
	})
}
