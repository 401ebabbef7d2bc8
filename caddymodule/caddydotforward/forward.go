package caddydotforward

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/internal/args"
	"github.com/whence-project/whence/dotforward/upstream"
)

// Forward is a set of upstream servers, and which of them is asked.
type Forward struct {
	// The servers. Required.
	Upstreams []*Upstream `json:"upstreams"`
	// Which server is asked: sequential, random, fastest, race or quorum. Default: sequential.
	Policy string `json:"policy,omitempty"`
	// Of race and quorum, how many servers are asked. Default: 2 of race, 3 of quorum.
	Ask int `json:"ask,omitempty"`
	// Of quorum, how many must say the same. Default: more than half of those asked.
	Agree int `json:"agree,omitempty"`
	// Of quorum, whether answers are the same only with the same records, not already with the same response code and origin AS.
	Exact bool `json:"exact,omitempty"`
	// The most queries at the same time. Default: 16384.
	MaxQueries int `json:"max_queries,omitempty"`
	// How long a server may take before another is asked beside it. Default: 1s.
	Patience caddy.Duration `json:"patience,omitempty"`
}

// Upstream is an upstream server.
type Upstream struct {
	// tls://address[:port], or tls://name[:port] with addresses or a resolver. Routes may name https:// URLs (RFC 8484), and udp:// and
	// tcp://, which are not encrypted. Required.
	Address string `json:"address"`
	// The name on its certificate. Default: what address names.
	Name string `json:"name,omitempty"`
	// The addresses of a server that is given by name. Default: the system's resolver is asked.
	Addresses []string `json:"addresses,omitempty"`
	// A file with certificates (PEM) of the authorities that are trusted for it. Default: the system's.
	TrustedCA string `json:"trusted_ca,omitempty"`
	// SHA-256 digests (base64) of public keys, one of which it must have. Default: none.
	Pins []string `json:"pins,omitempty"`
	// The most connections to it. Default: 2.
	MaxConns int `json:"max_conns,omitempty"`
}

var upstreams = caddy.NewUsagePool()

// shared is an upstream server in the pool: its connections outlive configurations.
type shared struct{ *upstream.Server }

// Destruct closes the connections when queries have been answered.
func (s shared) Destruct() error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err := s.Close(ctx)
	servers.End(s)
	return err
}

// pool is one configuration's use of upstream servers.
type pool struct {
	*upstream.Pool
	servers []*upstream.Server
	keys    []string
}

