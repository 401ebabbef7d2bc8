// Package egress is how connections leave: whom names resolve to, which addresses may be dialled, from which source address, and
// through which proxy.
//
// Who may name a host to a server may make the server dial it. So the addresses of a name are looked up once, those that are not
// globally reachable are struck out, and what is left is what is dialled: there is no second resolution that could differ from
// the one that was checked (DNS rebinding).
package egress

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// DefaultTimeout is how long a connection may take to come about.
const DefaultTimeout = 10 * time.Second

// Options are what a [Dialer] is made of. The zero Options dial every globally reachable address directly.
type Options struct {
	// Lookup resolves a name in the form of [ParseHost], in the order in which its addresses should be tried. It honours ctx.
	// nil: the system's resolver.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// Allow are networks that are not globally reachable and may be dialled nevertheless.
	Allow []netip.Prefix
	// Trusted are hosts, names or addresses without a port, that the operator wrote himself: their addresses may be anything.
	Trusted []string
	// Sources are the local addresses to dial from: the first of the peer's family, unless [WithSource] names one. Peers of a
	// family that has none here are not dialled. Empty: the system chooses.
	Sources []netip.Addr
	// Proxies are tried from the first; the one that matches the host is used.
	Proxies []Proxy
	// Roots verify https proxies. nil: the system's.
	Roots *x509.CertPool
	// Timeout is for a connection in all: names resolved, addresses tried, proxies spoken to. 0: [DefaultTimeout].
	Timeout time.Duration
}

// Dialer makes TCP connections. It is safe for concurrent use.
type Dialer struct {
	o       Options
	trusted map[string]bool
	connect func(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error)
}

// New is a Dialer. Its error says which option is wrong, and never shows a password.
func New(o Options) (*Dialer, error) {
	d := &Dialer{o: o, trusted: make(map[string]bool, len(o.Trusted)), connect: connectTCP}
	if d.o.Lookup == nil {
		d.o.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if d.o.Timeout <= 0 {
		d.o.Timeout = DefaultTimeout
	}
	for _, s := range o.Trusted {
		host, err := ParseHost(s)
		if err != nil {
			return nil, fmt.Errorf("trusted host: %w", err)
		}
		d.trusted[host] = true
	}
	d.o.Sources = slices.Clone(o.Sources)
	for i, a := range o.Sources {
		if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() {
			return nil, fmt.Errorf("source address %s: not the address of an interface", a)
		}
		d.o.Sources[i] = a.Unmap()
	}
	d.o.Proxies = slices.Clone(o.Proxies)
	for i, p := range o.Proxies {
		p, err := p.checked()
		if err != nil {
			return nil, err
		}
		d.o.Proxies[i] = p
	}
	return d, nil
}

type (
	sourceKey     struct{}
	publicOnlyKey struct{}
)

// WithSource makes connections that are dialled with the context leave from the local address a, to peers of its family only. The
// zero Addr is the dialer's own choice. Through a proxy it has no meaning. Who pools connections has a pool for each source.
func WithSource(ctx context.Context, a netip.Addr) context.Context {
	return context.WithValue(ctx, sourceKey{}, a.Unmap())
}

// PublicOnly makes connections that are dialled with the context reach globally reachable addresses only, whatever is allowed or
// trusted otherwise: for hosts that a client named. Names are resolved here even for proxies that would do so themselves. A pooled connection
// may have been dialled without it.
func PublicOnly(ctx context.Context) context.Context {
	return context.WithValue(ctx, publicOnlyKey{}, true)
}

// DialContext connects to address, "host:port" with a number for the port; network is tcp, tcp4 or tcp6. Errors are
// [*RefusedError] for what must not be dialled, [*net.DNSError] for names that do not resolve, [*ProxyError] for what fails at a
// proxy or behind it, [*net.OpError] for the rest; those of timeouts are a [net.Error] that says so.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := splitAddress(network, address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, d.o.Timeout)
	defer cancel()
	if p := d.proxyFor(host); p != nil {
		return d.dialProxy(ctx, p, network, host, port)
	}
	addrs, err := d.addresses(ctx, network, host)
	if err != nil {
		return nil, err
	}
	routes, err := d.routes(ctx, addrs, port)
	if err != nil {
		return nil, err
	}
	return d.race(ctx, routes)
}

// splitAddress takes the arguments of DialContext apart. The host comes in the form of ParseHost.
func splitAddress(network, address string) (host string, port uint16, err error) {
	fault := func(why string) error {
		return &net.OpError{Op: "dial", Net: network, Err: &net.AddrError{Err: why, Addr: address}}
	}
	switch network {
	case "tcp", "tcp4", "tcp6":
	default:
		return "", 0, &net.OpError{Op: "dial", Net: network, Err: net.UnknownNetworkError(network)}
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	n, err := strconv.ParseUint(service, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fault("not a port number")
	}
	host, err = ParseHost(host)
	return host, uint16(n), err
}

// addresses are those of host that may be dialled, in the resolver's order and without repetition.
func (d *Dialer) addresses(ctx context.Context, network, host string) ([]netip.Addr, error) {
	var found []netip.Addr
	if a, err := netip.ParseAddr(host); err == nil {
		found = []netip.Addr{a}
	} else if found, err = d.lookup(ctx, host); err != nil {
		return nil, err
	}
	publicOnly, _ := ctx.Value(publicOnlyKey{}).(bool)
	allow := d.o.Allow
	if publicOnly {
		allow = nil
	}
	var addrs []netip.Addr
	var refused error
	for _, a := range found {
		a = a.Unmap()
		why := ""
		switch {
		case !publicOnly && d.trusted[host]:
		case a.Zone() != "":
			why = "an address on one link (RFC 4007)"
		default:
			why = reserved(a, allow)
		}
		switch {
		case why != "":
			if refused == nil {
				refused = &RefusedError{Host: host, Addr: a, Why: why}
			}
		case network == "tcp4" && !a.Is4(), network == "tcp6" && !a.Is6(), slices.Contains(addrs, a):
		default:
			addrs = append(addrs, a)
		}
	}
	switch {
	case len(addrs) > 0:
		return addrs, nil
	case refused != nil:
		return nil, refused
	}
	return nil, &net.DNSError{Err: "no suitable address", Name: host, IsNotFound: true}
}

// lookup resolves a name. Its errors are DNSErrors, whoever made the resolver.
func (d *Dialer) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	found, err := d.o.Lookup(ctx, host)
	if err == nil {
		return found, nil
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return nil, err
	}
	return nil, &net.DNSError{UnwrapErr: err, Err: err.Error(), Name: host, IsTimeout: isTimeout(err)}
}

// isTimeout reports whether err is that something took too long.
func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
