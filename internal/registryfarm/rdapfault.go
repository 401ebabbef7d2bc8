package registryfarm

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// bigSize is how long the answers of [Big] and [Bomb] are at least.
const bigSize = 10 << 20

// padding is 64 KiB of nothing, in which neither JSON nor a WHOIS reply has anything to read.
var padding = strings.Repeat(strings.Repeat("x", 63)+" ", 1024)

// misbehave answers where the behaviour is not simply another answer, and reports whether it did.
func (v *visit) misbehave() bool {
	seconds := int(Retry / time.Second)
	switch v.behavior {
	case Throttle, ThrottleDate:
		v.retryAfter(Retry, v.behavior == ThrottleDate)
		v.fail(http.StatusTooManyRequests, "Too Many Requests", "The limit of queries is exceeded.")
	case ThrottleText:
		v.throttleWords()
	case Busy:
		v.retryAfter(Retry, false)
		v.fail(http.StatusServiceUnavailable, "Service Unavailable", "The server is busy, try again in "+strconv.Itoa(seconds)+" seconds.")
	case Blocked:
		v.fail(http.StatusForbidden, "Forbidden", "Your address is blacklisted.")
	case Hang:
		v.farm.hang(v.req.Context().Done())
		panic(http.ErrAbortHandler) // a handler that returns has answered 200
	case Drip, Reset, Cut:
		v.interrupted()
	case Error:
		v.fail(http.StatusInternalServerError, "Internal Server Error", "Something went wrong inside.")
	case Empty:
		v.body(http.StatusOK, mediaType, nil)
	case Big:
		v.big()
	case Gzip, Bomb:
		v.compressed()
	case Loop, LoopSelf, LoopFar:
		v.loop()
	case Private:
		v.redirect(scheme(v.TLS) + "://" + v.farm.PrivateTarget(v.what) + "/rdap/" + v.class + "/" + v.what)
	case HTML404:
		v.body(http.StatusNotFound, "text/html; charset=utf-8", []byte(webPage404))
	case NotJSON:
		v.body(http.StatusOK, mediaType, []byte("It works!\n"))
	case OtherName:
		other := Expected("other." + v.what)
		v.send(func(b page) page { return b.domain(v.registry, &other, "") })
	default:
		return false
	}
	return true
}

const webPage404 = "<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head>\n<body><h1>Not Found</h1>\n" +
	"<p>The requested URL was not found on this server.</p></body></html>\n"

// retryAfter sets the header in seconds, at least one, or as a date (RFC 9110 §10.2.3).
func (v *visit) retryAfter(d time.Duration, date bool) {
	now := v.farm.opt.Now()
	seconds := max(1, int((d+time.Second-1)/time.Second))
	if !date {
		v.w.Header().Set("Retry-After", strconv.Itoa(seconds))
		return
	}
	v.w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	v.w.Header().Set("Retry-After", now.Add(time.Duration(seconds)*time.Second).UTC().Format(http.TimeFormat))
}

// overLimit answers a client who is over the limit.
func (v *visit) overLimit(over verdict) {
	switch {
	case over.banned:
		v.fail(http.StatusForbidden, "Forbidden", "Your address is blacklisted.")
	case v.Limit.Over == Words:
		v.throttleWords()
	case v.Limit.Over == Drop:
		v.drop()
	default:
		if v.Limit.Over != Silent {
			v.retryAfter(over.wait, v.Limit.Over == TellDate)
		}
		v.fail(http.StatusTooManyRequests, "Too Many Requests", "The limit of queries is exceeded.")
	}
}

// throttleWords says in words what the status does not, in one of five forms.
func (v *visit) throttleWords() {
	const head = `{"rdapConformance":["rdap_level_0"],`
	text := throttleWords[hash(v.what)/5%uint64(len(throttleWords))]
	switch hash(v.what) % 5 {
	case 0:
		v.body(http.StatusOK, mediaType, page(head+`"notices":[{"title":"Rate limit","description":["`).s(text).s(`"]}]}`))
	case 1:
		v.body(http.StatusOK, mediaType, page(head+`"errorCode":429,"title":"Too Many Requests","description":["`).s(text).s(`"]}`))
	case 2:
		v.body(http.StatusOK, "text/plain", page(text+"\n"))
	case 3:
		v.body(http.StatusOK, "text/html", page("<html><head><title>Sorry</title></head><body><p>"+text+"</p></body></html>\n"))
	default:
		v.body(http.StatusOK, mediaType, page(head+`"objectClassName":"domain","ldhName":"`).s(v.what).
			s(`","notices":[{"title":"Notice","description":["`).s(text).s(`"]}]}`))
	}
}

