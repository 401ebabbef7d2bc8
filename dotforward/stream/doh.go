package stream

import (
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/whence-project/whence/dotforward"
	"github.com/whence-project/whence/dotforward/wire"
)

// DoHOptions are the settings of DNS over HTTPS. Only Handler is needed.
type DoHOptions struct {
	Handler Handler
	// Client tells who asks, where the request comes through a proxy that is trusted: the connection's address.
	Client func(*http.Request) netip.AddrPort
	Answer time.Duration // after which a query that was not answered is given up with status 504: 10 s
}

const (
	mediaType   = "application/dns-message"
	mostEncoded = (wire.MaxLen*8 + 5) / 6 // base64url without padding
)

// NewDoH is DNS over HTTPS (RFC 8484): queries by GET and HEAD, in the parameter dns, and by POST. Every reply of the handler has
// status 200, whatever its response code, and may be kept for as long as its records. A query that the handler drops gets 403, one
// that it does not answer 504; what is no query gets 400, 405, 413, 414 or 415, with a line that says why.
func NewDoH(o DoHOptions) http.Handler {
	setDefault(&o.Answer, defaultAnswer)
	if o.Client == nil {
		o.Client = func(r *http.Request) netip.AddrPort {
			p, _ := netip.ParseAddrPort(r.RemoteAddr)
			return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
		}
	}
	return &doh{o}
}

type doh struct{ o DoHOptions }

func (d *doh) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var msg []byte
	var status int
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		msg, status = fromURL(r.URL.RawQuery)
	case http.MethodPost:
		msg, status = fromBody(w, r)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		status = http.StatusMethodNotAllowed
	}
	if status == 0 && (len(msg) < wire.HeaderLen || wire.Flags(msg)&wire.FlagQR != 0) {
		status = http.StatusBadRequest
	}
	if status != 0 {
		refuse(w, status)
		return
	}
	x := &exchange{done: make(chan struct{})}
	defer x.close()
	d.o.Handler(msg, d.o.Client(r), dotforward.HTTPS, x.respond)
	if !x.await(r, d.o.Answer) {
		refuse(w, http.StatusGatewayTimeout)
		return
	}
	if x.reply == nil {
		refuse(w, http.StatusForbidden)
		return
	}
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Content-Length", strconv.Itoa(len(x.reply)))
	h.Set("Cache-Control", cacheControl(x.reply))
	w.Write(x.reply)
}

// reasons is what a person is told who did not get a DNS message.
var reasons = map[int]string{
	http.StatusBadRequest: "this is DNS over HTTPS (RFC 8484): it takes a DNS query in the parameter dns, as base64url without padding, " +
		"or as the body of a POST",
	http.StatusForbidden:             "this client gets no answer to this query",
	http.StatusMethodNotAllowed:      "DNS over HTTPS (RFC 8484) takes GET and POST",
	http.StatusRequestEntityTooLarge: "a DNS message has at most 65535 bytes",
	http.StatusRequestURITooLong:     "a DNS message has at most 65535 bytes",
	http.StatusUnsupportedMediaType:  "the body must be of type " + mediaType,
	http.StatusGatewayTimeout:        "no answer in time",
}

func refuse(w http.ResponseWriter, status int) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, reasons[status], status)
}

// fromURL is the query of a GET request, or the status that says why there is none.
func fromURL(query string) (msg []byte, status int) {
	for part := range strings.SplitSeq(query, "&") {
		encoded, ok := strings.CutPrefix(part, "dns=")
		if !ok {
			continue
		}
		if strings.Contains(encoded, "%") {
			var err error
			if encoded, err = url.QueryUnescape(encoded); err != nil {
				return nil, http.StatusBadRequest
			}
		}
		if len(encoded) > mostEncoded {
			return nil, http.StatusRequestURITooLong
		}
		msg, err := base64.RawURLEncoding.DecodeString(encoded)
		if err != nil {
			return nil, http.StatusBadRequest
		}
		return msg, 0
	}
	return nil, http.StatusBadRequest
}

// fromBody is the query of a POST request, or the status that says why there is none.
func fromBody(w http.ResponseWriter, r *http.Request) (msg []byte, status int) {
	typ := r.Header.Get("Content-Type")
	if typ != mediaType {
		if typ, _, _ = mime.ParseMediaType(typ); typ != mediaType {
			return nil, http.StatusUnsupportedMediaType
		}
	}
	if r.ContentLength > wire.MaxLen {
		return nil, http.StatusRequestEntityTooLarge
	}
	if n := r.ContentLength; n >= 0 {
		msg = make([]byte, n)
		if _, err := io.ReadFull(r.Body, msg); err != nil {
			return nil, http.StatusBadRequest
		}
		return msg, 0
	}
	msg, err := io.ReadAll(http.MaxBytesReader(w, r.Body, wire.MaxLen))
	if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
		return nil, http.StatusRequestEntityTooLarge
	}
	if err != nil {
		return nil, http.StatusBadRequest
	}
	return msg, 0
}

// cacheControl says for how long a reply may be kept (RFC 8484 section 5.1). Failures are for nobody to keep: the next one to ask
// may have more luck.
func cacheControl(reply []byte) string {
	a := answers.Get().(*wire.Answer)
	defer answers.Put(a)
	if wire.ScanAnswer(reply, a) != nil || a.Kind == wire.Failure || a.Kind == wire.Unfit {
		return "no-store"
	}
	return "max-age=" + strconv.FormatUint(uint64(a.TTL), 10)
}

// exchange is a query that waits for its reply.
type exchange struct {
	mu     sync.Mutex
	closed bool
	reply  []byte // nil if there is none
	done   chan struct{}
}

// respond is what the handler calls. What comes after the first call, or after the client has gone, is nobody's.
func (x *exchange) respond(msg []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return
	}
	x.closed = true
	if len(msg) >= wire.HeaderLen && len(msg) <= wire.MaxLen {
		x.reply = append([]byte(nil), msg...)
	}
	close(x.done)
}

// await reports whether there was a reply, or word that there is none, before the client went away and within the time.
func (x *exchange) await(r *http.Request, within time.Duration) bool {
	select {
	case <-x.done:
		return true
	default:
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-x.done:
		return true
	case <-r.Context().Done():
	case <-timer.C:
	}
	return false
}

func (x *exchange) close() {
	x.mu.Lock()
	x.closed = true
	x.mu.Unlock()
}
