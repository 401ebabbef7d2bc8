package egress

import (
	"context"
	"net"
	"net/netip"
	"time"
)

const (
	attemptDelay = 250 * time.Millisecond // RFC 8305 §5: the next address is tried when the last has not answered for so long
	maxAttempts  = 8                      // addresses of one name that are tried; who has more has a reason that is not ours
)

// route is one way to a peer: from the zero Addr, the system chooses the source.
type route struct {
	from netip.Addr
	to   netip.AddrPort
}

// routes are the ways to addrs that the source addresses leave, the families in turns (RFC 8305 §4).
func (d *Dialer) routes(ctx context.Context, addrs []netip.Addr, port uint16) ([]route, error) {
	sources := d.o.Sources
	if a, _ := ctx.Value(sourceKey{}).(netip.Addr); a.IsValid() {
		sources = []netip.Addr{a}
	}
	var families [2][]route // the one of the first address, the other
	for _, a := range addrs {
		from, ok := sourceFor(a, sources)
		if !ok {
			continue
		}
		i := 0
		if a.Is4() != addrs[0].Is4() {
			i = 1
		}
		families[i] = append(families[i], route{from, netip.AddrPortFrom(a, port)})
	}
	var routes []route
	for i := range addrs {
		for _, family := range families {
			if i < len(family) {
				routes = append(routes, family[i])
			}
		}
	}
	if len(routes) == 0 {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(addrs[0], port)),
			Err: &net.AddrError{Err: "no source address of the family", Addr: addrs[0].String()}}
	}
	return routes[:min(len(routes), maxAttempts)], nil
}

// sourceFor is the first of sources in the family of peer; there being no sources, the zero Addr.
func sourceFor(peer netip.Addr, sources []netip.Addr) (netip.Addr, bool) {
	for _, s := range sources {
		if s.Is4() == peer.Is4() {
			return s, true
		}
	}
	return netip.Addr{}, len(sources) == 0
}

// race connects on the first route that answers. Each gets a start of attemptDelay over the next, or none once it has failed. The
// error is that of the first route, which is the one that somebody looking into it would try.
func (d *Dialer) race(ctx context.Context, routes []route) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		i    int
		conn net.Conn
		err  error
	}
	results := make(chan result)
	start := func(i int) {
		conn, err := d.connect(ctx, routes[i].from, routes[i].to)
		select {
		case results <- result{i, conn, err}:
		case <-ctx.Done():
			if conn != nil { // another was faster
				conn.Close()
			}
		}
	}
	timer := time.NewTimer(attemptDelay)
	defer timer.Stop()
	var first error
	next, running := 0, 0
	for {
		if next < len(routes) {
			go start(next)
			next, running = next+1, running+1
			timer.Reset(attemptDelay)
		}
		if running == 0 {
			return nil, first
		}
		select {
		case <-timer.C:
		case r := <-results:
			if r.err == nil {
				return r.conn, nil
			}
			running--
			if r.i == 0 || first == nil {
				first = r.err
			}
		case <-ctx.Done():
			return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(routes[0].to), Err: ctx.Err()}
		}
	}
}

// connectTCP is the connection itself. The zero Addr from is the system's choice.
func connectTCP(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	// Connections last for one query or carry HTTP/2, which has its own pings.
	d := net.Dialer{KeepAlive: -1}
	if from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
		d.Control = bindLate
	}
	return d.DialContext(ctx, "tcp", to.String())
}
