package caddydotforward

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/internal/events"
	"github.com/whence-project/whence/caddymodule/internal/firstcontacts"
	"github.com/whence-project/whence/dotforward"
	"github.com/whence-project/whence/dotforward/upstream"
	"github.com/whence-project/whence/dotforward/wire"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/contacts"
)

// pool opens upstream servers for this configuration: the default's, and those of routes, which may be without encryption.
func (a *App) pool(f *Forward) (*pool, error) {
	p, err := f.open(f != a.Forward, a.logger, upstreamEvent, a.agree(f), a.onDisagree)
	if err != nil {
		return nil, err
	}
	a.hold(p.release)
	return p, nil
}

// emitters are those of the apps that serve: the servers outlive configurations.
var emitters events.Newest

// upstreamEvent tells that a server went down or came up.
func upstreamEvent(e upstream.Event) {
	a := current.app()
	if a == nil {
		return
	}
	if e.Up {
		a.logger.Info("upstream server is up", zap.Stringer("server", e.Server))
		emitters.Post(events.UpstreamUp, map[string]any{"server": e.Server.String()})
		return
	}
	a.logger.Warn("upstream server is down", zap.Stringer("server", e.Server), zap.Error(e.Err))
	emitters.Post(events.UpstreamDown, map[string]any{"server": e.Server.String(), "error": fmt.Sprint(e.Err)})
}

// contacts has first contacts told. Names learnt from DNS are nobody's to read on the way, and registries hear of them only where the
// configuration wants to know how old their registrations are.
func (a *App) contacts(young time.Duration) (wake func(), err error) {
	s, err := a.store.Store()
	if err != nil {
		return nil, err
	}
	use := contacts.Use{Chain: a.chain, Discreet: true, Offline: young == 0, Young: young}
	firstcontacts.Tell(&use, a.logger.Named("first_contact"), a.events)
	h, err := firstcontacts.Acquire(s.Ledger(), a.store.Dir, dotforward.Scope, a.logger, use)
	if err != nil {
		return nil, err
	}
	a.hold(h.Release)
	return h.Wake, nil
}

// disagreements are told once a second at most; metrics count all.
var disagreements struct {
	total atomic.Uint64
	mu    sync.Mutex
	last  time.Time
}

// onDisagree hears of servers that said different things.
func (a *App) onDisagree(won *upstream.Reply, others []upstream.Reply) {
	disagreements.total.Add(1)
	disagreements.mu.Lock()
	quiet := time.Since(disagreements.last) < time.Second
	if !quiet {
		disagreements.last = time.Now()
	}
	disagreements.mu.Unlock()
	if quiet {
		return
	}
	var said []string
	name := ""
	for _, r := range append(others[:len(others):len(others)], deref(won)...) {
		rcode, addrs := contentOf(r.Msg)
		said = append(said, fmt.Sprintf("%s: rcode %d %v", r.From, rcode, addrs))
		name = questionOf(r.Msg)
	}
	slices.Sort(said)
	a.logger.Warn("upstream servers disagree", zap.String("name", name), zap.Bool("decided", won != nil), zap.Strings("said", said))
	a.events.Post(events.QuorumDisagreement, map[string]any{"name": name, "decided": won != nil, "said": strings.Join(said, "; ")})
}

func deref(r *upstream.Reply) []upstream.Reply {
	if r == nil {
		return nil
	}
	return []upstream.Reply{*r}
}

// contentOf is what a reply says: its response code, and the addresses in it, sorted.
func contentOf(msg []byte) (rcode uint16, addrs []netip.Addr) {
	var ans wire.Answer
	if wire.ScanAnswer(msg, &ans) != nil {
		return wire.RcodeServFail, nil
	}
	addrs = slices.Clone(ans.Addrs)
	slices.SortFunc(addrs, netip.Addr.Compare)
	return ans.Rcode, addrs
}

// questionOf is the name that a reply is about, as it is written.
func questionOf(msg []byte) string {
	var ans wire.Answer
	if wire.ScanAnswer(msg, &ans) != nil || ans.QuestionEnd <= wire.HeaderLen {
		return ""
	}
	return nameText(msg[wire.HeaderLen:])
}

// nameText is a name on the wire, without compression, as it is written (RFC 1035 section 5.1).
func nameText(wireName []byte) string {
	var b strings.Builder
	for len(wireName) > 0 && wireName[0] != 0 && int(wireName[0]) < len(wireName) {
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		for _, c := range wireName[1 : 1+wireName[0]] {
			if c <= ' ' || c > '~' || c == '.' || c == '\\' {
				fmt.Fprintf(&b, "\\%03d", c)
				continue
			}
			b.WriteByte(c)
		}
		wireName = wireName[1+wireName[0]:]
	}
	if b.Len() == 0 {
		return "."
	}
	return b.String()
}

// agree compares the replies of a quorum: the response code, and unless the records themselves are to be the same, the origin AS of
// the addresses, since a name has other addresses for everybody who asks, but its owner's network.
func (a *App) agree(f *Forward) func(x, y []byte) bool {
	return func(x, y []byte) bool {
		rx, ax := contentOf(x)
		ry, ay := contentOf(y)
		if rx != ry {
			return false
		}
		if f.Exact || a.chain == nil {
			return slices.Equal(ax, ay)
		}
		return slices.Equal(a.origins(ax), a.origins(ay))
	}
}

// origins are the origin AS numbers of addresses, each once, sorted; an address whose AS is not known stands for itself.
func (a *App) origins(addrs []netip.Addr) (list []string) {
	var r enrich.Record
	for _, addr := range addrs {
		q := enrich.Query{Subject: enrich.AddressOf(addr), Offline: true, Want: enrich.SetOf(enrich.ASN)}
		a.chain.Lookup(a.ctx, &q, &r)
		asn := r.Value(enrich.ASN)
		if asn == "" {
			asn = addr.String()
		}
		list = append(list, asn)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// onPanic is a handler that panicked.
func (a *App) onPanic(h dotforward.Handler, value any) {
	a.logger.Error("a handler panicked; the query was answered SERVFAIL", zap.String("handler", fmt.Sprintf("%T", h)), zap.Any("panic", value))
}

// logQuery writes a query's access line.
func (a *App) logQuery(q *dotforward.Query) {
	a.logger.Named("access").Info("query", zap.Stringer("client", q.Client()), zap.Stringer("transport", q.Transport()),
		zap.String("name", nameText(q.Name())), zap.Uint16("type", q.Type()), zap.Uint16("rcode", q.Rcode()),
		zap.Stringer("outcome", q.Outcome()), zap.String("upstream", q.Upstream()), zap.Strings("tags", q.Tags()))
}
