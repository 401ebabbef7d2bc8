package main

// The tests of this package drive the real binary as a user would: a Caddyfile, a socket, the admin endpoint, the log.

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var binary string // built once, by TestMain

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "whence")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "caddy")
	args := []string{"build", "-o", binary}
	if race {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, ".")...).CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "building the binary: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// server is a running binary.
type server struct {
	t     *testing.T
	dir   string // its working folder, with its Caddyfile and data
	cmd   *exec.Cmd
	files []*os.File // handed down, from descriptor 3
	env   []string   // variables beside those of every server
	log   *logLines
	http  *http.Client // to the admin endpoint

	exited     chan struct{} // closed when the process that was started last has ended
	registries string        // where the example's registration looks for registries; empty: nowhere
}

// globals makes a Caddyfile of global options, the admin endpoint on a unix socket among them.
func globals(options string) string {
	return "{\n\tadmin unix/{$WHENCE_TEST_ADMIN}\n" + options + "\n}\n"
}

// newServer prepares a working folder; Start starts the binary in it.
func newServer(t *testing.T) *server {
	t.Helper()
	dir, err := os.MkdirTemp("", "w") // short: a unix socket's path has at most 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &server{t: t, dir: dir, log: new(logLines)}
	s.http = &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "admin.sock"))
		},
	}}
	return s
}

// start runs the binary with the Caddyfile until the test ends.
func start(t *testing.T, caddyfile string) *server {
	t.Helper()
	s := newServer(t)
	s.start(caddyfile)
	return s
}

// start runs the binary, again after stop and kill.
func (s *server) start(caddyfile string) {
	s.t.Helper()
	s.write("Caddyfile", caddyfile)
	s.run("--config", "Caddyfile", "--adapter", "caddyfile")
}

// startJSON is start with a configuration in Caddy's own form.
func (s *server) startJSON(config string) {
	s.t.Helper()
	s.write("caddy.json", config)
	s.run("--config", "caddy.json")
}

func (s *server) run(args ...string) {
	s.t.Helper()
	const serving = `"serving initial configuration"`
	before := len(matching(s.log.String(), []string{serving}))
	s.cmd = s.command(append([]string{"run"}, args...)...)
	s.cmd.Stderr = s.log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	cmd, exited := s.cmd, make(chan struct{})
	s.exited = exited
	go func() {
		cmd.Wait()
		close(exited)
	}()
	s.t.Cleanup(func() {
		if s.cmd != cmd {
			return // the one that was started after it is ended
		}
		s.stop()
		if strings.Contains(s.log.String(), "WARNING: DATA RACE") {
			s.t.Error("the server has a data race")
		}
		if s.t.Failed() {
			s.t.Logf("the end of its log:\n%s", s.log.tail(40))
		}
	})
	s.log.wait(s.t, before+1, serving)
}

// stop ends the server as an operator does.
func (s *server) stop() {
	s.t.Helper()
	s.cmd.Process.Signal(os.Interrupt)
	select {
	case <-s.exited:
	case <-time.After(patience):
		s.t.Errorf("the server did not stop within %v", patience)
		s.kill()
	}
}

// kill ends the server at once, as kill -9 does.
func (s *server) kill() {
	s.cmd.Process.Kill()
	<-s.exited
}

// command prepares the binary with the server's folder and environment.
func (s *server) command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.ExtraFiles = s.files
	cmd.Dir = s.dir
	registries := s.registries
	if registries == "" {
		registries = "off" // nothing that a test starts asks beyond this machine
	}
	cmd.Env = append(os.Environ(), "WHENCE_REGISTRIES="+registries, "WHENCE_DOT=tls://127.0.0.1:9", "WHENCE_TEST_ADMIN="+s.path("admin.sock"), "WHENCE_TEST_SITE="+s.path("site.sock"), "WHENCE_TEST_DIR="+s.dir,
		"HOME="+s.dir, "XDG_DATA_HOME="+s.dir, "XDG_CONFIG_HOME="+s.dir)
	cmd.Env = append(cmd.Env, s.env...)
	return cmd
}

func (s *server) path(name string) string { return filepath.Join(s.dir, name) }

