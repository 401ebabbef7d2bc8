package registryfarm

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
)

const mediaType = "application/rdap+json" // RFC 7480 §4.2

// visit is one RDAP request.
type visit struct {
	*registry
	guest    guest
	w        http.ResponseWriter
	req      *http.Request
	class    string // "domain", "ip", "autnum", "entity", "nameserver", "help"
	what     string // that is asked about; of domains the canonical name
	behavior Behaviour
}

// serveRDAP answers a request (RFC 9082).
func (r *registry) serveRDAP(w http.ResponseWriter, req *http.Request) {
	from := sourceOf(req)
	crowd := r.arrive(from, RDAP)
	v := &visit{registry: r, guest: guest{registry: r, from: from, protocol: RDAP}, w: w, req: req}
	defer v.guest.leave()
	known := v.parse()
	over := r.asked(from, RDAP, v.what, "", &Request{Source: from, Method: req.Method, Path: req.URL.RequestURI(), Host: req.Host,
		Proto: req.Proto, Accept: req.Header.Get("Accept"), Agent: req.Header.Get("User-Agent")}, crowd)
	switch {
	case over.over:
		v.overLimit(over)
		return
	case !r.delay(req.Context().Done()):
		return
	case !known:
		r.malformed()
		v.fail(http.StatusBadRequest, "Bad Request", "This is no query of RFC 9082.")
		return
	case r.moved != nil && r.moved.base != "":
		v.redirect(r.moved.base + v.class + "/" + v.what)
		return
	}
	v.answer()
}

// sourceOf is the address of the client.
func sourceOf(req *http.Request) netip.Addr {
	from, _ := netip.ParseAddrPort(req.RemoteAddr)
	return from.Addr().Unmap()
}

// parse reads the path, and reports whether it is a question.
func (v *visit) parse() bool {
	path, ok := strings.CutPrefix(v.req.URL.Path, "/rdap/")
	if !ok || v.req.Method != http.MethodGet && v.req.Method != http.MethodHead {
		return false
	}
	v.class, v.what, _ = strings.Cut(path, "/")
	switch v.class {
	case "domain", "nameserver":
		v.what, ok = canonical(v.what)
	case "ip":
		_, ok = parsePrefix(v.what)
	case "autnum":
		_, err := strconv.ParseUint(v.what, 10, 32)
		ok = err == nil
	case "entity":
		ok = v.what != "" && len(v.what) <= 200 && strings.Trim(v.what, handleBytes) == ""
	case "help":
		ok = v.what == ""
	default:
		ok = false
	}
	return ok
}

// handleBytes are those of handles; there is nothing among them that JSON escapes.
const handleBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

// answer answers by class and behaviour.
func (v *visit) answer() {
	v.behavior = v.registry.behaviour(v.what)
	if v.class != "domain" && v.registry.behave.Load() == nil {
		v.behavior = Ordinary // "free-…" selects a behaviour of domains only
	}
	if !v.responsible() {
		v.stray()
		v.fail(http.StatusNotFound, "Not Found", "This registry is not responsible for that.")
		return
	}
	if v.misbehave() {
		return
	}
	switch v.class {
	case "domain":
		v.domain()
	case "ip":
		p, _ := parsePrefix(v.what)
		v.send(func(b page) page { return b.network(v.registry, ExpectedNetwork(p)) })
	case "autnum":
		v.send(func(b page) page { return b.autnum(v.registry, ExpectedAS(v.as())) })
	case "entity":
		v.send(func(b page) page { return b.entityObject(v.registry, v.what) })
	case "help":
		v.send(func(b page) page { return b.s(`{`).s(conformance).s(`,"notices":[`).s(terms).s(`]}`) })
	default:
		v.fail(http.StatusNotImplemented, "Not Implemented", "This registry does not answer about name servers.")
	}
}

// responsible reports whether the question is for this registry.
func (v *visit) responsible() bool {
	switch v.class {
	case "domain":
		return v.has(v.what)
	case "ip":
		p, _ := parsePrefix(v.what)
		return v.hasPrefix(p)
	case "autnum":
		return v.hasAS(v.as())
	}
	return true
}

func (v *visit) as() uint32 {
	as, _ := strconv.ParseUint(v.what, 10, 32)
	return uint32(as)
}

// domain answers about a domain that behaves.
func (v *visit) domain() {
	facts := Expected(v.what)
	switch {
	case v.behavior == Free:
		v.notFound()
	case v.behavior == Reserved:
		v.fail(http.StatusNotFound, "Reserved", "The domain name is reserved by the registry and cannot be registered.")
	default:
		v.send(func(b page) page { return b.domain(v.registry, &facts, v.related()) })
	}
}

// related is the same object at the registrar of a thin registry, empty for a thick one.
func (v *visit) related() string {
	switch {
	case v.behavior == Lead:
		return scheme(v.TLS) + "://" + v.farm.PrivateTarget(v.what) + "/rdap/domain/" + v.what
	case v.Thin && v.registrar != nil && v.registrar.base != "":
		return v.registrar.base + "domain/" + v.what
	}
	return ""
}

// notFound says so with an RDAP body, for a quarter of the names without any (RFC 7480 §5.3).
func (v *visit) notFound() {
	if hash(v.what)%4 == 0 {
		v.body(http.StatusNotFound, mediaType, nil)
		return
	}
	v.fail(http.StatusNotFound, "Not Found", "The domain was not found.")
}

var pages = sync.Pool{New: func() any { b := make(page, 0, 4096); return &b }}

// send renders an answer and sends it, in the charset of the behaviour.
func (v *visit) send(render func(page) page) {
	buf := pages.Get().(*page)
	defer pages.Put(buf)
	*buf = render((*buf)[:0])
	v.body(http.StatusOK, mediaType, v.behavior.encode(*buf))
}

func (v *visit) body(status int, media string, body []byte) {
	h := v.w.Header()
	h.Set("Content-Type", media)
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	v.guest.leave()
	v.w.WriteHeader(status)
	v.w.Write(body)
}

// fail sends an error response (RFC 9083 §6). The texts have nothing that JSON escapes.
func (v *visit) fail(status int, title, description string) {
	b := page(nil).s(`{"rdapConformance":["rdap_level_0"],"errorCode":`).n(status).s(`,"title":"`).s(title).s(`","description":["`).
		s(description).s(`"]}`)
	v.body(status, mediaType, b)
}

func (v *visit) redirect(to string) {
	v.guest.leave()
	v.w.Header().Set("Location", to)
	v.w.Header().Set("Content-Length", "0")
	v.w.WriteHeader(http.StatusFound)
}
