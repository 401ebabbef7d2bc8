// Package registryfarm is a farm of registries on loopback, for tests and benches of registration lookups: RDAP and WHOIS servers of
// several operators, the files of RFC 9224 that name them, and a stand-in for whois.iana.org.
//
// What a registry answers follows from the name alone: [Expected] says what it knows, and the name's beginning how it behaves
// ("throttle-tulip.test", see [Behaviour]). Limits and what is recorded are the only state. It is a plain library, so that a program
// can start a farm, too; with tests, [New] saves a few lines.
package registryfarm

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/whence-project/whence/internal/limit"
)

// Registry is the operator of registries, or a registrar.
type Registry struct {
	Name string // in records and certificates, unique; a label

	// What it is responsible for. A registry that has none of all these answers any question, as registrars do.
	Suffixes []string       // domains: "test", "co.test"
	Networks []netip.Prefix // addresses
	AS       [][2]uint32    // AS numbers, from first to last
	Tags     []string       // of handles (RFC 8521)

	RDAP   bool // has an RDAP server, at "/rdap/"
	TLS    bool // which speaks HTTPS and HTTP/2, else HTTP
	WHOIS  bool // has a WHOIS server
	Hidden bool // the bootstrap files do not have its RDAP server, the stand-in for whois.iana.org not its WHOIS server
	IPv6   bool // listens on ::1, else on an address of its own in 127.0.0.0/8

	Thin      bool   // tells no contacts, but which registrar does:
	Registrar string // the name of another Registry, one that answers any question
	Moved     string // the name of another Registry, to which RDAP queries are redirected and WHOIS queries referred

	Form    string // of WHOIS queries, "%s" standing for the name; another one is malformed. Empty: whatever ends in the name
	Style   Style  // of WHOIS replies
	Latency time.Duration
	Limit   Limit
}

// Options are what a farm has. The zero Options have no registries, and bootstrap files without entries.
type Options struct {
	Registries []Registry
	TLS        bool // the bootstrap files are served over HTTPS

	// Private is where names that are [Private] or [Lead] lead: hosts with or without a port. Default: 10.0.0.1,
	// 169.254.169.254 and [::1], each at port 43 or the scheme's.
	Private []string
	Drip    time.Duration    // between two bytes of [Drip]; 0: 100 ms
	Names   int              // names whose queries are counted; 0: a million
	Now     func() time.Time // the clock of limits, bans and HTTP dates; nil: time.Now
}

// Retry is how long a client that is throttled by its name ("throttle-…") is told to wait.
const Retry = 50 * time.Second

// Farm is a running farm. Its methods are safe for concurrent use.
type Farm struct {
	opt        Options
	ca         *authority
	registries []*registry
	byName     map[string]*registry
	suffixes   map[string]*registry
	bootstrap  *bootstrap
	iana       *registry
	servers    servers

	total      counters
	names      names
	violations journal
	flaky      names
	done       chan struct{}
}

// registry is a running Registry.
type registry struct {
	Registry
	farm      *Farm
	iana      bool // the stand-in for whois.iana.org
	registrar *registry
	moved     *registry

	addr     netip.Addr
	base     string // of RDAP: "http://127.0.0.1:4711/rdap/"
	whois    string // "127.0.0.1:4711"
	records  records
	limiters [2]*limiter                   // by Protocol; the same twice where they are counted together
	latency  atomic.Int64                  // ns
	behave   atomic.Pointer[Behaviour]     // of all its names, nil: as the names say
	gate     atomic.Pointer[chan struct{}] // its answers wait for it, nil: for nothing
}

// Start starts a farm. The ports are the kernel's choice.
func Start(o Options) (*Farm, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Drip <= 0 {
		o.Drip = 100 * time.Millisecond
	}
	if o.Names <= 0 {
		o.Names = 1_000_000
	}
	if len(o.Private) == 0 {
		o.Private = []string{"10.0.0.1", "169.254.169.254", "[::1]"}
	}
	f := &Farm{opt: o, byName: make(map[string]*registry), suffixes: make(map[string]*registry), done: make(chan struct{})}
	f.names.most, f.flaky.most = o.Names/len(f.names.part)+1, 4096
	var err error
	if f.ca, err = newAuthority(); err == nil {
		err = f.plant()
	}
	if err == nil {
		err = f.listen()
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("registry farm: %w", err)
	}
	return f, nil
}

// plant makes the registries, without their servers.
func (f *Farm) plant() error {
	for i, spec := range f.opt.Registries {
		if spec.Name == "" || spec.Name == IANA || f.byName[spec.Name] != nil {
			return fmt.Errorf("registry %d: a name of its own is needed, not %q", i, spec.Name)
		}
		r := newRegistry(f, spec)
		f.registries = append(f.registries, r)
		f.byName[spec.Name] = r
		for _, s := range spec.Suffixes {
			suffix, ok := canonical(s)
			if !ok || f.suffixes[suffix] != nil {
				return fmt.Errorf("registry %q: suffix %q is none, or another registry's", spec.Name, s)
			}
			f.suffixes[suffix] = r
		}
	}
	for _, r := range f.registries {
		for _, other := range [...]struct {
			name string
			to   **registry
		}{{r.Registrar, &r.registrar}, {r.Moved, &r.moved}} {
			if *other.to = f.byName[other.name]; *other.to == nil && other.name != "" {
				return fmt.Errorf("registry %q: there is no registry %q", r.Name, other.name)
			}
		}
	}
	f.iana = newRegistry(f, Registry{Name: IANA, WHOIS: true})
	f.iana.iana = true
	return nil
}

func newRegistry(f *Farm, spec Registry) *registry {
	r := &registry{Registry: spec, farm: f}
	r.latency.Store(int64(spec.Latency))
	r.limiters[RDAP] = newLimiter(spec.Limit)
	if r.limiters[WHOIS] = r.limiters[RDAP]; spec.Limit.Separate {
		r.limiters[WHOIS] = newLimiter(spec.Limit)
	}
	return r
}

// Close stops all servers and waits until they are gone. Queries under way get no answer.
func (f *Farm) Close() {
	select {
	case <-f.done:
		return
	default:
		close(f.done)
	}
	f.servers.close()
}

// New starts a farm that ends with a test. T is [testing.TB].
func New(t interface {
	Helper()
	Fatal(...any)
	Cleanup(func())
}, o Options) *Farm {
	t.Helper()
	f, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// Many are n registries "r000", "r001", … of the domains "t000", "t001", …, each made from one pattern: for benches.
func Many(n int, pattern Registry) []Registry {
	list := make([]Registry, n)
	for i := range list {
		list[i] = pattern
		list[i].Name = fmt.Sprintf("r%03d", i)
		list[i].Suffixes = []string{fmt.Sprintf("t%03d", i)}
	}
	return list
}

// PerAddress is a limit of n queries in any time of per for each source address.
func PerAddress(n int, per time.Duration) Limit {
	return Limit{Rates: []limit.Rate{{Events: n, Per: per}}}
}
