// Package events names what Whence tells Caddy's events app, and emits it. docs/events.md has the same list for users.
package events

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/whence-project/whence/internal/newest"
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

// Emitter emits events in the name of the module that it was made for.
type Emitter struct {
	ctx caddy.Context
	app *caddyevents.App
}

// For is the emitter of the module that is being provisioned.
func For(ctx caddy.Context) (*Emitter, error) {
	app, err := ctx.App("events")
	if err != nil {
		return nil, err
	}
	return &Emitter{ctx, app.(*caddyevents.App)}, nil
}

// Emit calls the handlers that are subscribed to the event, and returns when they have. Values of data are strings, numbers and
// booleans, so that handlers can show them.
func (e *Emitter) Emit(name string, data map[string]any) { e.app.Emit(e.ctx, name, data) }

// Newest are the emitters of the configurations that use a thing which outlives them. The zero value is ready.
type Newest struct{ stack newest.Stack[*Emitter] }

// Push has events go through e from now on, until the configuration withdraws it.
func (n *Newest) Push(e *Emitter) (withdraw func()) { return n.stack.Push(e) }

// Emit emits through the newest configuration, and does nothing where there is none.
func (n *Newest) Emit(name string, data map[string]any) {
	var e *Emitter
	if n.stack.Do(func(newest *Emitter) { e = newest }) {
		e.Emit(name, data)
	}
}
