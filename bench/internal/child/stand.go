//go:build linux

// Package child runs what is measured as processes of their own, so that the processor time and the memory of a server are those of
// a process and nobody else's.
package child

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
)

// A child is killed when the thread that started it ends: children are started on the main thread, which ends with the program.
func init() { runtime.LockOSThread() }

// Stand is what a benchmark runs on: a folder and the processes started in it, none of which outlive it. Its methods are for the
// goroutine of main.
type Stand struct {
	Dir     string
	servers []*Server
	skipped []string
}

// NewStand makes the folder. The program that is interrupted removes it, too.
func NewStand() (*Stand, error) {
	dir, err := os.MkdirTemp("", "whence-bench-")
	if err != nil {
		return nil, err
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupted
		os.RemoveAll(dir)
		os.Exit(130) // which ends the children, see start
	}()
	return &Stand{Dir: dir}, nil
}

// Close ends the processes and removes the folder.
func (s *Stand) Close() {
	for _, p := range s.servers {
		p.Stop()
	}
	os.RemoveAll(s.Dir)
}

// Skip remembers what could not be measured, and why.
func (s *Stand) Skip(what string, why error) {
	s.skipped = append(s.skipped, fmt.Sprintf("%s: %v", what, why))
}

// PrintSkipped writes what was left out, a line each.
func (s *Stand) PrintSkipped(w io.Writer) {
	for _, line := range s.skipped {
		fmt.Fprintln(w, "- left out:", line)
	}
}

// Unpack writes a file of fsys, the source of a peer, to the folder under its last name.
func (s *Stand) Unpack(fsys fs.FS, name string) (string, error) {
	b, err := fs.ReadFile(fsys, name)
	if err != nil {
		return "", err
	}
	out := filepath.Join(s.Dir, filepath.Base(name))
	return out, os.WriteFile(out, b, 0o644)
}

// start starts cmd with its standard error in a file of the folder.
func (s *Stand) start(name string, cmd *exec.Cmd) (*Server, error) {
	p := &Server{cmd: cmd, done: make(chan struct{}), log: filepath.Join(s.Dir, name+".log")}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = cmd.Wait(); close(p.done) }()
	s.servers = append(s.servers, p)
	return p, nil
}

// Program starts another program and waits until ready, which may set the server's address.
func (s *Stand) Program(name string, cmd *exec.Cmd, ready func(*Server) bool) (*Server, error) {
	p, err := s.start(name, cmd)
	if err != nil {
		return nil, err
	}
	if err := p.await(ready); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// Self starts this program again with these arguments, as [Stand.Printing] does.
func (s *Stand) Self(name string, args ...string) (*Server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return s.Printing(name, exec.Command(self, args...))
}

// Printing starts a server whose first line on the standard output is the address on which it listens. What it prints after
// that is nobody's to read.
func (s *Stand) Printing(name string, cmd *exec.Cmd) (*Server, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd.Stdout = w
	p, err := s.start(name, cmd)
	w.Close()
	if err != nil {
		return nil, err
	}
	if err := p.readAddr(r); err != nil {
		return nil, errors.Join(fmt.Errorf("%s did not say where it listens: %w", name, err), p.Failed())
	}
	return p, nil
}
