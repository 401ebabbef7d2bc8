package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/whence-project/whence/dotforward/upstream/dottest"
)

// TestForwarderHandlers has every handler in one configuration.
func TestForwarderHandlers(t *testing.T) {
	s := newServer(t)
	_, address, ca := newDoT(t, s, "dot.test")
	plain := dottest.NewPlain()
	plain.Behave(dottest.Behaviour{Address: 77})
	inside, err := plain.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(plain.Stop)
	s.write("lists/bad.txt", "! a list\n||ads.example^\n0.0.0.0 tracker.example\n@@||good.ads.example^\n")
	s.write("hosts.txt", "192.0.2.7 printer.lan\n")
	s.write("top.csv", "1,popular.example\n")
	config := forwarder(address, "dot.test", ca,
		"acl {", "\tallow 127.0.0.0/8", "\tdeny 127.0.0.9", "}",
		"hosts hosts.txt {", "\trecord 192.0.2.8 scanner.lan", "}",
		"block lists/*.txt {", "\tanswer nxdomain", "}",
		"policy odd {", "\tunranked", "\tfreq_below 5", "\ttag odd", "\tlog", "\tblock refused", "}",
		"route corp.example {", "\tto tcp://"+inside, "}",
		"observe", "log")
	config = strings.Replace(config, "\tdotforward {", "\tenrich {\n\t\trank ./top.csv\n\t\tlexical\n\t\tsightings\n\t}\n\tdotforward {", 1)
	s.start(config + "http://:0 {\n\tbind 127.0.0.1\n\tdomain_stats\n}\n")
	addr := s.dns("udp")
	for _, tt := range []struct {
		name  string
		rcode int
		want  string // the address, empty for none
	}{
		{"www.popular.example", dns.RcodeSuccess, "192.0.2"},
		{"printer.lan", dns.RcodeSuccess, "192.0.2.7"},
		{"scanner.lan", dns.RcodeSuccess, "192.0.2.8"},
		{"ads.example", dns.RcodeNameError, ""},
		{"x.ads.example", dns.RcodeNameError, ""},
		{"good.ads.example", dns.RcodeSuccess, "192.0.2"},
		{"tracker.example", dns.RcodeNameError, ""},
		{"qzxjvkqw.example", dns.RcodeRefused, ""},
		{"host.corp.example", dns.RcodeSuccess, "192.0.2.77"},
	} {
		for range 2 { // the second time it is in the cache, if it is let pass
			reply := mustResolve(t, "udp", addr, tt.name, tt.rcode)
			got := ""
			if len(reply.Answer) > 0 {
				got = reply.Answer[0].(*dns.A).A.String()
			}
			if !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
			}
		}
	}
	c := &dns.Client{Timeout: 5 * time.Second, Dialer: &net.Dialer{LocalAddr: &net.UDPAddr{IP: net.IPv4(127, 0, 0, 9)}}}
	reply, _, err := c.Exchange(new(dns.Msg).SetQuestion("www.popular.example.", dns.TypeA), addr)
	if err != nil || reply.Rcode != dns.RcodeRefused {
		t.Errorf("a client that is denied: %v, %v", reply, err)
	}
	s.log.wait(t, 1, `"logger":"dotforward.policy"`, "qzxjvkqw.example")
	s.log.wait(t, 1, `"logger":"dotforward.access"`, `"name":"host.corp.example"`)
	site := s.site(0)
	eventually(t, "the ledger hears of a name", func() bool {
		return strings.Contains(mustFetch(t, httpAt(site), "/v1/lookup/popular.example"), `"seen_by":["dns"]`)
	})
	if got := s.get("/whence/dotforward/explain/tracker.example"); !strings.Contains(got, `"answered":`) || !strings.Contains(got, `"rcode":3`) {
		t.Errorf("explain: %s", got)
	}
	// A list that comes while the server runs.
	s.write("lists/more.txt", "late.example\n")
	eventually(t, "a new list is taken in", func() bool {
		reply, err := resolve("udp", addr, "late.example")
		return err == nil && reply.Rcode == dns.RcodeNameError
	})
}

// TestForwarderLimit has a client that asks too much.
func TestForwarderLimit(t *testing.T) {
	_, _, addr := startForwarder(t, "limit 20/s burst 20 block 1h refuse")
	refused := 0
	for i := range 60 {
		reply, err := resolve("udp", addr, fmt.Sprintf("n%d.example.org", i%10))
		if err != nil {
			t.Fatal(err)
		}
		if reply.Rcode == dns.RcodeRefused {
			refused++
		}
	}
	if reply, err := resolve("udp", addr, "n0.example.org"); err != nil || refused < 10 || reply.Rcode != dns.RcodeRefused {
		t.Errorf("%d of 60 queries were refused; then %v, %v: want a block for an hour", refused, reply, err)
	}
}

