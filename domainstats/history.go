package domainstats

import (
	"context"
	"net/http"
	"net/url"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/store"
)

// serveCache answers the originals' routes about their cache, which is here the ledger.
func (a *API) serveCache(w http.ResponseWriter, r *http.Request, rt route, c *call) outcome {
	contentType, o := typeJSON, answered
	c.buf = c.buf[:0]
	switch rt {
	case routeStats:
		if a.opt.Format == FormatB || a.opt.Format == FormatB0 {
			contentType = typeText
			a.statsText(c)
		} else {
			a.statsJSON(c)
		}
	case routeReset:
		a.state.hits.Store(0)
		a.state.misses.Store(0)
		a.state.firsts.Store(0)
		c.buf = append(c.buf, `{"text":"Success"}`...)
	case routeBrowse:
		a.browse(r, c)
	case routeCacheGet:
		o = a.cacheGet(r, c)
	case routeDepuny:
		o = a.depuny(r, c)
	case routeShow:
		contentType = typeText
		a.show(r, c)
	}
	if contentType == typeJSON {
		c.buf = append(c.buf, '\n')
	}
	write(w, contentType, http.StatusOK, c.buf)
	return o
}

// statsJSON is format C's /stats. What it calls a hit is here an answer with a registration.
func (a *API) statsJSON(c *call) {
	var good, failed uint64
	if a.opt.Registrations != nil {
		good, failed = a.opt.Registrations()
	}
	b := strconv.AppendUint(append(c.buf, `{"hit":`...), a.state.hits.Load(), 10)
	b = strconv.AppendUint(append(b, `,"miss":`...), a.state.misses.Load(), 10)
	b = strconv.AppendUint(append(b, `,"rdap_fail":`...), failed, 10)
	b = strconv.AppendUint(append(b, `,"rdap_good":`...), good, 10)
	b = strconv.AppendInt(append(b, `,"size":`...), a.ledgerStatus().Bytes, 10)
	b = append(b, `,"warnings":[`...)
	for i, text := range a.warnings() {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSONString(b, text)
	}
	c.buf = append(b, ']', '}')
}

// statsText is format B's /stats: of its two layers of memory, the cache is what the chain knew, the database the ledger.
func (a *API) statsText(c *call) {
	ledger := a.ledgerStatus()
	memory := []metrics.Sample{{Name: "/memory/classes/total:bytes"}}
	metrics.Read(memory)
	hits, misses, firsts := a.state.hits.Load(), a.state.misses.Load(), a.state.firsts.Load()
	b := strconv.AppendUint(append(c.buf, "cache_stats(hit="...), hits, 10)
	b = strconv.AppendUint(append(b, ", miss="...), misses, 10)
	b = strconv.AppendInt(append(b, ", expire=0), ('Max Size': "...), int64(ledger.MaxNames), 10)
	b = strconv.AppendInt(append(b, ", 'Current size': "...), int64(ledger.Names), 10)
	b = strconv.AppendInt(append(b, ", 'Cache Bytes': "...), ledger.Bytes, 10)
	b = strconv.AppendUint(append(b, ", 'Application Kilobytes': "...), memory[0].Value.Uint64()>>10, 10)
	b = strconv.AppendUint(append(b, ")\ndatabase_stats(hit="...), hits+misses-min(firsts, hits+misses), 10)
	b = strconv.AppendUint(append(b, ", miss="...), firsts, 10)
	b = strconv.AppendUint(append(b, ", insert="...), firsts, 10)
	c.buf = append(b, ", delete=0)"...)
}

func (a *API) ledgerStatus() store.LedgerStatus {
	if a.opt.Ledger == nil {
		return store.LedgerStatus{}
	}
	return a.opt.Ledger.Status()
}

func (a *API) warnings() (texts []string) {
	if e := a.ledgerStatus().Error; e != "" {
		texts = append(texts, "ledger: "+e)
	}
	for _, s := range a.opt.Chain.Status() {
		if s.LastError != "" {
			texts = append(texts, s.Name+": "+s.LastError)
		}
	}
	return texts
}

// browse is /cache_browse: the ledger's names in order. The link to what follows goes on after the last name, beside the offset
// of the original: counting through a million names takes time.
func (a *API) browse(r *http.Request, c *call) {
	q := r.URL.Query()
	offset, _ := strconv.Atoi(q.Get("offset"))
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil || limit <= 0 || limit > a.opt.BrowseLimit {
		limit = a.opt.BrowseLimit
	}
	after, skip := q.Get("after"), max(offset, 0)
	if after != "" {
		skip = 0
	}
	var entries []store.Sighting
	a.walk(r, after, func(s store.Sighting) bool {
		if skip > 0 {
			skip--
			return true
		}
		s.Name = strings.Clone(s.Name)
		entries = append(entries, s)
		return len(entries) < limit
	})
	c.buf = append(c.buf, '[')
	if len(entries) == limit {
		v := url.Values{"after": {entries[limit-1].Name}, "limit": {strconv.Itoa(limit)}, "offset": {strconv.Itoa(max(offset, 0) + limit)}}
		scheme := "http://"
		if r.TLS != nil {
			scheme = "https://"
		}
		c.buf = appendJSONString(append(c.buf, `{"next":`...), scheme+enrich.Clean(r.Host)+r.URL.EscapedPath()+"?"+v.Encode())
		c.buf = append(c.buf, '}', ',')
	}
	for i, s := range entries {
		if i > 0 {
			c.buf = append(c.buf, ',')
		}
		a.appendEntry(r.Context(), c, s)
	}
	c.buf = append(c.buf, ']')
}

