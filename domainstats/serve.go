package domainstats

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/whence-project/whence/enrich"
)

// outcome is how a request ended, for the counters.
type outcome uint8

const (
	answered outcome = iota // with data
	unknown                 // with the form for what is not known
	invalid                 // the request cannot be answered as it is
	refused                 // the client may not, or not now
	numOutcomes
)

var outcomeNames = [numOutcomes]string{"answered", "unknown", "invalid", "refused"}

func (o outcome) String() string { return outcomeNames[o] }

const (
	typeText    = "text/plain"
	typeJSON    = "application/json"
	typeNDJSON  = "application/x-ndjson"
	typeProblem = "application/problem+json"

	maxArgument = 4096 // bytes of what one request asks about; enrich takes 2048
	keptBuffer  = 64 << 10
)

// call is what one request works with, used again by others.
type call struct {
	query enrich.Query
	rec   enrich.Record
	buf   []byte
}

// ServeHTTP answers a request, with 404 (RFC 9457) where its path is none of ours.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !a.Handle(w, r) {
		problem(w, http.StatusNotFound, "no route of domain_stats has this path")
	}
}

// Handle answers a request if its path is one of ours, and reports whether it was. Where it returns false nothing was written.
func (a *API) Handle(w http.ResponseWriter, r *http.Request) bool {
	t := a.match(r.URL.EscapedPath(), r.URL.RawQuery)
	if t.route == routeNone {
		return false
	}
	o := refused
	if a.admits(w, r, t.route) {
		o = a.serve(w, r, &t)
	}
	a.state.answers[t.route][o].Add(1)
	return true
}

// admits answers what the method or the rule for history refuses.
func (a *API) admits(w http.ResponseWriter, r *http.Request, rt route) bool {
	allow, ok := "GET, HEAD", r.Method == http.MethodGet || r.Method == http.MethodHead
	if rt == routeBulk {
		allow, ok = "POST", r.Method == http.MethodPost
	}
	if !ok {
		w.Header()["Allow"] = []string{allow}
		refuse(w, rt, http.StatusMethodNotAllowed, "this method is not answered here, only "+allow)
		return false
	}
	if rt.history() && !a.opt.History && !a.fromHere(r) {
		refuse(w, rt, http.StatusForbidden, "history is answered to clients on this machine only, unless the configuration opens it")
		return false
	}
	return true
}

