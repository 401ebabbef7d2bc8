//go:build linux

package child

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
)

// Caddyfile is what the real binary is configured with. Its log goes to the standard error, at the level of the example (INFO).
type Caddyfile struct {
	Options string // lines of the global options
	Sites   string // what follows them
}

// Site is a site on a port of the kernel's choice with that handler.
func Site(handler string) string { return "http://:0 {\n\tbind 127.0.0.1\n\t" + handler + "\n}\n" }

// Binary is the path of the Caddy to measure: the one given, or where none is, one built from cmd/caddy of the module that the
// working folder is in.
func (s *Stand) Binary(given string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	fmt.Fprintln(os.Stderr, "building ./cmd/caddy")
	out := filepath.Join(s.Dir, "caddy")
	cmd := exec.Command("go", "build", "-o", out, "github.com/whence-project/whence/cmd/caddy")
	cmd.Stderr = os.Stderr
	return out, cmd.Run()
}

// Caddy starts the real binary in a folder of its own and waits until ready, which may set the server's address; see [Serving].
func (s *Stand) Caddy(name, binary string, file Caddyfile, ready func(*Server) bool) (*Server, error) {
	dir := filepath.Join(s.Dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	text := fmt.Sprintf("{\n\tadmin unix/%s\n\tpersist_config off\n%s}\n%s", s.Admin(name), file.Options, file.Sites)
	config := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, "run", "--config", config, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	p, err := s.start(name, cmd)
	if err != nil {
		return nil, err
	}
	if err := p.await(ready); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// Admin is the Unix socket of the admin endpoint of the Caddy with that name.
func (s *Stand) Admin(name string) string { return filepath.Join(s.Dir, name, "admin.sock") }

// Serving reports that a Caddy has started its configuration, and takes the address of its site from the log.
func Serving(p *Server) bool {
	return bytes.Contains(p.Log(), []byte("serving initial configuration")) &&
		p.LoggedAddr(func(e Entry) string { return e.Actual })
}

// Entry is what log lines say that name an address.
type Entry struct {
	Logger, Msg string
	Address     string `json:"address"`
	Actual      string `json:"actual_address"` // of an HTTP server
}

// LoggedAddr takes the server's address from the first line of its log in which of finds one.
func (p *Server) LoggedAddr(of func(Entry) string) bool {
	for line := range bytes.Lines(p.Log()) {
		var e Entry
		if json.Unmarshal(line, &e) != nil {
			continue
		}
		if addr, err := netip.ParseAddrPort(of(e)); err == nil {
			p.Addr = addr
			return true
		}
	}
	return false
}