// TestForwarderQuorum has one of three upstream servers lie.
func TestForwarderQuorum(t *testing.T) {
	s := newServer(t)
	var lines []string
	var ups []*dottest.Server
	for i := range 3 {
		name := fmt.Sprintf("dot%d.test", i)
		up, address, ca := newDoT(t, s, name)
		up.Behave(dottest.Behaviour{Address: 5})
		ups = append(ups, up)
		lines = append(lines, "\tto tls://"+address+" "+name, "\ttrusted_ca "+ca)
	}
	ups[1].Behave(dottest.Behaviour{Address: 66})
	s.start(globals("\tdotforward {\n\t\tbind 127.0.0.1:0\n\t\tforward {\n\t\t" + strings.Join(lines, "\n\t\t") +
		"\n\t\t\tpolicy quorum 2 of 3\n\t\t\texact\n\t\t}\n\t}"))
	for i := range 20 {
		reply := mustResolve(t, "udp", s.dns("udp"), fmt.Sprintf("n%d.example.org", i), dns.RcodeSuccess)
		if got := reply.Answer[0].(*dns.A).A.String(); !strings.HasSuffix(got, ".5") {
			t.Errorf("n%d: %s, which one server of three says", i, got)
		}
	}
	s.log.wait(t, 1, "upstream servers disagree", `"decided":true`)
}

// TestForwarderOverTLS has a client that asks over TLS, of a certificate that Caddy made.
func TestForwarderOverTLS(t *testing.T) {
	s := newServer(t)
	_, address, ca := newDoT(t, s, "dot.test")
	config := forwarder(address, "dot.test", ca, "bind tls://127.0.0.1:0", "names localhost")
	s.start(strings.Replace(config, "{\n", "{\n\tlocal_certs\n\tskip_install_trust\n", 1))
	addr := s.dns("tls")
	root := s.path("caddy/pki/authorities/local/root.crt")
	var pool *x509.CertPool
	eventually(t, "the local authority has a certificate", func() bool {
		b, err := os.ReadFile(root)
		pool = x509.NewCertPool()
		return err == nil && pool.AppendCertsFromPEM(b)
	})
	c := &dns.Client{Net: "tcp-tls", Timeout: 10 * time.Second, TLSConfig: &tls.Config{RootCAs: pool, ServerName: "localhost", NextProtos: []string{"dot"}}}
	var reply *dns.Msg
	eventually(t, "an answer over TLS", func() (ok bool) {
		var err error
		reply, _, err = c.Exchange(new(dns.Msg).SetQuestion("www.example.org.", dns.TypeA), addr)
		return err == nil && len(reply.Answer) == 1
	})
}

// TestForwarderKeepsAnswersOverARestart has the cache in a file, and the upstream server gone.
func TestForwarderKeepsAnswersOverARestart(t *testing.T) {
	s := newServer(t)
	up, address, ca := newDoT(t, s, "dot.test")
	config := forwarder(address, "dot.test", ca, "cache 8MiB {", "\tfile cache/answers", "}", "lame_duck 1s")
	s.start(config)
	mustResolve(t, "udp", s.dns("udp"), "www.example.org", dns.RcodeSuccess)
	s.cmd.Process.Signal(syscall.SIGTERM)
	s.log.wait(t, 1, "answering on as a lame duck")
	for _, network := range []string{"udp", "tcp"} {
		if _, err := resolve(network, s.dns(network), "www.example.org"); err != nil {
			t.Errorf("a lame duck does not answer over %s: %v", network, err)
		}
	}
	<-s.exited
	up.Stop()
	s.start(config)
	line := s.log.wait(t, 2, `"logger":"dotforward"`, `"msg":"listening"`, `"network":"udp"`)
	addr := line[strings.Index(line, "127.0.0.1:"):]
	addr = addr[:strings.IndexByte(addr, '"')]
	mustResolve(t, "udp", addr, "www.example.org", dns.RcodeSuccess)
}

// TestForwarderWhileUpstreamsRestart asks from 64 clients while the upstream server is killed and started again and again: every
// query is answered. With WHENCE_SOAK set it does so for half a minute.
func TestForwarderWhileUpstreamsRestart(t *testing.T) {
	s := newServer(t)
	up, address, ca := newDoT(t, s, "dot.test")
	s.start(forwarder(address, "dot.test", ca))
	addr := s.dns("udp")
	for range 3 {
		mustResolve(t, "udp", addr, "warm.example.org", dns.RcodeSuccess)
	}
	var wg sync.WaitGroup
	var asked, answered atomic.Int64
	var mu sync.Mutex
	var took []time.Duration
	stop := make(chan struct{})
	for i := range 64 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				asked.Add(1)
				began := time.Now()
				reply, err := resolve("udp", addr, fmt.Sprintf("n%d-%d.example.org", i, n))
				if err != nil {
					t.Errorf("client %d, query %d: %v", i, n, err)
					return
				}
				if reply.Rcode == dns.RcodeSuccess {
					answered.Add(1)
				}
				mu.Lock()
				took = append(took, time.Since(began))
				mu.Unlock()
			}
		})
	}
	restarts := 4
	if os.Getenv("WHENCE_SOAK") != "" {
		restarts = 30
	}
	for range restarts {
		up.Stop()
		time.Sleep(300 * time.Millisecond) // as long as a restart takes
		if _, err := up.Listen(address); err != nil {
			t.Fatal(err)
		}
		time.Sleep(700 * time.Millisecond)
	}
	close(stop)
	wg.Wait()
	slices.Sort(took)
	p99, worst := took[len(took)*99/100], took[len(took)-1]
	t.Logf("%d queries, %d answered with an address, p99 %v, the slowest after %v", asked.Load(), answered.Load(), p99, worst)
	if worst > 5*time.Second || answered.Load() < asked.Load()/2 {
		t.Errorf("%d of %d answered with an address, the slowest after %v", answered.Load(), asked.Load(), worst)
	}
}
