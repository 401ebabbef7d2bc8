//go:build linux

package main

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/whence-project/whence/bench/internal/contest"
)

//go:embed peers
var peers embed.FS

// program is a contender: a command that annotates its standard input.
type program struct {
	name string
	args []string
}

// took is what one run of a program took, and the most memory that was in use.
type took struct {
	cpu, elapsed time.Duration
	memory       int64
}

// run runs a program from a file into another.
func (p *program) run(in, out string) (t took, err error) {
	stdin, err := os.Open(in)
	if err != nil {
		return t, err
	}
	defer stdin.Close()
	stdout, err := os.OpenFile(out, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return t, err
	}
	defer stdout.Close()
	var stderr bytes.Buffer
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, &stderr
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return t, err
	}
	ended, memory := make(chan struct{}), make(chan int64)
	go func() { memory <- peak(cmd.Process.Pid, ended) }()
	err = cmd.Wait()
	t.elapsed = time.Since(begin)
	close(ended)
	t.memory = <-memory
	if err != nil {
		return t, fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	t.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return t, nil
}

// peak is the most resident memory that a process has had, when it was looked at last before it ended. What the kernel tells of one
// that has ended counts the memory of this program, too, which it began as.
func peak(pid int, ended <-chan struct{}) (most int64) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return most
		case <-tick.C:
		}
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue
		}
		for line := range bytes.Lines(b) {
			if v, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
				kilobytes, _ := strconv.ParseInt(string(bytes.TrimSuffix(bytes.TrimSpace(v), []byte(" kB"))), 10, 64)
				most = kilobytes << 10
			}
		}
	}
}

// contender measures a program on a log, into nowhere. What it takes to annotate nothing, that is to start and to open the database,
// is shown, and not counted.
func (b *bench) contender(p *program) *contest.Contender {
	return &contest.Contender{Name: p.name, Run: func() (contest.Sample, error) {
		others := contest.Others()
		idle, err := p.run(os.DevNull, os.DevNull)
		if err != nil {
			return contest.Sample{}, err
		}
		t, err := p.run(b.log, os.DevNull)
		if err != nil {
			return contest.Sample{}, err
		}
		n := float64(b.lines)
		return contest.Sample{
			Rate: n / (t.elapsed - idle.elapsed).Seconds(), CPU: (t.cpu - idle.cpu).Seconds() * 1e6 / n, Other: others(0),
			More: map[string]float64{
				startCPU: float64(idle.cpu.Milliseconds()), startWall: float64(idle.elapsed.Milliseconds()),
				memory: float64(t.memory) / (1 << 20),
			},
		}, nil
	}}
}

// output is what a program makes of the log.
func (b *bench) output(p *program) ([]byte, error) {
	out := filepath.Join(b.Dir, "output")
	defer os.Remove(out)
	if _, err := p.run(b.log, out); err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	return os.ReadFile(out)
}

// whence is the real command with these flags.
func (b *bench) whence(name string, flags ...string) (*program, error) {
	config := filepath.Join(b.Dir, "Caddyfile")
	text := "{\n\tenrich {\n\t\tiana\n\t\tmmdb " + strconv.Quote(b.database) + "\n\t}\n}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	args := append([]string{b.caddy, "whence", "annotate", "--config", config, "--format", "text", "--fields", "asn,country_code"}, flags...)
	return &program{name, args}, nil
}

// findPython is the Python that has the C extension of maxminddb.
func findPython() (string, error) {
	const python = "/usr/bin/python3"
	text, err := exec.Command(python, "-c", "import maxminddb.extension").CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		return "", fmt.Errorf("%s: %w: %s (Debian: python3-maxminddb)", python, err, lines[len(lines)-1])
	}
	return python, nil
}
