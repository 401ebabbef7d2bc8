// Package events names what Whence tells Caddy's events app, and emits it. docs/events.md has the same list for users.
package events

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
)

// The events.
const (
	FirstContact       = "whence_first_contact"       // a name was seen that this network had never seen
	NewDomain          = "whence_new_domain"          // a name was seen whose registration is young
	UpstreamDown       = "whence_upstream_down"       // an upstream server of the forwarder does not answer
	UpstreamUp         = "whence_upstream_up"         // … and does again
	WorkerDown         = "whence_worker_down"         // a lookup worker does not answer
	WorkerUp           = "whence_worker_up"           // … and does again
	SourceRefreshed    = "whence_source_refreshed"    // new data serve
	SourceRefused      = "whence_source_refused"      // new data were refused; the last good ones serve on
	QuorumDisagreement = "whence_quorum_disagreement" // upstream servers said different things
	DNSPolicy          = "whence_dns_policy"          // a policy of the forwarder met a name
)

// Fields are the events with the names of their data. A field may be missing from an event where there is nothing to say.
var Fields = map[string][]string{
	FirstContact:       {"name", "scope", "first_seen", "created", "status", "event"},
	NewDomain:          {"name", "scope", "first_seen", "created", "age_days", "registrar", "event"},
	UpstreamDown:       {"server", "error"},
	UpstreamUp:         {"server"},
	WorkerDown:         {"worker", "error", "since"},
	WorkerUp:           {"worker", "since"},
	SourceRefreshed:    {"source", "file", "type", "built", "records"},
	SourceRefused:      {"source", "file", "error", "last_good_serves"},
	QuorumDisagreement: {"name", "decided", "said"},
	DNSPolicy: {"policy", "name", "client", "tags", "blocked", "more", "created", "rank", "first_seen", "freq_avg",
		"country_code", "asn"},
}

// Refreshed are the data of a SourceRefreshed. Records are how many the file has; the others may be missing.
func Refreshed(source, file, typ string, built time.Time, records int) map[string]any {
	data := map[string]any{"source": source, "file": file, "records": records}
	if typ != "" {
		data["type"] = typ
	}
	if !built.IsZero() {
		data["built"] = built.UTC().Format(time.RFC3339)
	}
	return data
}

// Refused are the data of a SourceRefused. File is what was refused: a file's path, a URL without its secrets.
func Refused(source, file, why string, lastGoodServes bool) map[string]any {
	return map[string]any{"source": source, "file": file, "error": why, "last_good_serves": lastGoodServes}
}

// Emitter emits events in the name of the module that it was made for.
type Emitter struct {
	ctx    caddy.Context
	app    *caddyevents.App
	start  *start
	posted queue
}

// For is the emitter of the module that is being provisioned.
func For(ctx caddy.Context) (*Emitter, error) {
	v, err := ctx.App("events")
	if err != nil {
		return nil, err
	}
	e := &Emitter{ctx: ctx, app: v.(*caddyevents.App), start: &start{done: make(chan struct{})}}
	e.posted.emit = e.Emit
	// Handlers hear nothing before the events app has started, and apps start in no particular order.
	return e, e.app.On("started", e.start)
}

// Emit calls the handlers that are subscribed to the event, and reports whether they were all called: not where the configuration has
// ended. Values of data are strings, numbers, booleans and lists of strings, so that handlers can show them.
//
// It returns when the handlers have, and waits until the configuration has started: it is for goroutines of their own, and not to be
// called in Provision or Start. See [Emitter.Post] for others.
func (e *Emitter) Emit(name string, data map[string]any) bool {
	select {
	case <-e.start.done:
	case <-e.ctx.Done():
		return false
	}
	if e.ctx.Err() != nil {
		return false
	}
	e.app.Emit(e.ctx, name, data)
	return e.ctx.Err() == nil // it may have ended before the last handler was called
}

// Post has the event emitted soon, after those that were posted before it. It never blocks, and may be called from anywhere.
func (e *Emitter) Post(name string, data map[string]any) { e.posted.add(name, data) }

// start hears that a configuration has started: that handlers hear events.
type start struct {
	told atomic.Bool
	done chan struct{}
}

// Handle implements caddyevents.Handler.
func (s *start) Handle(context.Context, caddy.Event) error {
	if !s.told.Swap(true) {
		close(s.done)
	}
	return nil
}

// Newest are the emitters of the configurations that use a thing which outlives them. The zero value is ready.
type Newest struct {
	mu       sync.Mutex
	emitters []*Emitter // the newest last
	posted   queue
}

// Push has events go through e from now on, until the configuration withdraws it.
func (n *Newest) Push(e *Emitter) (withdraw func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.posted.emit == nil {
		n.posted.emit = n.emit
	}
	n.emitters = append(n.emitters, e)
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.emitters = slices.DeleteFunc(n.emitters, func(other *Emitter) bool { return other == e })
	}
}

// Post has the event emitted soon by the newest configuration, after those that were posted before it. It never blocks, and does
// nothing where there is no configuration.
func (n *Newest) Post(name string, data map[string]any) {
	if n.newest() != nil {
		n.posted.add(name, data)
	}
}

// newest is the emitter of the newest configuration that has not ended, nil where there is none.
func (n *Newest) newest() *Emitter {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range slices.Backward(n.emitters) {
		if e.ctx.Err() == nil {
			return e
		}
	}
	return nil
}

// emit emits through the newest configuration; where that ends meanwhile, through the one that is the newest then.
func (n *Newest) emit(name string, data map[string]any) bool {
	for e := n.newest(); e != nil; e = n.newest() {
		if e.Emit(name, data) {
			return true
		}
	}
	return false
}

// Interface guards
var _ caddyevents.Handler = (*start)(nil)