// walk calls yield with the names of the ledger, until it returns false or the request ends.
func (a *API) walk(r *http.Request, after string, yield func(store.Sighting) bool) {
	if a.opt.Ledger == nil {
		return
	}
	for s, err := range a.opt.Ledger.All(r.Context(), a.opt.Scope, after) {
		if err != nil || !yield(s) {
			return
		}
	}
}

// appendEntry appends a name as /cache_browse and /cache_get show it, with what is known of it here.
func (a *API) appendEntry(ctx context.Context, c *call, s store.Sighting) {
	f, expires := a.known(ctx, c, s)
	c.buf = append(c.buf, `{"cache_expires":"`...)
	if expires.IsZero() {
		c.buf = append(c.buf, "Never"...)
	} else {
		c.buf = appendDate(c.buf, expires, http.TimeFormat)
	}
	c.buf = a.appendC(append(c.buf, `","cache_value":`...), &f, a.opt.Now())
	c.buf = append(appendJSONString(append(c.buf, `,"domain":`...), s.Name), '}')
}

// known is what can be said of a name of the ledger without asking anybody.
func (a *API) known(ctx context.Context, c *call, s store.Sighting) (f facts, expires time.Time) {
	name := s.Name
	if reg := registrable(name); reg != "" {
		name = reg
	}
	c.query = enrich.Query{Subject: enrich.DomainOf(name), Offline: true}
	a.opt.Chain.Lookup(ctx, &c.query, &c.rec)
	a.gather(&f, &c.rec, name)
	f.seen.first = s.First
	return f, parseTime(c.rec.Value(enrich.Expires))
}

// cacheGet is /cache_get?domain=…, of exactly that name.
func (a *API) cacheGet(r *http.Request, c *call) outcome {
	name := strings.ToLower(r.URL.Query().Get("domain"))
	if name == "" {
		c.buf = append(c.buf, `{"text":"Try /cache_get?domain=markbaggett.com"}`...)
		return invalid
	}
	if a.opt.Ledger != nil {
		if res, s := a.opt.Ledger.Lookup(a.opt.Scope, name); res == store.Seen {
			a.appendEntry(r.Context(), c, s)
			return answered
		}
	}
	c.buf = append(c.buf, `{"text":"That domain is not in the database."}`...)
	return unknown
}

// depuny is /depuny?domain=…: a name with its A-labels as U-labels (RFC 5890).
func (a *API) depuny(r *http.Request, c *call) outcome {
	name := r.URL.Query().Get("domain")
	if name == "" {
		c.buf = append(c.buf, `{"text":"Try /depuny?domain=xn--yutube-wqf.com"}`...)
		return invalid
	}
	if len(name) > maxArgument {
		name = ""
	}
	u, err := idna.Punycode.ToUnicode(name)
	if err != nil || u == "" {
		c.buf = append(c.buf, `{"text":"That is not a domain in Punycode."}`...)
		return invalid
	}
	c.buf = appendJSONString(c.buf, u)
	return answered
}

// show is format B's /showcache: the names seen most often, as far as could be looked through in the time of an answer.
func (a *API) show(r *http.Request, c *call) {
	deadline := time.Now().Add(max(a.opt.Wait, time.Second))
	var most []store.Sighting
	looked, cut := 0, false
	a.walk(r, "", func(s store.Sighting) bool {
		if looked++; looked&0xfff == 0 && time.Now().After(deadline) {
			cut = true
			return false
		}
		at, _ := slices.BinarySearchFunc(most, s.Count, func(e store.Sighting, count uint64) int {
			if e.Count >= count {
				return -1
			}
			return 1
		})
		if at < a.opt.BrowseLimit {
			s.Name = strings.Clone(s.Name)
			if most = slices.Insert(most, at, s); len(most) > a.opt.BrowseLimit {
				most = most[:a.opt.BrowseLimit]
			}
		}
		return true
	})
	appendRow := func(key, count, expires string) {
		c.buf = append(c.buf, key...)
		c.buf = append(c.buf, strings.Repeat(" ", max(40-len(key), 1))...)
		c.buf = append(c.buf, strings.Repeat(" ", max(10-len(count), 0))...)
		c.buf = append(append(append(c.buf, count...), ' ', ' '), expires...)
		c.buf = append(c.buf, strings.Repeat(" ", max(31-len(expires), 1))...)
	}
	appendRow("KEY", "COUNT", "EXPIRES")
	c.buf = append(c.buf, "RECORD\n"...)
	for _, s := range most {
		f, expires := a.known(r.Context(), c, s)
		text := "Never"
		if !expires.IsZero() {
			text = expires.Format(dateText)
		}
		appendRow(s.Name, strconv.FormatUint(s.Count, 10), text)
		c.buf = append(a.appendB(c.buf, &f, a.opt.Now()), '\n')
	}
	if cut {
		c.buf = append(append(c.buf, "Not all names were looked at, only "...), strconv.Itoa(looked)...)
		c.buf = append(c.buf, ".\n"...)
	}
}