// fromHere reports that the client is on this machine and speaks for nobody else: it is no proxy, and no browser that a web page
// led here by a name of its own (DNS rebinding).
func (a *API) fromHere(r *http.Request) bool {
	if !a.opt.ClientAddr(r).IsLoopback() || r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "" {
		return false
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil || host == "" {
		return true
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// refuse answers with an error in the form of whose route it is.
func refuse(w http.ResponseWriter, rt route, status int, text string) {
	switch {
	case rt.own():
		problem(w, status, text)
	case rt == routeReset || rt == routeBrowse || rt == routeCacheGet:
		write(w, typeJSON, status, append(appendJSONString([]byte(`{"text":`), text), "}\n"...))
	case rt == routeWhoisAPI || rt == routeWhoisList || rt == routeCheck:
		write(w, typeJSON, status, appendIndented(nil, struct {
			Error string `json:"error"`
		}{text}, " "))
	default:
		write(w, typeText, status, []byte(text))
	}
}

func (a *API) serve(w http.ResponseWriter, r *http.Request, t *target) outcome {
	switch t.route {
	case routeBulk:
		return a.bulk(w, r)
	case routeContacts:
		return a.contacts(w, r)
	case routeWhoisList:
		return a.whoisList(w, r)
	}
	if len(t.arg)+len(t.fields) > maxArgument {
		refuse(w, t.route, http.StatusRequestURITooLong, "more than "+strconv.Itoa(maxArgument)+" bytes to look up")
		return invalid
	}
	if t.raw {
		t.arg, t.fields = unescape(t.arg), unescape(t.fields)
	}
	c := a.calls.Get().(*call)
	o := a.answer(w, r, t, c)
	a.keep(c)
	return o
}

// keep gives a call to who needs one next.
func (a *API) keep(c *call) {
	if cap(c.buf) <= keptBuffer {
		a.calls.Put(c)
	}
}

func unescape(s string) string {
	if strings.IndexByte(s, '%') >= 0 {
		if u, err := url.PathUnescape(s); err == nil {
			return u
		}
	}
	return s
}

func (a *API) answer(w http.ResponseWriter, r *http.Request, t *target, c *call) outcome {
	switch t.route {
	case routeDomain:
		return a.serveDomain(w, r, t.arg, c)
	case routeWhois, routeCreated:
		return a.serveWhois(w, r, t, c)
	case routeAlexa:
		return a.serveAlexa(w, r, t.arg, c)
	case routeMeasure, routeNormal:
		return a.serveMeasure(w, t, c)
	case routeLookup:
		return a.serveLookup(w, r, t.arg, c)
	case routeWhoisAPI:
		return a.serveWhoisAPI(w, r, t.arg, c)
	case routeCheck:
		return a.serveCheck(w)
	case routeSources:
		return a.serveSources(w)
	case routeOpenAPI:
		write(w, typeJSON, http.StatusOK, openAPI)
		return answered
	case routeHelp:
		return a.serveHelp(w, r)
	}
	return a.serveCache(w, r, t.route, c)
}

// serveHelp is what the originals say to what they cannot read.
func (a *API) serveHelp(w http.ResponseWriter, r *http.Request) outcome {
	text := "/cmd/tgt cmd = domain or alexa tgt = domain name"
	if a.opt.Format == FormatB || a.opt.Format == FormatB0 {
		text = "/domain.tld   where domain is a non-dotted domain and tld is a valid top level domain."
	}
	write(w, typeText, http.StatusOK, []byte("API Documentation\nhttp://"+enrich.Clean(r.Host)+text))
	return invalid
}

// lookup asks the chain about a domain for a program that asks about all it sees, until the time that an answer may take. want are
// the canonical fields that the answer has a place for, 0 for all.
func (a *API) lookup(r *http.Request, c *call, s enrich.Subject, want enrich.KeySet, now time.Time) {
	c.query = enrich.Query{Subject: s, Want: want, Priority: enrich.Pipeline}
	if a.opt.Wait > 0 {
		c.query.Wait = now.Add(a.opt.Wait)
	}
	a.opt.Chain.Lookup(r.Context(), &c.query, &c.rec)
}

// lengths are the values of Content-Length that occur.
var lengths = func() (s [1024]string) {
	for i := range s {
		s[i] = strconv.Itoa(i)
	}
	return s
}()

// write writes an answer in one piece. The values of the header are a slice of this answer alone: middleware changes them in
// place.
func write(w http.ResponseWriter, contentType string, status int, body []byte) {
	length := ""
	if len(body) < len(lengths) {
		length = lengths[len(body)]
	} else {
		length = strconv.Itoa(len(body))
	}
	values := []string{contentType, length}
	h := w.Header()
	h["Content-Type"], h["Content-Length"] = values[:1:1], values[1:2:2]
	if status != http.StatusOK {
		w.WriteHeader(status)
	}
	_, _ = w.Write(body) // a client that went away is nothing to tell anybody
}

// problem writes an error of our own routes as problem details (RFC 9457).
func problem(w http.ResponseWriter, status int, detail string) {
	b := append([]byte(`{"type":"about:blank","title":`), strconv.Quote(http.StatusText(status))...)
	b = strconv.AppendInt(append(b, `,"status":`...), int64(status), 10)
	b = append(appendJSONString(append(b, `,"detail":`...), detail), "}\n"...)
	write(w, typeProblem, status, b)
}
