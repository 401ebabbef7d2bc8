// Package bootstrap knows who is to be asked about a domain, a network, an AS number or a handle: the RDAP servers of IANA's bootstrap
// registries (RFC 9224, RFC 8521), and the WHOIS servers of domains with the way they want to be asked.
//
// What is compiled in answers at once; the registries are fetched beside, and what they said last is kept over restarts.
package bootstrap

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/iana"
	"github.com/whence-project/whence/enrich/registration/whoisclient"
	"github.com/whence-project/whence/store"
)

// IANA is the WHOIS server that knows the one of each top-level domain: its "refer:" line.
var IANA = whoisclient.Server{Host: "whois.iana.org"}

// Where Services come from.
const (
	Configured = "configured" // the operator's own
	Fetched    = "iana"       // a file of RFC 9224, fetched
	Compiled   = "compiled"   // the tables of the program
	Referred   = "refer"      // what whois.iana.org told, see [Bootstrap.Learn]
)

// Services are those who can be asked about something. Neither RDAP nor WHOIS: nobody that is known, which does not mean that the
// thing is not registered. The slice is shared and must not be changed.
type Services struct {
	RDAP   []string           // base URLs to ask in this order, each ends in "/"; http only where there is no https
	Whois  whoisclient.Server // zero: none
	Suffix string             // the entry that matched: "uk", "co.za", "8.0.0.0/8", "1-1876", "ARIN"; "" where nothing did
	Origin string             // of what was found first: Configured, Fetched, Compiled or Referred
}

// Override is what the operator says about the domains under a suffix.
type Override struct {
	Suffix string              // "uk", "co.za", "*" for every domain
	RDAP   []string            // base URLs; none: what shorter suffixes, and then the tables, say
	Whois  *whoisclient.Server // nil: likewise
	None   bool                // nobody is to be asked, whatever else says who could be
}

// DefaultEvery is how long a file of RFC 9224 is taken for current.
const DefaultEvery = 24 * time.Hour

// Files are the names of the files of RFC 9224 that are fetched.
func Files() []string { return slices.Clone(files[:]) }

// Options are the settings of a Bootstrap. The zero value knows nobody.
type Options struct {
	URL       string           // folder of the files of RFC 9224, as in https://data.iana.org/rdap/; "": nothing is fetched
	Compiled  bool             // what is compiled in is used until files are fetched, and beside them for what they lack: WHOIS
	HTTP      *http.Client     // fetches the files; nil: http.DefaultClient
	Cache     store.Cache      // keeps the files over restarts; may be nil
	Every     time.Duration    // after which files are fetched again, 10 % more or less; 0: DefaultEvery
	Overrides []Override       // before everything else; of two for one suffix the first
	Now       func() time.Time // nil: time.Now
	Logger    *zap.Logger      // nil: none

	// News hears of each file that takes the place of one fetched before, and of each that is refused, which has an Error; not of
	// those that cannot be fetched. Path is its URL. It must not block. nil for nobody.
	News func(enrich.DataStatus)
}

// Bootstrap knows who is to be asked. Its lookups take no lock, and may be made while it is refreshed.
type Bootstrap struct {
	opt       Options
	overrides map[string]Override // by suffix
	compiled  *iana.Tables        // nil where they are not to be used
	own       *ownTables
	view      atomic.Pointer[view]

	refreshing sync.Mutex // one refresh at a time
	mu         sync.Mutex // guards held, and who replaces view
	held       [len(files)]held
}

// view is what lookups read. It is replaced, never changed.
type view struct {
	files   [len(files)]*registry // nil where none was fetched
	learned map[string]learned    // by suffix
}

// New makes a Bootstrap. It asks nobody: see [Bootstrap.Load] and [Bootstrap.Run].
func New(o Options) *Bootstrap {
	if o.HTTP == nil {
		o.HTTP = http.DefaultClient
	}
	if o.Every <= 0 {
		o.Every = DefaultEvery
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.URL != "" && !strings.HasSuffix(o.URL, "/") {
		o.URL += "/"
	}
	b := &Bootstrap{opt: o, overrides: make(map[string]Override, len(o.Overrides))}
	if o.Compiled {
		b.compiled, b.own = iana.Load(), loadOwn()
	}
	for _, v := range o.Overrides {
		suffix := spell(v.Suffix)
		if _, twice := b.overrides[suffix]; twice {
			continue
		}
		v.Suffix, v.RDAP = suffix, inOrder(v.RDAP)
		if v.Whois != nil {
			w := Complete(*v.Whois)
			v.Whois = &w
		}
		b.overrides[suffix] = v
	}
	b.view.Store(new(view))
	return b
}
