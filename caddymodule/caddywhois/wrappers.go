package caddywhois

import (
	"errors"
	"net"
	"sync"

	"github.com/caddyserver/caddy/v2"
)

// pipe is the listener that a configuration's listener wrappers wrap: it accepts what the shared socket hands over.
type pipe struct {
	addr  net.Addr
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipe(addr net.Addr) *pipe {
	return &pipe{addr: addr, conns: make(chan net.Conn, 64), done: make(chan struct{})}
}

// deliver hands a connection over without blocking: it is called on the socket's accept loop.
func (p *pipe) deliver(c net.Conn) {
	select {
	case p.conns <- c:
	default:
		go func() {
			select {
			case p.conns <- c:
			case <-p.done:
				c.Close()
			}
		}()
	}
}

// Accept returns the next connection, also those delivered before Close.
func (p *pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	default:
	}
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipe) Addr() net.Addr { return p.addr }

func (p *pipe) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

// wrap applies the wrappers in the order in which they are configured, as Caddy's HTTP server does.
func wrap(ln net.Listener, wrappers []caddy.ListenerWrapper) net.Listener {
	for _, w := range wrappers {
		ln = w.WrapListener(ln)
	}
	return ln
}

// acceptAll serves what ln accepts until it is closed. A wrapper's error on one connection, such as a bad PROXY header, ends
// that connection only.
func acceptAll(ln net.Listener, serve func(net.Conn)) {
	for {
		c, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			serve(c)
		}
	}
}