// release lets the servers go when the queries under way are answered.
func (p *pool) release() error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	errs := []error{p.Close(ctx)}
	for _, key := range p.keys {
		_, err := upstreams.Delete(key)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// open takes the servers from the configuration before this one, or makes them. plain allows those that are not asked over TLS.
func (f *Forward) open(plain bool, log *zap.Logger, event func(upstream.Event), agree func(a, b []byte) bool,
	disagree func(*upstream.Reply, []upstream.Reply)) (*pool, error) {
	policy, err := f.policy(agree)
	if err != nil {
		return nil, err
	}
	p := new(pool)
	for _, u := range f.Upstreams {
		o, make, err := u.options(plain)
		if err != nil {
			return nil, errors.Join(err, p.releaseServers())
		}
		o.OnEvent = event
		b, err := json.Marshal(u)
		if err != nil {
			return nil, errors.Join(err, p.releaseServers())
		}
		key := fmt.Sprintf("%x", sha256.Sum256(b))
		v, loaded, err := upstreams.LoadOrNew(key, func() (caddy.Destructor, error) {
			s, err := make(o)
			if err == nil {
				servers.Begin(shared{s})
			}
			return shared{s}, err
		})
		if err != nil {
			return nil, errors.Join(err, p.releaseServers())
		}
		p.keys = append(p.keys, key)
		p.servers = append(p.servers, v.(shared).Server)
		if !loaded {
			v.(shared).Warm()
			log.Info("upstream server", zap.Stringer("server", v.(shared)))
		}
	}
	p.Pool, err = upstream.NewPool(upstream.PoolOptions{
		Policy: policy, MaxQueries: f.MaxQueries, Patience: time.Duration(f.Patience), OnDisagree: disagree,
	}, p.servers...)
	if err != nil {
		return nil, errors.Join(err, p.releaseServers())
	}
	return p, nil
}

func (p *pool) releaseServers() (err error) {
	for _, key := range p.keys {
		_, e := upstreams.Delete(key)
		err = errors.Join(err, e)
	}
	return err
}

// check is open without opening anything.
func (f *Forward) check(plain bool) error {
	if len(f.Upstreams) == 0 {
		return errors.New("no upstream server; name one, as in: forward tls://1.1.1.1 cloudflare-dns.com")
	}
	for _, u := range f.Upstreams {
		if _, _, err := u.options(plain); err != nil {
			return err
		}
	}
	_, err := f.policy(nil)
	return err
}

func (f *Forward) policy(agree func(a, b []byte) bool) (p upstream.Policy, err error) {
	n := len(f.Upstreams)
	switch f.Policy {
	case "", "sequential":
		return upstream.Sequential(), nil
	case "random":
		return upstream.Random(), nil
	case "fastest":
		return upstream.Fastest(), nil
	case "race":
		ask := f.Ask
		if ask == 0 {
			ask = 2
		}
		if ask > n {
			return p, fmt.Errorf("a race of %d servers, of which there are %d", ask, n)
		}
		return upstream.Race(ask), nil
	case "quorum":
		m := f.Ask
		if m == 0 {
			m = min(3, n)
		}
		q := f.Agree
		if q == 0 {
			q = m/2 + 1
		}
		if m > n || q > m || m < 2 {
			return p, fmt.Errorf("a quorum of %d of %d servers, of which there are %d", q, m, n)
		}
		return upstream.Quorum(q, m, agree), nil
	}
	return p, fmt.Errorf("policy %q; there are sequential, random, fastest, race and quorum", f.Policy)
}

// maker makes a server.
type maker = func(upstream.Options) (*upstream.Server, error)

// options are the settings of a server as the engine takes them, and what makes it. plain allows servers that are asked over HTTPS,
// or without encryption: for routes.
func (u *Upstream) options(plain bool) (o upstream.Options, make maker, err error) {
	repl := caddy.NewReplacer()
	address, err := repl.ReplaceOrErr(u.Address, true, true)
	if err != nil {
		return o, nil, err
	}
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		scheme, rest = "tls", address
	}
	switch scheme {
	case "tls":
		make = upstream.NewDoT
	case "https":
		make = upstream.NewDoH
	case "tcp", "udp":
		make, o.Network = upstream.NewPlain, scheme
	default:
		return o, nil, fmt.Errorf("upstream server %q: want tls://address[:port] and the name on its certificate", address)
	}
	if scheme != "tls" && !plain {
		return o, nil, fmt.Errorf("upstream server %q: servers over HTTPS, and those without encryption, only a route may name", address)
	}
	if scheme == "https" {
		at, err := url.Parse(address)
		if err != nil {
			return o, nil, fmt.Errorf("upstream server %q: %w", address, err)
		}
		o.URL, o.Host = address, at.Hostname()
	} else if err := u.parseHost(&o, address, rest); err != nil {
		return o, nil, err
	}
	return o, make, u.complete(&o, address)
}

// parseHost reads host and port of an address.
func (u *Upstream) parseHost(o *upstream.Options, address, rest string) error {
	o.Host = strings.Trim(rest, "[]")
	if host, port, err := net.SplitHostPort(rest); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return fmt.Errorf("upstream server %q: no port %q", address, port)
		}
		o.Host, o.Port = host, uint16(n)
	}
	return nil
}

