package caddylayer4_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/logging"
	_ "github.com/mholt/caddy-l4/modules/l4proxy"
	_ "github.com/mholt/caddy-l4/modules/l4proxyprotocol"
	_ "github.com/mholt/caddy-l4/modules/l4regexp"
	_ "github.com/mholt/caddy-l4/modules/l4tls"

	_ "github.com/whence-project/whence/caddymodule/caddylayer4"
	"github.com/whence-project/whence/caddymodule/internal/golden"
)

func TestCaddyfile(t *testing.T) { golden.Run(t) }

// TestDocumentation adapts and provisions the Caddyfiles of docs/layer4.md, which the binary without caddy-l4 cannot.
func TestDocumentation(t *testing.T) {
	b, err := os.ReadFile("../../docs/layer4.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(b), "\n```caddyfile layer4\n")[1:]
	for _, block := range blocks {
		text, _, _ := strings.Cut(block, "\n```\n")
		config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text+"\n"), map[string]any{"filename": "Caddyfile"})
		if err != nil || len(warnings) > 0 {
			t.Fatalf("%v, %v in\n%s", err, warnings, text)
		}
		var c caddy.Config
		if err := json.Unmarshal(config, &c); err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(&c); err != nil {
			t.Errorf("%v in\n%s", err, text)
		}
	}
	if len(blocks) < 2 {
		t.Errorf("%d Caddyfiles", len(blocks))
	}
}

const patience = 30 * time.Second

// server is a Caddy in this process, with a layer4 server on a port of the kernel's choice: the socket is handed over as a descriptor,
// since caddy-l4 does not say which port it got.
type server struct {
	t       *testing.T
	address string
	network string // fd, fdgram
	fd      int
	log     string
}

func newServer(t *testing.T) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fd, err := syscall.Dup(int(file.Fd())) // one that is Caddy's alone, which keeps it for good
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return &server{t: t, address: ln.Addr().String(), network: "fd", fd: fd, log: filepath.Join(t.TempDir(), "log")}
}

// load adapts a layer4 server's block and runs it.
func (s *server) load(routes string) {
	s.t.Helper()
	caddyfile := fmt.Sprintf("{\n\tadmin off\n\tpersist_config off\n\tlog {\n\t\toutput file %s\n\t}\n\tlayer4 {\n\t\t%s/%d {\n%s\n\t\t}\n\t}\n}\n", s.log, s.network, s.fd, routes)
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		s.t.Fatalf("%v in\n%s", err, caddyfile)
	}
	if err := caddy.Load(config, true); err != nil {
		s.t.Fatal(err)
	}
}

// entries are the log's entries of a logger so far.
func (s *server) entries(logger string) (found []map[string]any) {
	s.t.Helper()
	b, err := os.ReadFile(s.log)
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			s.t.Fatalf("%q: %v", line, err)
		}
		if entry["logger"] == logger {
			found = append(found, entry)
		}
	}
	return found
}

func (s *server) dial() net.Conn {
	s.t.Helper()
	c, err := net.DialTimeout("tcp", s.address, patience)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// ask sends what a client sends and returns all that it gets.
func (s *server) ask(query string) (string, error) {
	c, err := net.DialTimeout("tcp", s.address, patience)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, query); err != nil {
		return "", err
	}
	b, err := io.ReadAll(c)
	return string(b), err
}

func (s *server) want(query, prefix string) {
	s.t.Helper()
	if got, err := s.ask(query); err != nil || !strings.HasPrefix(got, prefix) {
		s.t.Errorf("%q is answered %q, %v; want %q…", query, got, err, prefix)
	}
}

const linkLocal = "route: 169.254.0.0/16\r\n"

func route(options string) string { return "route {\n\twhois {\n" + options + "\n\t}\n}" }

// TestServe asks over every way that a connection takes to the handler: at once, after a matcher has read ahead, and behind a proxy.
func TestServe(t *testing.T) {
	s := newServer(t)
	s.load(route(""))
	s.want("169.254.1.1\r\n", linkLocal)
	s.want("begin\nnoheader\n169.254.1.1\nend\n", "Bulk mode; whence")
	s.want("-j 169.254.1.1\n-k\n and more that nobody reads", `{"subject":"169.254.1.1",`)

	s.load("@number regexp ^[0-9] 1\nroute @number {\n\twhois\n}")
	s.want("169.254.1.1\r\n", linkLocal)
	s.want(strings.Repeat("1", 2000)+"\r\n", "%ERROR:107: input line too long")

	s.load("route {\n\tproxy_protocol {\n\t\tallow 127.0.0.0/8\n\t}\n\twhois {\n\t\tallow 192.0.2.0/24\n\t}\n}")
	s.want("PROXY TCP4 192.0.2.7 192.0.2.8 4711 43\r\n169.254.1.1\r\n", linkLocal)
	s.want("PROXY TCP4 203.0.113.7 192.0.2.8 4711 43\r\n169.254.1.1\r\n", "%ERROR:201: access denied: for 203.0.113.7")

	access := s.entries("layer4.handlers.whois.access")
	if last := access[len(access)-1]; last["client_ip"] != "203.0.113.7" || last["outcome"] != "refused" {
		t.Errorf("the last access line is %v", last)
	}
}

