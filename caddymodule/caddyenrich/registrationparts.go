package caddyenrich

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration"
	"github.com/whence-project/whence/enrich/registration/bootstrap"
	"github.com/whence-project/whence/enrich/registration/manners"
	"github.com/whence-project/whence/enrich/registration/rdap"
	"github.com/whence-project/whence/enrich/registration/whoisclient"
	"github.com/whence-project/whence/internal/egress"
	"github.com/whence-project/whence/internal/limit"
	"github.com/whence-project/whence/store"
)

// ianaRegistries is where IANA has the files of RFC 9224.
const ianaRegistries = "https://data.iana.org/rdap/"

// courtesy is how often registries are asked, over all configurations and sources of the process: what was used up of a limit,
// and what a registry asked us to wait, does not end with a reload.
var courtesy = manners.New(manners.Options{})

// parts are the settings as the engine takes them.
type parts struct {
	egress    egress.Options
	manners   manners.Options
	bootstrap bootstrap.Options
}

// read makes the parts, with an error for what the operator must mend.
func (m *Registration) read() (*parts, error) {
	p := new(parts)
	for _, step := range []func(*parts) error{m.readRegistries, m.readServers, m.readLimits, m.readNetwork} {
		if err := step(p); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (m *Registration) readRegistries(p *parts) error {
	where, err := caddy.NewReplacer().ReplaceOrErr(m.Registries, true, true)
	if err != nil {
		return fmt.Errorf("registries: %w", err)
	}
	p.bootstrap.Every = time.Duration(m.RegistriesRefresh)
	switch where {
	case "", "iana":
		p.bootstrap.URL, p.bootstrap.Compiled = ianaRegistries, true
	case "off":
	default:
		u, err := url.Parse(where)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("registries %q: want iana, off, or the URL of a folder with the files of RFC 9224", where)
		}
		p.bootstrap.URL = strings.TrimSuffix(where, "/") + "/"
		p.egress.Trusted = append(p.egress.Trusted, u.Hostname())
	}
	return nil
}

// RegistryFiles are the files that say which registry answers for what, none where none are fetched. The store has what they said
// last.
func (m *Registration) RegistryFiles() (all []*enrich.Update) {
	p := new(parts)
	if m.readRegistries(p) != nil || p.bootstrap.URL == "" {
		return nil
	}
	from, every := p.bootstrap.URL, cmp.Or(p.bootstrap.Every, bootstrap.DefaultEvery)
	if u, err := url.Parse(from); err == nil {
		from = u.Hostname()
	}
	for _, name := range bootstrap.Files() {
		all = append(all, &enrich.Update{From: from, URL: p.bootstrap.URL + name, Every: int64(every.Seconds())})
	}
	return all
}

func (m *Registration) readServers(p *parts) error {
	for _, s := range m.Servers {
		o := bootstrap.Override{Suffix: strings.ToLower(strings.Trim(s.Suffix, ".")), None: s.Unsupported}
		if o.Suffix == "" {
			return fmt.Errorf("a server for no suffix")
		}
		for _, base := range s.RDAP {
			u, err := url.Parse(base)
			if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
				return fmt.Errorf("rdap %s %q: want a base URL, as in https://rdap.example/", s.Suffix, base)
			}
			p.egress.Trusted = append(p.egress.Trusted, u.Hostname())
			o.RDAP = append(o.RDAP, strings.TrimSuffix(base, "/")+"/")
		}
		if s.Whois != "" {
			w, err := whoisclient.ParseServer(s.Whois)
			if err != nil {
				return fmt.Errorf("whois %s: %w", s.Suffix, err)
			}
			if w.Query, w.Charset = s.Query, s.Charset; w.Query != "" && strings.Count(w.Query, "%s") != 1 {
				return fmt.Errorf("whois %s: the query %q has no %%s, or several, for the name", s.Suffix, s.Query)
			}
			p.egress.Trusted = append(p.egress.Trusted, w.Host)
			o.Whois = &w
		}
		p.bootstrap.Overrides = append(p.bootstrap.Overrides, o)
	}
	for _, pattern := range m.WhoisServers {
		if strings.HasPrefix(pattern, "*") || strings.HasPrefix(pattern, ".") {
			continue
		}
		if _, err := whoisclient.ParseServer(pattern); err != nil {
			return fmt.Errorf("whois_servers: %w", err)
		}
	}
	return nil
}

