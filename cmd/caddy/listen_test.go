package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/whence-project/whence/internal/testenv"
)

// askOver asks over a connection of any kind.
func askOver(t *testing.T, network, address, query string) string {
	t.Helper()
	c, err := net.DialTimeout(network, address, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, query+"\r\n"); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const linkLocal = "169.254.1.1"

func wantLinkLocal(t *testing.T, where, answer string) {
	t.Helper()
	if !strings.HasPrefix(answer, "route: 169.254.0.0/16\r\n") {
		t.Errorf("%s answered %q", where, answer)
	}
}

// TestListenEverywhere binds one server to both families and to a unix socket, and a second server beside it.
func TestListenEverywhere(t *testing.T) {
	if c, err := net.Listen("tcp", "[::1]:0"); err != nil {
		testenv.Skip(t, "no IPv6 here: %v", err)
	} else {
		c.Close()
	}
	s := newServer(t)
	s.start(globals(fmt.Sprintf("\twhois {\n\t\tbind 127.0.0.1:0 [::1]:0 unix/%s\n\t}\n\twhois {\n\t\tbind 127.0.0.2:0\n\t\tdialect json\n\t}",
		s.path("whois.sock"))))
	for n, network := range []string{"tcp", "tcp", "unix"} {
		wantLinkLocal(t, s.whois(n), askOver(t, network, s.whois(n), linkLocal))
	}
	if got := ask(t, s.whois(3), linkLocal); !strings.HasPrefix(got, `{"subject":"169.254.1.1",`) {
		t.Errorf("the second server answered %q", got)
	}
	// The sockets are kept over a reload, whatever they are.
	if err := s.load(strings.Replace(globals("\twhois {\n\t\tbind unix/SOCKET\n\t}"), "SOCKET", s.path("whois.sock"), 1)); err != nil {
		t.Fatal(err)
	}
	wantLinkLocal(t, "the unix socket after a reload", askOver(t, "unix", s.path("whois.sock"), linkLocal))
	eventually(t, "the sockets that are not configured any more are closed", func() bool {
		c, err := net.Dial("tcp", s.whois(0))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
}

// handDown opens the sockets as a service manager does, and gives them to the server from descriptor 3 on.
func (s *server) handDown(networks ...string) (addresses []string) {
	s.t.Helper()
	for _, network := range networks {
		var socket interface {
			File() (*os.File, error)
			Close() error
		}
		if network == "udp" {
			c, err := net.ListenUDP(network, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				s.t.Fatal(err)
			}
			socket, addresses = c, append(addresses, c.LocalAddr().String())
		} else {
			l, err := net.ListenTCP(network, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				s.t.Fatal(err)
			}
			socket, addresses = l, append(addresses, l.Addr().String())
		}
		file, err := socket.File()
		if err != nil {
			s.t.Fatal(err)
		}
		socket.Close()
		s.t.Cleanup(func() { file.Close() })
		s.files = append(s.files, file)
	}
	return addresses
}

// TestSocketActivation is handed its sockets by the process that starts it, as by systemd with packaging/whence.socket, and keeps them
// over reloads that let go of them and take them back.
func TestSocketActivation(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("descriptors are not handed down here")
	}
	s := newServer(t)
	_, upstream, ca := newDoT(t, s, "dot.test")
	at := s.handDown("tcp", "udp", "tcp")
	const bound = "fd/5 fdgram/4"
	config := globals("\twhois {\n\t\tbind fd/3\n\t}\n\tdotforward {\n\t\tbind " + bound + "\n\t\tforward tls://" + upstream +
		" dot.test {\n\t\t\ttrusted_ca " + ca + "\n\t\t}\n\t}")
	answers := func(when string) {
		t.Helper()
		wantLinkLocal(t, "fd/3 "+when, ask(t, at[0], linkLocal))
		mustResolve(t, "udp", at[1], "www.example.org", dns.RcodeSuccess)
		mustResolve(t, "tcp", at[2], "www.example.org", dns.RcodeSuccess)
	}
	s.start(config)
	answers("at the start")
	for _, c := range []string{config, globals("\twhois {\n\t\tbind fd/3\n\t}"), config} {
		if err := s.load(c); err != nil {
			t.Fatal(err)
		}
	}
	answers("after reloads")
	err := s.load(strings.Replace(config, bound, "fdgram/3", 1))
	if err == nil || !strings.Contains(err.Error(), "listening on fdgram/3: ") {
		t.Errorf("a TCP socket for UDP: %v", err)
	}
	answers("after a load that failed")
}

// TestTwoServersOneAddress is refused when the configuration is validated, not when it starts.
func TestTwoServersOneAddress(t *testing.T) {
	s := newServer(t)
	s.write("Caddyfile", globals("\twhois {\n\t\tbind 127.0.0.1:43\n\t}\n\twhois {\n\t\tbind 127.0.0.1:43\n\t}"))
	out, err := s.command("validate", "--config", "Caddyfile", "--adapter", "caddyfile").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "whois servers 0 and 1 both bind 127.0.0.1:43") {
		t.Errorf("%v\n%s", err, out)
	}
}
