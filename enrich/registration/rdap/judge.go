package rdap

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/whence-project/whence/enrich/registration/whoisreply"
)

// reply is what came back over HTTP.
type reply struct {
	query  query    // what was asked for
	url    *url.URL // who answered, after redirects
	status int
	header http.Header
	body   []byte
	whole  bool // the body's end was marked: what is empty is not just cut off
}

// judge makes an object or an error of a reply.
func (r *reply) judge() (*Object, *Error) {
	d, err := read(r.body)
	noObject := err != nil
	if noObject {
		d = new(document)
	} else if err = d.incomplete(); err == nil && r.status < 300 {
		if why := r.query.mismatch(&d.Object); why != "" {
			err = errors.New(why)
		} else if d.tells() || !throttled(r.words(d)) {
			return d.object(), nil
		}
	}
	if err != nil && d.tells() && r.status < 300 && d.errorCode == 0 { // its notices are about what it tells, not about the question
		return nil, &Error{Status: r.status, Err: err}
	}
	e := &Error{Status: r.status, Title: d.title, Description: clean(strings.Join(d.description, " "))}
	e.Kind = r.kind(d, noObject)
	switch {
	case e.Kind == Throttled:
		e.RetryAfter = r.retryAfter(d)
	case e.Kind == Invalid && r.status < 300:
		e.Err = err
	}
	return nil, e
}

// kind tells what an answer without the object means.
func (r *reply) kind(d *document, noObject bool) Kind {
	status := r.status
	if d.errorCode >= 400 && status < 300 {
		status = d.errorCode // an error response that came as if it were none
	}
	switch {
	case status == http.StatusTooManyRequests || d.errorCode == http.StatusTooManyRequests,
		status == http.StatusServiceUnavailable && r.header.Get("Retry-After") != "",
		status == http.StatusNotFound && throttled(d.said()),
		status != http.StatusNotFound && throttled(r.words(d)):
		return Throttled
	case status == http.StatusNotFound:
		return r.notFound(d, noObject)
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusUnavailableForLegalReasons:
		return Refused
	case status == http.StatusRequestTimeout, status == http.StatusGatewayTimeout:
		return Timeout
	case status >= 500 && status != http.StatusNotImplemented:
		return Server
	}
	return Invalid
}

// notFound weighs a 404. Any web server says that, of a path that it was not told of: it is the RDAP server's word only with an
// RDAP body, or with none at all (RFC 7480 §5.3), and about the object only where the object was asked for in the end. And what
// the server says in words has to agree.
func (r *reply) notFound(d *document, noObject bool) Kind {
	if last, ok := queryOf(r.url); !ok || r.query.class == ClassDomain && last != r.query {
		return Doubtful
	}
	media := strings.ToLower(r.header.Get("Content-Type"))
	switch {
	case len(strings.TrimSpace(string(r.body))) == 0:
		if r.whole && !strings.HasPrefix(media, "text/") {
			return NotFound
		}
		return Doubtful
	case noObject, d.Class != "", throttled(r.words(d)), d.errorCode != 0 && d.errorCode != http.StatusNotFound,
		d.errorCode == 0 && !d.conformant && !strings.HasPrefix(media, mediaType):
		return Doubtful
	}
	return d.verdict(r.query)
}

// verdict is what the words of an error response make of its 404. Each of them counts, for a server may say that it found nothing
// because it has nothing to do with such names.
func (d *document) verdict(q query) Kind {
	kind := NotFound
	for _, s := range append(d.description, d.title, d.said()) {
		switch whoisreply.Parse(s, q.what).Class {
		case whoisreply.Available, whoisreply.Error:
		case whoisreply.Reserved:
			if q.class == ClassDomain {
				kind = Reserved
			}
		default: // it does not answer for such names, or is out of order
			return Doubtful
		}
	}
	return kind
}

// said is what an error response says of the error itself; its notices are mostly terms of use.
func (d *document) said() string {
	return d.title + "\n" + strings.Join(d.description, "\n")
}

// tells reports whether an object has anything to tell but what it is called.
func (d *document) tells() bool {
	return !d.Created.IsZero() || !d.Updated.IsZero() || !d.Expires.IsZero() || len(d.Status) > 0 || len(d.NameServers) > 0 ||
		len(d.entities) > 0 || d.Name != ""
}

// words are what an answer without an object says, whoever wrote it.
func (r *reply) words(d *document) string {
	text := d.said()
	if strings.TrimSpace(text) == "" && len(d.noticesAt) == 0 {
		return withoutTags(string(r.body[:min(len(r.body), maxWords)]))
	}
	for _, n := range d.notices() {
		text += "\n" + n.title
		if r.status < 300 && d.errorCode == 0 || limits(n.title) {
			text += "\n" + n.text
		}
	}
	return text
}

// maxWords is how much is read of an answer that is not RDAP.
const maxWords = 8 << 10

// withoutTags is the text of a page.
func withoutTags(s string) string {
	var b strings.Builder
	for {
		before, rest, tag := strings.Cut(s, "<")
		b.WriteString(before)
		if !tag {
			return b.String()
		}
		b.WriteByte('\n')
		_, s, _ = strings.Cut(rest, ">")
	}
}

// limitWords are such that without one of them a text is not about a limit: "try again later" is also said by what is broken.
var limitWords = [...]string{"limit", "quota", "exceed", "too many", "too fast", "too frequent", "throttl", "slow down", "queries per",
	"requests per", "number of queries", "replenished"}

func limits(s string) bool {
	s = strings.ToLower(s)
	for _, w := range limitWords {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

// throttled reports whether a text says that there were too many queries, in the sentences that WHOIS servers have for it.
func throttled(s string) bool {
	if !limits(s) {
		return false
	}
	if saysThrottled(s) {
		return true
	}
	for line := range strings.Lines(s) { // for the others may say as well that the client is not authorized
		if limits(line) && saysThrottled(line) {
			return true
		}
	}
	s = strings.ToLower(s)
	return strings.Contains(s, "are being rate limited") || strings.Contains(s, "been rate limited") || strings.Contains(s, "been throttled")
}

func saysThrottled(s string) bool { return whoisreply.Parse(s, "").Class == whoisreply.Throttled }

// maxWait is the longest that a server may send a client away.
const maxWait = 24 * time.Hour

// retryAfter is how long to wait, by the header, in seconds or as a date (RFC 9110 §10.2.3), or by what the answer says.
func (r *reply) retryAfter(d *document) time.Duration {
	s := strings.TrimSpace(r.header.Get("Retry-After"))
	var wait time.Duration
	if s != "" && strings.Trim(s, "0123456789") == "" {
		if wait = maxWait; len(s) <= 6 {
			wait, _ = time.ParseDuration(s + "s")
		}
	} else if at, err := http.ParseTime(s); err == nil {
		now, err := http.ParseTime(r.header.Get("Date")) // by the clock that the date is of
		if err != nil {
			now = time.Now()
		}
		wait = at.Sub(now)
	}
	if wait <= 0 {
		wait = whoisreply.Parse(r.words(d), "").Wait
	}
	return max(0, min(wait, maxWait))
}
