package caddyenrich

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/caddystore"
	"github.com/whence-project/whence/caddymodule/internal/args"
	"github.com/whence-project/whence/caddymodule/internal/cluster"
	"github.com/whence-project/whence/caddymodule/internal/events"
	"github.com/whence-project/whence/caddymodule/internal/livelog"
	"github.com/whence-project/whence/caddymodule/internal/prom"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration"
)

func init() { caddy.RegisterModule(new(Registration)) }

// Registration is the source `registration`: who registered a name and when. It asks registries, over RDAP first and over WHOIS
// where there is no RDAP, and keeps what they say in the store.
type Registration struct {
	// The longest that a query is held up for a registry. Default: 2s.
	Wait caddy.Duration `json:"wait,omitempty"`
	// The longest that one question to a registry may take, from the connection to the end of the reply. Default: 20s.
	Timeout caddy.Duration `json:"timeout,omitempty"`
	// The longest that a lookup waits for its turn at a registry. Default: 5m.
	Queue caddy.Duration `json:"queue,omitempty"`

	// How long a registration is kept before it is asked for again, at most; 0 is for ever. Default: 24h.
	CacheTTL *caddy.Duration `json:"cache_ttl,omitempty"`
	// How long it is kept that a name is not registered. Default: 1h.
	NegativeTTL caddy.Duration `json:"negative_ttl,omitempty"`
	// How long after that an answer is still shown, as old, where no newer one can be had; 0 is not at all. Default: 7d.
	StaleTTL *caddy.Duration `json:"stale_ttl,omitempty"`
	// How often the cache is swept. Default: 24h.
	Sweep caddy.Duration `json:"sweep,omitempty"`
	// What answers may take in memory, in bytes. Default: 32 MiB.
	Memory int64 `json:"memory,omitempty"`
	// Do not keep what servers wrote, word by word.
	NoRaw bool `json:"no_raw,omitempty"`

	// How many names of the chain's rank list to look up before anybody asks. Default: 0.
	Preload int `json:"preload,omitempty"`
	// The time between the beginnings of two such lookups. Default: 100ms.
	PreloadDelay *caddy.Duration `json:"preload_delay,omitempty"`

	// Where it is said which registry answers for what (RFC 9224): `iana`, the URL of a folder with files of that form, or `off` for
	// what `servers` says alone. The tables compiled in serve with `iana` only. Default: iana.
	Registries string `json:"registries,omitempty"`
	// How often those files are fetched. Default: 24h.
	RegistriesRefresh caddy.Duration `json:"registries_refresh,omitempty"`
	// Servers that are asked instead of those that the registries' files name. Default: none.
	Servers []*RegistrationServer `json:"servers,omitempty"`
	// Do not ask whois.iana.org for the WHOIS server of a top-level domain of which none is known.
	NoRefer bool `json:"no_refer,omitempty"`
	// Ask the registrar too, where the registry names its server.
	Registrar bool `json:"registrar,omitempty"`
	// Ask over WHOIS, in clear text, also for names that were learnt from DNS traffic.
	WhoisCleartext bool `json:"whois_cleartext,omitempty"`
	// WHOIS servers that clients may name: hosts, host:port, *.suffix or *. Default: none.
	WhoisServers []string `json:"whois_servers,omitempty"`

	// How often operators of registries are asked. Default: docs/registration.md has the table.
	Limits []*RegistrationLimit `json:"limits,omitempty"`

	// Look up for other machines, which ask over the app `nats`. Default: false.
	Worker bool `json:"worker,omitempty"`
	// How other machines are asked where the app `nats` is configured: `first`, and registries from here where no worker is there;
	// `only`; or `off`. Default: first.
	Workers string `json:"workers,omitempty"`
	// A word for the network that registries see this machine in, where `source` does not say: machines with the same one share the limits of
	// operators who count by address. Default: one with all machines that do not say.
	EgressName string `json:"egress,omitempty"`

	Egress

	logger *zap.Logger
	// Of the machines that look up for each other, nil where there are none.
	machines cluster.App
	node     cluster.Node
	store    *caddystore.App
	parts    *parts
	top      func(int) iter.Seq2[int, string]
	key      string
	events   *events.Emitter
	held     *lookups
	drop     []func()
	release  sync.Once
}

// RegistrationServer says who answers for the names under a suffix.
type RegistrationServer struct {
	// The suffix, or * for every name. Required.
	Suffix string `json:"suffix"`
	// Base URLs of its RDAP servers. Default: those of the registries' files.
	RDAP []string `json:"rdap,omitempty"`
	// Its WHOIS server, host or host:port. Default: the one of the tables.
	Whois string `json:"whois,omitempty"`
	// What is sent to that server, %s standing for the name. Default: %s.
	Query string `json:"query,omitempty"`
	// The character set of its replies where they are not UTF-8. Default: told from the bytes.
	Charset string `json:"charset,omitempty"`
	// Nobody answers for it.
	Unsupported bool `json:"unsupported,omitempty"`
}

// RegistrationLimit says how often an operator is asked.
type RegistrationLimit struct {
	// An operator of the table, a host, or `default` for all that the table does not have. Required.
	Operator string `json:"operator"`
	// Rates such as 5/s, all of which hold; none is no limit.
	Rates []string `json:"rates,omitempty"`
	// The most queries at the same time. Default: no limit.
	Concurrent int `json:"concurrent,omitempty"`
	// How many leading bits of our own address the operator counts by: IPv4 and IPv6. Default: he counts all that we send.
	IPv4Bits int `json:"ipv4_bits,omitempty"`
	IPv6Bits int `json:"ipv6_bits,omitempty"`
}

