//go:build linux

package child

import (
	"bufio"
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	startTimeout = 60 * time.Second // a machine that also compiles is slow
	stopTimeout  = 10 * time.Second
)

// Server is a server under measurement: a child process.
type Server struct {
	Addr netip.AddrPort // where it listens
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	log  string        // file with its standard error
}

func (p *Server) readAddr(r *os.File) error {
	_ = r.SetReadDeadline(time.Now().Add(startTimeout))
	line, err := bufio.NewReader(r).ReadString('\n')
	if err == nil {
		p.Addr, err = netip.ParseAddrPort(strings.TrimSpace(line))
	}
	return err
}

// Log is what the server has written to its standard error.
func (p *Server) Log() []byte {
	b, _ := os.ReadFile(p.log)
	return b
}

// Failed ends the server and returns what it said last.
func (p *Server) Failed() error {
	p.Stop()
	log := p.Log()
	return fmt.Errorf("its log ends in:\n%s", log[max(0, len(log)-2000):])
}

// Stop ends the process, and waits for it.
func (p *Server) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// await waits until ready says so, which is asked again and again; the process must not end meanwhile.
func (p *Server) await(ready func(*Server) bool) error {
	for end := time.Now().Add(startTimeout); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		select {
		case <-p.done:
			return p.Failed()
		default:
		}
		if ready(p) {
			return nil
		}
	}
	return fmt.Errorf("not ready after %v: %w", startTimeout, p.Failed())
}

// CPU is the processor time that the server has used, in user and in kernel mode.
func (p *Server) CPU() time.Duration { return ProcessCPU(p.cmd.Process.Pid) }

// Memory is the anonymous resident memory of the server in bytes: what it holds itself, not the files it has mapped.
func (p *Server) Memory() int { return p.status("RssAnon:") }

// PeakMemory is the most resident memory in bytes that the server ever had, mapped files included: the kernel keeps no other peak.
func (p *Server) PeakMemory() int { return p.status("VmHWM:") }

// WatchMemory looks at [Server.Memory] ten times a second until the watch is stopped.
func (p *Server) WatchMemory() *MemoryWatch {
	w := &MemoryWatch{ask: make(chan chan int)}
	go func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for most := p.Memory(); ; {
			select {
			case <-tick.C:
				most = max(most, p.Memory())
			case answer, more := <-w.ask:
				if !more {
					return
				}
				now := p.Memory()
				answer <- max(most, now)
				most = now
			}
		}
	}()
	return w
}

// MemoryWatch watches the memory of a server.
type MemoryWatch struct{ ask chan chan int }

// Most is the most that there was since the watch began, or since the last Most.
func (w *MemoryWatch) Most() int {
	answer := make(chan int)
	w.ask <- answer
	return <-answer
}

// Stop ends the watch.
func (w *MemoryWatch) Stop() { close(w.ask) }

// status is a figure of /proc/PID/status, which has them in KiB.
func (p *Server) status(key string) int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	_, rest, _ := bytes.Cut(b, []byte(key))
	kib := 0
	_, _ = fmt.Sscan(string(rest), &kib)
	return kib << 10
}
