package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/proxy"
)

// Proxy is a proxy and whom it is used for.
type Proxy struct {
	// URL is scheme://[user:password@]host[:port]. The scheme is socks5 (RFC 1928; names are resolved and checked here), socks5h
	// (names are resolved by the proxy), http (CONNECT, RFC 9110 §9.3.6; names are resolved by the proxy) or https (the same
	// inside TLS). Names that a proxy resolves are not checked, except with [PublicOnly]; addresses are. The proxy itself may
	// have any address, and is dialled from the system's choice of source address.
	URL *url.URL
	// Hosts are the hosts that it is used for: names, addresses, or ".example.org" for a name and all below it. Empty: every host.
	Hosts []string
}

// ProxyError is what went wrong at a proxy, or behind it as far as the proxy tells.
type ProxyError struct {
	Proxy string // "host:port"
	Err   error
}

func (e *ProxyError) Error() string { return "proxy " + e.Proxy + ": " + e.Err.Error() }

func (e *ProxyError) Unwrap() error { return e.Err }

// Timeout reports whether the proxy, or what is behind it, took too long.
func (e *ProxyError) Timeout() bool { return isTimeout(e.Err) }

// Temporary is there because [net.Error] wants it.
func (e *ProxyError) Temporary() bool { return false }

// proxyPorts are the schemes of proxies and their usual ports.
var proxyPorts = map[string]string{"socks5": "1080", "socks5h": "1080", "http": "80", "https": "443"}

// These errors quote nothing: what is wrong with a URL may be a character in its password.
var (
	errProxyURL  = errors.New("proxy: not a URL such as socks5://user:password@proxy.example.org:1080; escape /, @ and the like in a password (%2F, %40)")
	errProxyKind = errors.New("proxy: the scheme is none of socks5, socks5h, http, https")
	errProxyAuth = errors.New("proxy: user name or password is longer than 255 bytes, or the user name is empty or has a colon")
)

// ParseProxy reads the URL of a proxy, and the hosts that it is for (see [Proxy]). Its error never shows the URL.
func ParseProxy(raw string, hosts ...string) (Proxy, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return Proxy{}, errProxyURL
	}
	return Proxy{URL: u, Hosts: hosts}.checked()
}

// String is the proxy without its password.
func (p Proxy) String() string {
	if p.URL == nil {
		return ""
	}
	s := p.URL.Redacted()
	if len(p.Hosts) > 0 {
		s += " for " + strings.Join(p.Hosts, " ")
	}
	return s
}

// checked is p with its host, port and Hosts in the form that is compared and dialled.
func (p Proxy) checked() (Proxy, error) {
	if p.URL == nil || p.URL.Host == "" || p.URL.Opaque != "" || strings.Trim(p.URL.Path, "/") != "" ||
		p.URL.RawQuery != "" || p.URL.Fragment != "" {
		return Proxy{}, errProxyURL
	}
	u := *p.URL
	u.Path = ""
	port, known := proxyPorts[u.Scheme]
	if !known {
		return Proxy{}, errProxyKind
	}
	if s := u.Port(); s != "" {
		if n, err := strconv.ParseUint(s, 10, 16); err != nil || n == 0 {
			return Proxy{}, errProxyURL
		}
		port = s
	}
	host, err := ParseHost(u.Hostname())
	if err != nil {
		return Proxy{}, errProxyURL
	}
	u.Host = net.JoinHostPort(host, port)
	if u.User != nil {
		// RFC 1929 §2, RFC 7617 §2
		password, _ := u.User.Password()
		if name := u.User.Username(); name == "" || len(name) > 255 || len(password) > 255 || strings.Contains(name, ":") {
			return Proxy{}, errProxyAuth
		}
	}
	hosts := make([]string, len(p.Hosts))
	for i, s := range p.Hosts {
		name, below := strings.CutPrefix(s, ".")
		host, err := ParseHost(name)
		if err != nil {
			return Proxy{}, err
		}
		if hosts[i] = host; below {
			hosts[i] = "." + host
		}
	}
	return Proxy{URL: &u, Hosts: hosts}, nil
}

