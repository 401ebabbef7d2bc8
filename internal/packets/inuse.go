package packets

import (
	"errors"
	"io/fs"
	"net/netip"
	"runtime"
	"syscall"
)

// InUseError says that the address is taken. It wraps the system's error (EADDRINUSE).
type InUseError struct {
	Address netip.AddrPort
	Holder  string // the process that has it, "systemd-resolve (pid 211)"; empty where the system does not tell
	err     error
}

func (e *InUseError) Error() string {
	by := "another process"
	if e.Holder != "" {
		by = e.Holder
	}
	return "listening on udp " + e.Address.String() + ": the address is in use by " + by + "; stop it, or choose another address"
}

func (e *InUseError) Unwrap() error { return e.err }

// PermissionError says that the process may not listen on the address, as for ports below 1024. It wraps the system's error.
type PermissionError struct {
	Address netip.AddrPort
	err     error
}

func (e *PermissionError) Error() string {
	return "listening on udp " + e.Address.String() + ": permission denied; give the binary CAP_NET_BIND_SERVICE " +
		"(setcap cap_net_bind_service=+p), redirect the port, or choose one above 1023"
}

func (e *PermissionError) Unwrap() error { return e.err }

// explain says what to do about a socket that could not be opened.
func explain(address netip.AddrPort, err error) error {
	switch {
	case isInUse(err):
		return &InUseError{Address: address, Holder: holder(address), err: err}
	case errors.Is(err, fs.ErrPermission):
		return &PermissionError{Address: address, err: err}
	}
	return err
}

func isInUse(err error) bool {
	const wsaAddrInUse = syscall.Errno(10048) // Winsock has error numbers of its own
	return errors.Is(err, syscall.EADDRINUSE) || runtime.GOOS == "windows" && errors.Is(err, wsaAddrInUse)
}
