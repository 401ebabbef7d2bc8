// Package registration is the source that tells who registered a name and when: it asks the registries, over RDAP (RFC 9082) first
// and over WHOIS (RFC 3912) where there is no RDAP, and keeps what they say. Of addresses and AS numbers it asks when a query
// wants that ([enrich.Query.AskRegistry]).
//
// One thing it never does is to call a name free because a server would not say: what is throttled, blocked, broken or unclear is
// told as that, and kept by nobody.
package registration

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"go.uber.org/zap"
	"golang.org/x/net/publicsuffix"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration/bootstrap"
	"github.com/whence-project/whence/enrich/registration/manners"
	"github.com/whence-project/whence/enrich/registration/rdap"
	"github.com/whence-project/whence/enrich/registration/whoisclient"
	"github.com/whence-project/whence/store"
)

// Options are the settings of a [Source]. Zero values stand for what is named.
type Options struct {
	Bootstrap *bootstrap.Bootstrap // who is asked; required
	Manners   *manners.Manners     // how often; required
	RDAP      *rdap.Client         // required
	Whois     *whoisclient.Client  // required
	Cache     store.Cache          // what is kept over a restart: nothing
	Bucket    string               // in the cache: "registration". Sources that ask other registries have other answers

	Wait    time.Duration // no query is held up longer: 2 s
	Timeout time.Duration // of one lookup with all that it takes, but for the time it queues: 20 s
	Queue   time.Duration // how long a lookup that nobody waits for may queue: 5 min

	TTL         time.Duration // that a registration is kept: 24 h; negative is for ever
	NegativeTTL time.Duration // that it is kept that a name is not registered: 1 h
	StaleTTL    time.Duration // that an answer is shown after its time, where no newer can be had: 7 d; negative is not at all
	Sweep       time.Duration // after which the cache is swept: 24 h
	Memory      int64         // bytes of answers in memory: 32 MiB

	Awaits    bool     // who answers for what is in files that have yet to be fetched for the first time; nothing is compiled in
	Cleartext bool     // ask over WHOIS also for queries that are discreet
	Registrar bool     // ask the registrar too where the registry names its server
	Refer     bool     // ask IANA's WHOIS server for the servers of a top-level domain of which the tables know none
	Servers   []string // WHOIS servers that clients may name: hosts, ".suffix" for all below, "*" for any
	NoRaw     bool     // do not keep what servers wrote

	Elsewhere Elsewhere // other machines, which are asked first: none
	Permit    Permit    // asked before registries are: nil, everybody may be asked

	Preload Preload
	Now     func() time.Time // time.Now
	Logger  *zap.Logger      // none
}

// Source is the source. It is an [enrich.Fetcher]; make one with [New].
type Source struct {
	opt    Options
	log    atomic.Pointer[zap.Logger]
	memory *otter.Cache[string, *entry]
	landed *landed
	failed *otter.Cache[string, *failure]
	counts counts

	mu      sync.Mutex
	flights map[string]*flight

	ctx        context.Context
	cancel     context.CancelFunc
	opening    sync.Once
	running    sync.WaitGroup
	preloading atomic.Pointer[preloading] // the one that began last
	arrived    atomic.Bool                // those files have been fetched

	unreached atomic.Int32 // servers that could not be reached since one was
}

// New makes a source. Nothing is asked before [Source.Open].
func New(o Options) *Source {
	o.setDefaults()
	s := &Source{opt: o, flights: make(map[string]*flight), landed: newLanded(int(o.Memory / 4))}
	s.log.Store(o.Logger)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.memory = otter.Must(&otter.Options[string, *entry]{
		MaximumWeight: uint64(o.Memory - o.Memory/4), Weigher: func(key string, e *entry) uint32 { return e.weight + uint32(len(key)) },
	})
	s.failed = otter.Must(&otter.Options[string, *failure]{MaximumSize: maxFailures})
	return s
}

