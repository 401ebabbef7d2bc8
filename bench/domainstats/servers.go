//go:build linux

package main

import (
	"bufio"
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
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

// fixedAnswer is as long as an answer of format C.
const fixedAnswer = `{"alerts":["No whois record for example.org"],"category":"ERROR","freq_score":[7.1568,6.3527],"seen_by_isc":"ERROR",` +
	`"seen_by_web":"ERROR","seen_by_you":"Sat, 21 Nov 2026 00:00:00 GMT"}`

// serveFixed is the least that a Go server does over HTTP.
func serveFixed() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ln.Addr())
	body := []byte(fixedAnswer + "\n")
	log.Fatal(http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	})))
}

// server is a server under measurement: a child process.
type server struct {
	cmd  *exec.Cmd
	addr netip.AddrPort
	done chan struct{} // closed when the process has ended
	log  string        // file with its standard error
}

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
	_ = r.SetReadDeadline(time.Now().Add(30 * time.Second))
	line, err := bufio.NewReader(r).ReadString('\n')
	if err == nil {
		s.addr, err = netip.ParseAddrPort(strings.TrimSpace(line))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s did not say where it listens: %w", name, err), s.failed())
	}
	return s, nil
}

func startPython(dir, names string) (*server, error) {
	const python = "/usr/bin/python3"
	if _, err := os.Stat(python); err != nil {
		return nil, err
	}
	script, err := unpack(dir, "dict.py")
	if err != nil {
		return nil, err
	}
	return startPrinting(dir, "python", exec.Command(python, script, names))
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

// buildCaddy builds cmd/caddy of the module that the working folder is in.
func buildCaddy(dir string) (string, error) {
	out := filepath.Join(dir, "caddy")
	cmd := exec.Command("go", "build", "-o", out, "github.com/whence-project/whence/cmd/caddy")
	cmd.Stderr = os.Stderr
	return out, cmd.Run()
}

// startCaddy starts the real binary with these global options and this handler in a site, the log at the level of the example
// (INFO) on standard error into a file.
func startCaddy(dir, name, caddy, options, handler string) (*server, error) {
	dir = filepath.Join(dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	config := fmt.Sprintf("{\n\tadmin unix/%s/admin.sock\n\tpersist_config off\n%s}\nhttp://:0 {\n\tbind 127.0.0.1\n\t%s\n}\n", dir, options, handler)
	file := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(caddy, "run", "--config", file, "--adapter", "caddyfile")
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
		if s.serving() {
			return s, nil
		}
	}
	return nil, fmt.Errorf("%s does not start: %w", name, s.failed())
}

// serving looks for the log lines that name the address, and say that all is up.
func (s *server) serving() bool {
	log, err := os.ReadFile(s.log)
	if err != nil || !bytes.Contains(log, []byte("serving initial configuration")) {
		return false
	}
	for line := range bytes.Lines(log) {
		var entry struct {
			Address string `json:"actual_address"`
		}
		if json.Unmarshal(line, &entry) == nil && entry.Address != "" {
			s.addr, err = netip.ParseAddrPort(entry.Address)
			return err == nil
		}
	}
	return false
}

// failed ends the server and returns what it said last.
func (s *server) failed() error {
	s.stop()
	log, _ := os.ReadFile(s.log)
	return fmt.Errorf("its log ends in:\n%s", log[max(0, len(log)-2000):])
}

// stop ends the process that start started, and waits for it.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(10 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
}

// memory is the anonymous resident memory of the server in bytes: what it holds itself, not the files it has mapped.
func (s *server) memory() int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	_, rest, _ := bytes.Cut(b, []byte("RssAnon:"))
	kib := 0
	_, _ = fmt.Sscan(string(rest), &kib)
	return kib << 10
}

// cpu is the processor time that the server has used, in user and in kernel mode.
func (s *server) cpu() time.Duration { return processCPU(s.cmd.Process.Pid) }

// processCPU reads the process's CPU clock (clock_getcpuclockid(3)): utime and stime of /proc/PID/stat, but in nanoseconds.
func processCPU(pid int) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// childrenCPU is the processor time of this process's children that have ended.
func childrenCPU() time.Duration {
	var ru unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_CHILDREN, &ru)
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
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