// matches reports whether the proxy is for host.
func (p *Proxy) matches(host string) bool {
	for _, h := range p.Hosts {
		if h == host || h[0] == '.' && (h[1:] == host || strings.HasSuffix(host, h)) {
			return true
		}
	}
	return len(p.Hosts) == 0
}

func (d *Dialer) proxyFor(host string) *Proxy {
	for i := range d.o.Proxies {
		if p := &d.o.Proxies[i]; p.matches(host) {
			return p
		}
	}
	return nil
}

// dialProxy connects to host through p.
func (d *Dialer) dialProxy(ctx context.Context, p *Proxy, network, host string, port uint16) (net.Conn, error) {
	targets := []string{host}
	_, err := netip.ParseAddr(host)
	publicOnly, _ := ctx.Value(publicOnlyKey{}).(bool)
	switch {
	case err == nil, publicOnly, p.URL.Scheme == "socks5":
		addrs, err := d.addresses(ctx, network, host)
		if err != nil {
			return nil, err
		}
		targets = targets[:0]
		for _, a := range addrs[:min(len(addrs), maxAttempts)] {
			targets = append(targets, a.String())
		}
	case localName(host) && !d.trusted[host]:
		return nil, &RefusedError{Host: host, Why: "the proxy itself (RFC 6761)"}
	}
	var first error
	for _, target := range targets {
		conn, err := d.dialDirect(ctx, p.URL.Host)
		if err != nil {
			return nil, &ProxyError{Proxy: p.URL.Host, Err: err}
		}
		tunnel, err := d.tunnel(ctx, p, conn, net.JoinHostPort(target, strconv.Itoa(int(port))))
		if err == nil {
			return tunnel, nil
		}
		conn.Close()
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, &ProxyError{Proxy: p.URL.Host, Err: first}
}

// tunnel has the proxy at the other end of conn connect to target.
func (d *Dialer) tunnel(ctx context.Context, p *Proxy, conn net.Conn, target string) (net.Conn, error) {
	switch p.URL.Scheme {
	case "http":
		return connectHTTP(ctx, conn, p.URL, target)
	case "https":
		c := tls.Client(conn, &tls.Config{ServerName: p.URL.Hostname(), RootCAs: d.o.Roots, MinVersion: tls.VersionTLS12,
			NextProtos: []string{"http/1.1"}})
		if err := c.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		return connectHTTP(ctx, c, p.URL, target)
	}
	return connectSOCKS(ctx, conn, p.URL, target)
}

// dialDirect connects to a host that the operator named, whatever its address.
func (d *Dialer) dialDirect(ctx context.Context, address string) (net.Conn, error) {
	host, port, err := splitAddress("tcp", address)
	if err != nil {
		return nil, err
	}
	addrs := make([]netip.Addr, 1)
	if addrs[0], err = netip.ParseAddr(host); err != nil {
		if addrs, err = d.lookup(ctx, host); err != nil {
			return nil, err
		}
	}
	routes := make([]route, 0, maxAttempts)
	for _, a := range addrs[:min(len(addrs), maxAttempts)] {
		routes = append(routes, route{to: netip.AddrPortFrom(a.Unmap(), port)})
	}
	if len(routes) == 0 {
		return nil, &net.DNSError{Err: "no suitable address", Name: host, IsNotFound: true}
	}
	return d.race(ctx, routes)
}

// connectSOCKS has a SOCKS5 proxy connect to target (RFC 1928).
func connectSOCKS(ctx context.Context, conn net.Conn, u *url.URL, target string) (net.Conn, error) {
	var auth *proxy.Auth
	if u.User != nil {
		password, _ := u.User.Password()
		auth = &proxy.Auth{User: u.User.Username(), Password: password}
	}
	dialer, err := proxy.SOCKS5("tcp", u.Host, auth, connected{conn})
	if err != nil {
		return nil, err
	}
	c, err := dialer.(proxy.ContextDialer).DialContext(ctx, "tcp", target)
	var op *net.OpError
	if errors.As(err, &op) { // its addresses are those that the ProxyError has
		err = op.Err
	}
	return c, err
}

// connected is a dialer that has dialled already.
type connected struct{ conn net.Conn }

func (c connected) Dial(_, _ string) (net.Conn, error) { return c.conn, nil }

func (c connected) DialContext(context.Context, string, string) (net.Conn, error) { return c.conn, nil }
