//go:build linux

package main

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/whence-project/whence/bench/internal/child"
)

//go:embed peers/*.c peers/*.conf
var peers embed.FS

// forwarder is a server under measurement and the upstream that it alone asks.
type forwarder struct {
	*child.Server
	name     string
	addr     netip.AddrPort // of its DNS over UDP
	upstream *child.Server
}

// setting is what the configurations of the forwarders are made of.
type setting struct {
	Port     uint16 // to listen on
	Upstream netip.AddrPort
	Name     string // in the certificate of the upstream
	CA       string // file
	Dir      string // of its own
}

// configure starts an upstream, and fills the template peers/NAME.conf in.
func (b *bench) configure(name string) (f *forwarder, set setting, text string, err error) {
	f = &forwarder{name: name}
	set = setting{Name: upstreamName, CA: filepath.Join(b.Dir, name+".pem"), Dir: filepath.Join(b.Dir, name)}
	if err := os.MkdirAll(set.Dir, 0o700); err != nil {
		return nil, set, "", err
	}
	if f.upstream, err = b.Self(name+" upstream", "-upstream", set.CA); err != nil {
		return nil, set, "", err
	}
	s, err := f.seen()
	if err != nil {
		return nil, set, "", err
	}
	set.Upstream = s.Addr
	if f.addr, err = freePort(); err != nil {
		return nil, set, "", err
	}
	set.Port = f.addr.Port()
	t, err := template.ParseFS(peers, "peers/"+name+".conf")
	if err != nil {
		return nil, set, "", err
	}
	var out bytes.Buffer
	err = t.Execute(&out, set)
	return f, set, out.String(), err
}

// freePort is an address on which nobody listens, neither on UDP nor on TCP.
func freePort() (addr netip.AddrPort, err error) {
	for range 20 {
		var ln net.Listener
		if ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return addr, err
		}
		addr = ln.Addr().(*net.TCPAddr).AddrPort()
		var c net.PacketConn
		c, err = net.ListenPacket("udp", addr.String())
		ln.Close()
		if err == nil {
			c.Close()
			return addr, nil
		}
	}
	return addr, err
}

// startPeer starts a forwarder of others: program with arguments, %c being its configuration and %d its folder.
func (b *bench) startPeer(name, program string, args ...string) (*forwarder, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		if path, err = exec.LookPath(filepath.Join("/usr/sbin", program)); err != nil { // where Debian has servers, and users no path to
			return nil, err
		}
	}
	f, set, text, err := b.configure(name)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(set.Dir, name+".conf")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	fill := strings.NewReplacer("%c", config, "%d", set.Dir)
	for i := range args {
		args[i] = fill.Replace(args[i])
	}
	// None of them says where it listens in a way of its own: the shell says it for them, and becomes the server.
	script := `echo "$0"; cd "$1"; shift; exec "$@" >&2`
	cmd := exec.Command("/bin/sh", append([]string{"-c", script, f.addr.String(), set.Dir, path}, args...)...)
	if err := on(serverCore, func() (err error) { f.Server, err = b.Printing(name, cmd); return err }); err != nil {
		return nil, err
	}
	return f, f.await()
}

// startEcho starts the limit, which has no upstream.
func (b *bench) startEcho() (*forwarder, error) {
	program, err := compile(b.Stand, "echo.c")
	if err != nil {
		return nil, err
	}
	f := &forwarder{name: "echo"}
	if err := on(serverCore, func() (err error) { f.Server, err = b.Printing("echo", exec.Command(program)); return err }); err != nil {
		return nil, err
	}
	f.addr = f.Addr
	return f, nil
}

// startWhence starts the real binary.
func (b *bench) startWhence() (*forwarder, error) {
	f, _, text, err := b.configure("whence")
	if err != nil {
		return nil, err
	}
	serving := func(p *child.Server) bool { return bytes.Contains(p.Log(), []byte("serving initial configuration")) }
	options := fmt.Sprintf("\tstore %s/whence/store\n%s", b.Dir, text)
	err = on(serverCore, func() (err error) {
		f.Server, err = b.Caddy("whence", b.caddy, child.Caddyfile{Options: options}, serving)
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, f.await()
}

// coreDNS is the path of the CoreDNS to measure: the one given, or one built from peers/coredns.
func (b *bench) coreDNS(given string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/whence-project/whence").Output()
	if err != nil {
		return "", err
	}
	fmt.Fprintln(os.Stderr, "building CoreDNS")
	out := filepath.Join(b.Dir, "coredns.bin")
	dir := filepath.Join(strings.TrimSpace(string(root)), "bench", "dns", "peers", "coredns")
	cmd := exec.Command("go", "-C", dir, "build", "-o", out, "github.com/coredns/coredns")
	cmd.Stderr = os.Stderr
	return out, cmd.Run()
}

const readyTimeout = 20 * time.Second

// await waits until the forwarder answers a question of which only its upstream knows the answer.
func (f *forwarder) await() error {
	var last error
	for end := time.Now().Add(readyTimeout); time.Now().Before(end); {
		if last = resolves(f.addr); last == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond) // a port where nobody listens yet refuses at once
	}
	return fmt.Errorf("%s does not answer: %w; %w", f.name, last, f.Failed())
}

// resolves asks a server for the address of a name.
func resolves(addr netip.AddrPort) error {
	c, err := net.Dial("udp", addr.String())
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	labels := []byte("\x05ready\x05bench\x07example\x03org")
	query := append([]byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"), labels...)
	if _, err := c.Write(append(query, 0, 0, typeA, 0, 1)); err != nil {
		return err
	}
	reply := make([]byte, 512)
	n, err := c.Read(reply)
	if err != nil {
		return err
	}
	if want := addressOf(labels); !bytes.Contains(reply[:n], want[:]) {
		return fmt.Errorf("answered % x", reply[:n])
	}
	return nil
}

// seen is what the forwarder's upstream saw since it was reset.
func (f *forwarder) seen() (s seen, err error) {
	body, err := f.control(http.MethodGet, "/seen", nil)
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(body, &s)
}

// reset has the upstream forget what it saw, and wait so long before each answer from now on.
func (f *forwarder) reset(delay time.Duration) error {
	_, err := f.control(http.MethodPost, "/reset", url.Values{"delay": {delay.String()}})
	return err
}

func (f *forwarder) control(method, path string, query url.Values) ([]byte, error) {
	u := url.URL{Scheme: "http", Host: f.upstream.Addr.String(), Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(context.Background(), method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return body, err
}
