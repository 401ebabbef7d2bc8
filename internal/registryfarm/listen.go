package registryfarm

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// servers are all sockets of a farm. One HTTP server has all the listeners; a WHOIS listener costs a goroutine.
type servers struct {
	http      *http.Server
	listeners []net.Listener
	wg        sync.WaitGroup

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]struct{} // WHOIS connections
}

// registryKey is under what the context of a request has its registry; the bootstrap files' has none.
type registryKey struct{}

type listenerOf struct {
	net.Listener
	registry *registry
}

// listen opens the sockets and starts serving.
func (f *Farm) listen() error {
	s := &f.servers
	s.conns = make(map[net.Conn]struct{})
	s.http = &http.Server{
		Handler:     http.HandlerFunc(f.serveHTTP),
		ErrorLog:    log.New(io.Discard, "", 0), // clients that go in the middle of something are what this is for
		BaseContext: func(l net.Listener) context.Context { return contextOf(l) },
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			if r, ok := ctx.Value(registryKey{}).(*registry); ok {
				r.records.connections.Add(1)
				f.total.connections.Add(1)
			}
			return ctx
		},
		ReadHeaderTimeout: time.Minute,
	}
	root, err := f.open(loopback(0), f.opt.TLS, "bootstrap")
	if err != nil {
		return err
	}
	f.bootstrap = newBootstrap(f, scheme(f.opt.TLS)+"://"+root.Addr().String()+"/rdap-bootstrap/")
	if err := f.openRegistry(f.iana, 1); err != nil {
		return err
	}
	for i, r := range f.registries {
		if err := f.openRegistry(r, i+2); err != nil {
			return err
		}
	}
	if err := f.bootstrap.publish(firstPublication); err != nil {
		return err
	}
	f.serveListener(root)
	return nil
}

// loopback is an address of its own for the n-th server: who counts by host takes servers that share one for the same operator.
func loopback(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, byte(20 + n/62500), byte(n / 250 % 250), byte(1 + n%250)})
}

func (f *Farm) openRegistry(r *registry, n int) error {
	r.addr = loopback(n)
	if r.IPv6 {
		r.addr = netip.IPv6Loopback()
	}
	if r.RDAP {
		l, err := f.open(r.addr, r.TLS, r.Name)
		if err != nil {
			return err
		}
		r.addr = addrOf(l)
		r.base = scheme(r.TLS) + "://" + l.Addr().String() + "/rdap/"
		f.serveListener(&listenerOf{l, r})
	}
	if r.WHOIS {
		l, err := f.bind(r.addr)
		if err != nil {
			return err
		}
		r.addr = addrOf(l)
		r.whois = l.Addr().String()
		f.servers.wg.Go(func() { r.accept(l) })
	}
	return nil
}

func addrOf(l net.Listener) netip.Addr { return l.Addr().(*net.TCPAddr).AddrPort().Addr().Unmap() }

func scheme(tls bool) string {
	if tls {
		return "https"
	}
	return "http"
}

// bind listens at an address. Where the system has no other loopback addresses than 127.0.0.1 (macOS), that is taken.
func (f *Farm) bind(a netip.Addr) (net.Listener, error) {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
	if err != nil && a.Is4() {
		l, err = net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	}
	if err != nil {
		return nil, err
	}
	f.servers.listeners = append(f.servers.listeners, l)
	return l, nil
}

// open is bind for HTTP.
func (f *Farm) open(a netip.Addr, secure bool, name string) (net.Listener, error) {
	l, err := f.bind(a)
	if err != nil || !secure {
		return l, err
	}
	config, err := f.ca.config(addrOf(l), name, "localhost")
	if err != nil {
		return nil, err
	}
	return tls.NewListener(l, config), nil
}

func (f *Farm) serveListener(l net.Listener) {
	f.servers.wg.Go(func() { f.servers.http.Serve(l) })
}

func contextOf(l net.Listener) context.Context {
	if of, ok := l.(*listenerOf); ok {
		return context.WithValue(context.Background(), registryKey{}, of.registry)
	}
	return context.Background()
}

// keep remembers a WHOIS connection, to end it with the farm, unless that has ended already.
func (s *servers) keep(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *servers) drop(c net.Conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	c.Close()
}

func (s *servers) close() {
	for _, l := range s.listeners {
		l.Close()
	}
	if s.http != nil {
		s.http.Close()
	}
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// abort ends a connection with RST, so that what is still on the way is lost.
func abort(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if t, ok := c.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	c.Close()
}

// serveHTTP is what every HTTP listener has: the registry's, or the bootstrap files'.
func (f *Farm) serveHTTP(w http.ResponseWriter, req *http.Request) {
	if r, ok := req.Context().Value(registryKey{}).(*registry); ok {
		r.serveRDAP(w, req)
		return
	}
	f.bootstrap.serve(w, req)
}