func (o *Options) setDefaults() {
	for _, d := range [...]struct {
		v  *time.Duration
		to time.Duration
	}{
		{&o.Wait, 2 * time.Second}, {&o.Timeout, 20 * time.Second}, {&o.Queue, 5 * time.Minute},
		{&o.TTL, 24 * time.Hour}, {&o.NegativeTTL, time.Hour}, {&o.StaleTTL, 7 * 24 * time.Hour}, {&o.Sweep, 24 * time.Hour},
	} {
		if *d.v == 0 {
			*d.v = d.to
		}
	}
	if o.Bucket == "" {
		o.Bucket = "registration"
	}
	if o.Memory <= 0 {
		o.Memory = 32 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
}

// SetLogger has the source log to l from now on.
func (s *Source) SetLogger(l *zap.Logger) { s.log.Store(l) }

// Patience is how long a query is held up for a registry: not at all where none can be reached, as behind a firewall that lets
// nothing out. Then every new name would be held up, and a log pipeline with it.
func (s *Source) Patience() time.Duration {
	if s.unreached.Load() >= unreachable {
		return 0
	}
	return s.opt.Wait
}

// unreachable is how many failures in a row, of any servers, mean that it is not the servers.
const unreachable = 8

// reached takes in that a server answered, or could not be reached.
func (s *Source) reached(ok bool) {
	switch {
	case !ok && s.unreached.Add(1) == unreachable:
		s.log.Load().Warn("no registry can be reached: queries are not held up for them until one can")
	case ok && s.unreached.Load() > 0 && s.unreached.Swap(0) >= unreachable:
		s.log.Load().Info("registries can be reached again")
	}
}

// Open takes the bootstrap files that the cache has and starts what runs in the background: refreshing them, sweeping the cache,
// and preloading. It asks nobody itself.
func (s *Source) Open(context.Context) error {
	s.opening.Do(func() {
		s.opt.Bootstrap.Load()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.spawn(func() { s.opt.Bootstrap.Run(s.ctx) })
		if s.opt.Cache != nil {
			s.recall()
			s.spawn(s.sweep)
			s.spawn(s.remember)
		}
		if s.opt.Preload.Names > 0 {
			_ = s.startPreload(s.opt.Preload) // there is no other yet
		}
	})
	return nil
}

// RefreshNow fetches the files that say who answers for what, and returns when they have been taken in. The error names those that could
// not be had; without such files it is [ErrNoRegistries].
func (s *Source) RefreshNow(ctx context.Context) error {
	if len(s.opt.Bootstrap.Status()) == 0 {
		return ErrNoRegistries
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	return s.opt.Bootstrap.Refresh(ctx)
}

// ErrNoRegistries is that no files of registries are fetched, so that none can be refreshed.
var ErrNoRegistries = errors.New("no files of registries are fetched: registries is off")

// Close ends what is being fetched.
func (s *Source) Close() error {
	s.mu.Lock()
	s.cancel()
	s.mu.Unlock()
	s.running.Wait()
	return nil
}

// spawn runs f, which Close waits for, unless the source is closed. The lock is held.
func (s *Source) spawn(f func()) bool {
	if s.ctx.Err() != nil {
		return false
	}
	s.running.Go(f)
	return true
}

// saveManners is how often it is kept what registries were asked, and asked for.
const saveManners = 10 * time.Second

// recall takes what a process before this one has used up of the registries' limits, and was told to wait.
func (s *Source) recall() {
	if b, _, ok := s.opt.Cache.Get(s.opt.Bucket+bucketState, "manners"); ok {
		if err := s.opt.Manners.Restore(b); err != nil {
			s.log.Load().Warn("what was used up of the limits of registries is not known", zap.Error(err))
		}
	}
}

// remember keeps that, until the source is closed.
func (s *Source) remember() {
	t := time.NewTicker(time.Second) // soon, for a process that ends soon
	defer t.Stop()
	for open := true; open; {
		select {
		case <-t.C:
		case <-s.ctx.Done():
			open = false
		}
		t.Reset(saveManners)
		s.opt.Cache.Put(s.opt.Bucket+bucketState, "manners", s.opt.Manners.Save(), s.opt.Now().Add(25*time.Hour))
	}
}

// sweep has the cache drop what has expired.
func (s *Source) sweep() {
	t := time.NewTicker(s.opt.Sweep)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			n, err := s.opt.Cache.Sweep(s.ctx)
			if s.log.Load().Info("cache swept", zap.Int("expired", n), zap.Error(err)); err != nil {
				continue
			}
		case <-s.ctx.Done():
			return
		}
	}
}

// keyOf is under what the answer about a query's subject is kept; empty where there is nothing to ask a registry about.
func (s *Source) keyOf(q *enrich.Query) string {
	switch q.Subject.Kind() {
	case enrich.Domain:
		return s.registered(q)
	case enrich.Address, enrich.Prefix, enrich.AS:
		if q.AskRegistry && routable(q.Subject) {
			return q.Subject.String()
		}
	}
	return ""
}

// registered is the name that a registry has: the registrable one. Where that is in a zone which somebody who registered it hands out
// as he likes (github.io: the private division of the public suffix list), it is the name of that zone, unless the zone has a
// registry of its own (uk.com).
func (s *Source) registered(q *enrich.Query) string {
	name := q.Registrable()
	if _, suffix, _ := strings.Cut(name, "."); name != "" && strings.IndexByte(suffix, '.') < 0 {
		return name // under a top-level domain, which is a registry's
	}
	if name == "" {
		name = q.Subject.Name() // a public suffix
	}
	zone, icann := publicsuffix.PublicSuffix(name)
	if icann || strings.IndexByte(zone, '.') < 0 || name != zone && s.opt.Bootstrap.Domain(name).Suffix == zone {
		return q.Registrable()
	}
	_, above, _ := strings.Cut(zone, ".")
	for {
		suffix, icann := publicsuffix.PublicSuffix(above)
		if icann || strings.IndexByte(suffix, '.') < 0 {
			return zone[1+strings.LastIndexByte(zone[:len(zone)-len(suffix)-1], '.'):]
		}
		_, above, _ = strings.Cut(suffix, ".")
	}
}

// routable reports that a registry can know an address: it is none of those that everybody may use.
func routable(s enrich.Subject) bool {
	if s.Kind() == enrich.AS {
		return s.ASN() != 0
	}
	a := s.Addr()
	return a.IsGlobalUnicast() && !a.IsPrivate() && a != netip.IPv4Unspecified()
}

var (
	_ enrich.Fetcher  = (*Source)(nil)
	_ enrich.Patient  = (*Source)(nil)
	_ enrich.Opener   = (*Source)(nil)
	_ enrich.Closer   = (*Source)(nil)
	_ enrich.Reporter = (*Source)(nil)

	_ enrich.Refresher = (*Source)(nil)
)