// TestIdle has clients that say nothing, or say it slowly: they are cut off, and the log is not filled with errors of theirs.
func TestIdle(t *testing.T) {
	s := newServer(t)
	s.load(route("timeouts {\n\tquery 200ms\n\tidle 200ms\n}"))
	for _, said := range []string{"", "169.254.", "-k 169.254.1.1\r\n", "begin\n"} {
		c := s.dial()
		begun := time.Now()
		if _, err := io.WriteString(c, said); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(c)
		if took := time.Since(begun); err != nil || took > patience/2 {
			t.Errorf("a client that said %q: %q, %v after %v", said, got, err, took)
		}
		if !strings.Contains(said, "begin") && !strings.HasSuffix(string(got), "%ERROR:305: connection has timed out\r\n") {
			t.Errorf("a client that said %q heard %q", said, got)
		}
	}
	for range 20 { // these are reset
		c := s.dial()
		io.WriteString(c, "begin\n169.254.1.1\n")
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	s.want("169.254.1.1\r\n", linkLocal)
	if errs := s.entries("layer4"); len(errs) != 0 {
		t.Errorf("caddy-l4 logged %v", errs)
	}
}

// TestUDP is a route on a UDP socket, which is a mistake that the log tells once.
func TestUDP(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	file, err := pc.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fd, err := syscall.Dup(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t)
	s.network, s.fd = "fdgram", fd
	s.load(route(""))
	c, err := net.Dial("udp", pc.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 2 {
		io.WriteString(c, "169.254.1.1\r\n")
	}
	for deadline := time.Now().Add(patience); len(s.entries("layer4.handlers.whois")) == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no line in the log")
		}
	}
	if got := s.entries("layer4.handlers.whois")[0]["msg"]; got != "WHOIS is spoken over TCP only; packets are dropped" {
		t.Errorf("the log says %v", got)
	}
}

// TestReload loads configurations while clients ask: none is lost, limits go on, and a connection at rest ends.
func TestReload(t *testing.T) {
	s := newServer(t)
	s.load(route(""))
	atRest := s.dial()
	io.WriteString(atRest, "-k 169.254.1.1\r\n")
	if _, err := io.ReadFull(atRest, make([]byte, len(linkLocal))); err != nil {
		t.Fatal(err)
	}

	stop, asked := make(chan struct{}), make(chan int)
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				case asked <- 1:
				}
				s.want("169.254.1.1\r\n", linkLocal)
			}
		})
	}
	for n := range 200 {
		<-asked
		if n%10 == 0 {
			s.load(route(""))
		}
	}
	close(stop)
	clients.Wait()

	if _, err := io.Copy(io.Discard, atRest); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a connection at rest over a reload: %v", err)
	}
	for range 2 { // the second has the limits of the first
		s.load(route("limit 3/h"))
		s.want("169.254.1.1\r\n", linkLocal)
	}
	s.want("169.254.1.1\r\n", linkLocal)
	s.want("169.254.1.1\r\n", "%ERROR:201: access denied: too many queries")
	s.load(route("limit 4/h"))
	s.want("169.254.1.1\r\n", linkLocal)
}

// TestChains asks the chain that the block names, and refuses one that there is not.
func TestChains(t *testing.T) {
	s := newServer(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "printer"), []byte("room: attic\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	config := `{"admin": {"disabled": true, "config": {"persist": false}}, "apps": {
		"enrich": {"chains": {"lan": {"sources": [{"source": "records", "dir": %q}]}}},
		"layer4": {"servers": {"a": {"listen": ["fd/%d"], "routes": [{"handle": [{"handler": "whois", "enrich": %q}]}]}}}}}`
	if err := caddy.Load(fmt.Appendf(nil, config, dir, s.fd, "lan"), true); err != nil {
		t.Fatal(err)
	}
	s.want("printer\r\n", "room: attic\r\n")
	err := caddy.Load(fmt.Appendf(nil, config, dir, s.fd, "wan"), true)
	if err == nil || !strings.Contains(err.Error(), `no enrichment chain is named "wan"`) {
		t.Errorf("a chain that there is not: %v", err)
	}
	s.want("printer\r\n", "room: attic\r\n")
}
