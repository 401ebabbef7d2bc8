//go:build linux

package main

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// The servers run on one core, and what loads them, the upstreams and the generator, on another: what a server takes is then its
// own, and it cannot spread.
const (
	serverCore = 0
	loadCore   = 1
)

// on calls f, which starts a process, so that the process runs on that core alone. A process inherits the core of the thread that starts
// it, which is the main thread (see package child); it goes back to the core of the load.
func on(core int, f func() error) error {
	if runtime.NumCPU() < 2 {
		return f()
	}
	if err := pin(core); err != nil {
		return err
	}
	err := f()
	if back := pin(loadCore); err == nil {
		err = back
	}
	return err
}

// pin lets the calling thread run on that core alone.
func pin(core int) error {
	var set unix.CPUSet
	set.Set(core)
	return unix.SchedSetaffinity(0, &set)
}
