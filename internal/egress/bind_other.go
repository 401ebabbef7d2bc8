//go:build !linux

package egress

import "syscall"

func bindLate(_, _ string, _ syscall.RawConn) error { return nil }
