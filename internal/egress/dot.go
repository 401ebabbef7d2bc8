package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	dotTry       = 3 * time.Second // for a server before the next is asked
	dotRemember  = time.Minute     // Go's resolver does not tell the TTL; registries keep their addresses for hours at least
	dotMostNames = 1024
)

// DoTServer is a resolver that speaks DNS over TLS (RFC 7858) and is found without DNS.
type DoTServer struct {
	Addr netip.AddrPort
	Name string // in its certificate; empty: the address is
}

// NewDoTResolver is an [Options.Lookup] that asks the servers in their order over TLS; the next where one fails, not where it
// says that there is no such name. Roots verify them; nil: the system's. The system's hosts file goes before the servers, its
// search list does not apply, and answers are kept for a minute.
func NewDoTResolver(roots *x509.CertPool, servers ...DoTServer) func(ctx context.Context, host string) ([]netip.Addr, error) {
	if len(servers) == 0 {
		return func(_ context.Context, host string) ([]netip.Addr, error) {
			return nil, &net.DNSError{Err: "no DNS server", Name: host}
		}
	}
	r := &dotResolver{answers: map[string]answer{}}
	for _, s := range servers {
		config := &tls.Config{ServerName: s.Name, RootCAs: roots, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(8)}
		if s.Name == "" {
			config.ServerName = s.Addr.Addr().WithZone("").String()
		}
		r.servers = append(r.servers, &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			d := tls.Dialer{Config: config}
			return d.DialContext(ctx, "tcp", s.Addr.String())
		}})
	}
	return r.lookup
}

type dotResolver struct {
	servers []*net.Resolver

	mu      sync.Mutex
	answers map[string]answer
}

type answer struct {
	addrs []netip.Addr
	until time.Time
}

func (r *dotResolver) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if addrs, ok := r.known(host); ok {
		return addrs, nil
	}
	var first error
	for i, server := range r.servers {
		addrs, err := r.ask(ctx, server, host, i == len(r.servers)-1)
		if err == nil {
			r.keep(host, addrs)
			return slices.Clone(addrs), nil
		}
		var dns *net.DNSError
		if errors.As(err, &dns) && dns.IsNotFound {
			return nil, err
		}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

// ask asks one server. The last has all the time that is left.
func (r *dotResolver) ask(ctx context.Context, server *net.Resolver, host string, last bool) ([]netip.Addr, error) {
	if !last {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, dotTry)
		defer cancel()
	}
	return server.LookupNetIP(ctx, "ip", host+".") // rooted: no search list
}

func (r *dotResolver) known(host string) ([]netip.Addr, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok := r.answers[host]
	if !ok || !time.Now().Before(a.until) {
		return nil, false
	}
	return slices.Clone(a.addrs), true
}

func (r *dotResolver) keep(host string, addrs []netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, have := r.answers[host]; !have && len(r.answers) >= dotMostNames {
		clear(r.answers) // once in so many names; what is in use comes back with the next query
	}
	r.answers[host] = answer{addrs, time.Now().Add(dotRemember)}
}