// interrupted begins a true answer, and goes on byte by byte, with a reset, or not at all.
func (v *visit) interrupted() {
	facts := Expected(v.what)
	body := page(nil).domain(v.registry, &facts, v.related())
	v.w.Header().Set("Content-Type", mediaType)
	v.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	flush := http.NewResponseController(v.w).Flush
	if v.behavior == Drip {
		for i := range body {
			if i == len(body)-1 {
				v.guest.leave()
			}
			v.w.Write(body[i : i+1])
			flush()
			if !v.farm.pause(v.farm.opt.Drip, v.req.Context().Done()) {
				break
			}
		}
		return
	}
	if v.behavior == Reset {
		v.w.Write(body[:40])
		flush()
		v.drop()
		return
	}
	v.w.Write(body[:len(body)/2])
	flush()
	v.guest.leave()
	panic(http.ErrAbortHandler) // over HTTP/1 the connection ends, over HTTP/2 the stream
}

// drop resets: the connection over HTTP/1, the stream over HTTP/2, whose other streams are other people's.
func (v *visit) drop() {
	v.guest.leave()
	if v.req.ProtoMajor == 1 {
		if conn, _, err := http.NewResponseController(v.w).Hijack(); err == nil {
			abort(conn)
			return
		}
	}
	panic(http.ErrAbortHandler)
}

// big is a true answer with remarks that do not end.
func (v *visit) big() {
	facts := Expected(v.what)
	body := page(nil).domain(v.registry, &facts, v.related())
	v.w.Header().Set("Content-Type", mediaType)
	v.w.Write(body[:len(body)-1])
	v.w.Write([]byte(`,"remarks":[{"title":"Remark","description":["`))
	for range bigSize / len(padding) {
		if _, err := v.w.Write([]byte(padding)); err != nil {
			return
		}
	}
	v.guest.leave()
	v.w.Write([]byte(`"]}]}`))
}

// compressed sends the true answer, or 10 MB, with gzip. Who does not accept that gets the ordinary answer, or the big one.
func (v *visit) compressed() {
	if !strings.Contains(v.req.Header.Get("Accept-Encoding"), "gzip") {
		if v.behavior == Bomb {
			v.big()
			return
		}
		facts := Expected(v.what)
		v.send(func(b page) page { return b.domain(v.registry, &facts, v.related()) })
		return
	}
	v.w.Header().Set("Content-Encoding", "gzip")
	if v.behavior == Bomb {
		v.body(http.StatusOK, mediaType, bomb())
		return
	}
	facts := Expected(v.what)
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	z.Write(page(nil).domain(v.registry, &facts, v.related()))
	z.Close()
	v.body(http.StatusOK, mediaType, out.Bytes())
}

// bomb is 10 MB of JSON in 10 kB.
var bomb = sync.OnceValue(func() []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	z.Write([]byte(`{"objectClassName":"domain","remarks":[{"description":["`))
	for range bigSize / len(padding) {
		z.Write([]byte(padding))
	}
	z.Write([]byte(`"]}]}`))
	z.Close()
	return out.Bytes()
})

// loop redirects round in circles.
func (v *visit) loop() {
	hop, _ := strconv.Atoi(v.req.URL.Query().Get("hop"))
	switch {
	case v.behavior == LoopSelf:
		v.redirect(v.base + v.class + "/" + v.what)
	case v.behavior == LoopFar || hop == 0:
		v.redirect(v.base + v.class + "/" + v.what + "?hop=" + strconv.Itoa(hop+1))
	default:
		v.redirect(v.base + v.class + "/" + v.what)
	}
}
