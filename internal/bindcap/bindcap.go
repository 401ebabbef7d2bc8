// Package bindcap opens ports below 1024 with a capability that the process may use but does not hold ready.
//
// A binary with `setcap cap_net_bind_service=+p` starts everywhere, also where the capability is taken away (a container without
// capabilities, a hardened unit); one with `+ep` is not even executed there (capabilities(7), "safety checking for capability-dumb
// binaries"). Caddy does the same for the sockets that it opens itself.
package bindcap

import (
	"errors"
	"io/fs"
)

// Do calls open. Where that is refused for want of a permission, and the process may raise CAP_NET_BIND_SERVICE, it is called once more
// with the capability raised for the while. What open does must be done in the goroutine that it is called in.
func Do[T any](open func() (T, error)) (T, error) {
	v, err := open()
	if !errors.Is(err, fs.ErrPermission) {
		return v, err
	}
	raised(func() { v, err = open() })
	return v, err
}
