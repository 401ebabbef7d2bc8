// Package natstest starts real NATS servers for tests, as processes of their own: they can be killed, frozen and started again on
// the same port, with their data or without.
package natstest

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience is how long a server may take to do what a test waits for. The machine may be busy.
const patience = 30 * time.Second

// Options are what a test wants of a server. The zero value is a server on loopback with JetStream and without any security.
type Options struct {
	Name string // "n1" if empty
	// TLS makes the server speak it, with the certificate and key in these PEM files.
	CertFile, KeyFile string
	// NoJetStream leaves JetStream out.
	NoJetStream bool
	// Config is appended to the configuration: users, limits.
	Config string

	route  string   // host:port for the other servers of the cluster; empty: there is none
	routes []string // of all of them
}

// Server is a NATS server. Its methods end the test where they fail.
type Server struct {
	URL     string // nats://127.0.0.1:<port>, or tls://localhost:<port>; the same after a restart
	t       testing.TB
	opt     Options
	dir     string
	program string
	port    string
	cmd     *exec.Cmd
	exited  chan struct{}
}

// Start starts a server and stops it when the test is over. The test is skipped where none can be built.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := newServer(t, o)
	s.start()
	return s
}

func newServer(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Name == "" {
		o.Name = "n1"
	}
	s := &Server{t: t, opt: o, dir: t.TempDir(), program: program(t), port: "-1"}
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			t.Logf("the log of the NATS server %s ends:\n%s", o.Name, tail(filepath.Join(s.dir, "log"), 4000))
		}
	})
	return s
}

// StartCluster starts n servers that are one cluster, so that a bucket may have replicas.
func StartCluster(t testing.TB, n int) []*Server {
	t.Helper()
	servers := make([]*Server, n)
	var routes []string
	for _, address := range freeAddresses(t, n) {
		routes = append(routes, "nats://"+address)
	}
	for i := range servers {
		servers[i] = newServer(t, Options{Name: fmt.Sprintf("n%d", i+1), route: strings.TrimPrefix(routes[i], "nats://"), routes: routes})
		servers[i].start()
	}
	return servers
}

// freeAddresses are addresses on which nobody listens: the servers of a cluster must know each other's before they listen on them.
func freeAddresses(t testing.TB, n int) (list []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // all are held until all are known
		list = append(list, l.Addr().String())
	}
	return list
}

// config writes the configuration, with the ports that the server has got, or lets the kernel choose them.
func (s *Server) config() string {
	var b strings.Builder
	fmt.Fprintf(&b, "server_name: %s\nhost: 127.0.0.1\nport: %s\nports_file_dir: %q\nlog_file: %q\n", s.opt.Name, s.port, s.dir, filepath.Join(s.dir, "log"))
	if !s.opt.NoJetStream {
		fmt.Fprintf(&b, "jetstream { store_dir: %q }\n", s.Dir())
	}
	if s.opt.CertFile != "" {
		fmt.Fprintf(&b, "tls { cert_file: %q, key_file: %q }\n", s.opt.CertFile, s.opt.KeyFile)
	}
	if s.opt.route != "" {
		fmt.Fprintf(&b, "cluster { name: test, listen: %q, routes: [%s] }\n", s.opt.route, strings.Join(s.opt.routes, ", "))
	}
	b.WriteString(s.opt.Config)
	name := filepath.Join(s.dir, "nats.conf")
	if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return name
}

// Dir is the folder of its JetStream.
func (s *Server) Dir() string { return filepath.Join(s.dir, "jetstream") }

// PID is the process that runs, 0 if none does.
func (s *Server) PID() int {
	if s.cmd == nil {
		return 0
	}
	return s.cmd.Process.Pid
}

func (s *Server) start() {
	s.t.Helper()
	cmd := exec.Command(s.program, "-c", s.config())
	cmd.Dir = s.dir
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.cmd, s.exited = cmd, make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(s.exited)
	}()
	s.learnPorts()
}

// learnPorts waits for the file in which the server says what it listens on.
func (s *Server) learnPorts() {
	s.t.Helper()
	name := filepath.Join(s.dir, fmt.Sprintf("%s_%d.ports", filepath.Base(s.program), s.cmd.Process.Pid))
	var ports struct{ Nats []string }
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if b, err := os.ReadFile(name); err == nil && json.Unmarshal(b, &ports) == nil && len(ports.Nats) > 0 {
			break
		}
		select {
		case <-s.exited:
			s.t.Fatalf("the NATS server %s does not start:\n%s", s.opt.Name, tail(filepath.Join(s.dir, "log"), 4000))
		default:
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the NATS server %s has no ports after %v:\n%s", s.opt.Name, patience, tail(filepath.Join(s.dir, "log"), 4000))
		}
	}
	u, err := url.Parse(ports.Nats[0])
	if err != nil {
		s.t.Fatal(err)
	}
	s.port, s.URL = u.Port(), "nats://127.0.0.1:"+u.Port()
	if s.opt.CertFile != "" {
		s.URL = "tls://localhost:" + u.Port()
	}
}

// Kill kills it at once (kill -9). Killing one that does not run is nothing.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	<-s.exited
	s.cmd = nil
}

// Restart starts it again after Kill, on the same port, with the data that it had.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	s.start()
}

// Wipe removes what it had in JetStream. The server must have been killed.
func (s *Server) Wipe() {
	s.t.Helper()
	if s.cmd != nil {
		s.t.Fatal("the NATS server runs")
	}
	if err := os.RemoveAll(s.Dir()); err != nil {
		s.t.Fatal(err)
	}
}

// tail is the end of a file.
func tail(name string, most int) string {
	b, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-most):])
}
