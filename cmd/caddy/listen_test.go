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

// TestSocketActivation is handed its socket by the process that starts it, as by systemd.
func TestSocketActivation(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("descriptors are not handed down here")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	s := newServer(t)
	s.files = []*os.File{file}
	config := globals("\twhois {\n\t\tbind fd/3\n\t}")
	s.start(config)
	wantLinkLocal(t, "fd/3", ask(t, ln.Addr().String(), linkLocal))
	if err := s.load(config); err != nil {
		t.Fatal(err)
	}
	wantLinkLocal(t, "fd/3 after a reload", ask(t, ln.Addr().String(), linkLocal))
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
