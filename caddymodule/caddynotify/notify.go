// Package caddynotify tells people and programs of events: the handlers of events "mail" and "webhook", and the app "notify", which
// subscribes them.
package caddynotify

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/whence-project/whence/caddymodule/internal/events"
)

func init() {
	caddy.RegisterModule(new(App))
	httpcaddyfile.RegisterGlobalOption("notify", parseApp)
}

// App subscribes handlers to events. The app "events" does so too; here a handler stands once for all of its events, and names of
// events that do not exist are refused.
type App struct {
	// Who is told of what. Default: nobody.
	Notices []*Notice `json:"notices,omitempty"`
}

// Notice is who is told of some events.
type Notice struct {
	// The events by name, as in whence_upstream_down; * is every one. Default: those that somebody should look at: upstream servers
	// and workers down and up, refused sources, disagreements.
	Events []string `json:"events,omitempty"`
	// The handlers. Required.
	HandlersRaw []json.RawMessage `json:"handlers,omitempty" caddy:"namespace=events.handlers inline_key=handler"`
}

// trouble are the events of a notice that names none.
var trouble = []string{
	events.UpstreamDown, events.UpstreamUp, events.WorkerDown, events.WorkerUp, events.SourceRefused, events.QuorumDisagreement,
}

// CaddyModule returns the module's registration.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "notify", New: func() caddy.Module { return new(App) }}
}

// Provision loads the handlers and subscribes them.
func (a *App) Provision(ctx caddy.Context) error {
	v, err := ctx.App("events")
	if err != nil {
		return err
	}
	for _, n := range a.Notices {
		if err := n.subscribe(ctx, v.(*caddyevents.App)); err != nil {
			return fmt.Errorf("notify: %w", err)
		}
	}
	return nil
}

func (n *Notice) subscribe(ctx caddy.Context, app *caddyevents.App) error {
	if len(n.HandlersRaw) == 0 {
		return errors.New("nobody to tell; name one, as in: mail admin@example.org { … }")
	}
	names, err := n.names()
	if err != nil {
		return err
	}
	mods, err := ctx.LoadModule(n, "HandlersRaw")
	if err != nil {
		return err
	}
	sub := &caddyevents.Subscription{Events: names}
	for _, mod := range mods.([]any) {
		h, ok := mod.(caddyevents.Handler)
		if !ok {
			return fmt.Errorf("module %s handles no events", mod.(caddy.Module).CaddyModule().ID)
		}
		sub.Handlers = append(sub.Handlers, h)
	}
	return app.Subscribe(sub)
}

// names are the events as Caddy has them, where "" is every one.
func (n *Notice) names() ([]string, error) {
	if len(n.Events) == 0 {
		return trouble, nil
	}
	if slices.Contains(n.Events, "*") {
		return []string{""}, nil
	}
	for _, name := range n.Events {
		if _, ours := events.Fields[name]; !ours && strings.HasPrefix(name, "whence_") {
			return nil, fmt.Errorf("there is no event %s; there are %s", name, strings.Join(slices.Sorted(maps.Keys(events.Fields)), ", "))
		}
	}
	return n.Events, nil
}

// Start does nothing: handlers begin with their first event.
func (*App) Start() error { return nil }

// Stop does nothing: handlers end, with what they have to tell, when the configuration is cleaned up.
func (*App) Stop() error { return nil }

// parseApp parses the global option, which may be repeated.
//
//	notify {
//		on      <event…>|*
//		mail    <address…> { … }
//		webhook <url> { … }
//	}
func parseApp(d *caddyfile.Dispenser, existing any) (any, error) {
	app := new(App)
	if before, ok := existing.(httpcaddyfile.App); ok {
		if err := json.Unmarshal(before.Value, app); err != nil {
			return nil, d.WrapErr(err)
		}
	}
	d.Next() // the option's name
	if d.NextArg() {
		return nil, d.ArgErr()
	}
	n := new(Notice)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := n.parse(d); err != nil {
			return nil, err
		}
	}
	if len(n.HandlersRaw) == 0 {
		return nil, d.Err("notify tells nobody; name one, as in: mail admin@example.org { … }")
	}
	app.Notices = append(app.Notices, n)
	return httpcaddyfile.App{Name: "notify", Value: caddyconfig.JSON(app, nil)}, nil
}

// parse reads a line of the option: events, or a handler, any of Caddy's.
func (n *Notice) parse(d *caddyfile.Dispenser) error {
	name := d.Val()
	if name == "on" {
		list := d.RemainingArgs()
		if len(list) == 0 {
			return d.Err("on takes events, as in: on whence_upstream_down whence_upstream_up")
		}
		n.Events = append(n.Events, list...)
		if _, err := n.names(); err != nil {
			return d.WrapErr(err)
		}
		return nil
	}
	id := "events.handlers." + name
	if _, err := caddy.GetModule(id); err != nil {
		return d.Errf("notify has neither an option nor a handler %q; it has on, mail and webhook", name)
	}
	handler, err := caddyfile.UnmarshalModule(d, id)
	if err != nil {
		return err
	}
	n.HandlersRaw = append(n.HandlersRaw, caddyconfig.JSONModuleObject(handler, "handler", name, nil))
	return nil
}

// Interface guards
var (
	_ caddy.App         = (*App)(nil)
	_ caddy.Provisioner = (*App)(nil)
)
