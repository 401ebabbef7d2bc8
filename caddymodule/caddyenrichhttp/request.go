package caddyenrichhttp

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/whence-project/whence/enrich"
)

// varKey is the request's variable that holds what the modules of this package know of it.
const varKey = "whence.enrich"

// maxDepth bounds values that ask for answers about values.
const maxDepth = 4

// request is what directives and matchers know of one HTTP request: the answers of chains, each asked for once. It lives in the
// request's variables, and serves until the access log is written, long after the handlers have returned.
type request struct {
	placeholder caddy.ReplacerFunc // of this request, made once
	frames      atomic.Int32       // of Handlers that have not returned
	connection  *connection        // that keeps it for the next request; nil for none

	mu       sync.Mutex // handlers may use placeholders from other goroutines
	depth    int        // of values being evaluated
	mapped   bool       // the replacer has placeholder
	stripped bool       // of headers that the client sent
	address  string     // the client's, until it is read
	client   enrich.Subject
	views    []view
	answers  []*answer // those in use, and beyond them those of earlier requests
	boxes    [4]box

	// The first of each, which is all for most requests.
	oneView   [1]view
	oneAnswer [1]*answer
	first     answer
}

// view is a Handler's answer in a request.
type view struct {
	h     *Handler
	state *viewState // nil for the client's address, when nobody waits
}

// viewState is what a view needs of its request.
type viewState struct {
	ctx     context.Context
	repl    *caddy.Replacer
	text    string // the value, when it was used last
	subject enrich.Subject
}

// answer is what a chain said about a subject.
type answer struct {
	chain  *enrich.Chain
	query  enrich.Query
	record enrich.Record
	waited bool
}

// box is a value as placeholders are returned. On a connection that stays it is the same from request to request.
type box struct {
	text  string
	value any
}

// requestOf is what is known of r, from now on.
func requestOf(r *http.Request) *request {
	ctx := r.Context()
	vars, _ := ctx.Value(caddyhttp.VarsCtxKey).(map[string]any)
	if q, ok := vars[varKey].(*request); ok {
		return q
	}
	q := newRequest(ctx, r)
	q.address, _ = vars[caddyhttp.ClientIPVarKey].(string)
	if vars != nil {
		vars[varKey] = q
	}
	return q
}

// reset forgets the request before.
func (q *request) reset() {
	q.mu.Lock()
	defer q.mu.Unlock()
	clear(q.views)
	q.views, q.answers = q.views[:0], q.answers[:0]
	q.mapped, q.stripped, q.address, q.client = false, false, "", enrich.Subject{}
}

// add has the request answer h's placeholders.
func (q *request) add(h *Handler, r *http.Request) view {
	v := view{h: h}
	ctx := r.Context()
	repl, _ := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if h.Value != "" || h.Wait > 0 {
		q.connection.forget() // it is not to keep what this request refers to
		v.state = &viewState{ctx: ctx, repl: repl}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.mapped && repl != nil {
		q.mapped = true
		repl.Map(q.placeholder)
	}
	for i := range q.views {
		if q.views[i].h.As == h.As {
			q.views[i] = v
			return v
		}
	}
	q.views = append(q.views, v)
	return v
}

// get is the value of a placeholder.
func (q *request) get(key string) (any, bool) {
	name, ok := strings.CutPrefix(key, "enrich.")
	if !ok {
		return nil, false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	v, field := q.find(name)
	if v.h == nil {
		return nil, false
	}
	s := q.subject(v)
	if field == "json" {
		if r := q.ask(v.h.door, s, 0, v); r != nil {
			return string(r.AppendJSON(nil)), true
		}
		return "", true
	}
	p := enrich.PickOf(field)
	if r := q.ask(v.h.door, s, p.Want(), v); r != nil {
		return q.box(p.Key(), p.Text(r)), true
	}
	return "", true
}

// find is the view and the field that "as.field", or "field", names. q.mu is held.
func (q *request) find(name string) (v view, field string) {
	as, rest, dotted := strings.Cut(name, ".")
	for _, have := range q.views {
		switch {
		case have.h.As == "":
			if v.h == nil {
				v, field = have, name
			}
		case dotted && have.h.As == as:
			return have, rest
		}
	}
	return v, field
}

// subject is what the view is about, the zero Subject where its value cannot be read. q.mu is held.
func (q *request) subject(v view) enrich.Subject {
	if v.h.Value == "" {
		return q.clientSubject()
	}
	return q.valueOf(v.h.Value, v.state)
}

// clientSubject is the client's address as Caddy trusts it. q.mu is held.
func (q *request) clientSubject() enrich.Subject {
	if q.address != "" {
		if a, err := netip.ParseAddr(q.address); err == nil {
			q.client = enrich.AddressOf(a)
		}
		q.address = "" // read, or none: of a Unix socket
	}
	return q.client
}

// valueOf evaluates a value. It may ask for other answers of the request, so that q.mu, which is held, is not meanwhile.
func (q *request) valueOf(value string, state *viewState) enrich.Subject {
	if q.depth >= maxDepth {
		return enrich.Subject{}
	}
	text := value
	if state.repl != nil {
		text = q.replace(value, state.repl)
	}
	if text != state.text {
		state.text = text
		state.subject, _ = enrich.ParseSubject(text)
	}
	return state.subject
}

func (q *request) replace(value string, repl *caddy.Replacer) string {
	q.depth++
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		q.depth--
	}()
	return repl.ReplaceAll(value, "")
}

// ask is the chain's answer about s, which has what is wanted; nil where there can be none. It is valid as long as q.mu is held,
// which it is.
func (q *request) ask(d *door, s enrich.Subject, want enrich.KeySet, v view) *enrich.Record {
	if !s.IsValid() || !d.open() {
		return nil
	}
	a := q.answer(d.chain, s)
	wait := time.Duration(0)
	if v.h != nil && !a.waited {
		wait = time.Duration(v.h.Wait)
	}
	asked := a.query.Subject.IsValid()
	if asked && a.query.Want.Covers(want) && (wait == 0 || !unfetched(&a.record)) {
		return &a.record
	}
	want = d.learn(want)
	if asked {
		want = want.Join(a.query.Want)
	}
	a.query = enrich.Query{Subject: s, Want: want, Priority: enrich.Pipeline}
	ctx := context.Background()
	if wait > 0 {
		a.waited = true
		a.query.Wait, a.query.Priority = time.Now().Add(wait), enrich.Person
		ctx = v.state.ctx
	}
	d.chain.Lookup(ctx, &a.query, &a.record)
	return &a.record
}

// answer is the place of the answer about s.
func (q *request) answer(chain *enrich.Chain, s enrich.Subject) *answer {
	for _, a := range q.answers {
		if a.chain == chain && a.record.Subject() == s {
			return a
		}
	}
	n := len(q.answers)
	if n < cap(q.answers) && q.answers[:n+1][n] != nil {
		q.answers = q.answers[:n+1]
	} else {
		q.answers = append(q.answers, new(answer))
	}
	a := q.answers[n]
	a.chain, a.waited, a.query = chain, false, enrich.Query{}
	a.record.Reset(s)
	return a
}

// unfetched reports that more could be known if somebody waited.
func unfetched(r *enrich.Record) bool {
	for _, n := range r.Notes() {
		if n.Kind == enrich.Unfetched {
			return true
		}
	}
	return false
}

// box makes a string an interface value, which allocates where it is not the one of last time. q.mu is held.
func (q *request) box(k enrich.Key, text string) any {
	b := &q.boxes[int(k)%len(q.boxes)]
	if b.value == nil || b.text != text {
		*b = box{text, text}
	}
	return b.value
}
