package registration

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration/bootstrap"
	"github.com/whence-project/whence/enrich/registration/manners"
	"github.com/whence-project/whence/enrich/registration/rdap"
	"github.com/whence-project/whence/enrich/registration/whoisclient"
	"github.com/whence-project/whence/internal/egress"
	"github.com/whence-project/whence/store"
	"github.com/whence-project/whence/store/embedded"
)

var ctx = context.Background()

// upstream is what registries are asked, in a test.
type upstream struct {
	mu    sync.Mutex
	asked []string // "rdap example.test", "whois example.test"
}

func (u *upstream) ask(what string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked = append(u.asked, what)
}

func (u *upstream) all() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return strings.Join(u.asked, ", ")
}

// count is how often the registries were asked.
func (u *upstream) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.asked)
}

// rdapServer answers with what answer writes, and returns its base URL.
func (u *upstream) rdapServer(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.ask("rdap " + r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/"
}

// whoisServer answers each query with what answer returns.
func (u *upstream) whoisServer(t *testing.T, answer func(query string) string) *whoisclient.Server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				line, _ := bufio.NewReader(c).ReadString('\n')
				query := strings.TrimSpace(line)
				u.ask("whois " + query)
				_, _ = io.WriteString(c, answer(query))
			}()
		}
	}()
	ap := netip.MustParseAddrPort(ln.Addr().String())
	return &whoisclient.Server{Host: ap.Addr().String(), Port: ap.Port()}
}

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newCache(t *testing.T) store.Cache {
	t.Helper()
	s, err := embedded.Open(t.TempDir(), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.Cache()
}

// newSource makes a source whose registries are the overrides, in a chain of its own. Limits are off.
func newSource(t *testing.T, o Options, overrides ...bootstrap.Override) (*Source, *enrich.Chain) {
	t.Helper()
	dialer, err := egress.New(egress.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		t.Fatal(err)
	}
	if o.Now == nil {
		o.Now = newClock().Now
	}
	if o.Bootstrap == nil {
		o.Bootstrap = bootstrap.New(bootstrap.Options{Overrides: overrides, Now: o.Now})
	}
	if o.Manners == nil {
		o.Manners = manners.New(manners.Options{Default: manners.NoLimit(), Now: o.Now})
	}
	if o.RDAP == nil {
		o.RDAP = &rdap.Client{HTTP: rdap.NewHTTPClient(dialer.DialContext, nil)}
	}
	o.Whois = &whoisclient.Client{Dial: dialer.DialContext}
	s := New(o)
	chain := enrich.NewChain("", enrich.Link{Name: "registration", Source: s})
	if err := chain.Open(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chain.Close() })
	return s, chain
}

// domainAnswer is an RDAP answer about a registered domain.
func domainAnswer(name string) string {
	return fmt.Sprintf(`{"objectClassName":"domain","ldhName":%q,"handle":"D1-TEST","rdapConformance":["rdap_level_0"],
 "status":["client transfer prohibited"],"events":[{"eventAction":"registration","eventDate":"2001-02-03T04:05:06Z"},
 {"eventAction":"expiration","eventDate":"2031-02-03T04:05:06Z"}],
 "nameservers":[{"objectClassName":"nameserver","ldhName":"ns1.example.test"}],
 "entities":[{"objectClassName":"entity","roles":["registrar"],"vcardArray":["vcard",[["version",{},"text","4.0"],["fn",{},"text","Example Registrar"]]]}]}`, name)
}

func serveDomain(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/rdap+json")
	_, _ = io.WriteString(w, domainAnswer(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]))
}

// fails answers with a status, and a Retry-After if it is above 0.
func fails(status, retryAfter int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if retryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
		}
		w.Header().Set("Content-Type", "application/rdap+json")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"errorCode":%d,"title":"no"}`, status)
	}
}

const whoisRegistered = "Domain Name: EXAMPLE.TEST\r\nCreation Date: 1999-01-02T03:04:05Z\r\nRegistrar: Whois Registrar\r\nName Server: ns1.example.test\r\n"

// lookup asks the chain, waiting, and returns the record.
func lookup(chain *enrich.Chain, q enrich.Query) *enrich.Record {
	if q.Subject == (enrich.Subject{}) {
		q.Subject = enrich.DomainOf("example.test")
	}
	if !q.Offline {
		q.Wait = time.Now().Add(20 * time.Second)
	}
	r := new(enrich.Record)
	chain.Lookup(ctx, &q, r)
	return r
}

// field is a field of the record's first part, its values joined.
func field(r *enrich.Record, key string) string {
	var values []string
	for _, p := range r.Parts() {
		for _, f := range p.Fragment.Fields() {
			if f.Key == key {
				values = append(values, f.Value)
			}
		}
	}
	return strings.Join(values, " ")
}

// notes are the record's notes.
func notes(r *enrich.Record) string {
	var all []string
	for _, n := range r.Notes() {
		all = append(all, n.Kind.String()+": "+n.Text)
	}
	return strings.Join(all, "; ")
}

// dialTo has what is dialled as from go to to.
func dialTo(dial func(ctx context.Context, network, address string) (net.Conn, error), from, to string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == from {
			address = to
		}
		return dial(ctx, network, address)
	}
}

// bootstrapFiles serves the files of RFC 9224, in which base answers for every address and AS number.
func bootstrapFiles(t *testing.T, base string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entry := map[string]string{"/dns.json": "test", "/ipv4.json": "0.0.0.0/0", "/ipv6.json": "::/0", "/asn.json": "1-4294967294"}[r.URL.Path]
		if entry == "" {
			_, _ = io.WriteString(w, `{"version":"1.0","publication":"2026-01-01T00:00:00Z","services":[[["a@b.example"],["TEST"],["`+base+`"]]]}`)
			return
		}
		_, _ = io.WriteString(w, `{"version":"1.0","publication":"2026-01-01T00:00:00Z","services":[[["`+entry+`"],["`+base+`"]]]}`)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/"
}
