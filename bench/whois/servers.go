//go:build linux

package main

import (
	"bufio"
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

//go:embed peers
var peers embed.FS

// A child is killed when the thread that started it ends: children are started on the main thread, which ends with the program.
func init() { runtime.LockOSThread() }

// server is a server under measurement: a child process.
type server struct {
	cmd  *exec.Cmd
	addr netip.AddrPort
	done chan struct{} // closed when the process has ended
	log  string        // file with its standard error
}

// start starts cmd with its standard error in a file in dir.
func start(cmd *exec.Cmd, dir, name string) (*server, error) {
	s := &server{cmd: cmd, done: make(chan struct{}), log: filepath.Join(dir, name+".log")}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = cmd.Wait(); close(s.done) }()
	return s, nil
}

// startPrinting starts a server that prints its address on the standard output.
func startPrinting(dir, name string, cmd *exec.Cmd) (*server, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd.Stdout = w
	s, err := start(cmd, dir, name)
	w.Close()
	if err != nil {
		return nil, err
	}
	_ = r.SetReadDeadline(time.Now().Add(20 * time.Second))
	line, err := bufio.NewReader(r).ReadString('\n')
	if err == nil {
		s.addr, err = netip.ParseAddrPort(strings.TrimSpace(line))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s did not say where it listens: %w", name, err), s.failed())
	}
	return s, nil
}

// startSelf starts this program as one of the servers in limit.go.
func startSelf(dir, what string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return startPrinting(dir, what, exec.Command(self, "-serve", what))
}

// startArticle starts the article's server on Debian's Python.
func startArticle(dir, python, database string) (*server, error) {
	script, err := unpack(dir, "article.py")
	if err != nil {
		return nil, err
	}
	return startPrinting(dir, "article", exec.Command(python, script, database))
}

// unpack writes a peer's source to dir.
func unpack(dir, name string) (string, error) {
	b, err := peers.ReadFile("peers/" + name)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	return path, os.WriteFile(path, b, 0o644)
}

// caddyfile configures whence as in the example; its log goes to the standard error at level INFO, with or without access lines.
func caddyfile(dir, database string, access bool) string {
	quiet := ""
	if !access {
		quiet = "\tlog default {\n\t\texclude whois.access\n\t}\n"
	}
	return fmt.Sprintf("{\n\tadmin unix/%s/admin.sock\n\tpersist_config off\n%s\tenrich {\n\t\tiana\n\t\tmmdb %s\n\t}\n"+
		"\twhois {\n\t\tbind 127.0.0.1:0\n\t}\n}\n", dir, quiet, strconv.Quote(database))
}

// buildCaddy builds cmd/caddy of the module that the working folder is in.
func buildCaddy(dir string) (string, error) {
	out := filepath.Join(dir, "caddy")
	cmd := exec.Command("go", "build", "-o", out, "github.com/whence-project/whence/cmd/caddy")
	cmd.Stderr = os.Stderr
	return out, cmd.Run()
}

// startWhence starts the real binary and waits until it answers from the database.
func startWhence(dir, name, caddy, database string, access bool) (*server, error) {
	dir = filepath.Join(dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(config, []byte(caddyfile(dir, database, access)), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(caddy, "run", "--config", config, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	s, err := start(cmd, dir, name)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		select {
		case <-s.done:
			return nil, s.failed()
		default:
		}
		if s.addr.IsValid() || s.listening() {
			if answer, err := s.ask("8.8.8.8"); err == nil && strings.Contains(answer, "dbstatus: ok") {
				return s, nil
			}
		}
	}
	return nil, fmt.Errorf("%s does not answer from %s: %w", name, database, s.failed())
}

// listening looks for the log line that names the address.
func (s *server) listening() bool {
	log, err := os.ReadFile(s.log)
	if err != nil {
		return false
	}
	for line := range bytes.Lines(log) {
		var entry struct{ Logger, Msg, Address string }
		if json.Unmarshal(line, &entry) == nil && entry.Logger == "whois" && entry.Msg == "listening" {
			s.addr, err = netip.ParseAddrPort(entry.Address)
			return err == nil
		}
	}
	return false
}

// ask asks one query the way a plain client does.
func (s *server) ask(query string) (string, error) {
	c, err := net.DialTimeout("tcp", s.addr.String(), 5*time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(c, query+"\r\n"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(c)
	return string(answer), err
}

// failed ends the server and returns what it said last.
func (s *server) failed() error {
	s.stop()
	log, _ := os.ReadFile(s.log)
	if len(log) > 2000 {
		log = log[len(log)-2000:]
	}
	return fmt.Errorf("its log ends in:\n%s", log)
}

// stop ends the process that start started, and waits for it.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(5 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
}

// cpu is the processor time that the server has used, in user and in kernel mode.
func (s *server) cpu() time.Duration { return processCPU(s.cmd.Process.Pid) }

// processCPU reads the process's CPU clock (clock_getcpuclockid(3)): the sum of utime and stime in /proc/PID/stat, but in
// nanoseconds, not in hundredths of a second.
func processCPU(pid int) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// machineCPU is the processor time that all processes together have used.
func machineCPU() time.Duration {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	fields := strings.Fields(line)
	var sum int64
	for _, i := range []int{1, 2, 3, 6, 7} { // user, nice, system, irq, softirq
		if i < len(fields) {
			n, _ := strconv.ParseInt(fields[i], 10, 64)
			sum += n
		}
	}
	return time.Duration(sum) * 10 * time.Millisecond
}