// complete adds what is said of the server beside its address.
func (u *Upstream) complete(o *upstream.Options, address string) error {
	o.Name, o.Pins, o.MaxConns = u.Name, u.Pins, u.MaxConns
	for _, a := range u.Addresses {
		addr, err := netip.ParseAddr(a)
		if err != nil {
			return fmt.Errorf("upstream server %q: %w", address, err)
		}
		o.Addrs = append(o.Addrs, addr)
	}
	if _, err := netip.ParseAddr(o.Host); err != nil && len(o.Addrs) == 0 {
		o.Lookup = lookup
	}
	if u.TrustedCA != "" {
		pem, err := os.ReadFile(u.TrustedCA)
		if err != nil {
			return fmt.Errorf("upstream server %q: trusted_ca: %w", address, err)
		}
		o.Roots = x509.NewCertPool()
		if !o.Roots.AppendCertsFromPEM(pem) {
			return fmt.Errorf("upstream server %q: trusted_ca: %s has no certificate in PEM form", address, u.TrustedCA)
		}
	}
	return nil
}

// lookup resolves the names of upstream servers with the system's resolver.
func lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// parseForward parses the arguments and the block of an option that names upstream servers, from the cursor on.
//
//	forward <upstream> [<name>] {
//		to         <upstream> [<name>]
//		trusted_ca <file>
//		pin        <digest…>
//		addresses  <address…>
//		policy     sequential|random|fastest|race [<n>]|quorum [<n> of <m>]
//		exact
//		max_conns  <n>
//		max_queries <n>
//		patience   <duration>
//	}
//
// trusted_ca, pin, addresses and max_conns are about the server named last.
func parseForward(d *caddyfile.Dispenser, f *Forward, first []string) error {
	if len(first) > 0 {
		if err := f.add(d, first); err != nil {
			return err
		}
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := f.option(d); err != nil {
			return err
		}
	}
	if len(f.Upstreams) == 0 {
		return d.Err("no upstream server; name one, as in: forward tls://1.1.1.1 cloudflare-dns.com")
	}
	return nil
}

func (f *Forward) add(d *caddyfile.Dispenser, a []string) error {
	if len(a) > 2 {
		return d.Errf("upstream server %s: %q is too much; a server is an address and the name on its certificate", a[0], a[2])
	}
	u := &Upstream{Address: a[0]}
	if len(a) == 2 {
		u.Name = a[1]
	}
	f.Upstreams = append(f.Upstreams, u)
	return nil
}

func (f *Forward) option(d *caddyfile.Dispenser) error {
	option := d.Val()
	last := new(Upstream)
	if n := len(f.Upstreams); n > 0 {
		last = f.Upstreams[n-1]
	}
	switch option {
	case "to":
		a := d.RemainingArgs()
		if len(a) == 0 {
			return d.ArgErr()
		}
		return f.add(d, a)
	case "trusted_ca":
		return args.One(d, &last.TrustedCA)
	case "pin":
		return args.Some(d, &last.Pins)
	case "addresses":
		return args.Some(d, &last.Addresses)
	case "max_conns":
		return args.Count(d, &last.MaxConns)
	case "max_queries":
		return args.Count(d, &f.MaxQueries)
	case "patience":
		return args.Duration(d, &f.Patience)
	case "exact":
		f.Exact = true
		return args.None(d)
	case "policy":
		return f.parsePolicy(d)
	}
	return d.Errf("forward has no option %q; it has to, trusted_ca, pin, addresses, max_conns, policy, exact, max_queries and patience", option)
}

// parsePolicy reads "race 2", "quorum 2 of 3".
func (f *Forward) parsePolicy(d *caddyfile.Dispenser) error {
	a := d.RemainingArgs()
	if len(a) == 0 {
		return d.ArgErr()
	}
	f.Policy = a[0]
	number := func(s string, into *int) error {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return d.Errf("policy %s: %q is no number above 0", f.Policy, s)
		}
		*into = n
		return nil
	}
	switch {
	case len(a) == 1:
		return nil
	case f.Policy == "race" && len(a) == 2:
		return number(a[1], &f.Ask)
	case f.Policy == "quorum" && len(a) == 4 && a[2] == "of":
		return errors.Join(number(a[1], &f.Agree), number(a[3], &f.Ask))
	}
	return d.Errf("policy %s: want race <n>, quorum <n> of <m>, or sequential, random, fastest alone", strings.Join(a, " "))
}