func (m *Registration) readLimits(p *parts) error {
	for _, l := range m.Limits {
		lim := manners.Limit{Concurrent: l.Concurrent, Bits4: l.IPv4Bits, Bits6: l.IPv6Bits}
		for _, r := range l.Rates {
			rate, err := limit.ParseRate(r)
			if err != nil {
				return fmt.Errorf("limit %s: %w", l.Operator, err)
			}
			lim.Rates = append(lim.Rates, rate)
		}
		if len(lim.Rates) == 0 {
			lim.Rates = manners.NoLimit().Rates
		}
		if l.Operator == "default" {
			p.manners.Default = lim
			continue
		}
		o := manners.Operator{Name: l.Operator, Limit: lim, Note: "configured"}
		if strings.Contains(l.Operator, ".") {
			o.Hosts = []string{l.Operator}
		}
		p.manners.Operators = append(p.manners.Operators, o)
	}
	return nil
}

func (m *Registration) readNetwork(p *parts) (err error) {
	trusted := p.egress.Trusted
	if p.egress, err = m.Egress.read(); err != nil {
		return err
	}
	p.egress.Trusted, p.manners.Sources = trusted, p.egress.Sources
	return nil
}

// source makes the engine.
func (p *parts) source(m *Registration, cache store.Cache, log *zap.Logger, news func(enrich.DataStatus)) (*registration.Source, error) {
	dialer, err := egress.New(p.egress)
	if err != nil {
		return nil, err
	}
	client := rdap.NewHTTPClient(dialer.DialContext, p.egress.Roots)
	p.bootstrap.HTTP, p.bootstrap.Cache, p.bootstrap.Logger, p.bootstrap.News = client, cache, log, news
	o := registration.Options{
		Bootstrap: bootstrap.New(p.bootstrap), Manners: courtesy, RDAP: &rdap.Client{HTTP: client},
		Whois: &whoisclient.Client{Dial: dialer.DialContext}, Cache: cache, Bucket: m.bucket(),
		Wait: time.Duration(m.Wait), Timeout: time.Duration(m.Timeout), Queue: time.Duration(m.Queue),
		TTL: ttlOf(m.CacheTTL), NegativeTTL: time.Duration(m.NegativeTTL), StaleTTL: ttlOf(m.StaleTTL), Sweep: time.Duration(m.Sweep),
		Memory: m.Memory, Cleartext: m.WhoisCleartext, Registrar: m.Registrar, Refer: !m.NoRefer && p.bootstrap.Compiled,
		Awaits:  p.bootstrap.URL != "" && !p.bootstrap.Compiled,
		Servers: slices.Clone(m.WhoisServers), NoRaw: m.NoRaw, Logger: log,
	}
	if m.Preload > 0 {
		o.Preload = registration.Preload{Names: m.Preload, Delay: m.pace(), Top: m.top}
	}
	m.tieTo(&o)
	return registration.New(o), nil
}

// bucket is where answers are kept: those of other registries are kept apart.
func (m *Registration) bucket() string {
	who, err := json.Marshal([]any{m.Registries, m.Servers, m.Registrar})
	if err != nil || (m.Registries == "" || m.Registries == "iana") && len(m.Servers) == 0 && !m.Registrar {
		return ""
	}
	return fmt.Sprintf("registration-%x", sha256.Sum256(who))[:len("registration-")+16]
}

// ttlOf is a time as the engine takes it, which has 0 for its default and less for what 0 means here.
func ttlOf(d *caddy.Duration) time.Duration {
	switch {
	case d == nil:
		return 0
	case *d == 0:
		return -1
	}
	return time.Duration(*d)
}
