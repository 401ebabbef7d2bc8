package caddyenrich

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/whence-project/whence/caddymodule/internal/args"
	"github.com/whence-project/whence/internal/egress"
)

// Egress is how the connections of what asks other servers leave this machine.
type Egress struct {
	// Networks that are not of the public Internet and may be connected to nevertheless. Default: none.
	AllowNetworks []string `json:"allow_networks,omitempty"`
	// Addresses of this machine to ask from. Default: the system's choice.
	Sources []string `json:"sources,omitempty"`
	// Proxies, the first that matches a host is used. Default: none.
	Proxies []*EgressProxy `json:"proxies,omitempty"`
	// DNS-over-TLS servers that resolve the names of the servers that are asked: tls://address[:port] and the name on its certificate.
	// Default: the system's resolver.
	Bootstrap []*BootstrapResolver `json:"bootstrap,omitempty"`
	// Files with certificates (PEM) that are trusted beside the system's. Default: none.
	TrustedCA []string `json:"trusted_ca,omitempty"`
}

// EgressProxy is a proxy and what it is for.
type EgressProxy struct {
	// socks5://, socks5h://, http:// or https://, with user and password if it wants them; placeholders are replaced. Required.
	URL string `json:"url"`
	// The hosts, or .suffix for all below. Default: every host.
	Hosts []string `json:"hosts,omitempty"`
}

// BootstrapResolver is a DNS-over-TLS server.
type BootstrapResolver struct {
	// tls://address[:port]. Required.
	Server string `json:"server"`
	// The name on its certificate. Default: the address.
	Name string `json:"name,omitempty"`
}

// option parses one line of a block.
//
//	allow_networks  <prefix…>
//	source          <address…>
//	proxy           <url> [<host…>]
//	bootstrap       tls://<address>[:<port>] [<name>]
//	trusted_ca      <file…>
func (e *Egress) option(d *caddyfile.Dispenser) error {
	switch d.Val() {
	case "allow_networks":
		return args.Some(d, &e.AllowNetworks)
	case "source":
		return args.Some(d, &e.Sources)
	case "trusted_ca":
		return args.Some(d, &e.TrustedCA)
	case "proxy":
		p := new(EgressProxy)
		if !d.NextArg() {
			return d.ArgErr()
		}
		p.URL, p.Hosts = d.Val(), d.RemainingArgs()
		e.Proxies = append(e.Proxies, p)
		return nil
	default: // bootstrap
		b := new(BootstrapResolver)
		if rest := d.RemainingArgs(); len(rest) == 1 {
			b.Server = rest[0]
		} else if len(rest) == 2 {
			b.Server, b.Name = rest[0], rest[1]
		} else {
			return d.Err("bootstrap takes a DNS-over-TLS server by address, as in: bootstrap tls://1.1.1.1 cloudflare-dns.com")
		}
		e.Bootstrap = append(e.Bootstrap, b)
		return nil
	}
}

// read makes the engine's options, with an error for what the operator must mend.
func (e *Egress) read() (o egress.Options, err error) {
	for _, step := range []func(*egress.Options) error{e.readRoots, e.readNetwork, e.readResolver} {
		if err := step(&o); err != nil {
			return o, err
		}
	}
	return o, nil
}

func (e *Egress) readNetwork(o *egress.Options) error {
	repl := caddy.NewReplacer()
	for _, n := range e.AllowNetworks {
		prefix, err := netip.ParsePrefix(n)
		if a, addrErr := netip.ParseAddr(n); addrErr == nil {
			prefix, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return fmt.Errorf("allow_networks: %w", err)
		}
		o.Allow = append(o.Allow, prefix)
	}
	for _, s := range e.Sources {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return fmt.Errorf("source: %w", err)
		}
		o.Sources = append(o.Sources, a)
	}
	for _, x := range e.Proxies {
		raw, err := repl.ReplaceOrErr(x.URL, true, true)
		if err != nil {
			return fmt.Errorf("proxy: %w", err)
		}
		proxy, err := egress.ParseProxy(raw, x.Hosts...)
		if err != nil {
			return fmt.Errorf("proxy: %w", err)
		}
		o.Proxies = append(o.Proxies, proxy)
	}
	return nil
}

func (e *Egress) readResolver(o *egress.Options) error {
	var servers []egress.DoTServer
	for _, b := range e.Bootstrap {
		host, ok := strings.CutPrefix(b.Server, "tls://")
		at, err := netip.ParseAddrPort(host)
		if a, addrErr := netip.ParseAddr(strings.Trim(host, "[]")); addrErr == nil {
			at, err = netip.AddrPortFrom(a, 853), nil
		}
		if err != nil || !ok {
			return fmt.Errorf("bootstrap %q: want tls://address or tls://address:port, as in tls://1.1.1.1 cloudflare-dns.com", b.Server)
		}
		servers = append(servers, egress.DoTServer{Addr: at, Name: b.Name})
	}
	if len(servers) > 0 {
		o.Lookup = egress.NewDoTResolver(o.Roots, servers...)
	}
	return nil
}

func (e *Egress) readRoots(o *egress.Options) error {
	if len(e.TrustedCA) == 0 {
		return nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	for _, file := range e.TrustedCA {
		pem, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("trusted_ca: %w", err)
		}
		if !roots.AppendCertsFromPEM(pem) {
			return fmt.Errorf("trusted_ca: %s has no certificate in PEM form", file)
		}
	}
	o.Roots = roots
	return nil
}
