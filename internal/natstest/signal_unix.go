//go:build unix && !solaris && !illumos && !aix

package natstest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Freeze stops the process where it is (SIGSTOP): its connections stay, and nothing is answered.
func (s *Server) Freeze() {
	s.t.Helper()
	s.signal(unix.SIGSTOP)
	for deadline := time.Now().Add(patience); !stopped(s.PID()) && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
}

// stopped reports that all threads of a process stand still, where the system tells: they do not at once.
func stopped(pid int) bool {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, name := range tasks {
		b, err := os.ReadFile(name)
		if i := bytes.LastIndexByte(b, ')'); err == nil && !bytes.HasPrefix(b[i+1:], []byte(" T")) {
			return false
		}
	}
	return true
}

// Thaw lets a frozen process go on.
func (s *Server) Thaw() { s.signal(unix.SIGCONT) }

func (s *Server) signal(sig unix.Signal) {
	s.t.Helper()
	if s.cmd == nil {
		s.t.Fatal("the NATS server does not run")
	}
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// lock waits until no other process has the file locked.
func lock(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}
