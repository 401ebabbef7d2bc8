//go:build !unix || solaris || illumos || aix

package natstest

import "github.com/whence-project/whence/internal/testenv"

// Freeze skips the test: a process cannot be frozen here.
func (s *Server) Freeze() { testenv.Skip(s.t, "a process cannot be frozen on this system") }

// Thaw is for a process that was frozen.
func (s *Server) Thaw() {}

// lock does not: two that build at the same time build twice.
func lock(string) (unlock func(), err error) { return func() {}, nil }