func (s *server) write(name, content string) {
	s.t.Helper()
	path := s.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// copyFile copies a file into the server's folder, under another name first, as a careful operator does.
func (s *server) copyFile(from, name string) {
	s.t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(name+".part", string(b))
	if err := os.Rename(s.path(name+".part"), s.path(name)); err != nil {
		s.t.Fatal(err)
	}
}

// site is the address of the n-th HTTP listener on a port of the kernel's choice that the server opened, from 0.
func (s *server) site(n int) string {
	s.t.Helper()
	line := s.log.wait(s.t, n+1, `"logger":"http"`, `"msg":"port 0 listener"`)
	var entry struct {
		Address string `json:"actual_address"`
	}
	if err := json.Unmarshal([]byte(line), &entry); err != nil {
		s.t.Fatalf("log line %s: %v", line, err)
	}
	return entry.Address
}

// client asks the site that binds the unix socket of that name in the server's folder, whatever host a URL names.
func (s *server) client(socket string) *http.Client {
	transport := &http.Transport{
		MaxIdleConnsPerHost: 1000,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", s.path(socket))
		},
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Timeout: patience, Transport: transport}
}

// whois is the address of the n-th WHOIS socket that the server opened, from 0.
func (s *server) whois(n int) string {
	s.t.Helper()
	line := s.log.wait(s.t, n+1, `"logger":"whois"`, `"msg":"listening"`)
	var entry struct{ Address string }
	if err := json.Unmarshal([]byte(line), &entry); err != nil {
		s.t.Fatalf("log line %s: %v", line, err)
	}
	return entry.Address
}

// load posts a Caddyfile to the admin endpoint, forced, and returns what it answered if that was an error. Caddy replaces its
// admin socket in each reload and resets who connects meanwhile: such a request is made again.
func (s *server) load(caddyfile string) (err error) {
	s.t.Helper()
	caddyfile = strings.ReplaceAll(caddyfile, "{$WHENCE_TEST_ADMIN}", s.path("admin.sock"))
	for range 5 {
		var resp *http.Response
		req, _ := http.NewRequest("POST", "http://localhost/load", strings.NewReader(caddyfile))
		req.Header.Set("Content-Type", "text/caddyfile")
		req.Header.Set("Cache-Control", "must-revalidate")
		if resp, err = s.http.Do(req); err == nil {
			return refusal(resp)
		}
	}
	return err
}

// refusal is the admin endpoint's error, nil where it has accepted.
func refusal(resp *http.Response) error {
	defer resp.Body.Close()
	var reply struct{ Error string }
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode == http.StatusOK {
		return err
	}
	json.Unmarshal(b, &reply)
	return fmt.Errorf("%s: %s", resp.Status, reply.Error)
}

func (s *server) get(path string) string {
	s.t.Helper()
	var resp *http.Response
	var err error
	for range 5 {
		if resp, err = s.http.Get("http://localhost" + path); err == nil {
			break
		}
	}
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

// logLines is the server's standard error, line by line.
type logLines struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	wake []chan struct{}
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.wake {
		close(c)
	}
	l.wake = nil
	return l.buf.Write(p)
}

// String is the whole log.
func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// tail is the last n lines.
func (l *logLines) tail(n int) string {
	lines := strings.SplitAfter(l.String(), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "")
}

// wait returns the n-th line, from 1, that contains all of the words, as soon as it is there.
func (l *logLines) wait(t *testing.T, n int, words ...string) string {
	t.Helper()
	timeout := time.After(patience)
	for {
		changed := make(chan struct{})
		l.mu.Lock()
		log := l.buf.String()
		l.wake = append(l.wake, changed)
		l.mu.Unlock()
		if found := matching(log, words); len(found) >= n {
			return found[n-1]
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("no %d log lines with %q within %v; the end of the log:\n%s", n, words, patience, l.tail(40))
		}
	}
}

func matching(log string, words []string) (found []string) {
next:
	for line := range strings.Lines(log) {
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue next
			}
		}
		found = append(found, line)
	}
	return found
}

// ask sends a query over a connection of its own and returns the whole answer.
func ask(t *testing.T, address, query string) string {
	t.Helper()
	answer, err := tryAsk(address, query)
	if err != nil {
		t.Fatalf("asking %q: %v", query, err)
	}
	return answer
}

func tryAsk(address, query string) (string, error) {
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, query+"\r\n"); err != nil {
		return "", err
	}
	b, err := io.ReadAll(c)
	return string(b), err
}

// eventually waits until f says true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// httpAt asks the site at an address, whatever host a URL names.
func httpAt(address string) *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		},
	}}
}
