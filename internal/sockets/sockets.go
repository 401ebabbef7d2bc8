// Package sockets has listening sockets that outlive the servers behind them, so that a new configuration takes over without
// a connection lost: closing one SO_REUSEPORT listener and opening the next resets whatever waited in the old one's queue.
package sockets

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/whence-project/whence/internal/bindcap"
	"github.com/whence-project/whence/internal/newest"
)

// Handler takes over an accepted connection. It is called on the accept loop and must return at once: it starts a goroutine.
type Handler func(net.Conn)

// Listener is a listening socket with its accept loop. Each connection goes to the newest [Handler].
type Listener struct {
	ln       net.Listener
	handlers newest.Stack[Handler]
	closing  sync.Once
	err      error
	done     chan struct{}
}

// Listen opens a socket of network tcp, tcp4 or tcp6 on address ("127.0.0.1:43", "[::]:43", ":43" for both families; port 0
// lets the kernel choose).
// Keepalive probes are off: WHOIS connections live for milliseconds and have deadlines, and the probes' four setsockopt calls
// were measured at 2.5 µs a connection. Where the address is taken, the error names the process that holds it, if the system
// tells.
func Listen(ctx context.Context, network, address string) (*Listener, error) {
	lc := net.ListenConfig{KeepAlive: -1}
	ln, err := bindcap.Do(func() (net.Listener, error) { return lc.Listen(ctx, network, address) })
	if err != nil {
		return nil, explain(address, err)
	}
	return Serve(ln), nil
}

// Serve starts the accept loop on a socket opened elsewhere: a unix socket, or one that the service manager passed on.
func Serve(ln net.Listener) *Listener {
	l := &Listener{ln: ln, done: make(chan struct{})}
	go l.accept()
	return l
}

// Addr is the address the socket got.
func (l *Listener) Addr() net.Addr { return l.ln.Addr() }

// Attach makes h the handler of the connections accepted from now on. When detach returns, h is not called any more, and the
// newest handler left serves again.
func (l *Listener) Attach(h Handler) (detach func()) { return l.handlers.Push(h) }

// Close closes the socket and waits for the accept loop to end. It is idempotent.
func (l *Listener) Close() error {
	l.closing.Do(func() { l.err = l.ln.Close() })
	<-l.done
	return l.err
}

// maxBackoff bounds the pause after a failed accept; out of file descriptors is the failure that passes.
const maxBackoff = time.Second

func (l *Listener) accept() {
	defer close(l.done)
	var pause time.Duration
	for {
		c, err := l.ln.Accept()
		switch {
		case err == nil:
			pause = 0
			if !l.handlers.Do(func(h Handler) { h(c) }) {
				c.Close()
			}
		case errors.Is(err, net.ErrClosed):
			return
		default:
			pause = min(max(2*pause, 5*time.Millisecond), maxBackoff)
			time.Sleep(pause)
		}
	}
}

// explain says what to do about a socket that could not be opened.
func explain(address string, err error) error {
	var op *net.OpError
	if !errors.As(err, &op) {
		return err
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return &InUseError{Address: address, Holder: holder(address), err: err}
	case errors.Is(err, fs.ErrPermission):
		return &PermissionError{Address: address, err: err}
	}
	return err
}

// InUseError says that another process, or another server of this one, listens on the address.
type InUseError struct {
	Address string
	Holder  string // the process that holds it, "caddy (pid 4711)"; empty where the system does not tell
	err     error
}

func (e *InUseError) Error() string {
	by := "another process"
	if e.Holder != "" {
		by = e.Holder
	}
	return "listening on " + e.Address + ": the address is in use by " + by + "; stop it, or choose another with bind"
}

func (e *InUseError) Unwrap() error { return e.err }

// PermissionError says that the process may not listen on the address, as for ports below 1024.
type PermissionError struct {
	Address string
	err     error
}

func (e *PermissionError) Error() string {
	return "listening on " + e.Address + ": permission denied; give the binary CAP_NET_BIND_SERVICE " +
		"(setcap cap_net_bind_service=+p), redirect the port, or choose one above 1023 with bind"
}

func (e *PermissionError) Unwrap() error { return e.err }