// CaddyModule returns the module's registration.
func (*Registration) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "enrich.sources.registration", New: func() caddy.Module { return new(Registration) }}
}

// Provision reads the settings and has the store opened in Start. Nothing is asked before a query comes.
func (m *Registration) Provision(ctx caddy.Context) error {
	m.logger = ctx.Logger()
	var err error
	if m.parts, err = m.read(); err != nil {
		return fmt.Errorf("registration: %w", err)
	}
	if m.events, err = events.For(ctx); err != nil {
		return err
	}
	app, err := ctx.App("store")
	if err != nil {
		return err
	}
	m.store = app.(*caddystore.App)
	m.store.OnStart(nil)
	if err := m.join(ctx); err != nil {
		return fmt.Errorf("registration: %w", err)
	}
	return prom.Register(ctx, registrations)
}

// lookups is a source in the pool, with the loggers and the emitters of the configurations that use it.
type lookups struct {
	*registration.Source
	loggers livelog.Loggers
	events  events.Newest
	listing listing
}

// Destruct closes the source when the last configuration has let it go.
func (l *lookups) Destruct() error {
	l.listing.stop()
	err := l.Close()
	registrations.End(l)
	return err
}

var lookupPool = caddy.NewUsagePool()

// joined is told the sources of its chain when they are provisioned.
func (m *Registration) joined(links []enrich.Link) error {
	for _, l := range links {
		if r, ok := l.Source.(*Rank); ok && m.top == nil {
			m.top = r.engine.Top
		}
	}
	if m.Preload > 0 && m.top == nil {
		return errors.New("registration: preload needs a list of names in the same chain, as in: rank ./data/top-1m.csv")
	}
	return nil
}

// Open takes the source of the configuration before this one, if that had the same settings, or makes it.
func (m *Registration) Open(ctx context.Context) error {
	st, err := m.store.Store()
	if err != nil {
		return err
	}
	settings, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := m.enlist(); err != nil {
		return err
	}
	m.key = fmt.Sprintf("%x", sha256.Sum256(append(settings, m.store.Dir+m.machinesKey()...))) // a hash: there may be a proxy's password in them
	v, _, err := lookupPool.LoadOrNew(m.key, func() (caddy.Destructor, error) {
		l := new(lookups)
		withdraw := l.loggers.Push(m.logger)
		defer withdraw()
		var err error
		l.Source, err = m.parts.source(m, st.Cache(), l.loggers.Logger(), news("registration", &l.events))
		if err == nil {
			registrations.Begin(l)
		}
		if err == nil && m.lists() && m.Preload > 0 {
			l.listing.start(l.Source, m.node, registration.Preload{Names: m.Preload, Top: m.top}, l.loggers.Logger())
		}
		return l, err
	})
	if err != nil {
		return fmt.Errorf("registration: %w", err)
	}
	m.held = v.(*lookups)
	m.drop = []func(){m.held.loggers.Push(m.logger), m.held.events.Push(m.events)}
	courtesy.Configure(m.parts.manners)
	if err := m.held.Open(ctx); err != nil {
		return err
	}
	m.serve(st.Cache())
	return nil
}

// Close lets the source go. It is idempotent.
func (m *Registration) Close() (err error) {
	m.release.Do(func() {
		if m.held != nil {
			for _, drop := range m.drop {
				drop()
			}
			_, err = lookupPool.Delete(m.key)
		}
	})
	return err
}

// Cleanup is Close, also for a configuration that never came to serve.
func (m *Registration) Cleanup() error { return m.Close() }

// Add is the engine's.
func (m *Registration) Add(q *enrich.Query, r *enrich.Record) enrich.Verdict {
	return m.held.Source.Add(q, r)
}

// Fetch is the engine's.
func (m *Registration) Fetch(ctx context.Context, a *enrich.Ask) error { return m.held.Fetch(ctx, a) }

// Patience is the engine's.
func (m *Registration) Patience() time.Duration { return m.held.Patience() }

// Status is the engine's.
func (m *Registration) Status() enrich.Status {
	if m.held == nil {
		return enrich.Status{Kind: "registration"}
	}
	return m.held.Status()
}

// RefreshNow is the engine's.
func (m *Registration) RefreshNow(ctx context.Context) error { return m.held.RefreshNow(ctx) }

// UnmarshalCaddyfile parses the source: see registrationcaddyfile.go.
func (m *Registration) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the source's name
	if err := args.None(d); err != nil {
		return err
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := m.option(d); err != nil {
			return err
		}
	}
	return nil
}

// Interface guards
var (
	_ enrich.Fetcher        = (*Registration)(nil)
	_ enrich.Patient        = (*Registration)(nil)
	_ enrich.Opener         = (*Registration)(nil)
	_ enrich.Closer         = (*Registration)(nil)
	_ enrich.Reporter       = (*Registration)(nil)
	_ enrich.Refresher      = (*Registration)(nil)
	_ caddy.Provisioner     = (*Registration)(nil)
	_ caddy.CleanerUpper    = (*Registration)(nil)
	_ caddyfile.Unmarshaler = (*Registration)(nil)
)
